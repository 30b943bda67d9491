-- How far each projection is behind the log, and what keeps it there.
-- Called by: people, /readyz. Locks: none. Errors: none.
-- Positions have no holes: lag is a difference, and the oldest event that was
-- not handled is the one at the next position.
DROP VIEW IF EXISTS ops.projection_lag;
CREATE VIEW ops.projection_lag AS
SELECT
  c.projection,
  c.version,
  p.active_version IS NOT DISTINCT FROM c.version AS active,
  c.state,
  c.position,
  h.position - c.position AS lag_events,
  coalesce(clock_timestamp() - n.recorded_at, '0') AS lag_age,
  (
    SELECT count(*) FROM ops.parked_streams AS s
    WHERE s.projection = c.projection AND s.version = c.version
      AND s.skipped IS NULL
  ) AS parked_streams,
  c.error,
  c.updated_at
FROM ops.checkpoints AS c
CROSS JOIN (
  -- not max(): PostgreSQL 15 would count through the log inside a UNION
  SELECT coalesce((
    SELECT e.position FROM es.events AS e ORDER BY e.position DESC LIMIT 1
  ), 0) AS position
) AS h
LEFT JOIN ops.projections AS p ON p.name = c.projection
LEFT JOIN es.events AS n ON n.position = c.position + 1;
COMMENT ON VIEW ops.projection_lag IS
  'Per version of each read model: state, position, events and time behind the head.';
GRANT SELECT ON ops.projection_lag
  TO parley_service, parley_projector, parley_dba;
