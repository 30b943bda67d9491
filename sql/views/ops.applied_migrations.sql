-- What is deployed: applied migrations in order. Also names yoyo's own tables.
-- Called by: people. Locks: none. Errors: none.
DROP VIEW IF EXISTS ops.applied_migrations;
CREATE VIEW ops.applied_migrations AS
SELECT
  m.migration_id AS migration,
  m.applied_at_utc AT TIME ZONE 'UTC' AS applied_at
FROM ops._yoyo_migration AS m;
COMMENT ON VIEW ops.applied_migrations IS 'Numbered migrations and when they ran.';
GRANT SELECT ON ops.applied_migrations TO parley_service, parley_dba;

COMMENT ON TABLE ops._yoyo_migration IS
  'Of yoyo: the applied migrations; see ops.applied_migrations.';
COMMENT ON TABLE ops._yoyo_log IS 'Of yoyo: every apply and roll-back, by whom.';
COMMENT ON TABLE ops._yoyo_version IS 'Of yoyo: version of its own tables.';
COMMENT ON TABLE ops.yoyo_lock IS
  'Of yoyo: its lock; an advisory lock does the work here, so it stays empty.';
