-- The digest chain as an aggregate: as a window function it is linear.
-- Called by: es.append, es.verify, es.verify_positions.
-- Locks: none. Errors: none.
-- No SET search_path: it would cost more than the hash, once per event.
CREATE OR REPLACE FUNCTION es.chain_next(
  state bytea, head bytea, payload_hash bytea
) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
BEGIN
  RETURN pg_catalog.sha256(
    coalesce(state, head) OPERATOR(pg_catalog.||) payload_hash);
END
$$;
COMMENT ON FUNCTION es.chain_next(bytea, bytea, bytea) IS
  'One link of the chain: sha256(digest before || payload_hash).';

CREATE OR REPLACE AGGREGATE es.chain(head bytea, payload_hash bytea) (
  SFUNC = es.chain_next,
  STYPE = bytea,
  PARALLEL = SAFE
);
COMMENT ON AGGREGATE es.chain(bytea, bytea) IS
  'Digest of the last row, from the digest before the first row and the hashes.';
GRANT EXECUTE ON FUNCTION
  es.chain_next(bytea, bytea, bytea), es.chain(bytea, bytea)
TO parley_service, parley_dba;
