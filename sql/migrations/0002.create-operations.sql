-- depends: 0001.create-event-log
-- Leases, projections with checkpoints and parked streams, what is deployed.
-- Locks nothing that exists; takes milliseconds.
CREATE UNLOGGED TABLE ops.leases (
  chat_id uuid NOT NULL,
  worker text NOT NULL,
  term bigint NOT NULL,
  heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT leases__pkey PRIMARY KEY (chat_id),
  CONSTRAINT leases__term__check CHECK (term > 0)
) WITH (
  -- Half of each page stays free: a heartbeat stays on its page and touches no
  -- index.
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE ops.leases IS
  'Which worker runs which chat. Emptied by a crash; the log fences with the term.';
COMMENT ON COLUMN ops.leases.chat_id IS 'The chat.';
COMMENT ON COLUMN ops.leases.worker IS 'Name of the worker process that runs it.';
COMMENT ON COLUMN ops.leases.term IS
  'Grows with every holder; run_acquired in the log carries it.';
COMMENT ON COLUMN ops.leases.heartbeat_at IS
  'Last sign of life; older than the lease time: the chat is free.';

CREATE TABLE ops.projections (
  name text NOT NULL,
  active_version int NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT projections__pkey PRIMARY KEY (name),
  CONSTRAINT projections__active_version__check CHECK (active_version > 0)
) WITH (fillfactor = 50);
COMMENT ON TABLE ops.projections IS 'Which version of each read model readers see.';
COMMENT ON COLUMN ops.projections.name IS 'The read model: chats, messages, queue, ...';
COMMENT ON COLUMN ops.projections.active_version IS
  'The version N whose table read.<name>__v<N> the view read.<name> selects from.';
COMMENT ON COLUMN ops.projections.updated_at IS 'When the view was flipped.';

CREATE TABLE ops.checkpoints (
  projection text NOT NULL,
  version int NOT NULL,
  position bigint NOT NULL DEFAULT 0,
  digest bytea NOT NULL DEFAULT '',
  state text NOT NULL DEFAULT 'running',
  error text,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT checkpoints__pkey PRIMARY KEY (projection, version),
  CONSTRAINT checkpoints__position__check CHECK (position >= 0),
  CONSTRAINT checkpoints__state__check CHECK (state IN ('running', 'stopped'))
) WITH (
  -- A row per read model, updated with every batch.
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE ops.checkpoints IS
  'How far each version of a read model is; moved in the transaction of its effects.';
COMMENT ON COLUMN ops.checkpoints.projection IS 'The read model.';
COMMENT ON COLUMN ops.checkpoints.version IS 'Its version.';
COMMENT ON COLUMN ops.checkpoints.position IS
  'Last position handled; 0 before the first.';
COMMENT ON COLUMN ops.checkpoints.digest IS
  'Digest of the event there; another one in the log means another history.';
COMMENT ON COLUMN ops.checkpoints.state IS 'running, or stopped until a person acts.';
COMMENT ON COLUMN ops.checkpoints.error IS 'Why it stopped.';
COMMENT ON COLUMN ops.checkpoints.updated_at IS 'When it moved last.';

CREATE TABLE ops.parked_streams (
  projection text NOT NULL,
  version int NOT NULL,
  category text NOT NULL,
  stream_id uuid NOT NULL,
  position bigint NOT NULL,
  event_version int NOT NULL,
  event_type text NOT NULL,
  error text NOT NULL,
  parked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT parked_streams__pkey
    PRIMARY KEY (projection, version, category, stream_id)
);
COMMENT ON TABLE ops.parked_streams IS
  'Streams that a projection could not apply; it goes on with all others.';
COMMENT ON COLUMN ops.parked_streams.projection IS 'The read model.';
COMMENT ON COLUMN ops.parked_streams.version IS 'Its version.';
COMMENT ON COLUMN ops.parked_streams.category IS 'Category of the parked stream.';
COMMENT ON COLUMN ops.parked_streams.stream_id IS 'The parked stream.';
COMMENT ON COLUMN ops.parked_streams.position IS 'Position of the poisoned event.';
COMMENT ON COLUMN ops.parked_streams.event_version IS 'Its version in the stream.';
COMMENT ON COLUMN ops.parked_streams.event_type IS 'Its type.';
COMMENT ON COLUMN ops.parked_streams.error IS 'What went wrong; no user text.';
COMMENT ON COLUMN ops.parked_streams.parked_at IS 'Since when it is parked.';

CREATE TABLE ops.repeatables (
  only_row boolean NOT NULL DEFAULT true,
  checksum text NOT NULL,
  release text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT repeatables__pkey PRIMARY KEY (only_row),
  CONSTRAINT repeatables__only_row__check CHECK (only_row)
);
COMMENT ON TABLE ops.repeatables IS
  'Which functions, triggers, views and grants are deployed; one row.';
COMMENT ON COLUMN ops.repeatables.only_row IS 'Always true: there is one deployment.';
COMMENT ON COLUMN ops.repeatables.checksum IS 'sha256 of all repeatable files.';
COMMENT ON COLUMN ops.repeatables.release IS
  'Release that applied them; an older one leaves them alone.';
COMMENT ON COLUMN ops.repeatables.applied_at IS 'When they were applied.';
