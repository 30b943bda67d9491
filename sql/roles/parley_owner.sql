-- The owner of every object; the role that migrations and definer functions run as.
-- Also takes back what PostgreSQL gives to everybody by default.
ALTER DEFAULT PRIVILEGES FOR ROLE parley_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA es, ops FROM PUBLIC,
  parley_service, parley_projector, parley_eraser, parley_retention, parley_dba;
REVOKE ALL ON ALL TABLES IN SCHEMA es, ops, platform FROM PUBLIC,
  parley_service, parley_projector, parley_eraser, parley_retention, parley_dba;
REVOKE ALL ON SCHEMA es, read, ops, platform FROM PUBLIC,
  parley_service, parley_projector, parley_eraser, parley_retention, parley_dba;
