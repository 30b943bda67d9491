-- The role, without login, that functions which scrub events belong to.
GRANT USAGE ON SCHEMA es, ops TO parley_eraser;
GRANT SELECT, UPDATE ON es.events TO parley_eraser;
GRANT SELECT, UPDATE ON es.head TO parley_eraser;
GRANT SELECT, DELETE ON es.live_parts TO parley_eraser;
