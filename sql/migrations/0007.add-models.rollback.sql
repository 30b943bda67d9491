-- Providers with their keys, models, settings and thresholds are gone; what the log
-- says about them stays. PARLEY_MODEL serves again.
DROP TABLE platform.audit_outbox CASCADE;
DROP TABLE platform.compaction_thresholds CASCADE;
DROP TABLE platform.user_settings CASCADE;
DROP TABLE platform.settings CASCADE;
DROP TABLE platform.model_configs CASCADE;
DROP TABLE platform.providers CASCADE;
