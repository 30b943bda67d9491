-- Projectors: read the log, make and write read models, move checkpoints.
GRANT USAGE ON SCHEMA es, ops TO parley_projector;
GRANT USAGE, CREATE ON SCHEMA read TO parley_projector;
GRANT SELECT ON es.events TO parley_projector;
GRANT SELECT, INSERT, UPDATE, DELETE
  ON ops.projections, ops.checkpoints, ops.parked_streams TO parley_projector;
GRANT SELECT ON ops.repeatables, ops._yoyo_migration TO parley_projector;
