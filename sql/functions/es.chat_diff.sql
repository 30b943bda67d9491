-- What is different about a chat between two versions: a row per field.
-- Called by: people. Locks: none. Errors: as es.state_at.
-- Both versions go on to their append borders. What happened in between:
-- SELECT * FROM es.chat_timeline('<chat>') WHERE version BETWEEN v1 AND v2.
CREATE OR REPLACE FUNCTION es.chat_diff(chat uuid, v1 int, v2 int)
RETURNS TABLE (field text, before jsonb, after jsonb)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  RETURN QUERY
  SELECT a.key, a.value, b.value
  FROM jsonb_each(es.state_at(chat, v1)) AS a
  JOIN jsonb_each(es.state_at(chat, v2)) AS b ON b.key = a.key
  WHERE a.value <> b.value
  ORDER BY a.key <> 'version', a.key;
END
$$;
COMMENT ON FUNCTION es.chat_diff(uuid, int, int) IS
  'Fields of a chat''s state that differ between two versions; no row: none.';
GRANT EXECUTE ON FUNCTION es.chat_diff(uuid, int, int)
  TO parley_service, parley_dba;
