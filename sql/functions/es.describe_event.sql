-- One line about an event: whatever of these its data have.
-- Called by: es.chat_timeline, es.explain_event. Locks: none. Errors: none.
-- No SET clause, so that PostgreSQL puts the expression in the caller's place.
CREATE OR REPLACE FUNCTION es.describe_event(data jsonb) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT pg_catalog.concat_ws(', ',
    data ->> 'role', data ->> 'kind', data ->> 'title',
    'by ' || (data ->> 'worker'), 'term ' || (data ->> 'term'),
    'by ' || (data ->> 'actor'), data ->> 'reason', data ->> 'finish_reason',
    data #>> '{error,message}', 'turn ' || (data ->> 'turn_id'),
    'from the queue: ' || (data ->> 'queued_id'), 'was ' || (data ->> 'was'),
    pg_catalog.to_json(pg_catalog."left"(pg_catalog.jsonb_path_query_first(
      data, '$.parts[*].text') #>> '{}', 60))::text)
$$;
COMMENT ON FUNCTION es.describe_event(jsonb) IS
  'One line for people about what is in an event, with the start of its text.';
GRANT EXECUTE ON FUNCTION es.describe_event(jsonb)
  TO parley_service, parley_dba;
