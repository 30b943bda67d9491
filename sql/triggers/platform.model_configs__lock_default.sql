-- Lets changes happen one at a time that may move the default model.
-- Called by: every change of platform.model_configs, and of what a provider may.
-- Locks: an advisory lock until commit, before any row: in the other order two
-- changes would wait for each other. A second one sees what the first has left.
-- Errors: none.
CREATE OR REPLACE FUNCTION platform.tg_model_configs__lock_default()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(
    hashtextextended('platform.model_configs.is_default', 0));
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION platform.tg_model_configs__lock_default() IS
  'Whoever may move the default waits for the others who may.';

CREATE OR REPLACE TRIGGER _100_lock_default
BEFORE INSERT OR UPDATE OR DELETE ON platform.model_configs
FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__lock_default();
ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _100_lock_default;
COMMENT ON TRIGGER _100_lock_default ON platform.model_configs IS
  'One change of the default at a time.';

CREATE OR REPLACE TRIGGER _100_lock_default
BEFORE UPDATE OR DELETE ON platform.providers
FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__lock_default();
ALTER TABLE platform.providers ENABLE ALWAYS TRIGGER _100_lock_default;
COMMENT ON TRIGGER _100_lock_default ON platform.providers IS
  'A provider that is switched off may take the default with it.';
