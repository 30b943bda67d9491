-- What an event about a chat sets in it: service/domain/chat/evolve_metadata.py.
-- Called by: es.state_at. Locks: none. Errors: none; null: an event of another kind.
-- No SET clause, so that PostgreSQL puts the expression in the caller's place.
CREATE OR REPLACE FUNCTION es.change_of_metadata(s jsonb, type text, d jsonb)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT CASE type
    WHEN 'title_changed' THEN pg_catalog.jsonb_build_object(
      'title', d -> 'title', 'title_source', d -> 'source')
    WHEN 'labels_changed' THEN pg_catalog.jsonb_build_object(
      'labels', d -> 'labels')
    WHEN 'chat_pinned' THEN pg_catalog.jsonb_build_object(
      'pin_key', d -> 'sort_key')
    WHEN 'chat_unpinned' THEN '{"pin_key": null}'
    WHEN 'plan_mode_changed' THEN pg_catalog.jsonb_build_object(
      'plan_mode', d -> 'plan_mode')
    WHEN 'workspace_bound' THEN pg_catalog.jsonb_build_object(
      'workspace_id', d -> 'workspace_id')
    WHEN 'model_changed' THEN pg_catalog.jsonb_build_object(
      'model_config_id', d -> 'model_config_id', 'context_limit', NULL)
    WHEN 'mcp_servers_changed' THEN pg_catalog.jsonb_build_object(
      'mcp_server_ids', d -> 'mcp_server_ids')
    WHEN 'chat_archived' THEN '{"archived": true, "pin_key": null}'
    WHEN 'chat_unarchived' THEN '{"archived": false}'
    WHEN 'read_cursor_moved' THEN pg_catalog.jsonb_build_object(
      'read_up_to', greatest(
        (s ->> 'read_up_to')::int, (d ->> 'message_id')::int),
      'first_unread', d -> 'next_unread')
    WHEN 'child_spawned' THEN pg_catalog.jsonb_build_object(
      'children', (s -> 'children') || (d -> 'child_id'))
    WHEN 'usage_recorded' THEN '{}'
  END
$$;
COMMENT ON FUNCTION es.change_of_metadata(jsonb, text, jsonb) IS
  'What an event about a chat, not in it, sets in the chat''s state.';
GRANT EXECUTE ON FUNCTION es.change_of_metadata(jsonb, text, jsonb)
  TO parley_service, parley_dba;
