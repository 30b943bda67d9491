-- People with psql: read everything but secrets, write nothing.
GRANT USAGE ON SCHEMA es, read, ops, platform TO parley_dba;
GRANT SELECT ON ALL TABLES IN SCHEMA es, ops, platform TO parley_dba;
-- A hash of a token is as good as the token to whoever can write the table.
REVOKE SELECT ON platform.tokens FROM parley_dba;
GRANT SELECT (id, user_id, name, scopes, created_at, expires_at, revoked_at)
  ON platform.tokens TO parley_dba;
-- Keys are encrypted, and still nobody's to copy; has_api_key says enough.
REVOKE SELECT ON platform.providers FROM parley_dba;
GRANT SELECT (id, kind, display_name, base_url, enabled, has_api_key, deleted_at,
  created_at, updated_at) ON platform.providers TO parley_dba;
