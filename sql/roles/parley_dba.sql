-- People with psql: read everything but secrets, write nothing.
GRANT USAGE ON SCHEMA es, read, ops, platform TO parley_dba;
GRANT SELECT ON ALL TABLES IN SCHEMA es, ops, platform TO parley_dba;
-- A hash of a token is as good as the token to whoever can write the table.
REVOKE SELECT ON platform.tokens FROM parley_dba;
GRANT SELECT (id, user_id, name, scopes, created_at, expires_at, revoked_at)
  ON platform.tokens TO parley_dba;
