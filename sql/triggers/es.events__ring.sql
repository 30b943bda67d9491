-- Rings the doorbell of the log: one notification per append, heard at commit.
-- Payload {"first":p,"last":p,"streams":[[category,stream_id,first,last],...]},
-- streams null when they are too many.
-- Called by: every INSERT into es.events. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION es.tg_events__ring() RETURNS trigger
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_first bigint;
  v_last bigint;
  v_streams json;
  v_text text;
BEGIN
  SELECT min(s.p1), max(s.p2),
    json_agg(json_build_array(s.category, s.stream_id, s.v1, s.v2))
  INTO v_first, v_last, v_streams
  FROM (
    SELECT n.category, n.stream_id, min(n.version) AS v1, max(n.version) AS v2,
      min(n.position) AS p1, max(n.position) AS p2
    FROM new_rows AS n GROUP BY n.category, n.stream_id
  ) AS s;
  -- A request that conflicts inserts nothing, yet the trigger runs.
  IF v_first IS NULL THEN
    RETURN NULL;
  END IF;
  v_text := json_build_object(
    'first', v_first, 'last', v_last, 'streams', v_streams);
  -- NOTIFY refuses 8,000 bytes; without streams a reader reads all the same.
  IF octet_length(v_text) > 7900 THEN
    v_text := json_build_object('first', v_first, 'last', v_last, 'streams', NULL);
  END IF;
  PERFORM pg_notify('parley_log', v_text);
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
