-- Rings the doorbell of the log: one notification per append, heard at commit.
-- Payload {"first":p,"last":p,"streams":[[category,stream_id,first,last],...]},
-- streams null when they are too many.
-- Called by: every INSERT into es.events. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION es.tg_events__ring() RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_payload jsonb;
  v_text text;
BEGIN
  SELECT jsonb_build_object('first', min(s.p1), 'last', max(s.p2), 'streams',
    jsonb_agg(jsonb_build_array(s.category, s.stream_id, s.v1, s.v2)))
  INTO v_payload
  FROM (
    SELECT n.category, n.stream_id, min(n.version) AS v1, max(n.version) AS v2,
      min(n.position) AS p1, max(n.position) AS p2
    FROM new_rows AS n GROUP BY n.category, n.stream_id
  ) AS s;
  v_text := v_payload;
  -- NOTIFY refuses 8,000 bytes; without streams a reader reads all the same.
  IF octet_length(v_text) > 7900 THEN
    v_text := v_payload || '{"streams": null}';
  END IF;
  -- A request that conflicts inserts nothing, yet the trigger runs.
  IF v_payload -> 'first' <> 'null' THEN
    PERFORM pg_notify('parley_log', v_text);
  END IF;
  RETURN NULL;
END
$$;
COMMENT ON FUNCTION es.tg_events__ring() IS
  'NOTIFY parley_log with the positions and streams of one append.';

CREATE OR REPLACE TRIGGER _500_ring
AFTER INSERT ON es.events
REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION es.tg_events__ring();
ALTER TABLE es.events ENABLE ALWAYS TRIGGER _500_ring;
COMMENT ON TRIGGER _500_ring ON es.events IS
  'Wakes every reader of the log; a lost wake-up makes a reader slow, never wrong.';
