-- Erases the content of a stream for good; rows, order, times and hashes stay.
-- Called by: people, the retention janitor. The last statement of its transaction.
-- Locks: es.head FOR UPDATE until commit: appends wait, some 1 s per 50,000 events.
-- Errors: ES404 no such stream, ES409 purged before, ES422 no actor or no reason,
-- ES500 from es.append: isolation.
-- What is left of an event is its type (was), and of those that tell of a model call
-- what it took, of the chat's first or of a fork whose it is: projections/remains.py.
-- Dropped first: whoever replaces a function must be allowed to execute it, and
-- roles/0_public.sql has just taken that from its owner.
DROP FUNCTION IF EXISTS es.purge_stream(text, uuid, text, text);
CREATE FUNCTION es.purge_stream(
  stream_category text, stream uuid, actor text, reason text
) RETURNS TABLE (erased int, version int, "position" bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
  v_head record;
  v_key text := 'purge:' || purge_stream.stream;
BEGIN
  IF coalesce(btrim(purge_stream.actor), '') = ''
    OR coalesce(btrim(purge_stream.reason), '') = '' THEN
    RAISE 'a purge needs an actor and a reason' USING ERRCODE = 'ES422',
      DETAIL = json_build_object('actor', purge_stream.actor,
        'reason', purge_stream.reason),
      HINT = 'say who erases, and why: it stays in the log';
  END IF;
  PERFORM FROM es.head FOR UPDATE;
  -- A statement of its own: its snapshot is younger than the lock.
  SELECT e.version, e.type, e.recorded_at INTO v_head FROM es.events AS e
  WHERE e.stream_id = stream AND e.category = stream_category
  ORDER BY e.version DESC LIMIT 1;
  IF NOT FOUND THEN
    RAISE 'there is no stream % %', stream_category, stream
      USING ERRCODE = 'ES404',
        DETAIL = json_build_object('category', stream_category,
          'stream_id', stream),
        HINT = 'look for it: SELECT FROM es.events WHERE stream_id = ...';
  ELSIF v_head.type = 'stream_purged' THEN
    RAISE 'stream % % was purged before', stream_category, stream
      USING ERRCODE = 'ES409',
        DETAIL = json_build_object('version', v_head.version,
          'purged_at', v_head.recorded_at),
        HINT = 'nothing is left to do';
  END IF;
  UPDATE es.events AS e SET
    type = 'erased',
    data = jsonb_strip_nulls(jsonb_build_object('was', e.type) || CASE
      WHEN e.type IN ('step_committed', 'usage_recorded', 'interruption_finished')
        THEN jsonb_build_object('kind', e.data -> 'kind',
          'purpose', e.data -> 'purpose', 'asked', e.data -> 'asked',
          'model', e.data -> 'model', 'usage', e.data -> 'usage',
          'cost_micros', e.data -> 'cost_micros',
          'runtime_ms', e.data -> 'runtime_ms')
      WHEN e.type IN ('chat_created', 'chat_forked')
        THEN jsonb_build_object('owner_id', e.data -> 'owner_id',
          'organization_id', e.data -> 'organization_id',
          'root_chat_id', e.data -> 'root_chat_id')
      ELSE '{}' END),
    metadata = '{}',
    idempotency_key = NULL,
    request_hash = NULL
  WHERE e.stream_id = stream AND e.type <> 'erased';
  GET DIAGNOSTICS erased = ROW_COUNT;
  DELETE FROM es.live_parts AS p WHERE p.chat_id = stream;
  SELECT a.last_version, a.last_position INTO version, position
  FROM es.append(
    ARRAY[1], ARRAY[stream_category], ARRAY[stream], ARRAY[v_head.version],
    ARRAY[NULL::bytea], ARRAY[v_key], ARRAY[sha256(convert_to(v_key, 'UTF8'))],
    ARRAY[1], ARRAY['stream_purged'], ARRAY[1::smallint],
    ARRAY[jsonb_build_object('actor', actor, 'reason', reason)],
    ARRAY[jsonb_build_object('id', gen_random_uuid(), 'actor', actor)]) AS a;
  RETURN NEXT;
END
$$;
-- The trigger of es.events lets the eraser pass. To own a function of a schema a
-- role needs CREATE there, for this moment only.
GRANT CREATE ON SCHEMA es TO parley_eraser;
ALTER FUNCTION es.purge_stream(text, uuid, text, text) OWNER TO parley_eraser;
REVOKE CREATE ON SCHEMA es FROM parley_eraser;
COMMENT ON FUNCTION es.purge_stream(text, uuid, text, text) IS
  'Erases what a stream says, for good; its place in the log and its hashes stay.';
GRANT EXECUTE ON FUNCTION es.purge_stream(text, uuid, text, text)
  TO parley_eraser, parley_retention, parley_dba;
