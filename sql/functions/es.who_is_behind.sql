-- Who has not caught up, and who keeps others from it; no row: nobody.
-- Called by: people. Locks: none. Errors: none.
-- Sessions and replicas of others are shown to members of pg_monitor only; a NOTICE
-- tells everybody else.
DROP FUNCTION IF EXISTS es.who_is_behind();
CREATE OR REPLACE FUNCTION es.who_is_behind(
  longest_transaction interval DEFAULT '1 min'
) RETURNS TABLE (
  who text, name text, behind_events bigint, behind_for interval, state text,
  advice text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
  IF NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
    RAISE NOTICE 'sessions and replicas are hidden from %', current_user
      USING HINT = 'an administrator may GRANT pg_monitor TO your login; use it '
        'without SET ROLE';
  END IF;
  RETURN QUERY
  SELECT 'projection', l.projection || '__v' || l.version, l.lag_events,
    l.lag_age, concat_ws(': ', l.state, l.error),
    CASE l.state WHEN 'stopped' THEN 'read its error; parley projections'
      ELSE 'wait; does a process with the role projector run?' END
  FROM ops.projection_lag AS l
  WHERE l.lag_events <> 0 OR l.state = 'stopped'
  UNION ALL
  SELECT 'parked stream', p.projection || '__v' || p.version || ' '
      || p.stream_id, h.position - p.position, clock_timestamp() - p.parked_at,
    p.event_type || ' at version ' || p.event_version || ': ' || p.error,
    'fix the projection, then parley projections retry'
  FROM ops.parked_streams AS p
  CROSS JOIN (
    SELECT e.position FROM es.events AS e ORDER BY e.position DESC LIMIT 1
  ) AS h
  WHERE p.skipped IS NULL
  UNION ALL
  SELECT 'worker', l.worker || ' ' || l.chat_id, NULL,
    clock_timestamp() - l.heartbeat_at, 'silent', 'its chats are free for others'
  FROM ops.leases AS l
  WHERE l.heartbeat_at + l.lease_time < clock_timestamp()
  UNION ALL
  SELECT 'session', a.application_name || ' ' || a.pid, NULL,
    clock_timestamp() - a.xact_start, a.state,
    'its snapshot stops vacuum: end the transaction'
  FROM pg_stat_activity AS a
  WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
    AND a.xact_start < clock_timestamp() - longest_transaction
  UNION ALL
  SELECT 'replica', r.application_name, NULL, r.replay_lag, r.state,
    'see pg_stat_replication'
  FROM pg_stat_replication AS r WHERE r.replay_lag > interval '1 s'
  UNION ALL
  SELECT 'notifications', 'queue', NULL, NULL,
    round(100 * pg_notification_queue_usage()::numeric, 1) || ' % full',
    'a session listens inside an open transaction'
  WHERE pg_notification_queue_usage() > 0.01
  ORDER BY 4 DESC NULLS LAST;
END
$$;
COMMENT ON FUNCTION es.who_is_behind(interval) IS
  'Projections, parked streams, silent workers, old transactions, replicas: who is behind, worst first.';
GRANT EXECUTE ON FUNCTION es.who_is_behind(interval)
  TO parley_service, parley_dba;
