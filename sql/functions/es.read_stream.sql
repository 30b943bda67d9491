-- A page of one stream, ascending by version; it never ends inside an append.
-- Called by: service.eventstore.store. Locks: none. Errors: none.
-- Versions have no holes, so the last event of the page is found by its number,
-- and the page goes on to that event's append border.
CREATE OR REPLACE FUNCTION es.read_stream(
  stream_category text, stream uuid, after_version int, max_events int
) RETURNS TABLE (
  "position" bigint, category text, stream_id uuid, version int,
  append_last int, type text, schema_version smallint, data jsonb,
  metadata jsonb, recorded_at timestamptz, digest bytea
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT e.position, e.category, e.stream_id, e.version, e.append_last, e.type,
    e.schema_version, e.data, e.metadata, e.recorded_at, e.digest
  FROM es.events AS e
  WHERE e.stream_id = stream AND e.category = stream_category
    AND e.version > after_version
    AND e.version <= coalesce((
      SELECT b.append_last FROM es.events AS b
      WHERE b.stream_id = stream
        AND b.version = after_version::bigint + greatest(max_events, 1)
    ), 2147483647)
  ORDER BY e.version;
END
$$;
COMMENT ON FUNCTION es.read_stream(text, uuid, int, int) IS
  'Events of a stream after a version, at least max_events of them while there are, up to an append border.';
GRANT EXECUTE ON FUNCTION es.read_stream(text, uuid, int, int)
  TO parley_service, parley_projector, parley_dba;
