-- Appends a batch of requests: the only way into the log.
-- Called by: service.eventstore.store. The last statement of its transaction.
-- Locks: es.head FOR UPDATE until commit, so commits follow positions.
-- Errors: ES403 category platform, ES422 malformed batch, ES500 isolation or head.
-- The first seven arrays have one element per (request, stream), the others one
-- per event; the answer has one row per (request, stream), in their order.
CREATE OR REPLACE FUNCTION es.append(
  requests int[], categories text[], stream_ids uuid[], expected int[],
  expected_digests bytea[], keys text[], request_hashes bytea[],
  event_streams int[], types text[], schema_versions smallint[],
  datas jsonb[], metadatas jsonb[]
) RETURNS TABLE (
  request int, outcome text, category text, stream_id uuid,
  first_version int, last_version int, last_position bigint, digest bytea
)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
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
COMMENT ON FUNCTION es.append(
  int[], text[], uuid[], int[], bytea[], text[], bytea[],
  int[], text[], smallint[], jsonb[], jsonb[]
) IS
  'Appends a batch of requests under the head lock; one row per (request, stream): appended, duplicate, conflict, key_reused or purged.';
GRANT EXECUTE ON FUNCTION es.append(
  int[], text[], uuid[], int[], bytea[], text[], bytea[],
  int[], text[], smallint[], jsonb[], jsonb[]
) TO parley_service, parley_eraser;
