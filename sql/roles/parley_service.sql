-- API and workers: append through functions, read, keep leases and live parts.
GRANT USAGE ON SCHEMA es, read, ops, platform TO parley_service;
GRANT SELECT ON es.events TO parley_service;
GRANT SELECT, INSERT, DELETE ON es.live_parts TO parley_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON ops.leases TO parley_service;
GRANT SELECT, INSERT, DELETE ON ops.stream_tickets TO parley_service;
GRANT SELECT ON ops.projections, ops.checkpoints, ops.parked_streams
  TO parley_service;
GRANT SELECT ON ops.repeatables, ops._yoyo_migration TO parley_service;
GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA platform TO parley_service;
GRANT UPDATE (revoked_at) ON platform.tokens TO parley_service;
GRANT UPDATE ON platform.providers, platform.model_configs TO parley_service;
GRANT UPDATE, DELETE
  ON platform.settings, platform.user_settings, platform.compaction_thresholds
  TO parley_service;
-- Only triggers write there, as the owner: nobody makes up an audit, or loses one.
REVOKE ALL ON platform.audit_outbox FROM parley_service;
