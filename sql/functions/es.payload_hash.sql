-- The one definition of what is hashed of an event.
-- Called by: es.append, es.verify, es.verify_positions.
-- Locks: none. Errors: none.
-- No SET clause, so that PostgreSQL puts the expression in the caller's place.
CREATE OR REPLACE FUNCTION es.payload_hash(
  category text, stream_id uuid, version int, append_last int, type text,
  schema_version smallint, recorded_at_us bigint, data jsonb, metadata jsonb
) RETURNS bytea
LANGUAGE sql STABLE
AS $$
  SELECT pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(
    category, stream_id, version, append_last, type, schema_version,
    recorded_at_us, data, metadata)::text, 'UTF8'))
$$;
COMMENT ON FUNCTION es.payload_hash(
  text, uuid, int, int, text, smallint, bigint, jsonb, jsonb
) IS
  'sha256 of the JSON array of an event; recorded_at counts in microseconds.';
GRANT EXECUTE ON FUNCTION es.payload_hash(
  text, uuid, int, int, text, smallint, bigint, jsonb, jsonb
) TO parley_service, parley_dba;
