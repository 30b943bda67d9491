-- Takes the whole log away: for tests and for empty databases.
DROP SCHEMA es CASCADE;
DROP SCHEMA read CASCADE;
DROP SCHEMA platform CASCADE;
