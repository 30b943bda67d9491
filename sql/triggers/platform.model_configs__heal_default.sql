-- Keeps exactly one default among the usable model configs: enabled, not deleted, of
-- an enabled provider. The first becomes it; setting one clears the other; when it
-- goes, or is unset, the oldest other one follows.
-- Called by: every change of platform.model_configs, and of what a provider may.
-- Locks: rows of platform.model_configs; see model_configs__lock_default, which has
-- made all others wait. Errors: none.
CREATE OR REPLACE FUNCTION platform.tg_model_configs__heal_default()
RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_set uuid;
  v_unset uuid[];
  v_default uuid;
BEGIN
  IF TG_TABLE_NAME = 'model_configs' AND TG_OP = 'INSERT' THEN
    SELECT n.id INTO v_set FROM new_rows AS n
    WHERE n.is_default ORDER BY n.id LIMIT 1;
  ELSIF TG_TABLE_NAME = 'model_configs' AND TG_OP = 'UPDATE' THEN
    SELECT min(n.id::text) FILTER (WHERE n.is_default)::uuid,
      array_agg(n.id) FILTER (WHERE o.is_default)
    INTO v_set, v_unset
    FROM new_rows AS n JOIN old_rows AS o USING (id)
    WHERE n.is_default <> o.is_default;
  END IF;
  SELECT c.id INTO v_default
  FROM platform.model_configs AS c
  JOIN platform.providers AS p ON p.id = c.provider_id
  WHERE c.enabled AND c.deleted_at IS NULL AND p.enabled AND p.deleted_at IS NULL
  ORDER BY coalesce(c.id = v_set, false) DESC, c.is_default DESC,
    coalesce(c.id = ANY (v_unset), false), c.created_at, c.id LIMIT 1;
  -- Asked first: an UPDATE of no row would call this trigger again, for ever.
  IF EXISTS (SELECT FROM platform.model_configs AS c
    WHERE c.is_default <> coalesce(c.id = v_default, false)) THEN
    UPDATE platform.model_configs AS c SET is_default = NOT c.is_default
    WHERE c.is_default <> coalesce(c.id = v_default, false);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION platform.tg_model_configs__heal_default() IS
  'Moves is_default to the config that has to have it.';

CREATE OR REPLACE TRIGGER _300_heal_default_insert
AFTER INSERT ON platform.model_configs REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__heal_default();
ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _300_heal_default_insert;
COMMENT ON TRIGGER _300_heal_default_insert ON platform.model_configs IS
  'The first config becomes the default; a new one may be it.';

CREATE OR REPLACE TRIGGER _300_heal_default_update
AFTER UPDATE ON platform.model_configs
REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__heal_default();
ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _300_heal_default_update;
COMMENT ON TRIGGER _300_heal_default_update ON platform.model_configs IS
  'Setting one clears the other; what cannot be the default any more is followed.';

CREATE OR REPLACE TRIGGER _300_heal_default_delete
AFTER DELETE ON platform.model_configs
FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__heal_default();
ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _300_heal_default_delete;
COMMENT ON TRIGGER _300_heal_default_delete ON platform.model_configs IS
  'A default that is gone is followed by another.';

CREATE OR REPLACE TRIGGER _300_heal_default
AFTER UPDATE ON platform.providers
FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__heal_default();
ALTER TABLE platform.providers ENABLE ALWAYS TRIGGER _300_heal_default;
COMMENT ON TRIGGER _300_heal_default ON platform.providers IS
  'The default is a model of an enabled provider.';
