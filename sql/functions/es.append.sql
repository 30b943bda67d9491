-- Appends a batch of requests: the only way into the log.
-- Called by: service.eventstore.store. The last statement of its transaction.
-- Locks: es.head FOR UPDATE until commit, so commits follow positions.
-- Errors: ES422 malformed batch, ES500 isolation or missing head; outcomes are rows.
-- First seven arrays: one element per (request, stream); the others: one per event.
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
  v_last bigint;
  v_at timestamptz;
  v_micros bigint;
BEGIN
  PERFORM es.check_append(
    requests, categories, stream_ids, expected, expected_digests, keys,
    request_hashes, event_streams, types, schema_versions, datas, metadatas);
  PERFORM FROM es.head FOR UPDATE;
  IF NOT FOUND THEN
    RAISE 'es.head is empty: nothing orders the log' USING ERRCODE = 'ES500',
      HINT = 'INSERT INTO es.head DEFAULT VALUES, as the owner';
  END IF;
  -- A statement of its own: its snapshot is younger than the lock.
  SELECT e.position, e.recorded_at INTO v_last, v_at
  FROM es.events AS e ORDER BY e.position DESC LIMIT 1;
  v_last := coalesce(v_last, 0);
  v_at := greatest(clock_timestamp(), v_at);
  v_micros := extract(epoch FROM v_at) * 1000000;
  RETURN QUERY
  WITH named AS MATERIALIZED (
    SELECT u.*, h.type AS head_type, coalesce(h.version, 0) AS head,
      coalesce(h.digest, '') AS head_digest, k.version AS key_first,
      k.append_last AS key_last, k.request_hash AS key_hash
    FROM unnest(requests, categories, stream_ids, expected, expected_digests, keys,
        request_hashes) WITH ORDINALITY
      AS u (request, category, stream_id, expected, digest, key, hash, place)
    LEFT JOIN LATERAL (
      SELECT e.version, e.digest, e.type FROM es.events AS e
      WHERE e.stream_id = u.stream_id AND e.category = u.category
      ORDER BY e.version DESC LIMIT 1
    ) AS h ON true
    LEFT JOIN es.events AS k
      ON k.stream_id = u.stream_id AND k.idempotency_key = u.key
  ), decided AS MATERIALIZED (
    SELECT n.request, CASE
        WHEN bool_or(n.head_type = 'stream_purged') THEN 'purged'
        WHEN bool_or(n.key_hash <> n.hash) THEN 'key_reused'
        WHEN bool_or(n.key_first IS NOT NULL) THEN 'duplicate'
        WHEN bool_or(n.expected >= 0 AND n.expected <> n.head) THEN 'conflict'
        WHEN bool_or(n.expected >= 0 AND n.digest <> n.head_digest) THEN 'conflict'
        ELSE 'appended'
      END AS outcome
    FROM named AS n GROUP BY n.request
  ), counted AS (
    SELECT n.*, ev.*,
      n.head + (row_number() OVER stream)::int AS version,
      n.head + (count(*) OVER (PARTITION BY n.place))::int AS append_last
    FROM unnest(event_streams, types, schema_versions, datas, metadatas)
      WITH ORDINALITY
      AS ev (stream, type, schema_version, data, metadata, event_place)
    JOIN named AS n ON n.place = ev.stream
    JOIN decided AS d ON d.request = n.request AND d.outcome = 'appended'
    WINDOW stream AS (PARTITION BY n.place ORDER BY ev.event_place
      ROWS UNBOUNDED PRECEDING)
  ), hashed AS (
    SELECT c.*, sha256(convert_to(jsonb_build_array(
      c.category, c.stream_id, c.version, c.append_last, c.type, c.schema_version,
      v_micros, c.data, c.metadata)::text, 'UTF8')) AS payload_hash
    FROM counted AS c
  ), inserted AS (
    INSERT INTO es.events (
      position, recorded_at, stream_id, version, append_last, schema_version,
      category, type, data, metadata, idempotency_key, request_hash, payload_hash,
      digest)
    SELECT
      v_last + row_number() OVER (ORDER BY x.place, x.event_place
        ROWS UNBOUNDED PRECEDING),
      v_at, x.stream_id, x.version, x.append_last, x.schema_version, x.category,
      x.type, x.data, x.metadata,
      CASE WHEN x.version = x.head + 1 THEN x.key END,
      CASE WHEN x.version = x.head + 1 THEN x.hash END,
      x.payload_hash,
      es.chain(x.head_digest, x.payload_hash) OVER (PARTITION BY x.place
        ORDER BY x.event_place ROWS UNBOUNDED PRECEDING)
    FROM hashed AS x
    RETURNING stream_id, version, append_last, position, digest
  )
  SELECT n.request, d.outcome, n.category, n.stream_id,
    CASE d.outcome WHEN 'appended' THEN n.head + 1
      WHEN 'duplicate' THEN n.key_first END,
    CASE d.outcome WHEN 'appended' THEN i.version
      WHEN 'duplicate' THEN n.key_last ELSE n.head END,
    coalesce(i.position, f.position), coalesce(i.digest, f.digest, n.head_digest)
  FROM named AS n
  JOIN decided AS d ON d.request = n.request
  LEFT JOIN inserted AS i
    ON i.stream_id = n.stream_id AND i.version = i.append_last
  LEFT JOIN es.events AS f ON d.outcome = 'duplicate'
    AND f.stream_id = n.stream_id AND f.version = n.key_last
  ORDER BY n.place;
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
) TO parley_service;
