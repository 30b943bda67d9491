-- What an event of a turn sets in a chat: service/domain/chat/evolve_turn.py.
-- Called by: es.state_at. Locks: none. Errors: none; null: an event of another kind.
-- No SET clause, so that PostgreSQL puts the expression in the caller's place.
CREATE OR REPLACE FUNCTION es.change_of_turn(
  s jsonb, version int, type text, d jsonb
) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
  SELECT CASE type
    WHEN 'run_acquired' THEN pg_catalog.jsonb_build_object('holder', d - 'at',
      'term', greatest((s ->> 'term')::int, (d ->> 'term')::int))
    WHEN 'run_abandoned' THEN '{"holder": null}'
    WHEN 'generation_attempt_started' THEN pg_catalog.jsonb_build_object(
      'episode', (d - 'at') || pg_catalog.jsonb_build_object(
        'version', version, 'started_at', d -> 'at'),
      'attempt', d -> 'attempt', 'retry', NULL)
    WHEN 'retry_scheduled' THEN pg_catalog.jsonb_build_object(
      'episode', NULL, 'retry', d - '{at,epoch}'::text[])
    WHEN 'step_committed' THEN CASE d ->> 'kind' WHEN 'compaction'
      THEN '{"episode": null, "compaction": null}'::jsonb
      ELSE '{"episode": null}' END
    WHEN 'action_required' THEN pg_catalog.jsonb_build_object(
      'status', 'requires_action', 'action', d - 'at', 'episode', NULL,
      'compaction', NULL)
    WHEN 'tool_results_submitted' THEN
      '{"status": "running", "action": null, "compaction": null}'
    WHEN 'tool_calls_cancelled' THEN
      '{"status": "running", "action": null, "compaction": null}'
    WHEN 'interrupt_requested' THEN CASE s ->> 'status' WHEN 'running'
      THEN '{"status": "interrupting", "retry": null, "compaction": null}'::jsonb
      ELSE '{}' END
    WHEN 'compaction_requested' THEN '{"status": "running", "attempt": 0,
        "holder": null}' || pg_catalog.jsonb_build_object(
        'epoch', version, 'compaction', version)
    WHEN 'history_compacted' THEN pg_catalog.jsonb_build_object(
      'summaries', (s -> 'summaries') || (d -> 'summary_id'))
    WHEN 'turn_finished' THEN '{"status": "waiting"}'
    WHEN 'interruption_finished' THEN '{"status": "waiting"}'
    WHEN 'turn_failed' THEN pg_catalog.jsonb_build_object(
      'status', 'error', 'last_error', d -> 'error', 'context_limit',
      coalesce(d #> '{error,context_limit}', s -> 'context_limit'))
    WHEN 'state_reconciled' THEN pg_catalog.jsonb_build_object(
      'status', 'error', 'last_error', d -> 'error', 'archived', false)
  END || CASE WHEN type IN ('turn_finished', 'interruption_finished',
      'turn_failed', 'state_reconciled')
    THEN '{"turn_id": null, "episode": null, "retry": null, "action": null,
      "compaction": null}'::jsonb ELSE '{}' END
$$;
COMMENT ON FUNCTION es.change_of_turn(jsonb, int, text, jsonb) IS
  'What an event of a turn sets in a chat''s state.';
GRANT EXECUTE ON FUNCTION es.change_of_turn(jsonb, int, text, jsonb)
  TO parley_service, parley_dba;
