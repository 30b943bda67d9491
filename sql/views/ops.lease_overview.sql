-- Which worker runs which chat, and how long ago it gave a sign of life.
-- Called by: people. Locks: none. Errors: none.
DROP VIEW IF EXISTS ops.lease_overview;
CREATE VIEW ops.lease_overview AS
SELECT
  l.worker,
  l.chat_id,
  l.term,
  l.heartbeat_at,
  clock_timestamp() - l.heartbeat_at AS silent_for,
  l.lease_time,
  l.heartbeat_at + l.lease_time < clock_timestamp() AS expired
FROM ops.leases AS l;
COMMENT ON VIEW ops.lease_overview IS
  'Leases by worker; silent for longer than their lease time: expired, free for others.';
GRANT SELECT ON ops.lease_overview TO parley_service, parley_dba;
