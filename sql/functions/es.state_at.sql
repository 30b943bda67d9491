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
    "title_source": "fallback", "archived": false, "client_type": "api",
    "labels": {}, "epoch": 0, "attempt": 0, "episode": null, "holder": null,
    "term": 0, "turn_id": null, "turn_plan_mode": "", "last_error": null,
    "organization_id": null, "owner_id": null, "parent_chat_id": null,
    "root_chat_id": null, "children": [], "origin": null, "created_at": null,
    "plan_mode": "", "workspace_id": null, "model_config_id": null,
    "mcp_server_ids": [], "client_tools": [], "pin_key": null, "read_up_to": 0,
    "first_unread": null, "retry": null, "action": null, "compaction": null,
    "summaries": [], "context_limit": null, "default_prompt": 0,
    "deployment_prompt": ""}';
  v_border int;
  v_change jsonb;
  v_queue int[] := '{}';
  v_messages int[] := '{}';
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
    v_change := es.change_of_metadata(s, e.type, e.d);
    IF v_change IS NULL OR e.type IN ('chat_archived', 'chat_unarchived') THEN
      -- What is about the chat leaves it in its place, but for these two.
      v_updated := greatest(v_updated COLLATE "C", e.d ->> 'at');
    END IF;
    s := s || coalesce(v_change, es.change_of_turn(s, e.version, e.type, e.d),
      es.change_of_history(s, e.version, e.type, e.d));
    IF s IS NULL THEN
      RAISE 'event % has the unknown type %', e.version, e.type
        USING ERRCODE = 'ES500', HINT = 'a newer release wrote it: migrate';
    END IF;
    CASE e.type
      WHEN 'message_appended' THEN
        v_queue := array_remove(v_queue, (e.d ->> 'queued_id')::int);
        v_messages := v_messages || e.version;
      WHEN 'message_queued' THEN v_queue := v_queue || e.version;
      WHEN 'queue_item_deleted' THEN
        v_queue := array_remove(v_queue, (e.d ->> 'queued_id')::int);
      WHEN 'queue_item_moved' THEN
        IF (e.d ->> 'queued_id')::int = ANY (v_queue) THEN
          v_queue := (e.d ->> 'queued_id')::int
            || array_remove(v_queue, (e.d ->> 'queued_id')::int);
        END IF;
      WHEN 'queue_cleared', 'chat_forked' THEN v_queue := '{}';
      WHEN 'history_truncated' THEN v_messages := ARRAY(
        SELECT m FROM unnest(v_messages) AS m WHERE m < (e.d ->> 'from_id')::int);
      ELSE NULL;
    END CASE;
  END LOOP;
  IF NOT FOUND AND v_border IS DISTINCT FROM 0 THEN
    RAISE 'there is no chat %', chat USING ERRCODE = 'ES404';
  END IF;
  RETURN s || jsonb_build_object('queue', v_queue,
    'messages', cardinality(v_messages), 'updated_at', v_updated,
    'last_error', CASE s ->> 'status' WHEN 'error' THEN s -> 'last_error' END);
END
$$;
COMMENT ON FUNCTION es.state_at(uuid, int) IS
  'The state of a chat at a version (null: now), on to the append border; as JSON.';
GRANT EXECUTE ON FUNCTION es.state_at(uuid, int) TO parley_service, parley_dba;
