-- Rings the doorbell of live parts: which chats have new ones.
-- Payload {"chats":[uuid,...] | null}.
-- Called by: every INSERT into es.live_parts. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION es.tg_live_parts__ring() RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_text text;
BEGIN
  SELECT json_build_object('chats', json_agg(DISTINCT n.chat_id::text))
  INTO v_text FROM new_rows AS n HAVING count(*) > 0;
  -- NOTIFY refuses 8,000 bytes: that is some 200 chats.
  IF octet_length(v_text) > 7900 THEN
    v_text := '{"chats":null}';
  END IF;
  -- Nothing inserted, nothing to tell.
  IF v_text IS NOT NULL THEN
    PERFORM pg_notify('parley_live', v_text);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION es.tg_live_parts__ring() IS
  'NOTIFY parley_live with the chats that have new parts.';

CREATE OR REPLACE TRIGGER _500_ring
AFTER INSERT ON es.live_parts
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION es.tg_live_parts__ring();
ALTER TABLE es.live_parts ENABLE ALWAYS TRIGGER _500_ring;
COMMENT ON TRIGGER _500_ring ON es.live_parts IS
  'Wakes the followers of streaming chats.';
