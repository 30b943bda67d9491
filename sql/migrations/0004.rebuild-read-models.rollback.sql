-- What was being built has no state any more: it goes. So do skips.
DELETE FROM ops.checkpoints WHERE state = 'building';
DELETE FROM ops.parked_streams WHERE skipped IS NOT NULL;
ALTER TABLE ops.parked_streams
  DROP COLUMN skipped,
  DROP CONSTRAINT parked_streams__pkey,
  ADD CONSTRAINT parked_streams__pkey
    PRIMARY KEY (projection, version, category, stream_id);
ALTER TABLE ops.checkpoints
  DROP COLUMN definition,
  DROP COLUMN tables,
  DROP COLUMN checksum,
  DROP COLUMN release,
  DROP CONSTRAINT checkpoints__state__check,
  ADD CONSTRAINT checkpoints__state__check CHECK (state IN ('running', 'stopped'));
COMMENT ON COLUMN ops.checkpoints.state IS 'running, or stopped until a person acts.';
COMMENT ON TABLE ops.parked_streams IS
  'Streams that a projection could not apply; it goes on with all others.';
