-- depends: 0003.create-platform
-- What rebuilding a read model needs to know of each of its versions.
-- Locks ops.checkpoints and ops.parked_streams for milliseconds: they are small.
ALTER TABLE ops.checkpoints
  ADD COLUMN definition int,
  ADD COLUMN tables text[],
  ADD COLUMN checksum text,
  ADD COLUMN release text,
  DROP CONSTRAINT checkpoints__state__check,
  ADD CONSTRAINT checkpoints__state__check
    CHECK (state IN ('building', 'running', 'stopped'));
COMMENT ON COLUMN ops.checkpoints.definition IS
  'Version of the projection it is made by, if not its own: '
  'a rebuild has a new version of the same definition.';
COMMENT ON COLUMN ops.checkpoints.tables IS
  'Its tables in schema read, by name; dropped with it.';
COMMENT ON COLUMN ops.checkpoints.checksum IS
  'sha256 of the SQL that made its tables and the view; '
  'another one is applied again.';
COMMENT ON COLUMN ops.checkpoints.release IS
  'Release that applied that SQL; an older one leaves it alone.';
COMMENT ON COLUMN ops.checkpoints.state IS
  'running, stopped until a person acts, or '
  'building: a command fills it, no projector.';

ALTER TABLE ops.parked_streams
  ADD COLUMN skipped text,
  DROP CONSTRAINT parked_streams__pkey,
  ADD CONSTRAINT parked_streams__pkey
    PRIMARY KEY (projection, version, category, stream_id, position);
COMMENT ON TABLE ops.parked_streams IS
  'Streams that a projection could not apply, it goes on with all others; '
  'and single events that a person had it leave out.';
COMMENT ON COLUMN ops.parked_streams.skipped IS
  'Why a person had this event left out; null: the stream is parked at it.';
