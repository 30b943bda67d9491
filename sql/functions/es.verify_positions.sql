-- Checks a range of the log: one row per problem, none when intact.
-- Called by: people, and the command line. Locks: none. Errors: none.
-- Reads the range once, and for each event the digest before it in its stream.
-- Of erased events only place and chain are left; a NOTICE tells how many there are.
CREATE OR REPLACE FUNCTION es.verify_positions(
  first_position bigint, last_position bigint
) RETURNS TABLE (
  "position" bigint, category text, stream_id uuid, version int, problem text
)
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
COMMENT ON FUNCTION es.verify_positions(bigint, bigint) IS
  'Problems in a range of positions: holes, digests, order, borders; no row: intact.';
GRANT EXECUTE ON FUNCTION es.verify_positions(bigint, bigint)
  TO parley_service, parley_dba;
