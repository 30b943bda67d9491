-- What an event of the history sets in a chat: service/domain/chat/evolve_history.py.
-- Called by: es.state_at. Locks: none. Errors: none; null: an event of another kind.
-- The queue and the messages are lists, which es.state_at keeps itself.
-- No SET clause, so that PostgreSQL puts the expression in the caller's place.
CREATE OR REPLACE FUNCTION es.change_of_history(
  s jsonb, version int, type text, d jsonb
) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT CASE type
    WHEN 'chat_created' THEN '{"exists": true, "parent_chat_id": null,
        "root_chat_id": null, "plan_mode": "", "default_prompt": 0,
        "deployment_prompt": ""}'
      || (d - '{at,client_tools}'::text[]) || pg_catalog.jsonb_build_object(
        'created_at', d -> 'at', 'client_tools',
        pg_catalog.jsonb_path_query_array(d, '$.client_tools[*].name'))
    WHEN 'message_appended' THEN pg_catalog.jsonb_build_object(
        'epoch', version, 'attempt', 0, 'retry', NULL)
      || CASE WHEN d ->> 'visibility' = 'model' THEN '{}'
        WHEN d ->> 'role' = 'user' THEN pg_catalog.jsonb_build_object(
          'status', 'running', 'turn_id', version, 'action', NULL,
          'compaction', NULL, 'turn_plan_mode',
          coalesce(d #> '{settings,plan_mode}', s -> 'plan_mode'))
          || CASE WHEN d #> '{settings,model_config_id}' <> s -> 'model_config_id'
            THEN pg_catalog.jsonb_build_object('model_config_id',
              d #> '{settings,model_config_id}', 'context_limit', NULL)
            ELSE '{}' END
        WHEN d ->> 'role' = 'assistant' AND d ->> 'visibility' = 'both'
          AND s ->> 'first_unread' IS NULL
          THEN pg_catalog.jsonb_build_object('first_unread', version)
        ELSE '{}' END
    WHEN 'message_queued' THEN '{}'
    WHEN 'queue_item_deleted' THEN '{"compaction": null}'
    WHEN 'queue_item_moved' THEN '{"compaction": null}'
    WHEN 'queue_cleared' THEN '{}'
    WHEN 'history_truncated' THEN '{"attempt": 0, "turn_id": null,
        "episode": null, "retry": null, "action": null, "compaction": null}'
      || pg_catalog.jsonb_build_object('epoch', version, 'first_unread', CASE
        WHEN (s ->> 'first_unread')::int < (d ->> 'from_id')::int
          THEN s -> 'first_unread' END,
        'summaries', pg_catalog.jsonb_path_query_array(s, '$.summaries[*] ? (@ < $id)',
          pg_catalog.jsonb_build_object('id', d -> 'from_id')))
    WHEN 'chat_forked' THEN '{"parent_chat_id": null, "root_chat_id": null,
        "children": [], "archived": false, "pin_key": null, "retry": null,
        "first_unread": null, "status": "waiting", "attempt": 0, "action": null,
        "turn_id": null, "episode": null, "compaction": null, "holder": null,
        "context_limit": null}'
      || (d - '{at,actor}'::text[]) || pg_catalog.jsonb_build_object(
        'created_at', d -> 'at', 'epoch', version, 'exists', true,
        'read_up_to', d #> '{origin,version}')
  END
$$;
COMMENT ON FUNCTION es.change_of_history(jsonb, int, text, jsonb) IS
  'What an event of the history sets in a chat''s state, but for its lists.';
GRANT EXECUTE ON FUNCTION es.change_of_history(jsonb, int, text, jsonb)
  TO parley_service, parley_dba;
