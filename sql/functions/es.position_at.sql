-- The last position that was recorded up to a time; 0: the log began later.
-- Called by: people, ops.event_rates. Locks: none. Errors: none.
-- Positions have no holes and time never goes back along them: halving finds it in
-- some 20 look-ups, however long the log is.
CREATE OR REPLACE FUNCTION es.position_at(at timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  v_low bigint := 0;
  v_high bigint;
  v_middle bigint;
BEGIN
  SELECT e.position INTO v_high FROM es.events AS e
  ORDER BY e.position DESC LIMIT 1;
  v_high := coalesce(v_high, 0);
  WHILE v_low < v_high LOOP
    v_middle := (v_low + v_high + 1) / 2;
    IF (SELECT e.recorded_at <= position_at.at FROM es.events AS e
        WHERE e.position = v_middle) THEN
      v_low := v_middle;
    ELSE
      v_high := v_middle - 1;
    END IF;
  END LOOP;
  RETURN v_low;
END
$$;
COMMENT ON FUNCTION es.position_at(timestamptz) IS
  'Last position recorded up to a time: where to begin reading the log.';
GRANT EXECUTE ON FUNCTION es.position_at(timestamptz)
  TO parley_service, parley_dba;
