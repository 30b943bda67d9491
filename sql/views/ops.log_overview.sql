-- The log at a glance: head, size on disk, age of the last event.
-- Called by: people. Locks: none. Errors: none.
DROP VIEW IF EXISTS ops.log_overview;
CREATE VIEW ops.log_overview AS
SELECT
  coalesce(h.position, 0) AS head,
  h.recorded_at AS last_recorded_at,
  clock_timestamp() - h.recorded_at AS last_age,
  pg_relation_size('es.events') AS table_bytes,
  pg_indexes_size('es.events') AS index_bytes,
  pg_total_relation_size('es.live_parts') AS live_parts_bytes,
  pg_notification_queue_usage() AS notification_queue_usage
FROM (SELECT) AS one
LEFT JOIN LATERAL (
  SELECT e.position, e.recorded_at
  FROM es.events AS e ORDER BY e.position DESC LIMIT 1
) AS h ON true;
COMMENT ON VIEW ops.log_overview IS
  'Head of the log, its age and sizes, and how full the notification queue is.';
GRANT SELECT ON ops.log_overview TO parley_service, parley_dba;
