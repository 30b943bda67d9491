-- One line about an event: whatever of these its data have.
-- Called by: es.chat_timeline, es.explain_event. Locks: none. Errors: none.
-- No SET clause, so that PostgreSQL puts the expression in the caller's place.
CREATE OR REPLACE FUNCTION es.describe_event(data jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT pg_catalog.concat_ws(', ',
    data ->> 'role', data ->> 'kind', data ->> 'title',
    -- changes of the platform: what was done to which row
    data ->> 'op', coalesce(data #>> '{row,display_name}', data #>> '{row,key}',
      (data #>> '{row,threshold_percent}') || ' %'),
    'before: ' || (data ->> 'previous'),
    CASE WHEN NOT data ? 'title' THEN 'labels ' || (data ->> 'labels') END,
    CASE WHEN NOT data ? 'title' AND data ? 'plan_mode'
      THEN CASE data ->> 'plan_mode' WHEN '' THEN 'no plan' ELSE 'plan first' END
    END,
    'sort key ' || (data ->> 'sort_key'),
    'workspace ' || (data ->> 'workspace_id'),
    'model config ' || (data ->> 'model_config_id'),
    'servers ' || (data ->> 'mcp_server_ids'),
    -- model calls: which was asked, what for, and what it took
    data ->> 'purpose', CASE WHEN data ? 'asked' OR data ? 'usage' THEN
      pg_catalog.concat_ws(', ',
        (data #>> '{asked,provider}') || ' ' || (data #>> '{asked,model}'),
        'config ' || (data #>> '{asked,model_config_id}'),
        (data #>> '{usage,input_tokens}') || ' tokens in',
        (data #>> '{usage,output_tokens}') || ' out',
        pg_catalog.round((data ->> 'cost_micros')::numeric / 1000000, 6) || ' USD',
        (data ->> 'runtime_ms') || ' ms') END,
    CASE WHEN data ? 'summary_id' THEN pg_catalog.concat_ws(', ',
      data ->> 'source', 'message ' || (data ->> 'summary_id') || ' for all before it',
      'at ' || (data ->> 'threshold_percent') || ' %',
      (data ->> 'context_tokens') || ' tokens',
      'of ' || (data ->> 'context_limit')) END,
    'read up to ' || (data ->> 'message_id'), 'child ' || (data ->> 'child_id'),
    'without ' || (data ->> 'from_id') || ' and all that followed',
    'from ' || (data #>> '{origin,chat_id}') || ' at version '
      || (data #>> '{origin,version}'),
    'by ' || (data ->> 'worker'), 'term ' || (data ->> 'term'),
    'by ' || (data ->> 'actor'), data ->> 'reason', data ->> 'finish_reason',
    'calls ' || (nullif(pg_catalog.jsonb_path_query_array(
      data, '$.tool_calls[*].tool_name'), '[]') #>> '{}'),
    'until ' || (data ->> 'deadline'), 'for ' || (data ->> 'tool_call_ids'),
    'again in ' || (data ->> 'delay_ms') || ' ms',
    data #>> '{error,message}', 'turn ' || (data ->> 'turn_id'),
    CASE WHEN data ? 'role' THEN 'from the queue: ' ELSE 'in the queue: ' END
      || (data ->> 'queued_id'), 'was ' || (data ->> 'was'),
    pg_catalog.to_json(pg_catalog."left"(pg_catalog.jsonb_path_query_first(
      data, '$.parts[*].text') #>> '{}', 60))::text)
$$;
COMMENT ON FUNCTION es.describe_event(jsonb) IS
  'One line for people about what is in an event, with the start of its text.';
GRANT EXECUTE ON FUNCTION es.describe_event(jsonb)
  TO parley_service, parley_dba;
