-- The earlier request with an idempotency key on a stream: one row or none.
-- Called by: service.eventstore.store, before a command is decided.
-- Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION es.find_request(
  stream_category text, stream uuid, request_key text
) RETURNS TABLE (request_hash bytea, first_version int, last_version int)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT e.request_hash, e.version, e.append_last
  FROM es.events AS e
  WHERE e.stream_id = stream AND e.idempotency_key = request_key
    AND e.category = stream_category;
END
$$;
COMMENT ON FUNCTION es.find_request(text, uuid, text) IS
  'Request hash and versions of the earlier request with this key, if any.';
GRANT EXECUTE ON FUNCTION es.find_request(text, uuid, text)
  TO parley_service, parley_dba;
