-- Chats that do not go on although they should.
-- Called by: ops.stuck_chats. Locks: none. Errors: none.
-- A function, since read.runnable is made by projectors, after the views are.
-- A chat without lease should be taken within 30 s, the default lease time; five
-- minutes is longer than any model stays silent.
CREATE OR REPLACE FUNCTION ops.find_stuck_chats() RETURNS TABLE (
  chat_id uuid, problem text, since timestamptz, detail text
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
  SELECT p.stream_id, 'parked', p.parked_at,
    p.projection || ' at version ' || p.event_version || ': ' || p.error
  FROM ops.parked_streams AS p
  WHERE p.category = 'chat' AND p.skipped IS NULL;
  IF to_regclass('read.runnable') IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT r.chat_id, 'no worker', greatest(r.since, l.heartbeat_at),
    r.status || CASE WHEN l.worker IS NULL THEN ', without lease'
      ELSE ', lease of ' || l.worker || ' expired' END
  FROM read.runnable AS r
  LEFT JOIN ops.leases AS l ON l.chat_id = r.chat_id
  WHERE r.since < clock_timestamp() - coalesce(l.lease_time, interval '30 s')
    AND coalesce(l.heartbeat_at + l.lease_time, '-infinity') < clock_timestamp()
    -- What waits for its client needs nobody before the client's time is up.
    AND (r.status <> 'requires_action' OR coalesce((
      SELECT (e.data ->> 'deadline')::timestamptz FROM es.events AS e
      WHERE e.stream_id = r.chat_id AND e.version = r.version
    ), r.since) < clock_timestamp() - coalesce(l.lease_time, interval '30 s'))
  UNION ALL
  SELECT r.chat_id, 'no progress', m.moved_at,
    r.status || ', nothing new from ' || l.worker
  FROM read.runnable AS r
  JOIN ops.leases AS l ON l.chat_id = r.chat_id
    AND l.heartbeat_at + l.lease_time >= clock_timestamp()
  CROSS JOIN LATERAL (
    SELECT greatest((
      SELECT e.recorded_at FROM es.events AS e WHERE e.stream_id = r.chat_id
      ORDER BY e.version DESC LIMIT 1
    ), (SELECT max(p.at) FROM es.live_parts AS p WHERE p.chat_id = r.chat_id))
      AS moved_at
  ) AS m
  WHERE r.status <> 'requires_action'
    AND m.moved_at < clock_timestamp() - interval '5 min'
  UNION ALL
  -- Attempts count from 1 in each epoch: whatever is kept begins another one.
  SELECT r.chat_id, 'attempts fail', a.recorded_at,
    'attempt ' || (a.data ->> 'attempt') || ' of epoch ' || (a.data ->> 'epoch')
  FROM read.runnable AS r
  CROSS JOIN LATERAL (
    SELECT e.recorded_at, e.type, e.data FROM es.events AS e
    WHERE e.stream_id = r.chat_id AND e.version >= r.version
      AND e.type IN ('generation_attempt_started', 'step_committed')
    ORDER BY e.version DESC LIMIT 1
  ) AS a
  WHERE a.type = 'generation_attempt_started'
    AND (a.data ->> 'attempt')::int >= 3;
END
$$;
COMMENT ON FUNCTION ops.find_stuck_chats() IS
  'Runnable chats without worker, progress or success, and parked ones, with a reason.';
GRANT EXECUTE ON FUNCTION ops.find_stuck_chats()
  TO parley_service, parley_dba;
