-- Why an event is there, and what came of it.
-- Called by: people. Locks: none. Errors: ES404 no event at this position.
-- metadata.causation_id is <stream id>:<version> of the event that it answers to,
-- correlation_id the request. What came of it is looked for in its own stream.
CREATE OR REPLACE FUNCTION es.explain_event(at_position bigint) RETURNS TABLE (
  relation text, "position" bigint, stream_id uuid, version int, type text,
  recorded_at timestamptz, actor text, detail text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  t record;
BEGIN
  SELECT e.* INTO t FROM es.events AS e WHERE e.position = at_position;
  IF NOT FOUND THEN
    RAISE 'there is no event at position %', at_position
      USING ERRCODE = 'ES404', HINT = 'see ops.log_overview for the head';
  END IF;
  RETURN QUERY
  WITH RECURSIVE causes AS (
    SELECT 0 AS steps, t.stream_id AS stream_id, t.version AS version,
      t.metadata ->> 'causation_id' AS cause
    UNION ALL
    SELECT c.steps + 1, e.stream_id, e.version, e.metadata ->> 'causation_id'
    FROM causes AS c
    JOIN es.events AS e ON e.stream_id = split_part(c.cause, ':', 1)::uuid
      AND e.version = split_part(c.cause, ':', 2)::int
    WHERE c.steps < 20
      AND c.cause ~ '^[0-9a-f]{8}-[0-9a-f-]{27}:[0-9]{1,9}$'
  ), related AS (
    SELECT CASE c.steps WHEN 0 THEN 'this' ELSE 'cause ' || c.steps END
      AS relation, e.*
    FROM causes AS c
    JOIN es.events AS e ON e.stream_id = c.stream_id AND e.version = c.version
    UNION ALL
    SELECT CASE
        WHEN e.append_last = t.append_last THEN 'same append'
        WHEN e.metadata ->> 'causation_id' LIKE t.stream_id || ':%'
          AND e.version > t.version THEN 'effect'
        ELSE 'same request' END, e.*
    FROM es.events AS e
    WHERE e.stream_id = t.stream_id AND e.version <> t.version AND (
      e.append_last = t.append_last
      -- The answer was to the append: its last event is what a reader had seen.
      OR e.metadata ->> 'causation_id' = t.stream_id || ':' || t.append_last
      OR e.metadata ->> 'correlation_id' = t.metadata ->> 'correlation_id')
    UNION ALL
    -- Other streams of the same request: a batch has at most 500 events.
    SELECT 'same request', e.*
    FROM es.events AS e
    WHERE e.position BETWEEN at_position - 500 AND at_position + 500
      AND e.stream_id <> t.stream_id
      AND e.metadata ->> 'correlation_id' = t.metadata ->> 'correlation_id'
  )
  SELECT r.relation, r.position, r.stream_id, r.version, r.type, r.recorded_at,
    r.metadata ->> 'actor', es.describe_event(r.data)
  FROM related AS r ORDER BY r.position;
END
$$;
COMMENT ON FUNCTION es.explain_event(bigint) IS
  'An event with its causes, its append, its request and its effects.';
GRANT EXECUTE ON FUNCTION es.explain_event(bigint)
  TO parley_service, parley_dba;
