-- Says what is malformed about a batch, before it costs anybody the head lock.
-- Called by: es.append. Locks: none. Errors: none.
-- No SET search_path: es.append, its only caller, has set it.
CREATE OR REPLACE FUNCTION es.append_problem(
  requests int[], categories text[], stream_ids uuid[], expected int[],
  expected_digests bytea[], keys text[], request_hashes bytea[],
  event_streams int[], types text[], schema_versions smallint[],
  datas jsonb[], metadatas jsonb[]
) RETURNS text
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
COMMENT ON FUNCTION es.append_problem(
  int[], text[], uuid[], int[], bytea[], text[], bytea[],
  int[], text[], smallint[], jsonb[], jsonb[]
) IS
  'Says what is malformed about a batch of appends; null when nothing is.';
