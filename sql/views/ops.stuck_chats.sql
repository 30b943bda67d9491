-- Chats that do not go on although they should. Called by: people.
-- Locks: none. Errors: none.
DROP VIEW IF EXISTS ops.stuck_chats;
CREATE VIEW ops.stuck_chats AS
SELECT
  s.chat_id,
  s.problem,
  s.since,
  clock_timestamp() - s.since AS stuck_for,
  s.detail
FROM ops.find_stuck_chats() AS s;
COMMENT ON VIEW ops.stuck_chats IS
  'Chats without worker, without progress, with failing attempts, or parked.';
GRANT SELECT ON ops.stuck_chats TO parley_service, parley_dba;
