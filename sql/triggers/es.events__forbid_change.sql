-- The log is append-only: no DELETE, no TRUNCATE; UPDATE for the eraser alone.
-- Called by: every such statement on es.events, whoever runs it. Locks: none.
-- Errors: ES403 forbidden.
CREATE OR REPLACE FUNCTION es.tg_events__forbid_change() RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND current_user = 'parley_eraser' THEN
    RETURN NULL;
  END IF;
  RAISE 'es.events is append-only: % is refused for everybody', TG_OP
    USING ERRCODE = 'ES403',
      DETAIL = json_build_object('operation', TG_OP, 'role', current_user),
      HINT = 'append a new event; erasing goes through es.purge_stream';
END
$$;
COMMENT ON FUNCTION es.tg_events__forbid_change() IS
  'Refuses what would change history; lets the eraser scrub rows in place.';

CREATE OR REPLACE TRIGGER _100_forbid_change
BEFORE UPDATE OR DELETE OR TRUNCATE ON es.events
FOR EACH STATEMENT EXECUTE FUNCTION es.tg_events__forbid_change();
-- ALWAYS: also under session_replication_role = replica.
ALTER TABLE es.events ENABLE ALWAYS TRIGGER _100_forbid_change;
COMMENT ON TRIGGER _100_forbid_change ON es.events IS
  'DELETE and TRUNCATE are refused for everybody, UPDATE for all but the eraser.';
