-- People with psql: read everything, write nothing.
GRANT USAGE ON SCHEMA es, read, ops, platform TO parley_dba;
GRANT SELECT ON ALL TABLES IN SCHEMA es, ops, platform TO parley_dba;
