-- Refuses a malformed batch before it costs anybody the head lock.
-- Called by: es.append. Locks: none.
-- Errors: ES422 malformed batch, ES500 wrong isolation level.
CREATE OR REPLACE FUNCTION es.check_append(
  requests int[], categories text[], stream_ids uuid[], expected int[],
  expected_digests bytea[], keys text[], request_hashes bytea[],
  event_streams int[], types text[], schema_versions smallint[],
  datas jsonb[], metadatas jsonb[]
) RETURNS void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  v_streams int := cardinality(stream_ids);
  v_events int := cardinality(event_streams);
  v_problem text;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE 'es.append needs READ COMMITTED: an older snapshot hides the last position'
      USING ERRCODE = 'ES500', HINT = 'call it in autocommit, or BEGIN as it is',
        DETAIL = json_build_object('expected', 'read committed',
          'actual', current_setting('transaction_isolation'));
  END IF;
  v_problem := CASE
    WHEN v_streams IS NULL OR v_events IS NULL
      OR v_streams = 0 OR v_events = 0 THEN 'empty'
    WHEN (cardinality(requests), cardinality(categories), cardinality(expected),
        cardinality(expected_digests), cardinality(keys),
        cardinality(request_hashes)) IS DISTINCT FROM
      (v_streams, v_streams, v_streams, v_streams, v_streams, v_streams)
      THEN 'stream arrays differ in length'
    WHEN (cardinality(types), cardinality(schema_versions), cardinality(datas),
        cardinality(metadatas)) IS DISTINCT FROM
      (v_events, v_events, v_events, v_events)
      THEN 'event arrays differ in length'
    WHEN array_position(requests, NULL) IS NOT NULL
      OR array_position(expected, NULL) IS NOT NULL
      OR array_position(keys, NULL) IS NOT NULL
      OR array_position(request_hashes, NULL) IS NOT NULL
      THEN 'request, expected version, key or request hash is null'
    WHEN (SELECT count(DISTINCT s) FROM unnest(stream_ids) AS u (s)) < v_streams
      THEN 'a stream occurs twice or is null'
    WHEN (SELECT count(DISTINCT s) FILTER (WHERE s BETWEEN 1 AND v_streams)
        FROM unnest(event_streams) AS u (s)) < v_streams
      THEN 'a stream has no events'
    WHEN (SELECT bool_or(s IS NULL OR s NOT BETWEEN 1 AND v_streams)
        FROM unnest(event_streams) AS u (s)) THEN 'an event has no stream'
  END;
  IF v_problem IS NOT NULL THEN
    RAISE 'malformed batch: %', v_problem USING ERRCODE = 'ES422',
      DETAIL = json_build_object('problem', v_problem, 'streams', v_streams,
        'events', v_events),
      HINT = 'one element per (request, stream), one per event, each stream once';
  END IF;
END
$$;
COMMENT ON FUNCTION es.check_append(
  int[], text[], uuid[], int[], bytea[], text[], bytea[],
  int[], text[], smallint[], jsonb[], jsonb[]
) IS
  'Raises ES422 for a malformed batch and ES500 for a wrong isolation level.';
