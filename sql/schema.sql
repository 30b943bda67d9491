-- The finished schema, as pg_dump shows it. Made by scripts/dump-schema: read it,
-- review its diff, never run it; `parley migrate` makes it from the other files.

-- Name: es; Type: SCHEMA; Schema: -

CREATE SCHEMA es;

-- Name: SCHEMA es; Type: COMMENT; Schema: -

COMMENT ON SCHEMA es IS 'The event log: the only truth. Written by es.append alone.';

-- Name: ops; Type: SCHEMA; Schema: -

CREATE SCHEMA ops;

-- Name: SCHEMA ops; Type: COMMENT; Schema: -

COMMENT ON SCHEMA ops IS 'Operations: migrations, leases, checkpoints, parked streams, and views for DBAs.';

-- Name: platform; Type: SCHEMA; Schema: -

CREATE SCHEMA platform;

-- Name: SCHEMA platform; Type: COMMENT; Schema: -

COMMENT ON SCHEMA platform IS 'Plain tables: users, tokens, organizations, memberships.';

-- Name: read; Type: SCHEMA; Schema: -

CREATE SCHEMA read;

-- Name: SCHEMA read; Type: COMMENT; Schema: -

COMMENT ON SCHEMA read IS 'Read models: made by projections from the log, disposable, rebuilt from position 1.';

-- Name: append(integer[], text[], uuid[], integer[], bytea[], text[], bytea[], integer[], text[], smallint[], jsonb[], jsonb[]); Type: FUNCTION; Schema: es

CREATE FUNCTION es.append(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]) RETURNS TABLE(request integer, outcome text, category text, stream_id uuid, first_version integer, last_version integer, last_position bigint, digest bytea)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
  v_problem text;
  v_last bigint;
  v_at timestamptz;
  v_micros bigint;
  -- One element per stream, as in the arguments: rank of its request's outcome,
  -- version and digest of its head, first and last version of an earlier one.
  v_ranks int[];
  v_heads int[];
  v_digests bytea[];
  v_firsts int[];
  v_lasts int[];
  -- Per stream: events of refused streams before it; null when none is refused.
  v_skipped int[];
  -- One element per stream that was appended to: its last event.
  v_positions bigint[];
  v_ends bytea[];
  v_done int := 0;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE 'es.append needs READ COMMITTED: an old snapshot hides the last event'
      USING ERRCODE = 'ES500',
        DETAIL = json_build_object('expected', 'read committed',
          'actual', current_setting('transaction_isolation')),
        HINT = 'call it in autocommit, or BEGIN without a level';
  END IF;
  v_problem := es.append_problem(
    requests, categories, stream_ids, expected, expected_digests, keys,
    request_hashes, event_streams, types, schema_versions, datas, metadatas);
  IF v_problem IS NOT NULL THEN
    RAISE 'malformed batch: %', v_problem USING ERRCODE = 'ES422',
      DETAIL = json_build_object('problem', v_problem,
        'streams', cardinality(stream_ids),
        'events', cardinality(event_streams)),
      HINT = 'one element per (request, stream), one per event, a stream once';
  END IF;
  -- What the platform's triggers append, nobody else does; see the marker there.
  IF 'platform' = ANY (categories) AND types <> ARRAY['stream_purged']
    AND NOT EXISTS (
      SELECT FROM platform.audit_outbox AS o WHERE o.type = 'appending'
    ) THEN
    RAISE 'events of category platform come from its tables alone'
      USING ERRCODE = 'ES403',
        DETAIL = json_build_object('category', 'platform'),
        HINT = 'change the rows; their triggers tell the log';
  END IF;
  PERFORM FROM es.head FOR UPDATE;
  IF NOT FOUND THEN
    RAISE 'es.head is empty: nothing orders the log' USING ERRCODE = 'ES500',
      HINT = 'INSERT INTO es.head DEFAULT VALUES, as the owner';
  END IF;
  -- A statement of its own: its snapshot is younger than the lock.
  SELECT e.position, e.recorded_at INTO v_last, v_at
  FROM es.events AS e ORDER BY e.position DESC LIMIT 1;
  SELECT array_agg(s.rank), array_agg(s.version), array_agg(s.digest),
    array_agg(s.first), array_agg(s.last)
  INTO v_ranks, v_heads, v_digests, v_firsts, v_lasts
  FROM (
    SELECT coalesce(h.version, 0) AS version, coalesce(h.digest, '') AS digest,
      k.version AS first, k.append_last AS last,
      CASE
        WHEN h.type = 'stream_purged' THEN 4
        WHEN k.request_hash <> u.hash THEN 3
        WHEN k.version IS NOT NULL THEN 2
        WHEN u.expected >= 0 AND (u.expected <> coalesce(h.version, 0)
          OR u.digest <> coalesce(h.digest, '')) THEN 1
        ELSE 0
      END AS rank
    FROM unnest(categories, stream_ids, expected, expected_digests, keys,
        request_hashes) WITH ORDINALITY
      AS u (category, stream_id, expected, digest, key, hash, place)
    LEFT JOIN LATERAL (
      SELECT e.version, e.digest, e.type FROM es.events AS e
      WHERE e.stream_id = u.stream_id AND e.category = u.category
      ORDER BY e.version DESC LIMIT 1
    ) AS h ON true
    LEFT JOIN LATERAL (
      SELECT e.version, e.append_last, e.request_hash FROM es.events AS e
      WHERE e.stream_id = u.stream_id AND e.idempotency_key = u.key LIMIT 1
    ) AS k ON true
    ORDER BY u.place
  ) AS s;
  v_last := coalesce(v_last, 0);
  v_at := greatest(clock_timestamp(), v_at);
  v_micros := extract(epoch FROM v_at) * 1000000;
  -- A request falls with its worst stream, and leaves no hole in positions.
  IF 0 < ANY (v_ranks) THEN
    SELECT array_agg(s.rank), array_agg(s.skipped) INTO v_ranks, v_skipped
    FROM (
      SELECT r.rank, sum(CASE WHEN r.rank = 0 THEN 0
          ELSE width_bucket(r.place, event_streams)
            - width_bucket(r.place - 1, event_streams)
        END) OVER (ORDER BY r.place)::int AS skipped
      FROM (
        SELECT n.place::int,
          max(n.rank) OVER (PARTITION BY requests[n.place]) AS rank
        FROM unnest(v_ranks) WITH ORDINALITY AS n (rank, place)
      ) AS r
      ORDER BY r.place
    ) AS s;
  END IF;
  WITH hashed AS (
    SELECT v.*, es.payload_hash(categories[v.stream], stream_ids[v.stream],
      v.version, v.append_last, v.type, v.schema_version, v_micros, v.data,
      v.metadata) AS payload_hash
    FROM (
      -- Events come in the order of their streams: width_bucket finds, halving,
      -- how many belong to this stream and to those before it.
      SELECT ev.*, v_heads[ev.stream] + ev.place::int
          - width_bucket(ev.stream - 1, event_streams) AS version,
        v_heads[ev.stream] + width_bucket(ev.stream, event_streams)
          - width_bucket(ev.stream - 1, event_streams) AS append_last
      FROM unnest(event_streams, types, schema_versions, datas, metadatas)
        WITH ORDINALITY
        AS ev (stream, type, schema_version, data, metadata, place)
      WHERE v_ranks[ev.stream] = 0
    ) AS v
    OFFSET 0 -- a fence: without it each payload is hashed twice
  ), chained AS MATERIALIZED (
    SELECT h.*, v_last + h.place - coalesce(v_skipped[h.stream], 0) AS position,
      es.chain(v_digests[h.stream], h.payload_hash) OVER (PARTITION BY h.stream
        ORDER BY h.place ROWS UNBOUNDED PRECEDING) AS digest,
      h.version = v_heads[h.stream] + 1 AS opens
    FROM hashed AS h
  ), inserted AS (
    INSERT INTO es.events (
      position, recorded_at, stream_id, version, append_last, schema_version,
      category, type, data, metadata, idempotency_key, request_hash,
      payload_hash, digest)
    SELECT c.position, v_at, stream_ids[c.stream], c.version, c.append_last,
      c.schema_version, categories[c.stream], c.type, c.data, c.metadata,
      CASE WHEN c.opens THEN keys[c.stream] END,
      CASE WHEN c.opens THEN request_hashes[c.stream] END,
      c.payload_hash, c.digest
    FROM chained AS c
  )
  SELECT array_agg(c.position), array_agg(c.digest) INTO v_positions, v_ends
  FROM chained AS c WHERE c.version = c.append_last;
  FOR i IN 1 .. cardinality(v_ranks) LOOP
    request := requests[i];
    category := categories[i];
    stream_id := stream_ids[i];
    outcome := (ARRAY['appended', 'conflict', 'duplicate', 'key_reused',
      'purged'])[v_ranks[i] + 1];
    first_version := CASE v_ranks[i] WHEN 0 THEN v_heads[i] + 1
      WHEN 2 THEN v_firsts[i] END;
    IF v_ranks[i] = 0 THEN
      v_done := v_done + 1;
      last_version := v_heads[i] + width_bucket(i, event_streams)
        - width_bucket(i - 1, event_streams);
      last_position := v_positions[v_done];
      digest := v_ends[v_done];
    ELSE
      last_version := CASE v_ranks[i] WHEN 2 THEN v_lasts[i]
        ELSE v_heads[i] END;
      SELECT e.position, e.digest INTO last_position, digest FROM es.events AS e
      WHERE e.stream_id = stream_ids[i] AND e.version = last_version;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

-- Name: FUNCTION append(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.append(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]) IS 'Appends a batch of requests under the head lock; one row per (request, stream): appended, duplicate, conflict, key_reused or purged.';

-- Name: append_problem(integer[], text[], uuid[], integer[], bytea[], text[], bytea[], integer[], text[], smallint[], jsonb[], jsonb[]); Type: FUNCTION; Schema: es

CREATE FUNCTION es.append_problem(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]) RETURNS text
    LANGUAGE plpgsql IMMUTABLE
    AS $$
DECLARE
  v_streams int := cardinality(stream_ids);
  v_events int := cardinality(event_streams);
BEGIN
  IF v_streams IS NULL OR v_streams = 0 OR v_events IS NULL OR v_events = 0 THEN
    RETURN 'it is empty';
  END IF;
  -- Without sub-queries plpgsql evaluates these without a plan.
  IF (cardinality(requests) = v_streams AND cardinality(categories) = v_streams
    AND cardinality(expected) = v_streams AND cardinality(keys) = v_streams
    AND cardinality(expected_digests) = v_streams
    AND cardinality(request_hashes) = v_streams) IS NOT TRUE THEN
    RETURN 'the arrays of streams differ in length';
  END IF;
  IF (cardinality(types) = v_events AND cardinality(schema_versions) = v_events
    AND cardinality(datas) = v_events AND cardinality(metadatas) = v_events)
    IS NOT TRUE THEN
    RETURN 'the arrays of events differ in length';
  END IF;
  IF coalesce(array_position(requests, NULL), array_position(stream_ids, NULL),
    array_position(expected, NULL), array_position(keys, NULL),
    array_position(request_hashes, NULL)) IS NOT NULL THEN
    RETURN 'a request, stream, expected version, key or request hash is null';
  END IF;
  IF v_streams = 1 THEN
    RETURN CASE WHEN (1 = ALL (event_streams)) IS NOT TRUE
      THEN 'events do not name the streams in order' END;
  END IF;
  -- 1..n, each at least once: es.append counts on it.
  RETURN CASE
    WHEN (event_streams[1] = 1 AND event_streams[v_events] = v_streams) IS NOT TRUE
      OR EXISTS (
        SELECT FROM unnest(event_streams[:v_events - 1], event_streams[2:])
          AS u (s, next)
        WHERE (u.next - u.s IN (0, 1)) IS NOT TRUE
      ) THEN 'events do not name the streams in order'
    WHEN v_streams > (
      SELECT count(DISTINCT u.s) FROM unnest(stream_ids) AS u (s)
    ) THEN 'a stream occurs twice'
  END;
END
$$;

-- Name: FUNCTION append_problem(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.append_problem(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]) IS 'Says what is malformed about a batch of appends; null when nothing is.';

-- Name: chain_next(bytea, bytea, bytea); Type: FUNCTION; Schema: es

CREATE FUNCTION es.chain_next(state bytea, head bytea, payload_hash bytea) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
  RETURN pg_catalog.sha256(
    coalesce(state, head) OPERATOR(pg_catalog.||) payload_hash);
END
$$;

-- Name: FUNCTION chain_next(state bytea, head bytea, payload_hash bytea); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.chain_next(state bytea, head bytea, payload_hash bytea) IS 'One link of the chain: sha256(digest before || payload_hash).';

-- Name: change_of_history(jsonb, integer, text, jsonb); Type: FUNCTION; Schema: es

CREATE FUNCTION es.change_of_history(s jsonb, version integer, type text, d jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
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
$_$;

-- Name: FUNCTION change_of_history(s jsonb, version integer, type text, d jsonb); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.change_of_history(s jsonb, version integer, type text, d jsonb) IS 'What an event of the history sets in a chat''s state, but for its lists.';

-- Name: change_of_metadata(jsonb, text, jsonb); Type: FUNCTION; Schema: es

CREATE FUNCTION es.change_of_metadata(s jsonb, type text, d jsonb) RETURNS jsonb
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

-- Name: FUNCTION change_of_metadata(s jsonb, type text, d jsonb); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.change_of_metadata(s jsonb, type text, d jsonb) IS 'What an event about a chat, not in it, sets in the chat''s state.';

-- Name: change_of_turn(jsonb, integer, text, jsonb); Type: FUNCTION; Schema: es

CREATE FUNCTION es.change_of_turn(s jsonb, version integer, type text, d jsonb) RETURNS jsonb
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

-- Name: FUNCTION change_of_turn(s jsonb, version integer, type text, d jsonb); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.change_of_turn(s jsonb, version integer, type text, d jsonb) IS 'What an event of a turn sets in a chat''s state.';

-- Name: chat_diff(uuid, integer, integer); Type: FUNCTION; Schema: es

CREATE FUNCTION es.chat_diff(chat uuid, v1 integer, v2 integer) RETURNS TABLE(field text, before jsonb, after jsonb)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
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

-- Name: FUNCTION chat_diff(chat uuid, v1 integer, v2 integer); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.chat_diff(chat uuid, v1 integer, v2 integer) IS 'Fields of a chat''s state that differ between two versions; no row: none.';

-- Name: chat_timeline(uuid); Type: FUNCTION; Schema: es

CREATE FUNCTION es.chat_timeline(chat uuid) RETURNS TABLE(version integer, recorded_at timestamp with time zone, later interval, type text, epoch integer, attempt integer, actor text, detail text, border boolean, "position" bigint)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
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

-- Name: FUNCTION chat_timeline(chat uuid); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.chat_timeline(chat uuid) IS 'Events of a chat in order: when, how much later, what, by whom; border: state is whole here.';

-- Name: describe_event(jsonb); Type: FUNCTION; Schema: es

CREATE FUNCTION es.describe_event(data jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
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
$_$;

-- Name: FUNCTION describe_event(data jsonb); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.describe_event(data jsonb) IS 'One line for people about what is in an event, with the start of its text.';

-- Name: explain_event(bigint); Type: FUNCTION; Schema: es

CREATE FUNCTION es.explain_event(at_position bigint) RETURNS TABLE(relation text, "position" bigint, stream_id uuid, version integer, type text, recorded_at timestamp with time zone, actor text, detail text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $_$
#variable_conflict use_column
DECLARE
  t record;
BEGIN
  SELECT e.* INTO t FROM es.events AS e WHERE e.position = at_position;
  IF NOT FOUND THEN
    RAISE 'there is no event at position %', at_position
      USING ERRCODE = 'ES404', HINT = 'see ops.log_overview for the head';
  END IF;
  RETURN QUERY
  WITH RECURSIVE causes AS (
    SELECT 0 AS steps, t.stream_id AS stream_id, t.version AS version,
      t.metadata ->> 'causation_id' AS cause
    UNION ALL
    SELECT c.steps + 1, e.stream_id, e.version, e.metadata ->> 'causation_id'
    FROM causes AS c
    JOIN es.events AS e ON e.stream_id = split_part(c.cause, ':', 1)::uuid
      AND e.version = split_part(c.cause, ':', 2)::int
    WHERE c.steps < 20
      AND c.cause ~ '^[0-9a-f]{8}-[0-9a-f-]{27}:[0-9]{1,9}$'
  ), related AS (
    SELECT CASE c.steps WHEN 0 THEN 'this' ELSE 'cause ' || c.steps END
      AS relation, e.*
    FROM causes AS c
    JOIN es.events AS e ON e.stream_id = c.stream_id AND e.version = c.version
    UNION ALL
    SELECT CASE
        WHEN e.append_last = t.append_last THEN 'same append'
        WHEN e.metadata ->> 'causation_id' LIKE t.stream_id || ':%'
          AND e.version > t.version THEN 'effect'
        ELSE 'same request' END, e.*
    FROM es.events AS e
    WHERE e.stream_id = t.stream_id AND e.version <> t.version AND (
      e.append_last = t.append_last
      -- The answer was to the append: its last event is what a reader had seen.
      OR e.metadata ->> 'causation_id' = t.stream_id || ':' || t.append_last
      OR e.metadata ->> 'correlation_id' = t.metadata ->> 'correlation_id')
    UNION ALL
    -- Other streams of the same request: a batch has at most 500 events.
    SELECT 'same request', e.*
    FROM es.events AS e
    WHERE e.position BETWEEN at_position - 500 AND at_position + 500
      AND e.stream_id <> t.stream_id
      AND e.metadata ->> 'correlation_id' = t.metadata ->> 'correlation_id'
  )
  SELECT r.relation, r.position, r.stream_id, r.version, r.type, r.recorded_at,
    r.metadata ->> 'actor', es.describe_event(r.data)
  FROM related AS r ORDER BY r.position;
END
$_$;

-- Name: FUNCTION explain_event(at_position bigint); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.explain_event(at_position bigint) IS 'An event with its causes, its append, its request and its effects.';

-- Name: find_request(text, uuid, text); Type: FUNCTION; Schema: es

CREATE FUNCTION es.find_request(stream_category text, stream uuid, request_key text) RETURNS TABLE(request_hash bytea, first_version integer, last_version integer)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT e.request_hash, e.version, e.append_last
  FROM es.events AS e
  WHERE e.stream_id = stream AND e.idempotency_key = request_key
    AND e.category = stream_category;
END
$$;

-- Name: FUNCTION find_request(stream_category text, stream uuid, request_key text); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.find_request(stream_category text, stream uuid, request_key text) IS 'Request hash and versions of the earlier request with this key, if any.';

-- Name: payload_hash(text, uuid, integer, integer, text, smallint, bigint, jsonb, jsonb); Type: FUNCTION; Schema: es

CREATE FUNCTION es.payload_hash(category text, stream_id uuid, version integer, append_last integer, type text, schema_version smallint, recorded_at_us bigint, data jsonb, metadata jsonb) RETURNS bytea
    LANGUAGE sql STABLE
    AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(
    category, stream_id, version, append_last, type, schema_version,
    recorded_at_us, data, metadata)::text, 'UTF8'))
$$;

-- Name: FUNCTION payload_hash(category text, stream_id uuid, version integer, append_last integer, type text, schema_version smallint, recorded_at_us bigint, data jsonb, metadata jsonb); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.payload_hash(category text, stream_id uuid, version integer, append_last integer, type text, schema_version smallint, recorded_at_us bigint, data jsonb, metadata jsonb) IS 'sha256 of the JSON array of an event; recorded_at counts in microseconds.';

-- Name: position_at(timestamp with time zone); Type: FUNCTION; Schema: es

CREATE FUNCTION es.position_at(at timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
DECLARE
  v_low bigint := 0;
  v_high bigint;
  v_middle bigint;
BEGIN
  SELECT e.position INTO v_high FROM es.events AS e
  ORDER BY e.position DESC LIMIT 1;
  v_high := coalesce(v_high, 0);
  WHILE v_low < v_high LOOP
    v_middle := (v_low + v_high + 1) / 2;
    IF (SELECT e.recorded_at <= position_at.at FROM es.events AS e
        WHERE e.position = v_middle) THEN
      v_low := v_middle;
    ELSE
      v_high := v_middle - 1;
    END IF;
  END LOOP;
  RETURN v_low;
END
$$;

-- Name: FUNCTION position_at(at timestamp with time zone); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.position_at(at timestamp with time zone) IS 'Last position recorded up to a time: where to begin reading the log.';

-- Name: purge_stream(text, uuid, text, text); Type: FUNCTION; Schema: es

CREATE FUNCTION es.purge_stream(stream_category text, stream uuid, actor text, reason text) RETURNS TABLE(erased integer, version integer, "position" bigint)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
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

-- Name: FUNCTION purge_stream(stream_category text, stream uuid, actor text, reason text); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.purge_stream(stream_category text, stream uuid, actor text, reason text) IS 'Erases what a stream says, for good; its place in the log and its hashes stay.';

-- Name: read_log(bigint, integer, uuid[]); Type: FUNCTION; Schema: es

CREATE FUNCTION es.read_log(after_position bigint, max_events integer, with_data_of uuid[] DEFAULT NULL::uuid[]) RETURNS TABLE("position" bigint, category text, stream_id uuid, version integer, append_last integer, type text, schema_version smallint, data jsonb, metadata jsonb, recorded_at timestamp with time zone, digest bytea)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT e.position, e.category, e.stream_id, e.version, e.append_last, e.type,
    e.schema_version,
    CASE WHEN f.followed THEN e.data END,
    CASE WHEN f.followed THEN e.metadata END,
    e.recorded_at, e.digest
  FROM es.events AS e
  CROSS JOIN LATERAL (
    SELECT coalesce(e.stream_id = ANY (with_data_of), with_data_of IS NULL)
  ) AS f (followed)
  WHERE e.position > after_position
    AND e.position <= coalesce((
      -- An append has adjacent positions: its border is a known distance away.
      SELECT b.position + b.append_last - b.version FROM es.events AS b
      WHERE b.position = after_position + greatest(max_events, 1)
    ), 9223372036854775807)
  ORDER BY e.position;
END
$$;

-- Name: FUNCTION read_log(after_position bigint, max_events integer, with_data_of uuid[]); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.read_log(after_position bigint, max_events integer, with_data_of uuid[]) IS 'Events of the log after a position, at least max_events of them while there are, up to an append border.';

-- Name: read_stream(text, uuid, integer, integer); Type: FUNCTION; Schema: es

CREATE FUNCTION es.read_stream(stream_category text, stream uuid, after_version integer, max_events integer) RETURNS TABLE("position" bigint, category text, stream_id uuid, version integer, append_last integer, type text, schema_version smallint, data jsonb, metadata jsonb, recorded_at timestamp with time zone, digest bytea)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT e.position, e.category, e.stream_id, e.version, e.append_last, e.type,
    e.schema_version, e.data, e.metadata, e.recorded_at, e.digest
  FROM es.events AS e
  WHERE e.stream_id = stream AND e.category = stream_category
    AND e.version > after_version
    AND e.version <= coalesce((
      SELECT b.append_last FROM es.events AS b
      WHERE b.stream_id = stream
        AND b.version = after_version::bigint + greatest(max_events, 1)
    ), 2147483647)
  ORDER BY e.version;
END
$$;

-- Name: FUNCTION read_stream(stream_category text, stream uuid, after_version integer, max_events integer); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.read_stream(stream_category text, stream uuid, after_version integer, max_events integer) IS 'Events of a stream after a version, at least max_events of them while there are, up to an append border.';

-- Name: state_at(uuid, integer); Type: FUNCTION; Schema: es

CREATE FUNCTION es.state_at(chat uuid, at_version integer DEFAULT NULL::integer) RETURNS jsonb
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
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

-- Name: FUNCTION state_at(chat uuid, at_version integer); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.state_at(chat uuid, at_version integer) IS 'The state of a chat at a version (null: now), on to the append border; as JSON.';

-- Name: tg_events__forbid_change(); Type: FUNCTION; Schema: es

CREATE FUNCTION es.tg_events__forbid_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND current_user = 'parley_eraser' THEN
    RETURN NULL;
  END IF;
  RAISE 'es.events is append-only: % is refused for everybody', TG_OP
    USING ERRCODE = 'ES403',
      DETAIL = json_build_object('operation', TG_OP, 'role', current_user),
      HINT = 'append a new event; erasing goes through es.purge_stream';
END
$$;

-- Name: FUNCTION tg_events__forbid_change(); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.tg_events__forbid_change() IS 'Refuses what would change history; lets the eraser scrub rows in place.';

-- Name: tg_events__ring(); Type: FUNCTION; Schema: es

CREATE FUNCTION es.tg_events__ring() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_first bigint;
  v_last bigint;
  v_streams json;
  v_text text;
BEGIN
  SELECT min(s.p1), max(s.p2),
    json_agg(json_build_array(s.category, s.stream_id, s.v1, s.v2))
  INTO v_first, v_last, v_streams
  FROM (
    SELECT n.category, n.stream_id, min(n.version) AS v1, max(n.version) AS v2,
      min(n.position) AS p1, max(n.position) AS p2
    FROM new_rows AS n GROUP BY n.category, n.stream_id
  ) AS s;
  -- A request that conflicts inserts nothing, yet the trigger runs.
  IF v_first IS NULL THEN
    RETURN NULL;
  END IF;
  v_text := json_build_object(
    'first', v_first, 'last', v_last, 'streams', v_streams);
  -- NOTIFY refuses 8,000 bytes; without streams a reader reads all the same.
  IF octet_length(v_text) > 7900 THEN
    v_text := json_build_object('first', v_first, 'last', v_last, 'streams', NULL);
  END IF;
  PERFORM pg_notify('parley_log', v_text);
  RETURN NULL;
END
$$;

-- Name: FUNCTION tg_events__ring(); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.tg_events__ring() IS 'NOTIFY parley_log with the positions and streams of one append.';

-- Name: tg_live_parts__ring(); Type: FUNCTION; Schema: es

CREATE FUNCTION es.tg_live_parts__ring() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_text text;
BEGIN
  SELECT json_build_object('chats', json_agg(DISTINCT n.chat_id::text))
  INTO v_text FROM new_rows AS n HAVING count(*) > 0;
  -- NOTIFY refuses 8,000 bytes: that is some 200 chats.
  IF octet_length(v_text) > 7900 THEN
    v_text := '{"chats":null}';
  END IF;
  -- Nothing inserted, nothing to tell.
  IF v_text IS NOT NULL THEN
    PERFORM pg_notify('parley_live', v_text);
  END IF;
  RETURN NULL;
END
$$;

-- Name: FUNCTION tg_live_parts__ring(); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.tg_live_parts__ring() IS 'NOTIFY parley_live with the chats that have new parts.';

-- Name: verify(text, uuid); Type: FUNCTION; Schema: es

CREATE FUNCTION es.verify(stream_category text, stream uuid) RETURNS TABLE("position" bigint, version integer, problem text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
  v_erased bigint;
BEGIN
  RETURN QUERY
  WITH events AS (
    SELECT e.*,
      es.chain('', e.payload_hash) OVER (ORDER BY e.version
        ROWS UNBOUNDED PRECEDING) AS chained,
      row_number() OVER in_order AS expected_version,
      lag(e.position) OVER in_order AS position_before,
      lag(e.recorded_at) OVER in_order AS recorded_before,
      lag(e.append_last) OVER in_order AS last_before,
      lead(e.version) OVER in_order AS version_after,
      last_value(e.type) OVER (ORDER BY e.version
        ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS last_type
    FROM es.events AS e
    WHERE e.stream_id = stream
    WINDOW in_order AS (ORDER BY e.version)
  )
  SELECT v.position, v.version, p.problem
  FROM events AS v
  CROSS JOIN LATERAL (VALUES
    (v.category <> stream_category, 'the stream has another category'),
    (v.version <> v.expected_version, 'versions have a hole before this one'),
    (v.digest <> v.chained, 'the digest does not follow from the chain'),
    (v.type <> 'erased' AND v.payload_hash <> es.payload_hash(
      v.category, v.stream_id, v.version, v.append_last, v.type,
      v.schema_version, (extract(epoch FROM v.recorded_at) * 1000000)::bigint,
      v.data, v.metadata),
      'the event differs from its payload hash'),
    (v.type = 'erased' AND v.last_type <> 'stream_purged',
      'erased, but the stream was not purged'),
    (v.type = 'erased' AND v.data - '{was,kind,purpose,asked,model,usage,
      cost_micros,runtime_ms,owner_id,organization_id,root_chat_id}'::text[]
      <> '{}', 'erased, but more is left than what was spent'),
    (v.position <= v.position_before, 'the position goes back'),
    (v.recorded_at < v.recorded_before, 'the time goes back'),
    (v.last_before >= v.version AND v.append_last <> v.last_before,
      'the append border moves inside an append'),
    (v.last_before >= v.version AND v.position <> v.position_before + 1,
      'an append is not adjacent'),
    (v.version_after IS NULL AND v.version <> v.append_last,
      'the stream ends inside an append')
  ) AS p (wrong, problem)
  WHERE p.wrong
  ORDER BY v.version;
  SELECT count(*) INTO v_erased FROM es.events AS e
  WHERE e.stream_id = stream AND e.type = 'erased';
  IF v_erased > 0 THEN
    RAISE NOTICE '% erased events: only place and chain were checked', v_erased;
  END IF;
END
$$;

-- Name: FUNCTION verify(stream_category text, stream uuid); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.verify(stream_category text, stream uuid) IS 'Problems of one stream: holes, digests, order, append borders; no row: intact.';

-- Name: verify_positions(bigint, bigint); Type: FUNCTION; Schema: es

CREATE FUNCTION es.verify_positions(first_position bigint, last_position bigint) RETURNS TABLE("position" bigint, category text, stream_id uuid, version integer, problem text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
  v_erased bigint;
BEGIN
  RETURN QUERY
  WITH events AS (
    SELECT e.*,
      coalesce(lag(e.position) OVER in_order, greatest(first_position, 1) - 1)
        AS position_before,
      lag(e.recorded_at) OVER in_order AS recorded_before,
      lead(e.position) OVER in_order AS position_after,
      lead(e.stream_id) OVER in_order AS stream_after,
      lead(e.append_last) OVER in_order AS last_after
    FROM es.events AS e
    WHERE e.position BETWEEN first_position AND last_position
    WINDOW in_order AS (ORDER BY e.position)
  )
  SELECT v.position, v.category, v.stream_id, v.version, p.problem
  FROM events AS v
  LEFT JOIN LATERAL (
    SELECT b.digest FROM es.events AS b
    WHERE b.stream_id = v.stream_id AND b.version = v.version - 1 LIMIT 1
  ) AS before ON true
  CROSS JOIN LATERAL (VALUES
    (v.position <> v.position_before + 1,
      'positions have a hole before this one'),
    (v.version > 1 AND before.digest IS NULL, 'the version before is missing'),
    (v.digest <> sha256(coalesce(before.digest, '') || v.payload_hash),
      'the digest does not follow from the chain'),
    (v.type <> 'erased' AND v.payload_hash <> es.payload_hash(
      v.category, v.stream_id, v.version, v.append_last, v.type,
      v.schema_version, (extract(epoch FROM v.recorded_at) * 1000000)::bigint,
      v.data, v.metadata),
      'the event differs from its payload hash'),
    (v.type = 'erased' AND 'stream_purged' <> (
      SELECT b.type FROM es.events AS b WHERE b.stream_id = v.stream_id
      ORDER BY b.version DESC LIMIT 1
    ), 'erased, but the stream was not purged'),
    (v.type = 'erased' AND v.data - '{was,kind,purpose,asked,model,usage,
      cost_micros,runtime_ms,owner_id,organization_id,root_chat_id}'::text[]
      <> '{}', 'erased, but more is left than what was spent'),
    (v.recorded_at < v.recorded_before, 'the time goes back'),
    (v.version < v.append_last AND v.position_after IS NOT NULL
      AND (v.stream_after, v.last_after) IS DISTINCT FROM
        (v.stream_id, v.append_last), 'an append is not adjacent'),
    (v.version < v.append_last AND v.position_after IS NULL
      AND v.position < last_position, 'the log ends inside an append')
  ) AS p (wrong, problem)
  WHERE p.wrong
  ORDER BY v.position;
  SELECT count(*) INTO v_erased FROM es.events AS e
  WHERE e.position BETWEEN first_position AND last_position AND e.type = 'erased';
  IF v_erased > 0 THEN
    RAISE NOTICE '% erased events: only place and chain were checked', v_erased;
  END IF;
END
$$;

-- Name: FUNCTION verify_positions(first_position bigint, last_position bigint); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.verify_positions(first_position bigint, last_position bigint) IS 'Problems in a range of positions: holes, digests, order, borders; no row: intact.';

-- Name: who_is_behind(interval); Type: FUNCTION; Schema: es

CREATE FUNCTION es.who_is_behind(longest_transaction interval DEFAULT '00:01:00'::interval) RETURNS TABLE(who text, name text, behind_events bigint, behind_for interval, state text, advice text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
  IF NOT pg_has_role('pg_read_all_stats', 'USAGE') THEN
    RAISE NOTICE 'sessions and replicas are hidden from %', current_user
      USING HINT = 'an administrator may GRANT pg_monitor TO your login; use it '
        'without SET ROLE';
  END IF;
  RETURN QUERY
  SELECT 'projection', l.projection || '__v' || l.version, l.lag_events,
    l.lag_age, concat_ws(': ', l.state, l.error),
    CASE l.state WHEN 'stopped' THEN 'read its error; parley projections'
      ELSE 'wait; does a process with the role projector run?' END
  FROM ops.projection_lag AS l
  WHERE l.lag_events <> 0 OR l.state = 'stopped'
  UNION ALL
  SELECT 'parked stream', p.projection || '__v' || p.version || ' '
      || p.stream_id, h.position - p.position, clock_timestamp() - p.parked_at,
    p.event_type || ' at version ' || p.event_version || ': ' || p.error,
    'fix the projection, then parley projections retry'
  FROM ops.parked_streams AS p
  CROSS JOIN (
    SELECT e.position FROM es.events AS e ORDER BY e.position DESC LIMIT 1
  ) AS h
  WHERE p.skipped IS NULL
  UNION ALL
  SELECT 'worker', l.worker || ' ' || l.chat_id, NULL,
    clock_timestamp() - l.heartbeat_at, 'silent', 'its chats are free for others'
  FROM ops.leases AS l
  WHERE l.heartbeat_at + l.lease_time < clock_timestamp()
  UNION ALL
  SELECT 'session', a.application_name || ' ' || a.pid, NULL,
    clock_timestamp() - a.xact_start, a.state,
    'its snapshot stops vacuum: end the transaction'
  FROM pg_stat_activity AS a
  WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
    AND a.xact_start < clock_timestamp() - longest_transaction
  UNION ALL
  SELECT 'replica', r.application_name, NULL, r.replay_lag, r.state,
    'see pg_stat_replication'
  FROM pg_stat_replication AS r WHERE r.replay_lag > interval '1 s'
  UNION ALL
  SELECT 'notifications', 'queue', NULL, NULL,
    round(100 * pg_notification_queue_usage()::numeric, 1) || ' % full',
    'a session listens inside an open transaction'
  WHERE pg_notification_queue_usage() > 0.01
  ORDER BY 4 DESC NULLS LAST;
END
$$;

-- Name: FUNCTION who_is_behind(longest_transaction interval); Type: COMMENT; Schema: es

COMMENT ON FUNCTION es.who_is_behind(longest_transaction interval) IS 'Projections, parked streams, silent workers, old transactions, replicas: who is behind, worst first.';

-- Name: find_stuck_chats(); Type: FUNCTION; Schema: ops

CREATE FUNCTION ops.find_stuck_chats() RETURNS TABLE(chat_id uuid, problem text, since timestamp with time zone, detail text)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  SELECT p.stream_id, 'parked', p.parked_at,
    p.projection || ' at version ' || p.event_version || ': ' || p.error
  FROM ops.parked_streams AS p
  WHERE p.category = 'chat' AND p.skipped IS NULL;
  IF to_regclass('read.runnable') IS NULL THEN
    RETURN;
  END IF;
  RETURN QUERY
  SELECT r.chat_id, 'no worker', greatest(r.since, l.heartbeat_at),
    r.status || CASE WHEN l.worker IS NULL THEN ', without lease'
      ELSE ', lease of ' || l.worker || ' expired' END
  FROM read.runnable AS r
  LEFT JOIN ops.leases AS l ON l.chat_id = r.chat_id
  WHERE r.since < clock_timestamp() - coalesce(l.lease_time, interval '30 s')
    AND coalesce(l.heartbeat_at + l.lease_time, '-infinity') < clock_timestamp()
    -- What waits for its client needs nobody before the client's time is up.
    AND (r.status <> 'requires_action' OR coalesce((
      SELECT (e.data ->> 'deadline')::timestamptz FROM es.events AS e
      WHERE e.stream_id = r.chat_id AND e.version = r.version
    ), r.since) < clock_timestamp() - coalesce(l.lease_time, interval '30 s'))
  UNION ALL
  SELECT r.chat_id, 'no progress', m.moved_at,
    r.status || ', nothing new from ' || l.worker
  FROM read.runnable AS r
  JOIN ops.leases AS l ON l.chat_id = r.chat_id
    AND l.heartbeat_at + l.lease_time >= clock_timestamp()
  CROSS JOIN LATERAL (
    SELECT greatest((
      SELECT e.recorded_at FROM es.events AS e WHERE e.stream_id = r.chat_id
      ORDER BY e.version DESC LIMIT 1
    ), (SELECT max(p.at) FROM es.live_parts AS p WHERE p.chat_id = r.chat_id))
      AS moved_at
  ) AS m
  WHERE r.status <> 'requires_action'
    AND m.moved_at < clock_timestamp() - interval '5 min'
  UNION ALL
  -- Attempts count from 1 in each epoch: whatever is kept begins another one.
  SELECT r.chat_id, 'attempts fail', a.recorded_at,
    'attempt ' || (a.data ->> 'attempt') || ' of epoch ' || (a.data ->> 'epoch')
  FROM read.runnable AS r
  CROSS JOIN LATERAL (
    SELECT e.recorded_at, e.type, e.data FROM es.events AS e
    WHERE e.stream_id = r.chat_id AND e.version >= r.version
      AND e.type IN ('generation_attempt_started', 'step_committed')
    ORDER BY e.version DESC LIMIT 1
  ) AS a
  WHERE a.type = 'generation_attempt_started'
    AND (a.data ->> 'attempt')::int >= 3;
END
$$;

-- Name: FUNCTION find_stuck_chats(); Type: COMMENT; Schema: ops

COMMENT ON FUNCTION ops.find_stuck_chats() IS 'Runnable chats without worker, progress or success, and parked ones, with a reason.';

-- Name: tg_checkpoints__ring(); Type: FUNCTION; Schema: ops

CREATE FUNCTION ops.tg_checkpoints__ring() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  NOTIFY parley_read;
  RETURN NULL;
END
$$;

-- Name: FUNCTION tg_checkpoints__ring(); Type: COMMENT; Schema: ops

COMMENT ON FUNCTION ops.tg_checkpoints__ring() IS 'NOTIFY parley_read: a read model has moved, or stands still.';

-- Name: tg_audit_outbox__append(); Type: FUNCTION; Schema: platform

CREATE FUNCTION platform.tg_audit_outbox__append() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_places int[];
  v_types text[];
  v_datas jsonb[];
  v_ids uuid[];
  v_key text := 'audit:' || gen_random_uuid();
  v_actor text := coalesce(
    nullif(current_setting('parley.actor', true), ''), 'system');
  v_request text := coalesce(nullif(
    current_setting('parley.correlation_id', true), ''), gen_random_uuid()::text);
BEGIN
  IF NOT EXISTS (SELECT FROM platform.audit_outbox AS o WHERE o.id = NEW.id) THEN
    RETURN NULL;
  END IF;
  WITH taken AS (
    DELETE FROM platform.audit_outbox AS o RETURNING o.*
  ), first AS (
    SELECT t.*, min(t.id) OVER (PARTITION BY t.stream_id) AS first FROM taken AS t
  ), placed AS (
    SELECT f.*, (dense_rank() OVER (ORDER BY f.first))::int AS place FROM first AS f
  )
  SELECT array_agg(p.place ORDER BY p.place, p.id),
    array_agg(p.type ORDER BY p.place, p.id),
    array_agg(p.data ORDER BY p.place, p.id),
    array_agg(p.stream_id ORDER BY p.place) FILTER (WHERE p.id = p.first)
  INTO v_places, v_types, v_datas, v_ids FROM placed AS p;
  -- A purged stream takes nothing more: what comes later has one of its own.
  FOR i IN 1 .. cardinality(v_ids) LOOP
    WHILE (SELECT e.type = 'stream_purged' FROM es.events AS e
      WHERE e.stream_id = v_ids[i] ORDER BY e.version DESC LIMIT 1) LOOP
      v_ids[i] := md5(v_ids[i]::text)::uuid;
    END LOOP;
  END LOOP;
  -- es.append takes events of this category only beside this row, which nobody but
  -- the owner can write; it is gone before anybody else's code runs.
  INSERT INTO platform.audit_outbox (stream_id, type, data)
  VALUES (v_ids[1], 'appending', '{}');
  PERFORM es.append(
    array_fill(1, ARRAY[cardinality(v_ids)]),
    array_fill('platform'::text, ARRAY[cardinality(v_ids)]), v_ids,
    array_fill(-1, ARRAY[cardinality(v_ids)]),
    array_fill(NULL::bytea, ARRAY[cardinality(v_ids)]),
    array_fill(v_key, ARRAY[cardinality(v_ids)]),
    array_fill(sha256(v_key::bytea), ARRAY[cardinality(v_ids)]),
    v_places, v_types, array_fill(1::smallint, ARRAY[cardinality(v_places)]),
    v_datas,
    ARRAY(SELECT jsonb_build_object('id', gen_random_uuid(), 'actor', v_actor,
      'correlation_id', v_request) FROM unnest(v_places)));
  DELETE FROM platform.audit_outbox AS o WHERE o.type = 'appending';
  RETURN NULL;
END
$$;

-- Name: FUNCTION tg_audit_outbox__append(); Type: COMMENT; Schema: platform

COMMENT ON FUNCTION platform.tg_audit_outbox__append() IS 'Empties the outbox into the log: one es.append per transaction, at its commit.';

-- Name: tg_model_configs__heal_default(); Type: FUNCTION; Schema: platform

CREATE FUNCTION platform.tg_model_configs__heal_default() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
  v_set uuid;
  v_unset uuid[];
  v_default uuid;
BEGIN
  IF TG_TABLE_NAME = 'model_configs' AND TG_OP = 'INSERT' THEN
    SELECT n.id INTO v_set FROM new_rows AS n
    WHERE n.is_default ORDER BY n.id LIMIT 1;
  ELSIF TG_TABLE_NAME = 'model_configs' AND TG_OP = 'UPDATE' THEN
    SELECT min(n.id::text) FILTER (WHERE n.is_default)::uuid,
      array_agg(n.id) FILTER (WHERE o.is_default)
    INTO v_set, v_unset
    FROM new_rows AS n JOIN old_rows AS o USING (id)
    WHERE n.is_default <> o.is_default;
  END IF;
  SELECT c.id INTO v_default
  FROM platform.model_configs AS c
  JOIN platform.providers AS p ON p.id = c.provider_id
  WHERE c.enabled AND c.deleted_at IS NULL AND p.enabled AND p.deleted_at IS NULL
  ORDER BY coalesce(c.id = v_set, false) DESC, c.is_default DESC,
    coalesce(c.id = ANY (v_unset), false), c.created_at, c.id LIMIT 1;
  -- Asked first: an UPDATE of no row would call this trigger again, for ever.
  IF EXISTS (SELECT FROM platform.model_configs AS c
    WHERE c.is_default <> coalesce(c.id = v_default, false)) THEN
    UPDATE platform.model_configs AS c SET is_default = NOT c.is_default
    WHERE c.is_default <> coalesce(c.id = v_default, false);
  END IF;
  RETURN NULL;
END
$$;

-- Name: FUNCTION tg_model_configs__heal_default(); Type: COMMENT; Schema: platform

COMMENT ON FUNCTION platform.tg_model_configs__heal_default() IS 'Moves is_default to the config that has to have it.';

-- Name: tg_model_configs__lock_default(); Type: FUNCTION; Schema: platform

CREATE FUNCTION platform.tg_model_configs__lock_default() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(
    hashtextextended('platform.model_configs.is_default', 0));
  RETURN NULL;
END
$$;

-- Name: FUNCTION tg_model_configs__lock_default(); Type: COMMENT; Schema: platform

COMMENT ON FUNCTION platform.tg_model_configs__lock_default() IS 'Whoever may move the default waits for the others who may.';

-- Name: tg_rows__audit(); Type: FUNCTION; Schema: platform

CREATE FUNCTION platform.tg_rows__audit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET "TimeZone" TO 'UTC'
    AS $$
DECLARE
  v_key text[] := TG_ARGV[1:];
BEGIN
  INSERT INTO platform.audit_outbox (stream_id, type, data)
  SELECT CASE v_key WHEN ARRAY['id'] THEN (r.values ->> 'id')::uuid
      ELSE md5(TG_TABLE_NAME || ':' || (
        SELECT string_agg(r.values ->> k.name, ':' ORDER BY k.place)
        FROM unnest(v_key) WITH ORDINALITY AS k (name, place)))::uuid
    END, TG_ARGV[0], jsonb_build_object('op', lower(TG_OP), 'row', r.values)
  FROM (
    SELECT to_jsonb(c) - 'api_key_encrypted' AS values FROM changed AS c
  ) AS r;
  RETURN NULL;
END
$$;

-- Name: FUNCTION tg_rows__audit(); Type: COMMENT; Schema: platform

COMMENT ON FUNCTION platform.tg_rows__audit() IS 'Puts the changed rows into platform.audit_outbox, without secrets.';

-- Name: tg_rows__touch(); Type: FUNCTION; Schema: platform

CREATE FUNCTION platform.tg_rows__touch() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  IF TG_ARGV[0] IN ('version', 'version and actor') THEN
    NEW.version := CASE TG_OP WHEN 'UPDATE' THEN OLD.version ELSE 0 END + 1;
  END IF;
  IF TG_ARGV[0] = 'version and actor' THEN
    NEW.updated_by := coalesce(
      nullif(current_setting('parley.actor', true), ''), 'system');
  END IF;
  RETURN NEW;
END
$$;

-- Name: FUNCTION tg_rows__touch(); Type: COMMENT; Schema: platform

COMMENT ON FUNCTION platform.tg_rows__touch() IS 'When a row changed last, how often, and by whom: nobody has to remember it.';

-- Name: chain(bytea, bytea); Type: AGGREGATE; Schema: es

CREATE AGGREGATE es.chain(head bytea, payload_hash bytea) (
    SFUNC = es.chain_next,
    STYPE = bytea,
    PARALLEL = safe
);

-- Name: AGGREGATE chain(head bytea, payload_hash bytea); Type: COMMENT; Schema: es

COMMENT ON AGGREGATE es.chain(head bytea, payload_hash bytea) IS 'Digest of the last row, from the digest before the first row and the hashes.';

-- Name: events; Type: TABLE; Schema: es

CREATE TABLE es.events (
    "position" bigint NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    stream_id uuid NOT NULL,
    version integer NOT NULL,
    append_last integer NOT NULL,
    schema_version smallint NOT NULL,
    category text NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    idempotency_key text,
    request_hash bytea,
    payload_hash bytea NOT NULL,
    digest bytea NOT NULL,
    CONSTRAINT events__data__check CHECK ((jsonb_typeof(data) = 'object'::text)),
    CONSTRAINT events__digest__check CHECK (((octet_length(payload_hash) = 32) AND (octet_length(digest) = 32))),
    CONSTRAINT events__idempotency_key__check CHECK (((char_length(idempotency_key) >= 1) AND (char_length(idempotency_key) <= 256))),
    CONSTRAINT events__metadata__check CHECK ((jsonb_typeof(metadata) = 'object'::text)),
    CONSTRAINT events__position__check CHECK (("position" > 0)),
    CONSTRAINT events__schema_version__check CHECK ((schema_version > 0)),
    CONSTRAINT events__version__check CHECK (((version > 0) AND (append_last >= version)))
)
WITH (autovacuum_vacuum_insert_threshold='100000', autovacuum_vacuum_insert_scale_factor='0.01');

-- Name: TABLE events; Type: COMMENT; Schema: es

COMMENT ON TABLE es.events IS 'Every event, append-only: rows are never removed; only the eraser may scrub one.';

-- Name: COLUMN events."position"; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events."position" IS 'Place in the whole log: 1..n, gapless, in commit order.';

-- Name: COLUMN events.recorded_at; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.recorded_at IS 'One clock reading per append; never goes back along positions.';

-- Name: COLUMN events.stream_id; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.stream_id IS 'The entity, e.g. the chat.';

-- Name: COLUMN events.version; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.version IS 'Place in its stream: 1..n without holes.';

-- Name: COLUMN events.append_last; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.append_last IS 'Append border: last version of the append that this event came in.';

-- Name: COLUMN events.schema_version; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.schema_version IS 'Which shape data has.';

-- Name: COLUMN events.category; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.category IS 'Kind of entity; one stream id belongs to one category.';

-- Name: COLUMN events.type; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.type IS 'What happened, past tense: message_appended.';

-- Name: COLUMN events.data; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.data IS 'The fact itself, a JSON object.';

-- Name: COLUMN events.metadata; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.metadata IS 'JSON object: id (random), actor, correlation_id, causation_id.';

-- Name: COLUMN events.idempotency_key; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.idempotency_key IS 'Key of the request, on its first event in each stream; <caller>:<key>.';

-- Name: COLUMN events.request_hash; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.request_hash IS 'sha256 of the request, beside its key: the same key with another hash is refused.';

-- Name: COLUMN events.payload_hash; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.payload_hash IS 'sha256 of the envelope, data and metadata as written; stays when they are erased.';

-- Name: COLUMN events.digest; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.events.digest IS 'sha256(digest of version - 1 || payload_hash): the identity of the event.';

-- Name: head; Type: TABLE; Schema: es

CREATE TABLE es.head (
    only_row boolean DEFAULT true NOT NULL,
    CONSTRAINT head__only_row__check CHECK (only_row)
);

-- Name: TABLE head; Type: COMMENT; Schema: es

COMMENT ON TABLE es.head IS 'One row, only ever locked (FOR UPDATE), never updated: who holds it may append.';

-- Name: COLUMN head.only_row; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.head.only_row IS 'Always true: there is one head.';

-- Name: live_parts; Type: TABLE; Schema: es

CREATE UNLOGGED TABLE es.live_parts (
    chat_id uuid NOT NULL,
    epoch integer NOT NULL,
    attempt integer NOT NULL,
    seq integer NOT NULL,
    data jsonb NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_cost_delay='0');

-- Name: TABLE live_parts; Type: COMMENT; Schema: es

COMMENT ON TABLE es.live_parts IS 'What models are saying right now. Not events: emptied by a crash, and seconds old.';

-- Name: COLUMN live_parts.chat_id; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.live_parts.chat_id IS 'The chat that is being answered.';

-- Name: COLUMN live_parts.epoch; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.live_parts.epoch IS 'Version of the event that the answer builds on; with attempt it names the episode.';

-- Name: COLUMN live_parts.attempt; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.live_parts.attempt IS 'Which try within the epoch, from 1.';

-- Name: COLUMN live_parts.seq; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.live_parts.seq IS 'Place in the episode, contiguous from 1.';

-- Name: COLUMN live_parts.data; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.live_parts.data IS '{"role", "part"}: a delta, or a whole part.';

-- Name: COLUMN live_parts.at; Type: COMMENT; Schema: es

COMMENT ON COLUMN es.live_parts.at IS 'When it was written; the janitor reads it.';

-- Name: applied_migrations; Type: VIEW; Schema: ops

CREATE VIEW ops.applied_migrations AS
 SELECT migration_id AS migration,
    (applied_at_utc AT TIME ZONE 'UTC'::text) AS applied_at
   FROM ops._yoyo_migration m;

-- Name: VIEW applied_migrations; Type: COMMENT; Schema: ops

COMMENT ON VIEW ops.applied_migrations IS 'Numbered migrations and when they ran.';

-- Name: checkpoints; Type: TABLE; Schema: ops

CREATE TABLE ops.checkpoints (
    projection text NOT NULL,
    version integer NOT NULL,
    "position" bigint DEFAULT 0 NOT NULL,
    digest bytea DEFAULT '\x'::bytea NOT NULL,
    state text DEFAULT 'running'::text NOT NULL,
    error text,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    definition integer,
    tables text[],
    checksum text,
    release text,
    CONSTRAINT checkpoints__position__check CHECK (("position" >= 0)),
    CONSTRAINT checkpoints__state__check CHECK ((state = ANY (ARRAY['building'::text, 'running'::text, 'stopped'::text])))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_cost_delay='0');

-- Name: TABLE checkpoints; Type: COMMENT; Schema: ops

COMMENT ON TABLE ops.checkpoints IS 'How far each version of a read model is; moved in the transaction of its effects.';

-- Name: COLUMN checkpoints.projection; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.projection IS 'The read model.';

-- Name: COLUMN checkpoints.version; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.version IS 'Its version.';

-- Name: COLUMN checkpoints."position"; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints."position" IS 'Last position handled; 0 before the first.';

-- Name: COLUMN checkpoints.digest; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.digest IS 'Digest of the event there; another one in the log means another history.';

-- Name: COLUMN checkpoints.state; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.state IS 'running, stopped until a person acts, or building: a command fills it, no projector.';

-- Name: COLUMN checkpoints.error; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.error IS 'Why it stopped.';

-- Name: COLUMN checkpoints.updated_at; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.updated_at IS 'When it moved last.';

-- Name: COLUMN checkpoints.definition; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.definition IS 'Version of the projection it is made by, if not its own: a rebuild has a new version of the same definition.';

-- Name: COLUMN checkpoints.tables; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.tables IS 'Its tables in schema read, by name; dropped with it.';

-- Name: COLUMN checkpoints.checksum; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.checksum IS 'sha256 of the SQL that made its tables and the view; another one is applied again.';

-- Name: COLUMN checkpoints.release; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.checkpoints.release IS 'Release that applied that SQL; an older one leaves it alone.';

-- Name: event_rates; Type: VIEW; Schema: ops

CREATE VIEW ops.event_rates AS
 SELECT s.span,
    (h."position" - s.since) AS events,
    round((((h."position" - s.since))::numeric / EXTRACT(epoch FROM s.span)), 3) AS events_per_s,
    (s.since + 1) AS first_position
   FROM (( SELECT w.span,
            es.position_at((clock_timestamp() - w.span)) AS since
           FROM unnest('{00:01:00,00:10:00,01:00:00,"1 day","7 days"}'::interval[]) w(span)) s
     CROSS JOIN ( SELECT COALESCE(max(e."position"), (0)::bigint) AS "position"
           FROM es.events e) h);

-- Name: VIEW event_rates; Type: COMMENT; Schema: ops

COMMENT ON VIEW ops.event_rates IS 'Events of the last minute, hour, day: how many, how many a second, from where on.';

-- Name: leases; Type: TABLE; Schema: ops

CREATE UNLOGGED TABLE ops.leases (
    chat_id uuid NOT NULL,
    worker text NOT NULL,
    term bigint NOT NULL,
    heartbeat_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    lease_time interval DEFAULT '00:00:30'::interval NOT NULL,
    CONSTRAINT leases__term__check CHECK ((term > 0))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_cost_delay='0');

-- Name: TABLE leases; Type: COMMENT; Schema: ops

COMMENT ON TABLE ops.leases IS 'Which worker runs which chat. Emptied by a crash; the log fences with the term.';

-- Name: COLUMN leases.chat_id; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.leases.chat_id IS 'The chat.';

-- Name: COLUMN leases.worker; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.leases.worker IS 'Name of the worker process that runs it.';

-- Name: COLUMN leases.term; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.leases.term IS 'Grows with every holder; run_acquired in the log carries it.';

-- Name: COLUMN leases.heartbeat_at; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.leases.heartbeat_at IS 'Last sign of life; older than the lease time: the chat is free.';

-- Name: COLUMN leases.lease_time; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.leases.lease_time IS 'A holder silent for so long has lost the chat: PARLEY_LEASE_S of its worker.';

-- Name: lease_overview; Type: VIEW; Schema: ops

CREATE VIEW ops.lease_overview AS
 SELECT worker,
    chat_id,
    term,
    heartbeat_at,
    (clock_timestamp() - heartbeat_at) AS silent_for,
    lease_time,
    ((heartbeat_at + lease_time) < clock_timestamp()) AS expired
   FROM ops.leases l;

-- Name: VIEW lease_overview; Type: COMMENT; Schema: ops

COMMENT ON VIEW ops.lease_overview IS 'Leases by worker; silent for longer than their lease time: expired, free for others.';

-- Name: log_overview; Type: VIEW; Schema: ops

CREATE VIEW ops.log_overview AS
 SELECT COALESCE(h."position", (0)::bigint) AS head,
    h.recorded_at AS last_recorded_at,
    (clock_timestamp() - h.recorded_at) AS last_age,
    pg_relation_size('es.events'::regclass) AS table_bytes,
    pg_indexes_size('es.events'::regclass) AS index_bytes,
    pg_total_relation_size('es.live_parts'::regclass) AS live_parts_bytes,
    pg_notification_queue_usage() AS notification_queue_usage
   FROM (( SELECT) one
     LEFT JOIN LATERAL ( SELECT e."position",
            e.recorded_at
           FROM es.events e
          ORDER BY e."position" DESC
         LIMIT 1) h ON (true));

-- Name: VIEW log_overview; Type: COMMENT; Schema: ops

COMMENT ON VIEW ops.log_overview IS 'Head of the log, its age and sizes, and how full the notification queue is.';

-- Name: parked_streams; Type: TABLE; Schema: ops

CREATE TABLE ops.parked_streams (
    projection text NOT NULL,
    version integer NOT NULL,
    category text NOT NULL,
    stream_id uuid NOT NULL,
    "position" bigint NOT NULL,
    event_version integer NOT NULL,
    event_type text NOT NULL,
    error text NOT NULL,
    parked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    skipped text
);

-- Name: TABLE parked_streams; Type: COMMENT; Schema: ops

COMMENT ON TABLE ops.parked_streams IS 'Streams that a projection could not apply, it goes on with all others; and single events that a person had it leave out.';

-- Name: COLUMN parked_streams.projection; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams.projection IS 'The read model.';

-- Name: COLUMN parked_streams.version; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams.version IS 'Its version.';

-- Name: COLUMN parked_streams.category; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams.category IS 'Category of the parked stream.';

-- Name: COLUMN parked_streams.stream_id; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams.stream_id IS 'The parked stream.';

-- Name: COLUMN parked_streams."position"; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams."position" IS 'Position of the poisoned event.';

-- Name: COLUMN parked_streams.event_version; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams.event_version IS 'Its version in the stream.';

-- Name: COLUMN parked_streams.event_type; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams.event_type IS 'Its type.';

-- Name: COLUMN parked_streams.error; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams.error IS 'What went wrong; no user text.';

-- Name: COLUMN parked_streams.parked_at; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams.parked_at IS 'Since when it is parked.';

-- Name: COLUMN parked_streams.skipped; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.parked_streams.skipped IS 'Why a person had this event left out; null: the stream is parked at it.';

-- Name: projections; Type: TABLE; Schema: ops

CREATE TABLE ops.projections (
    name text NOT NULL,
    active_version integer NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT projections__active_version__check CHECK ((active_version > 0))
)
WITH (fillfactor='50');

-- Name: TABLE projections; Type: COMMENT; Schema: ops

COMMENT ON TABLE ops.projections IS 'Which version of each read model readers see.';

-- Name: COLUMN projections.name; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.projections.name IS 'The read model: chats, messages, queue, ...';

-- Name: COLUMN projections.active_version; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.projections.active_version IS 'The version N whose table read.<name>__v<N> the view read.<name> selects from.';

-- Name: COLUMN projections.updated_at; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.projections.updated_at IS 'When the view was flipped.';

-- Name: projection_lag; Type: VIEW; Schema: ops

CREATE VIEW ops.projection_lag AS
 SELECT c.projection,
    c.version,
    (NOT (p.active_version IS DISTINCT FROM c.version)) AS active,
    c.state,
    c."position",
    (h."position" - c."position") AS lag_events,
    COALESCE((clock_timestamp() - n.recorded_at), '00:00:00'::interval) AS lag_age,
    ( SELECT count(*) AS count
           FROM ops.parked_streams s
          WHERE ((s.projection = c.projection) AND (s.version = c.version) AND (s.skipped IS NULL))) AS parked_streams,
    c.error,
    c.updated_at
   FROM (((ops.checkpoints c
     CROSS JOIN ( SELECT COALESCE(( SELECT e."position"
                   FROM es.events e
                  ORDER BY e."position" DESC
                 LIMIT 1), (0)::bigint) AS "position") h)
     LEFT JOIN ops.projections p ON ((p.name = c.projection)))
     LEFT JOIN es.events n ON ((n."position" = (c."position" + 1))));

-- Name: VIEW projection_lag; Type: COMMENT; Schema: ops

COMMENT ON VIEW ops.projection_lag IS 'Per version of each read model: state, position, events and time behind the head.';

-- Name: repeatables; Type: TABLE; Schema: ops

CREATE TABLE ops.repeatables (
    only_row boolean DEFAULT true NOT NULL,
    checksum text NOT NULL,
    release text NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT repeatables__only_row__check CHECK (only_row)
);

-- Name: TABLE repeatables; Type: COMMENT; Schema: ops

COMMENT ON TABLE ops.repeatables IS 'Which functions, triggers, views and grants are deployed; one row.';

-- Name: COLUMN repeatables.only_row; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.repeatables.only_row IS 'Always true: there is one deployment.';

-- Name: COLUMN repeatables.checksum; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.repeatables.checksum IS 'sha256 of all repeatable files.';

-- Name: COLUMN repeatables.release; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.repeatables.release IS 'Release that applied them; an older one leaves them alone.';

-- Name: COLUMN repeatables.applied_at; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.repeatables.applied_at IS 'When they were applied.';

-- Name: stream_tickets; Type: TABLE; Schema: ops

CREATE UNLOGGED TABLE ops.stream_tickets (
    ticket_hash bytea NOT NULL,
    token_id uuid NOT NULL,
    chat_id uuid,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT stream_tickets__ticket_hash__check CHECK ((octet_length(ticket_hash) = 32))
)
WITH (autovacuum_vacuum_scale_factor='0.01', autovacuum_vacuum_cost_delay='0');

-- Name: TABLE stream_tickets; Type: COMMENT; Schema: ops

COMMENT ON TABLE ops.stream_tickets IS 'Tickets for one stream, used once. Emptied by a crash: clients take new ones.';

-- Name: COLUMN stream_tickets.ticket_hash; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.stream_tickets.ticket_hash IS 'sha256 of the ticket.';

-- Name: COLUMN stream_tickets.token_id; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.stream_tickets.token_id IS 'The token that it was taken with, and whose rights it has.';

-- Name: COLUMN stream_tickets.chat_id; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.stream_tickets.chat_id IS 'The chat that it opens; null: the feed of all chats of its owner.';

-- Name: COLUMN stream_tickets.expires_at; Type: COMMENT; Schema: ops

COMMENT ON COLUMN ops.stream_tickets.expires_at IS 'From then on refused.';

-- Name: stuck_chats; Type: VIEW; Schema: ops

CREATE VIEW ops.stuck_chats AS
 SELECT chat_id,
    problem,
    since,
    (clock_timestamp() - since) AS stuck_for,
    detail
   FROM ops.find_stuck_chats() s(chat_id, problem, since, detail);

-- Name: VIEW stuck_chats; Type: COMMENT; Schema: ops

COMMENT ON VIEW ops.stuck_chats IS 'Chats without worker, without progress, with failing attempts, or parked.';

-- Name: audit_outbox; Type: TABLE; Schema: platform

CREATE UNLOGGED TABLE platform.audit_outbox (
    id bigint NOT NULL,
    stream_id uuid NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL
);

-- Name: TABLE audit_outbox; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.audit_outbox IS 'Changes of this schema on their way into the log; empty outside transactions.';

-- Name: COLUMN audit_outbox.id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.audit_outbox.id IS 'The order of the changes.';

-- Name: COLUMN audit_outbox.stream_id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.audit_outbox.stream_id IS 'Stream of category platform: the id of the row, or md5 of <table>:<key>.';

-- Name: COLUMN audit_outbox.type; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.audit_outbox.type IS 'Type of the event.';

-- Name: COLUMN audit_outbox.data; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.audit_outbox.data IS '{"op": "insert" | "update" | "delete", "row": {...}}, without secrets.';

-- Name: audit_outbox_id_seq; Type: SEQUENCE; Schema: platform

ALTER TABLE platform.audit_outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME platform.audit_outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

-- Name: compaction_thresholds; Type: TABLE; Schema: platform

CREATE TABLE platform.compaction_thresholds (
    user_id uuid NOT NULL,
    model_config_id uuid NOT NULL,
    threshold_percent integer NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT compaction_thresholds__threshold_percent__check CHECK (((threshold_percent >= 0) AND (threshold_percent <= 100)))
);

-- Name: TABLE compaction_thresholds; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.compaction_thresholds IS 'When a user wants histories shortened, per model; else the config says it.';

-- Name: COLUMN compaction_thresholds.user_id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.compaction_thresholds.user_id IS 'Whose chats.';

-- Name: COLUMN compaction_thresholds.model_config_id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.compaction_thresholds.model_config_id IS 'Those with this model.';

-- Name: COLUMN compaction_thresholds.threshold_percent; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.compaction_thresholds.threshold_percent IS 'Percent of the context that a prompt takes before; 100: never.';

-- Name: COLUMN compaction_thresholds.updated_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.compaction_thresholds.updated_at IS 'When it changed last.';

-- Name: memberships; Type: TABLE; Schema: platform

CREATE TABLE platform.memberships (
    user_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

-- Name: TABLE memberships; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.memberships IS 'Who belongs to which organization.';

-- Name: COLUMN memberships.user_id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.memberships.user_id IS 'The member.';

-- Name: COLUMN memberships.organization_id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.memberships.organization_id IS 'The organization.';

-- Name: COLUMN memberships.role; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.memberships.role IS 'What the member may do there.';

-- Name: COLUMN memberships.created_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.memberships.created_at IS 'When the member joined.';

-- Name: model_configs; Type: TABLE; Schema: platform

CREATE TABLE platform.model_configs (
    id uuid NOT NULL,
    provider_id uuid NOT NULL,
    model text NOT NULL,
    display_name text NOT NULL,
    enabled boolean DEFAULT true NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    context_limit integer NOT NULL,
    compaction_threshold integer DEFAULT 70 NOT NULL,
    max_output_tokens integer,
    temperature numeric,
    reasoning_effort text,
    max_reasoning_effort text,
    options jsonb DEFAULT '{}'::jsonb NOT NULL,
    price_input numeric,
    price_output numeric,
    price_cache_read numeric,
    price_cache_write numeric,
    deleted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT model_configs__compaction_threshold__check CHECK (((compaction_threshold >= 0) AND (compaction_threshold <= 100))),
    CONSTRAINT model_configs__context_limit__check CHECK ((context_limit > 0)),
    CONSTRAINT model_configs__display_name__check CHECK (((char_length(display_name) >= 1) AND (char_length(display_name) <= 200))),
    CONSTRAINT model_configs__max_output_tokens__check CHECK ((max_output_tokens > 0)),
    CONSTRAINT model_configs__max_reasoning_effort__check CHECK ((max_reasoning_effort = ANY (ARRAY['none'::text, 'minimal'::text, 'low'::text, 'medium'::text, 'high'::text, 'xhigh'::text, 'max'::text]))),
    CONSTRAINT model_configs__model__check CHECK (((char_length(model) >= 1) AND (char_length(model) <= 200))),
    CONSTRAINT model_configs__options__check CHECK ((jsonb_typeof(options) = 'object'::text)),
    CONSTRAINT model_configs__price_cache_read__check CHECK (((price_cache_read >= (0)::numeric) AND (price_cache_read <= (1000000)::numeric))),
    CONSTRAINT model_configs__price_cache_write__check CHECK (((price_cache_write >= (0)::numeric) AND (price_cache_write <= (1000000)::numeric))),
    CONSTRAINT model_configs__price_input__check CHECK (((price_input >= (0)::numeric) AND (price_input <= (1000000)::numeric))),
    CONSTRAINT model_configs__price_output__check CHECK (((price_output >= (0)::numeric) AND (price_output <= (1000000)::numeric))),
    CONSTRAINT model_configs__reasoning_effort__check CHECK ((reasoning_effort = ANY (ARRAY['none'::text, 'minimal'::text, 'low'::text, 'medium'::text, 'high'::text, 'xhigh'::text, 'max'::text]))),
    CONSTRAINT model_configs__temperature__check CHECK (((temperature >= (0)::numeric) AND (temperature <= (2)::numeric)))
);

-- Name: TABLE model_configs; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.model_configs IS 'Models that chats may use. Usable: enabled, not deleted, of an enabled provider.';

-- Name: COLUMN model_configs.id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.id IS 'The config; chats, messages and spending name it.';

-- Name: COLUMN model_configs.provider_id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.provider_id IS 'Who serves the model.';

-- Name: COLUMN model_configs.model; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.model IS 'Its name there.';

-- Name: COLUMN model_configs.display_name; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.display_name IS 'What people see.';

-- Name: COLUMN model_configs.enabled; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.enabled IS 'Whether chats may use it.';

-- Name: COLUMN model_configs.is_default; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.is_default IS 'What a chat uses that names none; exactly one of the usable ones has true.';

-- Name: COLUMN model_configs.context_limit; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.context_limit IS 'Tokens that a prompt and its answer may have.';

-- Name: COLUMN model_configs.compaction_threshold; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.compaction_threshold IS 'Percent of it that a prompt takes before the history is shortened; 100: never.';

-- Name: COLUMN model_configs.max_output_tokens; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.max_output_tokens IS 'Of one answer; null: what the service takes by itself.';

-- Name: COLUMN model_configs.temperature; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.temperature IS 'Null: as the vendor has it.';

-- Name: COLUMN model_configs.reasoning_effort; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.reasoning_effort IS 'How much it thinks where a chat does not say; null: as the vendor has it.';

-- Name: COLUMN model_configs.max_reasoning_effort; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.max_reasoning_effort IS 'No chat gets more than this; null: no limit.';

-- Name: COLUMN model_configs.options; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.options IS 'What only some vendors know, a JSON object: {"top_p": 0.9}.';

-- Name: COLUMN model_configs.price_input; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.price_input IS 'US dollars per million tokens of the prompt; null: no price.';

-- Name: COLUMN model_configs.price_output; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.price_output IS 'The same for answers, reasoning included.';

-- Name: COLUMN model_configs.price_cache_read; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.price_cache_read IS 'The same for tokens that the vendor had in its cache.';

-- Name: COLUMN model_configs.price_cache_write; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.price_cache_write IS 'The same for tokens that the vendor put into its cache.';

-- Name: COLUMN model_configs.deleted_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.deleted_at IS 'Gone since then; the row stays, spending refers to it. Null: it is there.';

-- Name: COLUMN model_configs.created_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.created_at IS 'When it was made; of several the oldest becomes the default.';

-- Name: COLUMN model_configs.updated_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.model_configs.updated_at IS 'When anything of it changed last.';

-- Name: organizations; Type: TABLE; Schema: platform

CREATE TABLE platform.organizations (
    id uuid NOT NULL,
    name text NOT NULL,
    is_default boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT organizations__name__check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200)))
);

-- Name: TABLE organizations; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.organizations IS 'Who chats belong to; one is the default.';

-- Name: COLUMN organizations.id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.organizations.id IS 'The organization.';

-- Name: COLUMN organizations.name; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.organizations.name IS 'Its unique name.';

-- Name: COLUMN organizations.is_default; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.organizations.is_default IS 'New users become members of this one; exactly one row has true.';

-- Name: COLUMN organizations.created_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.organizations.created_at IS 'When it was made.';

-- Name: providers; Type: TABLE; Schema: platform

CREATE TABLE platform.providers (
    id uuid NOT NULL,
    kind text NOT NULL,
    display_name text NOT NULL,
    base_url text,
    enabled boolean DEFAULT true NOT NULL,
    api_key_encrypted bytea,
    has_api_key boolean GENERATED ALWAYS AS ((api_key_encrypted IS NOT NULL)) STORED NOT NULL,
    deleted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT providers__base_url__check CHECK (((base_url ~ '^https?://'::text) AND (char_length(base_url) <= 2000))),
    CONSTRAINT providers__display_name__check CHECK (((char_length(display_name) >= 1) AND (char_length(display_name) <= 200))),
    CONSTRAINT providers__kind__base_url__check CHECK (((kind <> 'openai_compat'::text) OR (base_url IS NOT NULL))),
    CONSTRAINT providers__kind__check CHECK ((kind = ANY (ARRAY['openai'::text, 'openai_compat'::text, 'anthropic'::text])))
);

-- Name: TABLE providers; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.providers IS 'Servers of models, each with its address and its key.';

-- Name: COLUMN providers.id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.id IS 'The provider.';

-- Name: COLUMN providers.kind; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.kind IS 'What it speaks: openai, openai_compat (another server, the same API), anthropic.';

-- Name: COLUMN providers.display_name; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.display_name IS 'What people call it; unique among those that are not deleted.';

-- Name: COLUMN providers.base_url; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.base_url IS 'Where it is; null: the address of the vendor.';

-- Name: COLUMN providers.enabled; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.enabled IS 'Whether its models may be asked.';

-- Name: COLUMN providers.api_key_encrypted; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.api_key_encrypted IS 'Its key, encrypted by the service with a key that the database never sees.';

-- Name: COLUMN providers.has_api_key; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.has_api_key IS 'Whether there is a key: for those who may not read it.';

-- Name: COLUMN providers.deleted_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.deleted_at IS 'Gone since then; the row stays, spending refers to it. Null: it is there.';

-- Name: COLUMN providers.created_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.created_at IS 'When it was made.';

-- Name: COLUMN providers.updated_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.providers.updated_at IS 'When anything of it changed last; clients of older values are closed.';

-- Name: settings; Type: TABLE; Schema: platform

CREATE TABLE platform.settings (
    key text NOT NULL,
    value jsonb NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_by text DEFAULT 'system'::text NOT NULL,
    CONSTRAINT settings__key__check CHECK ((key ~ '^[a-z][a-z0-9_.]{0,99}$'::text))
);

-- Name: TABLE settings; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.settings IS 'What operators set for everybody: prompts, models for titles and summaries.';

-- Name: COLUMN settings.key; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.settings.key IS 'Which setting: deployment_prompt.';

-- Name: COLUMN settings.value; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.settings.value IS 'What it is set to; a reader takes a malformed one for not set.';

-- Name: COLUMN settings.version; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.settings.version IS 'Counts its changes, from 1.';

-- Name: COLUMN settings.updated_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.settings.updated_at IS 'When it changed last.';

-- Name: COLUMN settings.updated_by; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.settings.updated_by IS 'Who changed it last: parley.actor of that transaction.';

-- Name: tokens; Type: TABLE; Schema: platform

CREATE TABLE platform.tokens (
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    token_hash bytea NOT NULL,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT tokens__token_hash__check CHECK ((octet_length(token_hash) = 32))
);

-- Name: TABLE tokens; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.tokens IS 'Bearer tokens, as hashes only.';

-- Name: COLUMN tokens.id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.tokens.id IS 'Names the token without giving it away.';

-- Name: COLUMN tokens.user_id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.tokens.user_id IS 'Whose token it is.';

-- Name: COLUMN tokens.token_hash; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.tokens.token_hash IS 'sha256 of the token.';

-- Name: COLUMN tokens.name; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.tokens.name IS 'What its owner calls it.';

-- Name: COLUMN tokens.scopes; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.tokens.scopes IS 'What it may do.';

-- Name: COLUMN tokens.created_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.tokens.created_at IS 'When it was made.';

-- Name: COLUMN tokens.expires_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.tokens.expires_at IS 'From then on refused; null: never.';

-- Name: COLUMN tokens.revoked_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.tokens.revoked_at IS 'Refused since then; null: valid.';

-- Name: user_settings; Type: TABLE; Schema: platform

CREATE TABLE platform.user_settings (
    user_id uuid NOT NULL,
    key text NOT NULL,
    value jsonb NOT NULL,
    version integer DEFAULT 1 NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT user_settings__key__check CHECK ((key ~ '^[a-z][a-z0-9_.]{0,99}$'::text))
);

-- Name: TABLE user_settings; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.user_settings IS 'What a user sets for themselves.';

-- Name: COLUMN user_settings.user_id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.user_settings.user_id IS 'Whose it is.';

-- Name: COLUMN user_settings.key; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.user_settings.key IS 'Which setting: custom_prompt.';

-- Name: COLUMN user_settings.value; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.user_settings.value IS 'What it is set to; a reader takes a malformed one for not set.';

-- Name: COLUMN user_settings.version; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.user_settings.version IS 'Counts its changes, from 1.';

-- Name: COLUMN user_settings.updated_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.user_settings.updated_at IS 'When it changed last.';

-- Name: users; Type: TABLE; Schema: platform

CREATE TABLE platform.users (
    id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT users__name__check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 200)))
);

-- Name: TABLE users; Type: COMMENT; Schema: platform

COMMENT ON TABLE platform.users IS 'People and programs that may call the service.';

-- Name: COLUMN users.id; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.users.id IS 'The user; owner of chats, actor of events.';

-- Name: COLUMN users.name; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.users.name IS 'What others see; not unique.';

-- Name: COLUMN users.created_at; Type: COMMENT; Schema: platform

COMMENT ON COLUMN platform.users.created_at IS 'When the user was made.';

-- Name: chats__v1; Type: TABLE; Schema: read

CREATE TABLE read.chats__v1 (
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    title text NOT NULL,
    status text NOT NULL,
    archived boolean NOT NULL,
    client_type text NOT NULL,
    labels jsonb NOT NULL,
    parent_chat_id uuid,
    root_chat_id uuid,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    last_error jsonb,
    version integer NOT NULL,
    plan_mode text DEFAULT ''::text NOT NULL,
    workspace_id uuid,
    model_config_id uuid,
    mcp_server_ids jsonb DEFAULT '[]'::jsonb NOT NULL,
    pin_key text COLLATE pg_catalog."C",
    origin jsonb
);

-- Name: TABLE chats__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.chats__v1 IS 'Chats, one row each; a row changes with each event of its chat.';

-- Name: COLUMN chats__v1.id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.id IS 'The chat: id of its stream.';

-- Name: COLUMN chats__v1.organization_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.organization_id IS 'The organization that it belongs to.';

-- Name: COLUMN chats__v1.owner_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.owner_id IS 'The user whose chat it is.';

-- Name: COLUMN chats__v1.title; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.title IS 'Its title.';

-- Name: COLUMN chats__v1.status; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.status IS 'waiting, running, interrupting, requires_action or error.';

-- Name: COLUMN chats__v1.archived; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.archived IS 'Whether it is put away.';

-- Name: COLUMN chats__v1.client_type; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.client_type IS 'ui or api: what created it.';

-- Name: COLUMN chats__v1.labels; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.labels IS 'Names and values that its owner gave it.';

-- Name: COLUMN chats__v1.parent_chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.parent_chat_id IS 'The chat that spawned it, if any.';

-- Name: COLUMN chats__v1.root_chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.root_chat_id IS 'The first chat of its family, if it was spawned.';

-- Name: COLUMN chats__v1.created_at; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.created_at IS 'When it was created.';

-- Name: COLUMN chats__v1.updated_at; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.updated_at IS 'Latest clock reading of what happened in it; the order of the list.';

-- Name: COLUMN chats__v1.last_error; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.last_error IS 'Why its last turn failed, while status is error.';

-- Name: COLUMN chats__v1.version; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.version IS 'Version of the newest event that is in this row.';

-- Name: COLUMN chats__v1.plan_mode; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.plan_mode IS 'plan: its turns plan first; empty: they do not.';

-- Name: COLUMN chats__v1.workspace_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.workspace_id IS 'The workspace that it works in, if any.';

-- Name: COLUMN chats__v1.model_config_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.model_config_id IS 'Its model config; null: the deployment''s default.';

-- Name: COLUMN chats__v1.mcp_server_ids; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.mcp_server_ids IS 'The MCP servers whose tools it offers.';

-- Name: COLUMN chats__v1.pin_key; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.pin_key IS 'Sort key among its owner''s pins, compared by bytes; null: it is no pin.';

-- Name: COLUMN chats__v1.origin; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats__v1.origin IS 'The chat and the version that it was forked from, if it was.';

-- Name: chats; Type: VIEW; Schema: read

CREATE VIEW read.chats WITH (security_invoker='true') AS
 SELECT id,
    organization_id,
    owner_id,
    title,
    status,
    archived,
    client_type,
    labels,
    parent_chat_id,
    root_chat_id,
    created_at,
    updated_at,
    last_error,
    version,
    plan_mode,
    workspace_id,
    model_config_id,
    mcp_server_ids,
    pin_key,
    origin,
    ( SELECT string_agg(format('%s is parked at version %s'::text, k.projection, k.event_version), '; '::text ORDER BY k.projection) AS string_agg
           FROM (ops.parked_streams k
             JOIN ops.projections a ON (((a.name = k.projection) AND (a.active_version = k.version))))
          WHERE ((k.category = 'chat'::text) AND (k.stream_id = c.id) AND (k.skipped IS NULL))) AS projection_error
   FROM read.chats__v1 c;

-- Name: VIEW chats; Type: COMMENT; Schema: read

COMMENT ON VIEW read.chats IS 'Chats: the version of the read model that is in use.';

-- Name: COLUMN chats.projection_error; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.chats.projection_error IS 'Its read models that are parked at an event, and where; null: none is.';

-- Name: cursors__v1; Type: TABLE; Schema: read

CREATE TABLE read.cursors__v1 (
    chat_id uuid NOT NULL,
    read_up_to integer NOT NULL,
    first_unread integer,
    version integer NOT NULL
)
WITH (fillfactor='80');

-- Name: TABLE cursors__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.cursors__v1 IS 'How far owners have read, a row a chat; it changes with each message.';

-- Name: COLUMN cursors__v1.chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.cursors__v1.chat_id IS 'The chat.';

-- Name: COLUMN cursors__v1.read_up_to; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.cursors__v1.read_up_to IS 'The newest message that the owner has seen; 0: none.';

-- Name: COLUMN cursors__v1.first_unread; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.cursors__v1.first_unread IS 'The first answer after that one, if there is one.';

-- Name: COLUMN cursors__v1.version; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.cursors__v1.version IS 'Version of the newest event that is in this row.';

-- Name: cursors; Type: VIEW; Schema: read

CREATE VIEW read.cursors WITH (security_invoker='true') AS
 SELECT chat_id,
    read_up_to,
    first_unread
   FROM read.cursors__v1 c;

-- Name: VIEW cursors; Type: COMMENT; Schema: read

COMMENT ON VIEW read.cursors IS 'How far owners have read: the version of the read model that is in use.';

-- Name: messages__v1; Type: TABLE; Schema: read

CREATE TABLE read.messages__v1 (
    chat_id uuid NOT NULL,
    id integer NOT NULL,
    role text NOT NULL,
    visibility text NOT NULL,
    parts jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by uuid,
    settings jsonb,
    queued_id integer,
    epoch integer,
    attempt integer,
    model_config_id uuid,
    usage jsonb
);

-- Name: TABLE messages__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.messages__v1 IS 'Messages of all chats, one row each; rows never change, an edit deletes.';

-- Name: COLUMN messages__v1.chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.chat_id IS 'The chat.';

-- Name: COLUMN messages__v1.id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.id IS 'Version of the event that appended it; the order of the history.';

-- Name: COLUMN messages__v1.role; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.role IS 'system, user, assistant or tool.';

-- Name: COLUMN messages__v1.visibility; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.visibility IS 'user, model or both: who may see it; clients never see model.';

-- Name: COLUMN messages__v1.parts; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.parts IS 'What it says, without what only providers may see.';

-- Name: COLUMN messages__v1.created_at; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.created_at IS 'Clock reading of its event; never used for order.';

-- Name: COLUMN messages__v1.created_by; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.created_by IS 'The user who wrote it, if a user did.';

-- Name: COLUMN messages__v1.settings; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.settings IS 'What it asks of its turn, if anything.';

-- Name: COLUMN messages__v1.queued_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.queued_id IS 'Its id in the queue, if it waited there.';

-- Name: COLUMN messages__v1.epoch; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.epoch IS 'Epoch of the attempt that produced it, if one did.';

-- Name: COLUMN messages__v1.attempt; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.attempt IS 'Number of that attempt within its epoch.';

-- Name: COLUMN messages__v1.model_config_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.model_config_id IS 'The model config that gave this answer, if one did.';

-- Name: COLUMN messages__v1.usage; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.messages__v1.usage IS 'Tokens of the call that it is the answer of, as the vendor counted them.';

-- Name: messages; Type: VIEW; Schema: read

CREATE VIEW read.messages WITH (security_invoker='true') AS
 SELECT chat_id,
    id,
    role,
    visibility,
    parts,
    created_at,
    created_by,
    settings,
    queued_id,
    epoch,
    attempt,
    model_config_id,
    usage
   FROM read.messages__v1 m;

-- Name: VIEW messages; Type: COMMENT; Schema: read

COMMENT ON VIEW read.messages IS 'Messages: the version of the read model that is in use.';

-- Name: queue__v1; Type: TABLE; Schema: read

CREATE TABLE read.queue__v1 (
    chat_id uuid NOT NULL,
    id integer NOT NULL,
    parts jsonb NOT NULL,
    created_at timestamp with time zone NOT NULL,
    created_by uuid NOT NULL,
    settings jsonb,
    moved integer
);

-- Name: TABLE queue__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.queue__v1 IS 'Messages that wait, one row each. At most 20 a chat; rows come and go.';

-- Name: COLUMN queue__v1.chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.queue__v1.chat_id IS 'The chat.';

-- Name: COLUMN queue__v1.id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.queue__v1.id IS 'Version of the event that queued it; the order of the queue.';

-- Name: COLUMN queue__v1.parts; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.queue__v1.parts IS 'What it says, without what only providers may see.';

-- Name: COLUMN queue__v1.created_at; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.queue__v1.created_at IS 'When it was sent.';

-- Name: COLUMN queue__v1.created_by; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.queue__v1.created_by IS 'The user who sent it.';

-- Name: COLUMN queue__v1.settings; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.queue__v1.settings IS 'What it asks of its turn, if anything.';

-- Name: COLUMN queue__v1.moved; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.queue__v1.moved IS 'Version of the event that put it first; the last one moved is the head.';

-- Name: queue; Type: VIEW; Schema: read

CREATE VIEW read.queue WITH (security_invoker='true') AS
 SELECT chat_id,
    id,
    parts,
    created_at,
    created_by,
    settings,
    moved
   FROM read.queue__v1 q;

-- Name: VIEW queue; Type: COMMENT; Schema: read

COMMENT ON VIEW read.queue IS 'Queued messages: the version of the read model that is in use.';

-- Name: runnable__v1; Type: TABLE; Schema: read

CREATE TABLE read.runnable__v1 (
    chat_id uuid NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    since timestamp with time zone NOT NULL,
    priority smallint GENERATED ALWAYS AS (
CASE status
    WHEN 'interrupting'::text THEN 1
    WHEN 'requires_action'::text THEN 2
    ELSE 3
END) STORED NOT NULL
);

-- Name: TABLE runnable__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.runnable__v1 IS 'Chats with a turn to go on with, one row each; few: those that run now.';

-- Name: COLUMN runnable__v1.chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.runnable__v1.chat_id IS 'The chat.';

-- Name: COLUMN runnable__v1.status; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.runnable__v1.status IS 'running, interrupting or requires_action.';

-- Name: COLUMN runnable__v1.version; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.runnable__v1.version IS 'Version of the event that gave it this status.';

-- Name: COLUMN runnable__v1.since; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.runnable__v1.since IS 'When that event was recorded.';

-- Name: COLUMN runnable__v1.priority; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.runnable__v1.priority IS '1 interrupting: a person waits, 2 requires_action: a deadline, 3 running.';

-- Name: runnable; Type: VIEW; Schema: read

CREATE VIEW read.runnable WITH (security_invoker='true') AS
 SELECT chat_id,
    status,
    version,
    since,
    priority
   FROM read.runnable__v1 r;

-- Name: VIEW runnable; Type: COMMENT; Schema: read

COMMENT ON VIEW read.runnable IS 'Runnable chats: the version of the read model that is in use.';

-- Name: search__v1; Type: TABLE; Schema: read

CREATE TABLE read.search__v1 (
    chat_id uuid NOT NULL,
    id integer NOT NULL,
    version integer NOT NULL,
    words tsvector NOT NULL
);

-- Name: TABLE search__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.search__v1 IS 'Words of chats: a row a title, a row a visible message with text.';

-- Name: COLUMN search__v1.chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.search__v1.chat_id IS 'The chat.';

-- Name: COLUMN search__v1.id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.search__v1.id IS 'The message; 0: the title.';

-- Name: COLUMN search__v1.version; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.search__v1.version IS 'Version of the event that the words are from.';

-- Name: COLUMN search__v1.words; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.search__v1.words IS 'Its words in the configuration simple: no stems, no stop words.';

-- Name: search; Type: VIEW; Schema: read

CREATE VIEW read.search WITH (security_invoker='true') AS
 SELECT chat_id,
    id,
    words
   FROM read.search__v1 s;

-- Name: VIEW search; Type: COMMENT; Schema: read

COMMENT ON VIEW read.search IS 'Words of chats: the version of the read model that is in use.';

-- Name: usage_chats__v1; Type: TABLE; Schema: read

CREATE TABLE read.usage_chats__v1 (
    chat_id uuid NOT NULL,
    user_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    root_chat_id uuid,
    version integer NOT NULL
);

-- Name: TABLE usage_chats__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.usage_chats__v1 IS 'Whose chats are, for the rows of the ledger; one row each, purged ones too.';

-- Name: COLUMN usage_chats__v1.chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_chats__v1.chat_id IS 'The chat.';

-- Name: COLUMN usage_chats__v1.user_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_chats__v1.user_id IS 'Whose it is.';

-- Name: COLUMN usage_chats__v1.organization_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_chats__v1.organization_id IS 'The organization that it belongs to.';

-- Name: COLUMN usage_chats__v1.root_chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_chats__v1.root_chat_id IS 'The first chat of its family, if it was spawned.';

-- Name: COLUMN usage_chats__v1.version; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_chats__v1.version IS 'Version of the event that said so: the first, or the fork.';

-- Name: usage_ledger__v1; Type: TABLE; Schema: read

CREATE TABLE read.usage_ledger__v1 (
    "position" bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    user_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    chat_id uuid NOT NULL,
    root_chat_id uuid NOT NULL,
    model_config_id uuid,
    provider text NOT NULL,
    model text NOT NULL,
    purpose text NOT NULL,
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_creation_tokens bigint,
    reasoning_tokens bigint,
    cost_micros bigint,
    runtime_ms bigint
);

-- Name: TABLE usage_ledger__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.usage_ledger__v1 IS 'Calls of models, one row each, for good: neither edits nor purges take one out.';

-- Name: COLUMN usage_ledger__v1."position"; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1."position" IS 'Position of the event that tells of the call.';

-- Name: COLUMN usage_ledger__v1.at; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.at IS 'When that event was recorded, by the clock of the database.';

-- Name: COLUMN usage_ledger__v1.user_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.user_id IS 'Whose chat it was.';

-- Name: COLUMN usage_ledger__v1.organization_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.organization_id IS 'The organization of that chat.';

-- Name: COLUMN usage_ledger__v1.chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.chat_id IS 'The chat; it may be erased by now.';

-- Name: COLUMN usage_ledger__v1.root_chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.root_chat_id IS 'The first chat of its family; the chat itself, if nothing spawned it.';

-- Name: COLUMN usage_ledger__v1.model_config_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.model_config_id IS 'The model config that was asked; null: the model that the environment names.';

-- Name: COLUMN usage_ledger__v1.provider; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.provider IS 'Kind of the vendor; unknown: it was asked before the log said which.';

-- Name: COLUMN usage_ledger__v1.model; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.model IS 'What the vendor calls the model.';

-- Name: COLUMN usage_ledger__v1.purpose; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.purpose IS 'turn, subagent (a turn of a spawned chat), compaction or title.';

-- Name: COLUMN usage_ledger__v1.input_tokens; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.input_tokens IS 'Tokens read, but for those of caches; null here and below: nobody counted.';

-- Name: COLUMN usage_ledger__v1.output_tokens; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.output_tokens IS 'Tokens written, with those of reasoning.';

-- Name: COLUMN usage_ledger__v1.cache_read_tokens; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.cache_read_tokens IS 'Tokens read from the vendor''s cache.';

-- Name: COLUMN usage_ledger__v1.cache_creation_tokens; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.cache_creation_tokens IS 'Tokens written to the vendor''s cache.';

-- Name: COLUMN usage_ledger__v1.reasoning_tokens; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.reasoning_tokens IS 'Tokens of reasoning, a part of the output.';

-- Name: COLUMN usage_ledger__v1.cost_micros; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.cost_micros IS 'Millionths of a dollar at the prices of then; null: nobody knows.';

-- Name: COLUMN usage_ledger__v1.runtime_ms; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.usage_ledger__v1.runtime_ms IS 'How long the model was at it.';

-- Name: usage_ledger; Type: VIEW; Schema: read

CREATE VIEW read.usage_ledger WITH (security_invoker='true') AS
 SELECT "position",
    at,
    user_id,
    organization_id,
    chat_id,
    root_chat_id,
    model_config_id,
    provider,
    model,
    purpose,
    input_tokens,
    output_tokens,
    cache_read_tokens,
    cache_creation_tokens,
    reasoning_tokens,
    cost_micros,
    runtime_ms
   FROM read.usage_ledger__v1 l;

-- Name: VIEW usage_ledger; Type: COMMENT; Schema: read

COMMENT ON VIEW read.usage_ledger IS 'Calls of models: the version of the read model that is in use.';

-- Name: watch_chats__v1; Type: TABLE; Schema: read

CREATE TABLE read.watch_chats__v1 (
    chat_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    title text NOT NULL,
    client_type text NOT NULL,
    labels jsonb NOT NULL,
    parent_chat_id uuid,
    root_chat_id uuid,
    created_at timestamp with time zone NOT NULL,
    status text NOT NULL,
    last_error jsonb,
    shown text,
    "position" bigint NOT NULL,
    archived boolean DEFAULT false NOT NULL,
    plan_mode text DEFAULT ''::text NOT NULL,
    workspace_id uuid,
    model_config_id uuid,
    mcp_server_ids jsonb DEFAULT '[]'::jsonb NOT NULL,
    pin_key text,
    origin jsonb,
    read_up_to integer DEFAULT 0 NOT NULL,
    tool_calls jsonb,
    updated_at timestamp with time zone
)
WITH (fillfactor='80');

-- Name: TABLE watch_chats__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.watch_chats__v1 IS 'Chats as the watch feed needs them: whose they are, and what was told last.';

-- Name: COLUMN watch_chats__v1.chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.chat_id IS 'The chat.';

-- Name: COLUMN watch_chats__v1.owner_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.owner_id IS 'Whose it is.';

-- Name: COLUMN watch_chats__v1.organization_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.organization_id IS 'The organization that it belongs to.';

-- Name: COLUMN watch_chats__v1.title; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.title IS 'Its title.';

-- Name: COLUMN watch_chats__v1.client_type; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.client_type IS 'ui or api: what created it.';

-- Name: COLUMN watch_chats__v1.labels; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.labels IS 'Names and values that its owner gave it.';

-- Name: COLUMN watch_chats__v1.parent_chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.parent_chat_id IS 'The chat that spawned it, if any.';

-- Name: COLUMN watch_chats__v1.root_chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.root_chat_id IS 'The first chat of its family, if it was spawned.';

-- Name: COLUMN watch_chats__v1.created_at; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.created_at IS 'When it was created.';

-- Name: COLUMN watch_chats__v1.status; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.status IS 'Its status after the newest event taken.';

-- Name: COLUMN watch_chats__v1.last_error; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.last_error IS 'Why its last turn failed, while status is error.';

-- Name: COLUMN watch_chats__v1.shown; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.shown IS 'The status that was told last; null before it was told of.';

-- Name: COLUMN watch_chats__v1."position"; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1."position" IS 'Position of the last event that was about it or its status.';

-- Name: COLUMN watch_chats__v1.archived; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.archived IS 'Whether it is put away.';

-- Name: COLUMN watch_chats__v1.plan_mode; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.plan_mode IS 'plan: its turns plan first; empty: they do not.';

-- Name: COLUMN watch_chats__v1.workspace_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.workspace_id IS 'The workspace that it works in, if any.';

-- Name: COLUMN watch_chats__v1.model_config_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.model_config_id IS 'Its model config; null: the deployment''s default.';

-- Name: COLUMN watch_chats__v1.mcp_server_ids; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.mcp_server_ids IS 'The MCP servers whose tools it offers.';

-- Name: COLUMN watch_chats__v1.pin_key; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.pin_key IS 'Sort key among its owner''s pins; null: it is no pin.';

-- Name: COLUMN watch_chats__v1.origin; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.origin IS 'The chat and the version that it was forked from, if it was.';

-- Name: COLUMN watch_chats__v1.read_up_to; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.read_up_to IS 'The newest message that its owner has seen; 0: none.';

-- Name: COLUMN watch_chats__v1.tool_calls; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.tool_calls IS 'The calls that wait for a client, while status is requires_action.';

-- Name: COLUMN watch_chats__v1.updated_at; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_chats__v1.updated_at IS 'When its status last changed, or it was put away; null: before that was kept.';

-- Name: watch_feed__v1; Type: TABLE; Schema: read

CREATE TABLE read.watch_feed__v1 (
    owner_id uuid NOT NULL,
    number bigint NOT NULL,
    kind text NOT NULL,
    chat_id uuid NOT NULL,
    version integer NOT NULL,
    status text NOT NULL,
    last_error jsonb,
    updated_at timestamp with time zone NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    digest text NOT NULL,
    tool_calls jsonb
);

-- Name: TABLE watch_feed__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.watch_feed__v1 IS 'What happened to chats, as their owners hear it; goes after seven days.';

-- Name: COLUMN watch_feed__v1.owner_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.owner_id IS 'Who hears it.';

-- Name: COLUMN watch_feed__v1.number; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.number IS '1, 2, ... without holes for each owner, in the order of the log.';

-- Name: COLUMN watch_feed__v1.kind; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.kind IS 'created, deleted, status_change, title_change, action_required or
  chat_change.';

-- Name: COLUMN watch_feed__v1.chat_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.chat_id IS 'The chat that it is about.';

-- Name: COLUMN watch_feed__v1.version; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.version IS 'Version of the chat after the append that did it.';

-- Name: COLUMN watch_feed__v1.status; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.status IS 'Status of the chat then.';

-- Name: COLUMN watch_feed__v1.last_error; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.last_error IS 'Why its last turn failed, when status is error.';

-- Name: COLUMN watch_feed__v1.updated_at; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.updated_at IS 'Clock reading of the event that did it.';

-- Name: COLUMN watch_feed__v1.recorded_at; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.recorded_at IS 'When that event was recorded; rows go by it.';

-- Name: COLUMN watch_feed__v1.digest; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.digest IS 'First 8 hex digits of that event''s digest: ids of watchers carry them.';

-- Name: COLUMN watch_feed__v1.tool_calls; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_feed__v1.tool_calls IS 'The calls that wait for a client, when kind is action_required.';

-- Name: watch_feed; Type: VIEW; Schema: read

CREATE VIEW read.watch_feed WITH (security_invoker='true') AS
 SELECT f.owner_id,
    f.number,
    f.kind,
    f.chat_id,
    f.version,
    f.status,
    f.last_error,
    f.updated_at,
    f.recorded_at,
    f.digest,
    c.organization_id,
    c.title,
    c.client_type,
    c.labels,
    c.parent_chat_id,
    c.root_chat_id,
    c.created_at,
    f.tool_calls,
    c.archived,
    c.plan_mode,
    c.workspace_id,
    c.model_config_id,
    c.mcp_server_ids,
    c.pin_key,
    c.origin,
    c.read_up_to
   FROM (read.watch_feed__v1 f
     LEFT JOIN read.watch_chats__v1 c ON ((c.chat_id = f.chat_id)));

-- Name: VIEW watch_feed; Type: COMMENT; Schema: read

COMMENT ON VIEW read.watch_feed IS 'What owners hear of their chats: the version of the read model that is in use.';

-- Name: watch_owners__v1; Type: TABLE; Schema: read

CREATE TABLE read.watch_owners__v1 (
    owner_id uuid NOT NULL,
    number bigint NOT NULL,
    digest text NOT NULL
)
WITH (fillfactor='80');

-- Name: TABLE watch_owners__v1; Type: COMMENT; Schema: read

COMMENT ON TABLE read.watch_owners__v1 IS 'The newest number of each owner; it stays when the rows have gone.';

-- Name: COLUMN watch_owners__v1.owner_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_owners__v1.owner_id IS 'The owner.';

-- Name: COLUMN watch_owners__v1.number; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_owners__v1.number IS 'The newest number given out.';

-- Name: COLUMN watch_owners__v1.digest; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_owners__v1.digest IS 'The digest in that row.';

-- Name: watch_owners; Type: VIEW; Schema: read

CREATE VIEW read.watch_owners WITH (security_invoker='true') AS
 SELECT owner_id,
    number,
    digest
   FROM read.watch_owners__v1 o;

-- Name: VIEW watch_owners; Type: COMMENT; Schema: read

COMMENT ON VIEW read.watch_owners IS 'The newest number of each owner: the version of the read model that is in use.';

-- Name: COLUMN watch_owners.owner_id; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_owners.owner_id IS 'The owner.';

-- Name: COLUMN watch_owners.number; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_owners.number IS 'The newest number given out.';

-- Name: COLUMN watch_owners.digest; Type: COMMENT; Schema: read

COMMENT ON COLUMN read.watch_owners.digest IS 'The digest in that row.';

-- Name: events events__position__pkey; Type: CONSTRAINT; Schema: es

ALTER TABLE ONLY es.events
    ADD CONSTRAINT events__position__pkey PRIMARY KEY ("position");

-- Name: events events__stream_id__version__key; Type: CONSTRAINT; Schema: es

ALTER TABLE ONLY es.events
    ADD CONSTRAINT events__stream_id__version__key UNIQUE (stream_id, version);

-- Name: CONSTRAINT events__stream_id__version__key ON events; Type: COMMENT; Schema: es

COMMENT ON CONSTRAINT events__stream_id__version__key ON es.events IS 'The order of a stream; serves reading a stream and finding its last version.';

-- Name: head head__pkey; Type: CONSTRAINT; Schema: es

ALTER TABLE ONLY es.head
    ADD CONSTRAINT head__pkey PRIMARY KEY (only_row);

-- Name: live_parts live_parts__pkey; Type: CONSTRAINT; Schema: es

ALTER TABLE ONLY es.live_parts
    ADD CONSTRAINT live_parts__pkey PRIMARY KEY (chat_id, epoch, attempt, seq);

-- Name: checkpoints checkpoints__pkey; Type: CONSTRAINT; Schema: ops

ALTER TABLE ONLY ops.checkpoints
    ADD CONSTRAINT checkpoints__pkey PRIMARY KEY (projection, version);

-- Name: leases leases__pkey; Type: CONSTRAINT; Schema: ops

ALTER TABLE ONLY ops.leases
    ADD CONSTRAINT leases__pkey PRIMARY KEY (chat_id);

-- Name: parked_streams parked_streams__pkey; Type: CONSTRAINT; Schema: ops

ALTER TABLE ONLY ops.parked_streams
    ADD CONSTRAINT parked_streams__pkey PRIMARY KEY (projection, version, category, stream_id, "position");

-- Name: projections projections__pkey; Type: CONSTRAINT; Schema: ops

ALTER TABLE ONLY ops.projections
    ADD CONSTRAINT projections__pkey PRIMARY KEY (name);

-- Name: repeatables repeatables__pkey; Type: CONSTRAINT; Schema: ops

ALTER TABLE ONLY ops.repeatables
    ADD CONSTRAINT repeatables__pkey PRIMARY KEY (only_row);

-- Name: stream_tickets stream_tickets__pkey; Type: CONSTRAINT; Schema: ops

ALTER TABLE ONLY ops.stream_tickets
    ADD CONSTRAINT stream_tickets__pkey PRIMARY KEY (ticket_hash);

-- Name: audit_outbox audit_outbox__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.audit_outbox
    ADD CONSTRAINT audit_outbox__pkey PRIMARY KEY (id);

-- Name: compaction_thresholds compaction_thresholds__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.compaction_thresholds
    ADD CONSTRAINT compaction_thresholds__pkey PRIMARY KEY (user_id, model_config_id);

-- Name: memberships memberships__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.memberships
    ADD CONSTRAINT memberships__pkey PRIMARY KEY (user_id, organization_id);

-- Name: model_configs model_configs__is_default__key; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.model_configs
    ADD CONSTRAINT model_configs__is_default__key EXCLUDE USING btree (is_default WITH =) WHERE (is_default) DEFERRABLE INITIALLY DEFERRED;

-- Name: model_configs model_configs__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.model_configs
    ADD CONSTRAINT model_configs__pkey PRIMARY KEY (id);

-- Name: organizations organizations__name__key; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.organizations
    ADD CONSTRAINT organizations__name__key UNIQUE (name);

-- Name: organizations organizations__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.organizations
    ADD CONSTRAINT organizations__pkey PRIMARY KEY (id);

-- Name: providers providers__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.providers
    ADD CONSTRAINT providers__pkey PRIMARY KEY (id);

-- Name: settings settings__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.settings
    ADD CONSTRAINT settings__pkey PRIMARY KEY (key);

-- Name: tokens tokens__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.tokens
    ADD CONSTRAINT tokens__pkey PRIMARY KEY (id);

-- Name: tokens tokens__token_hash__key; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.tokens
    ADD CONSTRAINT tokens__token_hash__key UNIQUE (token_hash);

-- Name: user_settings user_settings__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.user_settings
    ADD CONSTRAINT user_settings__pkey PRIMARY KEY (user_id, key);

-- Name: users users__pkey; Type: CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.users
    ADD CONSTRAINT users__pkey PRIMARY KEY (id);

-- Name: chats__v1 chats__v1__id__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.chats__v1
    ADD CONSTRAINT chats__v1__id__pkey PRIMARY KEY (id);

-- Name: cursors__v1 cursors__v1__chat_id__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.cursors__v1
    ADD CONSTRAINT cursors__v1__chat_id__pkey PRIMARY KEY (chat_id);

-- Name: messages__v1 messages__v1__chat_id__id__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.messages__v1
    ADD CONSTRAINT messages__v1__chat_id__id__pkey PRIMARY KEY (chat_id, id);

-- Name: queue__v1 queue__v1__chat_id__id__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.queue__v1
    ADD CONSTRAINT queue__v1__chat_id__id__pkey PRIMARY KEY (chat_id, id);

-- Name: runnable__v1 runnable__v1__chat_id__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.runnable__v1
    ADD CONSTRAINT runnable__v1__chat_id__pkey PRIMARY KEY (chat_id);

-- Name: search__v1 search__v1__chat_id__id__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.search__v1
    ADD CONSTRAINT search__v1__chat_id__id__pkey PRIMARY KEY (chat_id, id);

-- Name: usage_chats__v1 usage_chats__v1__chat_id__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.usage_chats__v1
    ADD CONSTRAINT usage_chats__v1__chat_id__pkey PRIMARY KEY (chat_id);

-- Name: usage_ledger__v1 usage_ledger__v1__position__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.usage_ledger__v1
    ADD CONSTRAINT usage_ledger__v1__position__pkey PRIMARY KEY ("position");

-- Name: watch_chats__v1 watch_chats__v1__chat_id__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.watch_chats__v1
    ADD CONSTRAINT watch_chats__v1__chat_id__pkey PRIMARY KEY (chat_id);

-- Name: watch_feed__v1 watch_feed__v1__owner_id__number__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.watch_feed__v1
    ADD CONSTRAINT watch_feed__v1__owner_id__number__pkey PRIMARY KEY (owner_id, number);

-- Name: watch_owners__v1 watch_owners__v1__owner_id__pkey; Type: CONSTRAINT; Schema: read

ALTER TABLE ONLY read.watch_owners__v1
    ADD CONSTRAINT watch_owners__v1__owner_id__pkey PRIMARY KEY (owner_id);

-- Name: events__recorded_at__idx; Type: INDEX; Schema: es

CREATE INDEX events__recorded_at__idx ON es.events USING brin (recorded_at);

-- Name: INDEX events__recorded_at__idx; Type: COMMENT; Schema: es

COMMENT ON INDEX es.events__recorded_at__idx IS 'Finds positions by time; 24 kB per million events.';

-- Name: events__stream_id__idempotency_key__idx; Type: INDEX; Schema: es

CREATE UNIQUE INDEX events__stream_id__idempotency_key__idx ON es.events USING btree (stream_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);

-- Name: INDEX events__stream_id__idempotency_key__idx; Type: COMMENT; Schema: es

COMMENT ON INDEX es.events__stream_id__idempotency_key__idx IS 'Finds the earlier request with the same key.';

-- Name: stream_tickets__expires_at__idx; Type: INDEX; Schema: ops

CREATE INDEX stream_tickets__expires_at__idx ON ops.stream_tickets USING btree (expires_at);

-- Name: INDEX stream_tickets__expires_at__idx; Type: COMMENT; Schema: ops

COMMENT ON INDEX ops.stream_tickets__expires_at__idx IS 'What the janitor removes.';

-- Name: compaction_thresholds__model_config_id__idx; Type: INDEX; Schema: platform

CREATE INDEX compaction_thresholds__model_config_id__idx ON platform.compaction_thresholds USING btree (model_config_id);

-- Name: INDEX compaction_thresholds__model_config_id__idx; Type: COMMENT; Schema: platform

COMMENT ON INDEX platform.compaction_thresholds__model_config_id__idx IS 'Keeps the foreign key cheap.';

-- Name: memberships__organization_id__idx; Type: INDEX; Schema: platform

CREATE INDEX memberships__organization_id__idx ON platform.memberships USING btree (organization_id);

-- Name: INDEX memberships__organization_id__idx; Type: COMMENT; Schema: platform

COMMENT ON INDEX platform.memberships__organization_id__idx IS 'Members of an organization; keeps its foreign key cheap.';

-- Name: model_configs__provider_id__model__display_name__idx; Type: INDEX; Schema: platform

CREATE UNIQUE INDEX model_configs__provider_id__model__display_name__idx ON platform.model_configs USING btree (provider_id, model, display_name) WHERE (deleted_at IS NULL);

-- Name: INDEX model_configs__provider_id__model__display_name__idx; Type: COMMENT; Schema: platform

COMMENT ON INDEX platform.model_configs__provider_id__model__display_name__idx IS 'Nobody makes the same config twice; keeps the foreign key cheap.';

-- Name: organizations__is_default__idx; Type: INDEX; Schema: platform

CREATE UNIQUE INDEX organizations__is_default__idx ON platform.organizations USING btree (is_default) WHERE is_default;

-- Name: INDEX organizations__is_default__idx; Type: COMMENT; Schema: platform

COMMENT ON INDEX platform.organizations__is_default__idx IS 'At most one default organization.';

-- Name: providers__display_name__idx; Type: INDEX; Schema: platform

CREATE UNIQUE INDEX providers__display_name__idx ON platform.providers USING btree (display_name) WHERE (deleted_at IS NULL);

-- Name: INDEX providers__display_name__idx; Type: COMMENT; Schema: platform

COMMENT ON INDEX platform.providers__display_name__idx IS 'A name leads to one provider.';

-- Name: tokens__user_id__idx; Type: INDEX; Schema: platform

CREATE INDEX tokens__user_id__idx ON platform.tokens USING btree (user_id);

-- Name: INDEX tokens__user_id__idx; Type: COMMENT; Schema: platform

COMMENT ON INDEX platform.tokens__user_id__idx IS 'Tokens of a user.';

-- Name: chats__v1__children__root_chat_id__created_at__id__idx; Type: INDEX; Schema: read

CREATE INDEX chats__v1__children__root_chat_id__created_at__id__idx ON read.chats__v1 USING btree (root_chat_id, created_at DESC, id DESC) WHERE (root_chat_id IS NOT NULL);

-- Name: chats__v1__labels__idx; Type: INDEX; Schema: read

CREATE INDEX chats__v1__labels__idx ON read.chats__v1 USING gin (labels jsonb_path_ops);

-- Name: chats__v1__pins__owner_id__pin_key__id__idx; Type: INDEX; Schema: read

CREATE INDEX chats__v1__pins__owner_id__pin_key__id__idx ON read.chats__v1 USING btree (owner_id, pin_key, id) WHERE (pin_key IS NOT NULL);

-- Name: chats__v1__roots__owner_id__archived__updated_at__id__idx; Type: INDEX; Schema: read

CREATE INDEX chats__v1__roots__owner_id__archived__updated_at__id__idx ON read.chats__v1 USING btree (owner_id, archived, updated_at DESC, id DESC) WHERE ((root_chat_id IS NULL) AND (pin_key IS NULL));

-- Name: chats__v1__running__owner_id__idx; Type: INDEX; Schema: read

CREATE INDEX chats__v1__running__owner_id__idx ON read.chats__v1 USING btree (owner_id) WHERE (status = ANY (ARRAY['running'::text, 'interrupting'::text]));

-- Name: messages__v1__prompts__chat_id__id__idx; Type: INDEX; Schema: read

CREATE INDEX messages__v1__prompts__chat_id__id__idx ON read.messages__v1 USING btree (chat_id, id) WHERE ((role = 'user'::text) AND (visibility = ANY (ARRAY['user'::text, 'both'::text])));

-- Name: queue__v1__chat_id__moved__id__idx; Type: INDEX; Schema: read

CREATE INDEX queue__v1__chat_id__moved__id__idx ON read.queue__v1 USING btree (chat_id, moved DESC NULLS LAST, id);

-- Name: runnable__v1__priority__since__chat_id__idx; Type: INDEX; Schema: read

CREATE INDEX runnable__v1__priority__since__chat_id__idx ON read.runnable__v1 USING btree (priority, since, chat_id);

-- Name: search__v1__words__idx; Type: INDEX; Schema: read

CREATE INDEX search__v1__words__idx ON read.search__v1 USING gin (words);

-- Name: usage_ledger__v1__at__idx; Type: INDEX; Schema: read

CREATE INDEX usage_ledger__v1__at__idx ON read.usage_ledger__v1 USING brin (at);

-- Name: usage_ledger__v1__chat_id__position__idx; Type: INDEX; Schema: read

CREATE INDEX usage_ledger__v1__chat_id__position__idx ON read.usage_ledger__v1 USING btree (chat_id, "position");

-- Name: usage_ledger__v1__root_chat_id__idx; Type: INDEX; Schema: read

CREATE INDEX usage_ledger__v1__root_chat_id__idx ON read.usage_ledger__v1 USING btree (root_chat_id);

-- Name: usage_ledger__v1__user_id__at__idx; Type: INDEX; Schema: read

CREATE INDEX usage_ledger__v1__user_id__at__idx ON read.usage_ledger__v1 USING btree (user_id, at);

-- Name: watch_feed__v1__recorded_at__idx; Type: INDEX; Schema: read

CREATE INDEX watch_feed__v1__recorded_at__idx ON read.watch_feed__v1 USING btree (recorded_at);

-- Name: events _100_forbid_change; Type: TRIGGER; Schema: es

CREATE TRIGGER _100_forbid_change BEFORE DELETE OR UPDATE OR TRUNCATE ON es.events FOR EACH STATEMENT EXECUTE FUNCTION es.tg_events__forbid_change();

ALTER TABLE es.events ENABLE ALWAYS TRIGGER _100_forbid_change;

-- Name: TRIGGER _100_forbid_change ON events; Type: COMMENT; Schema: es

COMMENT ON TRIGGER _100_forbid_change ON es.events IS 'DELETE and TRUNCATE are refused for everybody, UPDATE for all but the eraser.';

-- Name: events _500_ring; Type: TRIGGER; Schema: es

CREATE TRIGGER _500_ring AFTER INSERT ON es.events REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION es.tg_events__ring();

ALTER TABLE es.events ENABLE ALWAYS TRIGGER _500_ring;

-- Name: TRIGGER _500_ring ON events; Type: COMMENT; Schema: es

COMMENT ON TRIGGER _500_ring ON es.events IS 'Wakes every reader of the log; a lost wake-up makes a reader slow, never wrong.';

-- Name: live_parts _500_ring; Type: TRIGGER; Schema: es

CREATE TRIGGER _500_ring AFTER INSERT ON es.live_parts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION es.tg_live_parts__ring();

ALTER TABLE es.live_parts ENABLE ALWAYS TRIGGER _500_ring;

-- Name: TRIGGER _500_ring ON live_parts; Type: COMMENT; Schema: es

COMMENT ON TRIGGER _500_ring ON es.live_parts IS 'Wakes the followers of streaming chats.';

-- Name: checkpoints _500_ring; Type: TRIGGER; Schema: ops

CREATE TRIGGER _500_ring AFTER INSERT OR UPDATE ON ops.checkpoints FOR EACH STATEMENT EXECUTE FUNCTION ops.tg_checkpoints__ring();

ALTER TABLE ops.checkpoints ENABLE ALWAYS TRIGGER _500_ring;

-- Name: TRIGGER _500_ring ON checkpoints; Type: COMMENT; Schema: ops

COMMENT ON TRIGGER _500_ring ON ops.checkpoints IS 'Wakes requests that wait for a read model, and watchers.';

-- Name: model_configs _100_lock_default; Type: TRIGGER; Schema: platform

CREATE TRIGGER _100_lock_default BEFORE INSERT OR DELETE OR UPDATE ON platform.model_configs FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__lock_default();

ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _100_lock_default;

-- Name: TRIGGER _100_lock_default ON model_configs; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _100_lock_default ON platform.model_configs IS 'One change of the default at a time.';

-- Name: providers _100_lock_default; Type: TRIGGER; Schema: platform

CREATE TRIGGER _100_lock_default BEFORE DELETE OR UPDATE ON platform.providers FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__lock_default();

ALTER TABLE platform.providers ENABLE ALWAYS TRIGGER _100_lock_default;

-- Name: TRIGGER _100_lock_default ON providers; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _100_lock_default ON platform.providers IS 'A provider that is switched off may take the default with it.';

-- Name: compaction_thresholds _100_touch; Type: TRIGGER; Schema: platform

CREATE TRIGGER _100_touch BEFORE UPDATE ON platform.compaction_thresholds FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch();

ALTER TABLE platform.compaction_thresholds ENABLE ALWAYS TRIGGER _100_touch;

-- Name: TRIGGER _100_touch ON compaction_thresholds; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _100_touch ON platform.compaction_thresholds IS 'Keeps updated_at.';

-- Name: model_configs _100_touch; Type: TRIGGER; Schema: platform

CREATE TRIGGER _100_touch BEFORE UPDATE ON platform.model_configs FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch();

ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _100_touch;

-- Name: TRIGGER _100_touch ON model_configs; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _100_touch ON platform.model_configs IS 'Keeps updated_at.';

-- Name: providers _100_touch; Type: TRIGGER; Schema: platform

CREATE TRIGGER _100_touch BEFORE UPDATE ON platform.providers FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch();

ALTER TABLE platform.providers ENABLE ALWAYS TRIGGER _100_touch;

-- Name: TRIGGER _100_touch ON providers; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _100_touch ON platform.providers IS 'Keeps updated_at.';

-- Name: settings _100_touch; Type: TRIGGER; Schema: platform

CREATE TRIGGER _100_touch BEFORE INSERT OR UPDATE ON platform.settings FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch('version and actor');

ALTER TABLE platform.settings ENABLE ALWAYS TRIGGER _100_touch;

-- Name: TRIGGER _100_touch ON settings; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _100_touch ON platform.settings IS 'Keeps updated_at, version and updated_by.';

-- Name: user_settings _100_touch; Type: TRIGGER; Schema: platform

CREATE TRIGGER _100_touch BEFORE INSERT OR UPDATE ON platform.user_settings FOR EACH ROW EXECUTE FUNCTION platform.tg_rows__touch('version');

ALTER TABLE platform.user_settings ENABLE ALWAYS TRIGGER _100_touch;

-- Name: TRIGGER _100_touch ON user_settings; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _100_touch ON platform.user_settings IS 'Keeps updated_at and version.';

-- Name: compaction_thresholds _200_audit_delete; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_delete AFTER DELETE ON platform.compaction_thresholds REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('compaction_threshold_changed', 'user_id', 'model_config_id');

ALTER TABLE platform.compaction_thresholds ENABLE ALWAYS TRIGGER _200_audit_delete;

-- Name: TRIGGER _200_audit_delete ON compaction_thresholds; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_delete ON platform.compaction_thresholds IS 'The log hears of every change, at commit.';

-- Name: model_configs _200_audit_delete; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_delete AFTER DELETE ON platform.model_configs REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('model_config_changed', 'id');

ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _200_audit_delete;

-- Name: TRIGGER _200_audit_delete ON model_configs; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_delete ON platform.model_configs IS 'The log hears of every change, at commit.';

-- Name: providers _200_audit_delete; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_delete AFTER DELETE ON platform.providers REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('provider_changed', 'id');

ALTER TABLE platform.providers ENABLE ALWAYS TRIGGER _200_audit_delete;

-- Name: TRIGGER _200_audit_delete ON providers; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_delete ON platform.providers IS 'The log hears of every change, at commit.';

-- Name: settings _200_audit_delete; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_delete AFTER DELETE ON platform.settings REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('setting_changed', 'key');

ALTER TABLE platform.settings ENABLE ALWAYS TRIGGER _200_audit_delete;

-- Name: TRIGGER _200_audit_delete ON settings; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_delete ON platform.settings IS 'The log hears of every change, at commit.';

-- Name: user_settings _200_audit_delete; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_delete AFTER DELETE ON platform.user_settings REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('user_setting_changed', 'user_id', 'key');

ALTER TABLE platform.user_settings ENABLE ALWAYS TRIGGER _200_audit_delete;

-- Name: TRIGGER _200_audit_delete ON user_settings; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_delete ON platform.user_settings IS 'The log hears of every change, at commit.';

-- Name: compaction_thresholds _200_audit_insert; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_insert AFTER INSERT ON platform.compaction_thresholds REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('compaction_threshold_changed', 'user_id', 'model_config_id');

ALTER TABLE platform.compaction_thresholds ENABLE ALWAYS TRIGGER _200_audit_insert;

-- Name: TRIGGER _200_audit_insert ON compaction_thresholds; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_insert ON platform.compaction_thresholds IS 'The log hears of every change, at commit.';

-- Name: model_configs _200_audit_insert; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_insert AFTER INSERT ON platform.model_configs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('model_config_changed', 'id');

ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _200_audit_insert;

-- Name: TRIGGER _200_audit_insert ON model_configs; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_insert ON platform.model_configs IS 'The log hears of every change, at commit.';

-- Name: providers _200_audit_insert; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_insert AFTER INSERT ON platform.providers REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('provider_changed', 'id');

ALTER TABLE platform.providers ENABLE ALWAYS TRIGGER _200_audit_insert;

-- Name: TRIGGER _200_audit_insert ON providers; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_insert ON platform.providers IS 'The log hears of every change, at commit.';

-- Name: settings _200_audit_insert; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_insert AFTER INSERT ON platform.settings REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('setting_changed', 'key');

ALTER TABLE platform.settings ENABLE ALWAYS TRIGGER _200_audit_insert;

-- Name: TRIGGER _200_audit_insert ON settings; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_insert ON platform.settings IS 'The log hears of every change, at commit.';

-- Name: user_settings _200_audit_insert; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_insert AFTER INSERT ON platform.user_settings REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('user_setting_changed', 'user_id', 'key');

ALTER TABLE platform.user_settings ENABLE ALWAYS TRIGGER _200_audit_insert;

-- Name: TRIGGER _200_audit_insert ON user_settings; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_insert ON platform.user_settings IS 'The log hears of every change, at commit.';

-- Name: compaction_thresholds _200_audit_update; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_update AFTER UPDATE ON platform.compaction_thresholds REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('compaction_threshold_changed', 'user_id', 'model_config_id');

ALTER TABLE platform.compaction_thresholds ENABLE ALWAYS TRIGGER _200_audit_update;

-- Name: TRIGGER _200_audit_update ON compaction_thresholds; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_update ON platform.compaction_thresholds IS 'The log hears of every change, at commit.';

-- Name: model_configs _200_audit_update; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_update AFTER UPDATE ON platform.model_configs REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('model_config_changed', 'id');

ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _200_audit_update;

-- Name: TRIGGER _200_audit_update ON model_configs; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_update ON platform.model_configs IS 'The log hears of every change, at commit.';

-- Name: providers _200_audit_update; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_update AFTER UPDATE ON platform.providers REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('provider_changed', 'id');

ALTER TABLE platform.providers ENABLE ALWAYS TRIGGER _200_audit_update;

-- Name: TRIGGER _200_audit_update ON providers; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_update ON platform.providers IS 'The log hears of every change, at commit.';

-- Name: settings _200_audit_update; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_update AFTER UPDATE ON platform.settings REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('setting_changed', 'key');

ALTER TABLE platform.settings ENABLE ALWAYS TRIGGER _200_audit_update;

-- Name: TRIGGER _200_audit_update ON settings; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_update ON platform.settings IS 'The log hears of every change, at commit.';

-- Name: user_settings _200_audit_update; Type: TRIGGER; Schema: platform

CREATE TRIGGER _200_audit_update AFTER UPDATE ON platform.user_settings REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_rows__audit('user_setting_changed', 'user_id', 'key');

ALTER TABLE platform.user_settings ENABLE ALWAYS TRIGGER _200_audit_update;

-- Name: TRIGGER _200_audit_update ON user_settings; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _200_audit_update ON platform.user_settings IS 'The log hears of every change, at commit.';

-- Name: providers _300_heal_default; Type: TRIGGER; Schema: platform

CREATE TRIGGER _300_heal_default AFTER UPDATE ON platform.providers FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__heal_default();

ALTER TABLE platform.providers ENABLE ALWAYS TRIGGER _300_heal_default;

-- Name: TRIGGER _300_heal_default ON providers; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _300_heal_default ON platform.providers IS 'The default is a model of an enabled provider.';

-- Name: model_configs _300_heal_default_delete; Type: TRIGGER; Schema: platform

CREATE TRIGGER _300_heal_default_delete AFTER DELETE ON platform.model_configs FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__heal_default();

ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _300_heal_default_delete;

-- Name: TRIGGER _300_heal_default_delete ON model_configs; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _300_heal_default_delete ON platform.model_configs IS 'A default that is gone is followed by another.';

-- Name: model_configs _300_heal_default_insert; Type: TRIGGER; Schema: platform

CREATE TRIGGER _300_heal_default_insert AFTER INSERT ON platform.model_configs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__heal_default();

ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _300_heal_default_insert;

-- Name: TRIGGER _300_heal_default_insert ON model_configs; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _300_heal_default_insert ON platform.model_configs IS 'The first config becomes the default; a new one may be it.';

-- Name: model_configs _300_heal_default_update; Type: TRIGGER; Schema: platform

CREATE TRIGGER _300_heal_default_update AFTER UPDATE ON platform.model_configs REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION platform.tg_model_configs__heal_default();

ALTER TABLE platform.model_configs ENABLE ALWAYS TRIGGER _300_heal_default_update;

-- Name: TRIGGER _300_heal_default_update ON model_configs; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _300_heal_default_update ON platform.model_configs IS 'Setting one clears the other; what cannot be the default any more is followed.';

-- Name: audit_outbox _500_append; Type: TRIGGER; Schema: platform

CREATE CONSTRAINT TRIGGER _500_append AFTER INSERT ON platform.audit_outbox DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION platform.tg_audit_outbox__append();

ALTER TABLE platform.audit_outbox ENABLE ALWAYS TRIGGER _500_append;

-- Name: TRIGGER _500_append ON audit_outbox; Type: COMMENT; Schema: platform

COMMENT ON TRIGGER _500_append ON platform.audit_outbox IS 'At commit the changes of a transaction become events, or it does not commit.';

-- Name: compaction_thresholds compaction_thresholds__model_config_id__fk; Type: FK CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.compaction_thresholds
    ADD CONSTRAINT compaction_thresholds__model_config_id__fk FOREIGN KEY (model_config_id) REFERENCES platform.model_configs(id) ON DELETE CASCADE;

-- Name: compaction_thresholds compaction_thresholds__user_id__fk; Type: FK CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.compaction_thresholds
    ADD CONSTRAINT compaction_thresholds__user_id__fk FOREIGN KEY (user_id) REFERENCES platform.users(id) ON DELETE CASCADE;

-- Name: memberships memberships__organization_id__fk; Type: FK CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.memberships
    ADD CONSTRAINT memberships__organization_id__fk FOREIGN KEY (organization_id) REFERENCES platform.organizations(id);

-- Name: memberships memberships__user_id__fk; Type: FK CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.memberships
    ADD CONSTRAINT memberships__user_id__fk FOREIGN KEY (user_id) REFERENCES platform.users(id) ON DELETE CASCADE;

-- Name: model_configs model_configs__provider_id__fk; Type: FK CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.model_configs
    ADD CONSTRAINT model_configs__provider_id__fk FOREIGN KEY (provider_id) REFERENCES platform.providers(id);

-- Name: tokens tokens__user_id__fk; Type: FK CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.tokens
    ADD CONSTRAINT tokens__user_id__fk FOREIGN KEY (user_id) REFERENCES platform.users(id) ON DELETE CASCADE;

-- Name: user_settings user_settings__user_id__fk; Type: FK CONSTRAINT; Schema: platform

ALTER TABLE ONLY platform.user_settings
    ADD CONSTRAINT user_settings__user_id__fk FOREIGN KEY (user_id) REFERENCES platform.users(id) ON DELETE CASCADE;

-- Name: SCHEMA es; Type: ACL; Schema: -

GRANT USAGE ON SCHEMA es TO parley_dba;
GRANT USAGE ON SCHEMA es TO parley_eraser;
GRANT USAGE ON SCHEMA es TO parley_projector;
GRANT USAGE ON SCHEMA es TO parley_retention;
GRANT USAGE ON SCHEMA es TO parley_service;

-- Name: SCHEMA ops; Type: ACL; Schema: -

GRANT USAGE ON SCHEMA ops TO parley_dba;
GRANT USAGE ON SCHEMA ops TO parley_eraser;
GRANT USAGE ON SCHEMA ops TO parley_projector;
GRANT USAGE ON SCHEMA ops TO parley_service;

-- Name: SCHEMA platform; Type: ACL; Schema: -

GRANT USAGE ON SCHEMA platform TO parley_dba;
GRANT USAGE ON SCHEMA platform TO parley_service;

-- Name: SCHEMA read; Type: ACL; Schema: -

GRANT USAGE ON SCHEMA read TO parley_dba;
GRANT ALL ON SCHEMA read TO parley_projector;
GRANT USAGE ON SCHEMA read TO parley_retention;
GRANT USAGE ON SCHEMA read TO parley_service;

-- Name: FUNCTION append(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.append(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]) FROM PUBLIC;
GRANT ALL ON FUNCTION es.append(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]) TO parley_service;
GRANT ALL ON FUNCTION es.append(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]) TO parley_eraser;

-- Name: FUNCTION append_problem(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.append_problem(requests integer[], categories text[], stream_ids uuid[], expected integer[], expected_digests bytea[], keys text[], request_hashes bytea[], event_streams integer[], types text[], schema_versions smallint[], datas jsonb[], metadatas jsonb[]) FROM PUBLIC;

-- Name: FUNCTION chain_next(state bytea, head bytea, payload_hash bytea); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.chain_next(state bytea, head bytea, payload_hash bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION es.chain_next(state bytea, head bytea, payload_hash bytea) TO parley_service;
GRANT ALL ON FUNCTION es.chain_next(state bytea, head bytea, payload_hash bytea) TO parley_dba;

-- Name: FUNCTION change_of_history(s jsonb, version integer, type text, d jsonb); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.change_of_history(s jsonb, version integer, type text, d jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION es.change_of_history(s jsonb, version integer, type text, d jsonb) TO parley_service;
GRANT ALL ON FUNCTION es.change_of_history(s jsonb, version integer, type text, d jsonb) TO parley_dba;

-- Name: FUNCTION change_of_metadata(s jsonb, type text, d jsonb); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.change_of_metadata(s jsonb, type text, d jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION es.change_of_metadata(s jsonb, type text, d jsonb) TO parley_service;
GRANT ALL ON FUNCTION es.change_of_metadata(s jsonb, type text, d jsonb) TO parley_dba;

-- Name: FUNCTION change_of_turn(s jsonb, version integer, type text, d jsonb); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.change_of_turn(s jsonb, version integer, type text, d jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION es.change_of_turn(s jsonb, version integer, type text, d jsonb) TO parley_service;
GRANT ALL ON FUNCTION es.change_of_turn(s jsonb, version integer, type text, d jsonb) TO parley_dba;

-- Name: FUNCTION chat_diff(chat uuid, v1 integer, v2 integer); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.chat_diff(chat uuid, v1 integer, v2 integer) FROM PUBLIC;
GRANT ALL ON FUNCTION es.chat_diff(chat uuid, v1 integer, v2 integer) TO parley_service;
GRANT ALL ON FUNCTION es.chat_diff(chat uuid, v1 integer, v2 integer) TO parley_dba;

-- Name: FUNCTION chat_timeline(chat uuid); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.chat_timeline(chat uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION es.chat_timeline(chat uuid) TO parley_service;
GRANT ALL ON FUNCTION es.chat_timeline(chat uuid) TO parley_dba;

-- Name: FUNCTION describe_event(data jsonb); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.describe_event(data jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION es.describe_event(data jsonb) TO parley_service;
GRANT ALL ON FUNCTION es.describe_event(data jsonb) TO parley_dba;

-- Name: FUNCTION explain_event(at_position bigint); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.explain_event(at_position bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION es.explain_event(at_position bigint) TO parley_service;
GRANT ALL ON FUNCTION es.explain_event(at_position bigint) TO parley_dba;

-- Name: FUNCTION find_request(stream_category text, stream uuid, request_key text); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.find_request(stream_category text, stream uuid, request_key text) FROM PUBLIC;
GRANT ALL ON FUNCTION es.find_request(stream_category text, stream uuid, request_key text) TO parley_service;
GRANT ALL ON FUNCTION es.find_request(stream_category text, stream uuid, request_key text) TO parley_dba;

-- Name: FUNCTION payload_hash(category text, stream_id uuid, version integer, append_last integer, type text, schema_version smallint, recorded_at_us bigint, data jsonb, metadata jsonb); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.payload_hash(category text, stream_id uuid, version integer, append_last integer, type text, schema_version smallint, recorded_at_us bigint, data jsonb, metadata jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION es.payload_hash(category text, stream_id uuid, version integer, append_last integer, type text, schema_version smallint, recorded_at_us bigint, data jsonb, metadata jsonb) TO parley_service;
GRANT ALL ON FUNCTION es.payload_hash(category text, stream_id uuid, version integer, append_last integer, type text, schema_version smallint, recorded_at_us bigint, data jsonb, metadata jsonb) TO parley_dba;

-- Name: FUNCTION position_at(at timestamp with time zone); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.position_at(at timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION es.position_at(at timestamp with time zone) TO parley_service;
GRANT ALL ON FUNCTION es.position_at(at timestamp with time zone) TO parley_dba;

-- Name: FUNCTION purge_stream(stream_category text, stream uuid, actor text, reason text); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.purge_stream(stream_category text, stream uuid, actor text, reason text) FROM PUBLIC;
GRANT ALL ON FUNCTION es.purge_stream(stream_category text, stream uuid, actor text, reason text) TO parley_retention;
GRANT ALL ON FUNCTION es.purge_stream(stream_category text, stream uuid, actor text, reason text) TO parley_dba;

-- Name: FUNCTION read_log(after_position bigint, max_events integer, with_data_of uuid[]); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.read_log(after_position bigint, max_events integer, with_data_of uuid[]) FROM PUBLIC;
GRANT ALL ON FUNCTION es.read_log(after_position bigint, max_events integer, with_data_of uuid[]) TO parley_service;
GRANT ALL ON FUNCTION es.read_log(after_position bigint, max_events integer, with_data_of uuid[]) TO parley_projector;
GRANT ALL ON FUNCTION es.read_log(after_position bigint, max_events integer, with_data_of uuid[]) TO parley_dba;

-- Name: FUNCTION read_stream(stream_category text, stream uuid, after_version integer, max_events integer); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.read_stream(stream_category text, stream uuid, after_version integer, max_events integer) FROM PUBLIC;
GRANT ALL ON FUNCTION es.read_stream(stream_category text, stream uuid, after_version integer, max_events integer) TO parley_service;
GRANT ALL ON FUNCTION es.read_stream(stream_category text, stream uuid, after_version integer, max_events integer) TO parley_projector;
GRANT ALL ON FUNCTION es.read_stream(stream_category text, stream uuid, after_version integer, max_events integer) TO parley_dba;

-- Name: FUNCTION state_at(chat uuid, at_version integer); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.state_at(chat uuid, at_version integer) FROM PUBLIC;
GRANT ALL ON FUNCTION es.state_at(chat uuid, at_version integer) TO parley_service;
GRANT ALL ON FUNCTION es.state_at(chat uuid, at_version integer) TO parley_dba;

-- Name: FUNCTION tg_events__forbid_change(); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.tg_events__forbid_change() FROM PUBLIC;

-- Name: FUNCTION tg_events__ring(); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.tg_events__ring() FROM PUBLIC;

-- Name: FUNCTION tg_live_parts__ring(); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.tg_live_parts__ring() FROM PUBLIC;

-- Name: FUNCTION verify(stream_category text, stream uuid); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.verify(stream_category text, stream uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION es.verify(stream_category text, stream uuid) TO parley_service;
GRANT ALL ON FUNCTION es.verify(stream_category text, stream uuid) TO parley_dba;

-- Name: FUNCTION verify_positions(first_position bigint, last_position bigint); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.verify_positions(first_position bigint, last_position bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION es.verify_positions(first_position bigint, last_position bigint) TO parley_service;
GRANT ALL ON FUNCTION es.verify_positions(first_position bigint, last_position bigint) TO parley_dba;

-- Name: FUNCTION who_is_behind(longest_transaction interval); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.who_is_behind(longest_transaction interval) FROM PUBLIC;
GRANT ALL ON FUNCTION es.who_is_behind(longest_transaction interval) TO parley_service;
GRANT ALL ON FUNCTION es.who_is_behind(longest_transaction interval) TO parley_dba;

-- Name: FUNCTION find_stuck_chats(); Type: ACL; Schema: ops

REVOKE ALL ON FUNCTION ops.find_stuck_chats() FROM PUBLIC;
GRANT ALL ON FUNCTION ops.find_stuck_chats() TO parley_service;
GRANT ALL ON FUNCTION ops.find_stuck_chats() TO parley_dba;

-- Name: FUNCTION tg_checkpoints__ring(); Type: ACL; Schema: ops

REVOKE ALL ON FUNCTION ops.tg_checkpoints__ring() FROM PUBLIC;

-- Name: FUNCTION tg_audit_outbox__append(); Type: ACL; Schema: platform

REVOKE ALL ON FUNCTION platform.tg_audit_outbox__append() FROM PUBLIC;

-- Name: FUNCTION tg_model_configs__heal_default(); Type: ACL; Schema: platform

REVOKE ALL ON FUNCTION platform.tg_model_configs__heal_default() FROM PUBLIC;

-- Name: FUNCTION tg_model_configs__lock_default(); Type: ACL; Schema: platform

REVOKE ALL ON FUNCTION platform.tg_model_configs__lock_default() FROM PUBLIC;

-- Name: FUNCTION tg_rows__audit(); Type: ACL; Schema: platform

REVOKE ALL ON FUNCTION platform.tg_rows__audit() FROM PUBLIC;

-- Name: FUNCTION tg_rows__touch(); Type: ACL; Schema: platform

REVOKE ALL ON FUNCTION platform.tg_rows__touch() FROM PUBLIC;

-- Name: FUNCTION chain(bytea, bytea); Type: ACL; Schema: es

REVOKE ALL ON FUNCTION es.chain(bytea, bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION es.chain(bytea, bytea) TO parley_service;
GRANT ALL ON FUNCTION es.chain(bytea, bytea) TO parley_dba;

-- Name: TABLE events; Type: ACL; Schema: es

GRANT SELECT ON TABLE es.events TO parley_dba;
GRANT SELECT,UPDATE ON TABLE es.events TO parley_eraser;
GRANT SELECT ON TABLE es.events TO parley_projector;
GRANT SELECT ON TABLE es.events TO parley_retention;
GRANT SELECT ON TABLE es.events TO parley_service;

-- Name: TABLE head; Type: ACL; Schema: es

GRANT SELECT ON TABLE es.head TO parley_dba;
GRANT SELECT,UPDATE ON TABLE es.head TO parley_eraser;

-- Name: TABLE live_parts; Type: ACL; Schema: es

GRANT SELECT ON TABLE es.live_parts TO parley_dba;
GRANT SELECT,DELETE ON TABLE es.live_parts TO parley_eraser;
GRANT SELECT,INSERT,DELETE ON TABLE es.live_parts TO parley_service;

-- Name: TABLE applied_migrations; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.applied_migrations TO parley_service;
GRANT SELECT ON TABLE ops.applied_migrations TO parley_dba;

-- Name: TABLE checkpoints; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.checkpoints TO parley_dba;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ops.checkpoints TO parley_projector;
GRANT SELECT ON TABLE ops.checkpoints TO parley_service;

-- Name: TABLE event_rates; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.event_rates TO parley_service;
GRANT SELECT ON TABLE ops.event_rates TO parley_dba;

-- Name: TABLE leases; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.leases TO parley_dba;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ops.leases TO parley_service;

-- Name: TABLE lease_overview; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.lease_overview TO parley_service;
GRANT SELECT ON TABLE ops.lease_overview TO parley_dba;

-- Name: TABLE log_overview; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.log_overview TO parley_service;
GRANT SELECT ON TABLE ops.log_overview TO parley_dba;

-- Name: TABLE parked_streams; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.parked_streams TO parley_dba;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ops.parked_streams TO parley_projector;
GRANT SELECT ON TABLE ops.parked_streams TO parley_service;

-- Name: TABLE projections; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.projections TO parley_dba;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE ops.projections TO parley_projector;
GRANT SELECT ON TABLE ops.projections TO parley_service;

-- Name: TABLE projection_lag; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.projection_lag TO parley_service;
GRANT SELECT ON TABLE ops.projection_lag TO parley_projector;
GRANT SELECT ON TABLE ops.projection_lag TO parley_dba;

-- Name: TABLE repeatables; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.repeatables TO parley_dba;
GRANT SELECT ON TABLE ops.repeatables TO parley_projector;
GRANT SELECT ON TABLE ops.repeatables TO parley_service;

-- Name: TABLE stream_tickets; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.stream_tickets TO parley_dba;
GRANT SELECT,INSERT,DELETE ON TABLE ops.stream_tickets TO parley_service;

-- Name: TABLE stuck_chats; Type: ACL; Schema: ops

GRANT SELECT ON TABLE ops.stuck_chats TO parley_service;
GRANT SELECT ON TABLE ops.stuck_chats TO parley_dba;

-- Name: TABLE audit_outbox; Type: ACL; Schema: platform

GRANT SELECT ON TABLE platform.audit_outbox TO parley_dba;

-- Name: TABLE compaction_thresholds; Type: ACL; Schema: platform

GRANT SELECT ON TABLE platform.compaction_thresholds TO parley_dba;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE platform.compaction_thresholds TO parley_service;

-- Name: TABLE memberships; Type: ACL; Schema: platform

GRANT SELECT ON TABLE platform.memberships TO parley_dba;
GRANT SELECT,INSERT ON TABLE platform.memberships TO parley_service;

-- Name: TABLE model_configs; Type: ACL; Schema: platform

GRANT SELECT ON TABLE platform.model_configs TO parley_dba;
GRANT SELECT,INSERT,UPDATE ON TABLE platform.model_configs TO parley_service;

-- Name: TABLE organizations; Type: ACL; Schema: platform

GRANT SELECT ON TABLE platform.organizations TO parley_dba;
GRANT SELECT,INSERT ON TABLE platform.organizations TO parley_service;

-- Name: TABLE providers; Type: ACL; Schema: platform

GRANT SELECT,INSERT,UPDATE ON TABLE platform.providers TO parley_service;

-- Name: COLUMN providers.id; Type: ACL; Schema: platform

GRANT SELECT(id) ON TABLE platform.providers TO parley_dba;

-- Name: COLUMN providers.kind; Type: ACL; Schema: platform

GRANT SELECT(kind) ON TABLE platform.providers TO parley_dba;

-- Name: COLUMN providers.display_name; Type: ACL; Schema: platform

GRANT SELECT(display_name) ON TABLE platform.providers TO parley_dba;

-- Name: COLUMN providers.base_url; Type: ACL; Schema: platform

GRANT SELECT(base_url) ON TABLE platform.providers TO parley_dba;

-- Name: COLUMN providers.enabled; Type: ACL; Schema: platform

GRANT SELECT(enabled) ON TABLE platform.providers TO parley_dba;

-- Name: COLUMN providers.has_api_key; Type: ACL; Schema: platform

GRANT SELECT(has_api_key) ON TABLE platform.providers TO parley_dba;

-- Name: COLUMN providers.deleted_at; Type: ACL; Schema: platform

GRANT SELECT(deleted_at) ON TABLE platform.providers TO parley_dba;

-- Name: COLUMN providers.created_at; Type: ACL; Schema: platform

GRANT SELECT(created_at) ON TABLE platform.providers TO parley_dba;

-- Name: COLUMN providers.updated_at; Type: ACL; Schema: platform

GRANT SELECT(updated_at) ON TABLE platform.providers TO parley_dba;

-- Name: TABLE settings; Type: ACL; Schema: platform

GRANT SELECT ON TABLE platform.settings TO parley_dba;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE platform.settings TO parley_service;

-- Name: TABLE tokens; Type: ACL; Schema: platform

GRANT SELECT,INSERT ON TABLE platform.tokens TO parley_service;

-- Name: COLUMN tokens.id; Type: ACL; Schema: platform

GRANT SELECT(id) ON TABLE platform.tokens TO parley_dba;

-- Name: COLUMN tokens.user_id; Type: ACL; Schema: platform

GRANT SELECT(user_id) ON TABLE platform.tokens TO parley_dba;

-- Name: COLUMN tokens.name; Type: ACL; Schema: platform

GRANT SELECT(name) ON TABLE platform.tokens TO parley_dba;

-- Name: COLUMN tokens.scopes; Type: ACL; Schema: platform

GRANT SELECT(scopes) ON TABLE platform.tokens TO parley_dba;

-- Name: COLUMN tokens.created_at; Type: ACL; Schema: platform

GRANT SELECT(created_at) ON TABLE platform.tokens TO parley_dba;

-- Name: COLUMN tokens.expires_at; Type: ACL; Schema: platform

GRANT SELECT(expires_at) ON TABLE platform.tokens TO parley_dba;

-- Name: COLUMN tokens.revoked_at; Type: ACL; Schema: platform

GRANT SELECT(revoked_at) ON TABLE platform.tokens TO parley_dba;
GRANT UPDATE(revoked_at) ON TABLE platform.tokens TO parley_service;

-- Name: TABLE user_settings; Type: ACL; Schema: platform

GRANT SELECT ON TABLE platform.user_settings TO parley_dba;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE platform.user_settings TO parley_service;

-- Name: TABLE users; Type: ACL; Schema: platform

GRANT SELECT ON TABLE platform.users TO parley_dba;
GRANT SELECT,INSERT ON TABLE platform.users TO parley_service;

-- Name: TABLE chats__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.chats__v1 TO parley_service;
GRANT SELECT ON TABLE read.chats__v1 TO parley_dba;

-- Name: TABLE chats; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.chats TO parley_service;
GRANT SELECT ON TABLE read.chats TO parley_dba;

-- Name: TABLE cursors__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.cursors__v1 TO parley_service;
GRANT SELECT ON TABLE read.cursors__v1 TO parley_dba;

-- Name: TABLE cursors; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.cursors TO parley_service;
GRANT SELECT ON TABLE read.cursors TO parley_dba;

-- Name: TABLE messages__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.messages__v1 TO parley_service;
GRANT SELECT ON TABLE read.messages__v1 TO parley_dba;

-- Name: TABLE messages; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.messages TO parley_service;
GRANT SELECT ON TABLE read.messages TO parley_dba;

-- Name: TABLE queue__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.queue__v1 TO parley_service;
GRANT SELECT ON TABLE read.queue__v1 TO parley_dba;

-- Name: TABLE queue; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.queue TO parley_service;
GRANT SELECT ON TABLE read.queue TO parley_dba;

-- Name: TABLE runnable__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.runnable__v1 TO parley_service;
GRANT SELECT ON TABLE read.runnable__v1 TO parley_dba;

-- Name: TABLE runnable; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.runnable TO parley_service;
GRANT SELECT ON TABLE read.runnable TO parley_dba;

-- Name: TABLE search__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.search__v1 TO parley_service;
GRANT SELECT ON TABLE read.search__v1 TO parley_dba;

-- Name: TABLE search; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.search TO parley_service;
GRANT SELECT ON TABLE read.search TO parley_dba;

-- Name: TABLE usage_chats__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.usage_chats__v1 TO parley_service;
GRANT SELECT ON TABLE read.usage_chats__v1 TO parley_dba;

-- Name: TABLE usage_ledger__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.usage_ledger__v1 TO parley_service;
GRANT SELECT ON TABLE read.usage_ledger__v1 TO parley_dba;

-- Name: TABLE usage_ledger; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.usage_ledger TO parley_service;
GRANT SELECT ON TABLE read.usage_ledger TO parley_dba;

-- Name: TABLE watch_chats__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.watch_chats__v1 TO parley_service;
GRANT SELECT ON TABLE read.watch_chats__v1 TO parley_dba;

-- Name: TABLE watch_feed__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.watch_feed__v1 TO parley_service;
GRANT SELECT ON TABLE read.watch_feed__v1 TO parley_dba;

-- Name: TABLE watch_feed; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.watch_feed TO parley_service;
GRANT SELECT ON TABLE read.watch_feed TO parley_dba;

-- Name: TABLE watch_owners__v1; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.watch_owners__v1 TO parley_service;
GRANT SELECT ON TABLE read.watch_owners__v1 TO parley_dba;

-- Name: TABLE watch_owners; Type: ACL; Schema: read

GRANT SELECT ON TABLE read.watch_owners TO parley_service;
GRANT SELECT ON TABLE read.watch_owners TO parley_dba;

-- Name: DEFAULT PRIVILEGES FOR FUNCTIONS; Type: DEFAULT ACL; Schema: -

ALTER DEFAULT PRIVILEGES FOR ROLE parley_owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;
