-- Writes down what changes in tables of this schema, for the log: every INSERT,
-- UPDATE and DELETE, whoever runs it, without secrets.
-- Called by: each such statement on the tables below. Errors: none.
-- Locks: none of its own; what it writes is appended at commit, see audit_outbox.
-- Runs as its owner: who may change a table can neither forge nor lose its audit.
-- Arguments of a trigger: the type of its events, then the columns of the key.
CREATE OR REPLACE FUNCTION platform.tg_rows__audit() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
  v_key text[] := TG_ARGV[1:];
BEGIN
  INSERT INTO platform.audit_outbox (stream_id, type, data)
  SELECT CASE v_key WHEN ARRAY['id'] THEN (r.values ->> 'id')::uuid
      ELSE md5(TG_TABLE_NAME || ':' || (
        SELECT string_agg(r.values ->> k.name, ':' ORDER BY k.place)
        FROM unnest(v_key) WITH ORDINALITY AS k (name, place)))::uuid
    END, TG_ARGV[0], jsonb_build_object('op', lower(TG_OP), 'row', r.values)
  FROM (
    SELECT to_jsonb(c) - 'api_key_encrypted' AS values FROM changed AS c
  ) AS r;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION platform.tg_rows__audit() IS
  'Puts the changed rows into platform.audit_outbox, without secrets.';

-- A trigger that sees the changed rows has one event: three for each table. _200:
-- before what heals, whose own changes follow.
DO $$
DECLARE
  t record;
BEGIN
  FOR t IN
    SELECT a.name, a.arguments, o.event, lower(o.event) AS task, o.rows
    FROM (VALUES
      ('providers', '''provider_changed'', ''id'''),
      ('model_configs', '''model_config_changed'', ''id'''),
      ('settings', '''setting_changed'', ''key'''),
      ('user_settings', '''user_setting_changed'', ''user_id'', ''key'''),
      ('compaction_thresholds',
        '''compaction_threshold_changed'', ''user_id'', ''model_config_id''')
    ) AS a (name, arguments), (VALUES
      ('INSERT', 'NEW'), ('UPDATE', 'NEW'), ('DELETE', 'OLD')
    ) AS o (event, rows)
  LOOP
    EXECUTE format('CREATE OR REPLACE TRIGGER _200_audit_%s AFTER %s ON platform.%I '
      'REFERENCING %s TABLE AS changed FOR EACH STATEMENT '
      'EXECUTE FUNCTION platform.tg_rows__audit(%s)',
      t.task, t.event, t.name, t.rows, t.arguments);
    EXECUTE format('ALTER TABLE platform.%I ENABLE ALWAYS TRIGGER _200_audit_%s',
      t.name, t.task);
    EXECUTE format('COMMENT ON TRIGGER _200_audit_%s ON platform.%I IS %L',
      t.task, t.name, 'The log hears of every change, at commit.');
  END LOOP;
END
$$;
