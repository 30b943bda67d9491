-- Keeps updated_at, and where a table has them version and updated_by.
-- Called by: every UPDATE of the tables below, and INSERT into settings.
-- Locks: none. Errors: none.
-- Argument of a trigger: what else it keeps, `version` or `version and actor`.
CREATE OR REPLACE FUNCTION platform.tg_rows__touch() RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  IF TG_ARGV[0] IN ('version', 'version and actor') THEN
    NEW.version := CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END + 1;
  END IF;
  IF TG_ARGV[0] = 'version and actor' THEN
    NEW.updated_by := coalesce(
      nullif(current_setting('parley.actor', true), ''), 'system');
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION platform.tg_rows__touch() IS
  'When a row changed last, how often, and by whom: nobody has to remember it.';

CREATE OR REPLACE TRIGGER _100_touch BEFORE UPDATE ON platform.providers
FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch();
ALTER TABLE platform.providers ENABLE ALWAYS TRIGGER _100_touch;
COMMENT ON TRIGGER _100_touch ON platform.providers IS 'Keeps updated_at.';

CREATE OR REPLACE TRIGGER _100_touch BEFORE UPDATE ON platform.model_configs
FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch();
ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _100_touch;
COMMENT ON TRIGGER _100_touch ON platform.model_configs IS 'Keeps updated_at.';

CREATE OR REPLACE TRIGGER _100_touch BEFORE UPDATE ON platform.compaction_thresholds
FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch();
ALTER TABLE platform.compaction_thresholds ENABLE ALWAYS TRIGGER _100_touch;
COMMENT ON TRIGGER _100_touch ON platform.compaction_thresholds IS
  'Keeps updated_at.';

CREATE OR REPLACE TRIGGER _100_touch BEFORE INSERT OR UPDATE ON platform.settings
FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch('version and actor');
ALTER TABLE platform.settings ENABLE ALWAYS TRIGGER _100_touch;
COMMENT ON TRIGGER _100_touch ON platform.settings IS
  'Keeps updated_at, version and updated_by.';

CREATE OR REPLACE TRIGGER _100_touch BEFORE INSERT OR UPDATE ON platform.user_settings
FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch('version');
ALTER TABLE platform.user_settings ENABLE ALWAYS TRIGGER _100_touch;
COMMENT ON TRIGGER _100_touch ON platform.user_settings IS
  'Keeps updated_at and version.';
