-- Checks one stream from its first event: a row per problem, none when intact.
-- Called by: people, and the command line. Locks: none. Errors: none.
-- An erased event keeps its hash and its place in the chain; its text is gone, so
-- that is checked of it, and that nothing is left which says more than what was
-- spent; a NOTICE tells how many there are.
CREATE OR REPLACE FUNCTION es.verify(stream_category text, stream uuid)
RETURNS TABLE ("position" bigint, version int, problem text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
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
COMMENT ON FUNCTION es.verify(text, uuid) IS
  'Problems of one stream: holes, digests, order, append borders; no row: intact.';
GRANT EXECUTE ON FUNCTION es.verify(text, uuid) TO parley_service, parley_dba;
