-- First of the roles: takes back what was granted, from PUBLIC and every role.
-- The files after this one, and those of functions and views, grant it anew,
-- all in one transaction: what no file grants any more is gone, without a gap.
ALTER DEFAULT PRIVILEGES FOR ROLE parley_owner
  REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA es, ops, platform FROM PUBLIC,
  parley_service, parley_projector, parley_eraser, parley_retention, parley_dba;
REVOKE ALL ON ALL TABLES IN SCHEMA es, ops, platform FROM PUBLIC,
  parley_service, parley_projector, parley_eraser, parley_retention, parley_dba;
REVOKE ALL ON SCHEMA es, read, ops, platform FROM PUBLIC,
  parley_service, parley_projector, parley_eraser, parley_retention, parley_dba;
