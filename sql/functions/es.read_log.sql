-- A page of the log, ascending by position; it never ends inside an append.
-- Called by: service.eventstore.store. Locks: none. Errors: none.
-- with_data_of: data and metadata only for these streams (heads of all others).
CREATE OR REPLACE FUNCTION es.read_log(
  after_position bigint, max_events int, with_data_of uuid[] DEFAULT NULL
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
    e.schema_version,
    CASE WHEN f.followed THEN e.data END,
    CASE WHEN f.followed THEN e.metadata END,
    e.recorded_at, e.digest
  FROM es.events AS e
  CROSS JOIN LATERAL (
    SELECT coalesce(e.stream_id = ANY (with_data_of), with_data_of IS NULL)
  ) AS f (followed)
  WHERE e.position > after_position
    AND e.position <= coalesce((
      -- An append has adjacent positions: its border is a known distance away.
      SELECT b.position + b.append_last - b.version FROM es.events AS b
      WHERE b.position = after_position + greatest(max_events, 1)
    ), 9223372036854775807)
  ORDER BY e.position;
END
$$;
COMMENT ON FUNCTION es.read_log(bigint, int, uuid[]) IS
  'Events of the log after a position, at least max_events of them while there are, up to an append border.';
GRANT EXECUTE ON FUNCTION es.read_log(bigint, int, uuid[])
  TO parley_service, parley_projector, parley_dba;
