-- The retention janitor's own connection: reads what is due.
GRANT USAGE ON SCHEMA es, read TO parley_retention;
GRANT SELECT ON es.events TO parley_retention;
