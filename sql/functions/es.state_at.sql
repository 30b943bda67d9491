-- A chat at a version, on to the append border: service/domain/chat/evolve.py.
-- Called by: people, es.chat_diff. Locks: none. Errors: ES404, ES500 a newer type.
CREATE OR REPLACE FUNCTION es.state_at(chat uuid, at_version int DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
  s jsonb := '{"version": 0, "exists": false, "status": "waiting", "title": "",
    "archived": false, "client_type": "api", "labels": {}, "epoch": 0,
    "attempt": 0, "episode": null, "holder": null, "term": 0, "turn_id": null,
    "last_error": null, "organization_id": null, "owner_id": null,
    "parent_chat_id": null, "root_chat_id": null, "created_at": null}';
  c_over jsonb := '{"status": "waiting", "turn_id": null, "episode": null}';
  v_border int;
  v_queue int[] := '{}';
  v_messages int := 0;
  v_updated text;
  e record;
BEGIN
  SELECT b.append_last INTO v_border FROM es.events AS b
  WHERE b.stream_id = chat AND b.category = 'chat' AND b.version >= at_version
  ORDER BY b.version LIMIT 1;
  IF at_version <= 0 THEN v_border := 0; END IF;
  FOR e IN SELECT v.version, v.type, v.data AS d FROM es.events AS v
    WHERE v.stream_id = chat AND v.category = 'chat'
      AND v.version <= coalesce(v_border, 2147483647) ORDER BY v.version
  LOOP
    s := jsonb_set(s, '{version}', to_jsonb(e.version));
    CONTINUE WHEN e.type IN ('erased', 'stream_purged');
    s := s || CASE e.type
      WHEN 'chat_created' THEN
        '{"parent_chat_id": null, "root_chat_id": null, "exists": true}'
        || (e.d - '{at,title_source}'::text[])
        || jsonb_build_object('created_at', e.d -> 'at')
      WHEN 'message_appended' THEN
        jsonb_build_object('epoch', e.version, 'attempt', 0) || CASE
          WHEN e.d ->> 'role' = 'user' AND e.d ->> 'visibility' <> 'model' THEN
            jsonb_build_object('status', 'running', 'turn_id', e.version)
          ELSE '{}' END
      WHEN 'message_queued' THEN '{}'
      WHEN 'run_acquired' THEN jsonb_build_object('holder', e.d - 'at',
        'term', greatest((s ->> 'term')::int, (e.d ->> 'term')::int))
      WHEN 'run_abandoned' THEN '{"holder": null}'
      WHEN 'generation_attempt_started' THEN jsonb_build_object('episode',
        (e.d - 'at') || jsonb_build_object('version', e.version, 'started_at',
          e.d -> 'at'), 'attempt', e.d -> 'attempt')
      WHEN 'step_committed' THEN '{"episode": null}'
      WHEN 'interrupt_requested' THEN jsonb_build_object('status',
        CASE s ->> 'status' WHEN 'running' THEN 'interrupting'
          WHEN 'requires_action' THEN 'running' ELSE s ->> 'status' END)
      WHEN 'turn_failed' THEN c_over || jsonb_build_object('status', 'error',
        'last_error', e.d -> 'error')
      WHEN 'turn_finished' THEN c_over
      WHEN 'interruption_finished' THEN c_over END;
    IF s IS NULL THEN
      RAISE 'event % has the unknown type %', e.version, e.type
        USING ERRCODE = 'ES500', HINT = 'a newer release wrote it: migrate';
    END IF;
    IF e.type = 'message_appended' THEN
      v_queue := array_remove(v_queue, (e.d ->> 'queued_id')::int);
      v_messages := v_messages + 1;
    ELSIF e.type = 'message_queued' THEN v_queue := v_queue || e.version;
    END IF;
    v_updated := greatest(v_updated COLLATE "C", e.d ->> 'at');
  END LOOP;
  IF NOT FOUND AND v_border IS DISTINCT FROM 0 THEN
    RAISE 'there is no chat %', chat USING ERRCODE = 'ES404';
  END IF;
  RETURN s || jsonb_build_object('queue', v_queue, 'messages', v_messages,
    'updated_at', v_updated,
    'last_error', CASE s ->> 'status' WHEN 'error' THEN s -> 'last_error' END);
END
$$;
COMMENT ON FUNCTION es.state_at(uuid, int) IS
  'The state of a chat at a version (null: now), on to the append border; as JSON.';
GRANT EXECUTE ON FUNCTION es.state_at(uuid, int) TO parley_service, parley_dba;
