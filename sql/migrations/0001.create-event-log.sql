-- The event log, its lock, and the live parts: what all else is derived from.
-- Locks nothing that exists; takes milliseconds on an empty database.
CREATE SCHEMA es;
COMMENT ON SCHEMA es IS
  'The event log: the only truth. Written by es.append alone.';
CREATE SCHEMA read;
COMMENT ON SCHEMA read IS
  'Read models: made by projections from the log, disposable, rebuilt from position 1.';
CREATE SCHEMA platform;
COMMENT ON SCHEMA platform IS
  'Plain tables: users, tokens, organizations, memberships.';
-- The schema ops is made before the first migration: yoyo's tables are in it.
COMMENT ON SCHEMA ops IS
  'Operations: migrations, leases, checkpoints, parked streams, and views for DBAs.';

CREATE TABLE es.head (
  only_row boolean NOT NULL DEFAULT true,
  CONSTRAINT head__pkey PRIMARY KEY (only_row),
  CONSTRAINT head__only_row__check CHECK (only_row)
);
INSERT INTO es.head DEFAULT VALUES;
COMMENT ON TABLE es.head IS
  'One row, only ever locked (FOR UPDATE), never updated: who holds it may append.';
COMMENT ON COLUMN es.head.only_row IS 'Always true: there is one head.';

-- Fixed-width columns first: no padding between them.
CREATE TABLE es.events (
  position bigint NOT NULL,
  recorded_at timestamptz NOT NULL,
  stream_id uuid NOT NULL,
  version int NOT NULL,
  append_last int NOT NULL,
  schema_version smallint NOT NULL,
  category text NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL,
  metadata jsonb NOT NULL,
  idempotency_key text,
  request_hash bytea,
  payload_hash bytea NOT NULL,
  digest bytea NOT NULL,
  CONSTRAINT events__position__pkey PRIMARY KEY (position),
  CONSTRAINT events__stream_id__version__key UNIQUE (stream_id, version),
  CONSTRAINT events__position__check CHECK (position > 0),
  CONSTRAINT events__version__check
    CHECK (version > 0 AND append_last >= version),
  CONSTRAINT events__schema_version__check CHECK (schema_version > 0),
  CONSTRAINT events__data__check CHECK (jsonb_typeof(data) = 'object'),
  CONSTRAINT events__metadata__check CHECK (jsonb_typeof(metadata) = 'object'),
  CONSTRAINT events__idempotency_key__check
    CHECK (char_length(idempotency_key) BETWEEN 1 AND 256),
  CONSTRAINT events__digest__check
    CHECK (octet_length(payload_hash) = 32 AND octet_length(digest) = 32)
) WITH (
  -- Nothing is ever deleted, so only inserts call for vacuum (visibility map,
  -- freezing): after 100,000 rows and 1 %, not after 20 % of a large log.
  autovacuum_vacuum_insert_threshold = 100000,
  autovacuum_vacuum_insert_scale_factor = 0.01
);
CREATE UNIQUE INDEX events__stream_id__idempotency_key__idx
  ON es.events (stream_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
-- recorded_at never goes back along positions: BRIN finds a time in few pages.
CREATE INDEX events__recorded_at__idx ON es.events USING brin (recorded_at);
-- lz4 packs and unpacks JSON faster than pglz; not every build has it.
DO $$
BEGIN
  IF EXISTS (
    SELECT FROM pg_catalog.pg_settings
    WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)
  ) THEN
    ALTER TABLE es.events ALTER COLUMN data SET COMPRESSION lz4;
    ALTER TABLE es.events ALTER COLUMN metadata SET COMPRESSION lz4;
  END IF;
END
$$;
COMMENT ON TABLE es.events IS
  'Every event, append-only: rows are never removed; only the eraser may scrub one.';
COMMENT ON COLUMN es.events.position IS
  'Place in the whole log: 1..n, gapless, in commit order.';
COMMENT ON COLUMN es.events.recorded_at IS
  'One clock reading per append; never goes back along positions.';
COMMENT ON COLUMN es.events.stream_id IS 'The entity, e.g. the chat.';
COMMENT ON COLUMN es.events.version IS 'Place in its stream: 1..n without holes.';
COMMENT ON COLUMN es.events.append_last IS
  'Append border: last version of the append that this event came in.';
COMMENT ON COLUMN es.events.schema_version IS 'Which shape data has.';
COMMENT ON COLUMN es.events.category IS
  'Kind of entity; one stream id belongs to one category.';
COMMENT ON COLUMN es.events.type IS 'What happened, past tense: message_appended.';
COMMENT ON COLUMN es.events.data IS 'The fact itself, a JSON object.';
COMMENT ON COLUMN es.events.metadata IS
  'JSON object: id (random), actor, correlation_id, causation_id.';
COMMENT ON COLUMN es.events.idempotency_key IS
  'Key of the request, on its first event in each stream; <caller>:<key>.';
COMMENT ON COLUMN es.events.request_hash IS
  'sha256 of the request, beside its key: the same key with another hash is refused.';
COMMENT ON COLUMN es.events.payload_hash IS
  'sha256 of the envelope, data and metadata as written; stays when they are erased.';
COMMENT ON COLUMN es.events.digest IS
  'sha256(digest of version - 1 || payload_hash): the identity of the event.';
COMMENT ON CONSTRAINT events__stream_id__version__key ON es.events IS
  'The order of a stream; serves reading a stream and finding its last version.';
COMMENT ON INDEX es.events__stream_id__idempotency_key__idx IS
  'Finds the earlier request with the same key.';
COMMENT ON INDEX es.events__recorded_at__idx IS
  'Finds positions by time; 24 kB per million events.';

CREATE UNLOGGED TABLE es.live_parts (
  chat_id uuid NOT NULL,
  epoch int NOT NULL,
  attempt int NOT NULL,
  seq int NOT NULL,
  data jsonb NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT live_parts__pkey PRIMARY KEY (chat_id, epoch, attempt, seq)
) WITH (
  -- A row lives for seconds: vacuum early and without pause, or it bloats.
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_threshold = 1000,
  autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE es.live_parts IS
  'What models are saying right now. Not events: emptied by a crash, and seconds old.';
COMMENT ON COLUMN es.live_parts.chat_id IS 'The chat that is being answered.';
COMMENT ON COLUMN es.live_parts.epoch IS
  'Version of the event that the answer builds on; with attempt it names the episode.';
COMMENT ON COLUMN es.live_parts.attempt IS 'Which try within the epoch, from 1.';
COMMENT ON COLUMN es.live_parts.seq IS 'Place in the episode, contiguous from 1.';
COMMENT ON COLUMN es.live_parts.data IS '{"role", "part"}: a delta, or a whole part.';
COMMENT ON COLUMN es.live_parts.at IS 'When it was written; the janitor reads it.';
