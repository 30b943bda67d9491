-- Brings what a transaction changed in this schema into the log, when it commits.
-- Called by: INSERT into platform.audit_outbox, deferred to the commit, once a row;
-- the first call takes all rows. Deferred, or es.head would be locked while a
-- person thinks.
-- Locks: es.head FOR UPDATE, in es.append, as the last thing of the transaction.
-- Errors: ES500 from es.append: isolation.
CREATE OR REPLACE FUNCTION platform.tg_audit_outbox__append() RETURNS trigger
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_places int[];
  v_types text[];
  v_datas jsonb[];
  v_ids uuid[];
  v_key text := 'audit:' || gen_random_uuid();
  v_actor text := coalesce(
    nullif(current_setting('parley.actor', true), ''), 'system');
  v_request text := coalesce(nullif(
    current_setting('parley.correlation_id', true), ''), gen_random_uuid()::text);
BEGIN
  IF NOT EXISTS (SELECT FROM platform.audit_outbox AS o WHERE o.id = NEW.id) THEN
    RETURN NULL;
  END IF;
  WITH taken AS (
    DELETE FROM platform.audit_outbox AS o RETURNING o.*
  ), first AS (
    SELECT t.*, min(t.id) OVER (PARTITION BY t.stream_id) AS first FROM taken AS t
  ), placed AS (
    SELECT f.*, (dense_rank() OVER (ORDER BY f.first))::int AS place FROM first AS f
  )
  SELECT array_agg(p.place ORDER BY p.place, p.id),
    array_agg(p.type ORDER BY p.place, p.id),
    array_agg(p.data ORDER BY p.place, p.id),
    array_agg(p.stream_id ORDER BY p.place) FILTER (WHERE p.id = p.first)
  INTO v_places, v_types, v_datas, v_ids FROM placed AS p;
  -- A purged stream takes nothing more: what comes later has one of its own.
  FOR i IN 1 .. cardinality(v_ids) LOOP
    WHILE (SELECT e.type = 'stream_purged' FROM es.events AS e
      WHERE e.stream_id = v_ids[i] ORDER BY e.version DESC LIMIT 1) LOOP
      v_ids[i] := md5(v_ids[i]::text)::uuid;
    END LOOP;
  END LOOP;
  -- es.append takes events of this category only beside this row, which nobody but
  -- the owner can write; it is gone before anybody else's code runs.
  INSERT INTO platform.audit_outbox (stream_id, type, data)
  VALUES (v_ids[1], 'appending', '{}');
  PERFORM es.append(
    array_fill(1, ARRAY[cardinality(v_ids)]),
    array_fill('platform'::text, ARRAY[cardinality(v_ids)]), v_ids,
    array_fill(-1, ARRAY[cardinality(v_ids)]),
    array_fill(NULL::bytea, ARRAY[cardinality(v_ids)]),
    array_fill(v_key, ARRAY[cardinality(v_ids)]),
    array_fill(sha256(v_key::bytea), ARRAY[cardinality(v_ids)]),
    v_places, v_types, array_fill(1::smallint, ARRAY[cardinality(v_places)]),
    v_datas,
    ARRAY(SELECT jsonb_build_object('id', gen_random_uuid(), 'actor', v_actor,
      'correlation_id', v_request) FROM unnest(v_places)));
  DELETE FROM platform.audit_outbox AS o WHERE o.type = 'appending';
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION platform.tg_audit_outbox__append() IS
  'Empties the outbox into the log: one es.append per transaction, at its commit.';

-- There is no CREATE OR REPLACE for a constraint trigger.
DROP TRIGGER IF EXISTS _500_append ON platform.audit_outbox;
CREATE CONSTRAINT TRIGGER _500_append
AFTER INSERT ON platform.audit_outbox DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION platform.tg_audit_outbox__append();
ALTER TABLE platform.audit_outbox ENABLE ALWAYS TRIGGER _500_append;
COMMENT ON TRIGGER _500_append ON platform.audit_outbox IS
  'At commit the changes of a transaction become events, or it does not commit.';
