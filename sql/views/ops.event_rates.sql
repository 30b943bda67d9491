-- How many events came lately. Called by: people. Locks: none. Errors: none.
-- Positions have no holes, so nothing is counted: a few look-ups a row.
DROP VIEW IF EXISTS ops.event_rates;
CREATE VIEW ops.event_rates AS
SELECT
  s.span,
  h.position - s.since AS events,
  round((h.position - s.since) / extract(epoch FROM s.span), 3) AS events_per_s,
  s.since + 1 AS first_position
FROM (
  SELECT w.span, es.position_at(clock_timestamp() - w.span) AS since
  FROM unnest('{1 min,10 min,1 h,1 day,7 days}'::interval[]) AS w (span)
) AS s
CROSS JOIN (
  SELECT coalesce(max(e.position), 0) AS position FROM es.events AS e
) AS h;
COMMENT ON VIEW ops.event_rates IS
  'Events of the last minute, hour, day: how many, how many a second, from where on.';
GRANT SELECT ON ops.event_rates TO parley_service, parley_dba;
