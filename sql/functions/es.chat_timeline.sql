-- What happened in a chat, in order, a line each.
-- Called by: people. Locks: none. Errors: none; no row: no such chat.
-- In psql: SELECT * FROM es.chat_timeline('<chat>') WHERE version > 40.
CREATE OR REPLACE FUNCTION es.chat_timeline(chat uuid) RETURNS TABLE (
  version int, recorded_at timestamptz, later interval, type text,
  epoch int, attempt int, actor text, detail text, border boolean,
  "position" bigint
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT e.version, e.recorded_at,
    e.recorded_at - lag(e.recorded_at) OVER (ORDER BY e.version),
    e.type, (e.data ->> 'epoch')::int, (e.data ->> 'attempt')::int,
    e.metadata ->> 'actor', es.describe_event(e.data),
    e.version = e.append_last, e.position
  FROM es.events AS e
  WHERE e.stream_id = chat AND e.category = 'chat'
  ORDER BY e.version;
END
$$;
COMMENT ON FUNCTION es.chat_timeline(uuid) IS
  'Events of a chat in order: when, how much later, what, by whom; border: state is whole here.';
GRANT EXECUTE ON FUNCTION es.chat_timeline(uuid)
  TO parley_service, parley_dba;
