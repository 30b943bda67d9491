-- depends: 0005.create-stream-tickets
-- Each lease says how long its holder may be silent: a setting of the workers.
-- Locks ops.leases for milliseconds: workers wait, nothing is rewritten.
ALTER TABLE ops.leases
  ADD COLUMN lease_time interval NOT NULL DEFAULT '30 s';
COMMENT ON COLUMN ops.leases.lease_time IS
  'A holder silent for so long has lost the chat: PARLEY_LEASE_S of its worker.';
