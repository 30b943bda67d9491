-- What was asked of models, by whom, and what it cost: a row a call.
-- Written by: projections/usage_ledger.py. Read by: service/readmodels/usage.py.
-- Locks: none on other objects. {v} is the version of the projection.
CREATE TABLE IF NOT EXISTS read.usage_ledger__v{v} (
  position bigint NOT NULL,
  at timestamptz NOT NULL,
  user_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  chat_id uuid NOT NULL,
  root_chat_id uuid NOT NULL,
  model_config_id uuid,
  provider text NOT NULL,
  model text NOT NULL,
  purpose text NOT NULL,
  input_tokens bigint,
  output_tokens bigint,
  cache_read_tokens bigint,
  cache_creation_tokens bigint,
  reasoning_tokens bigint,
  cost_micros bigint,
  runtime_ms bigint,
  CONSTRAINT usage_ledger__v{v}__position__pkey PRIMARY KEY (position)
);

CREATE INDEX IF NOT EXISTS usage_ledger__v{v}__user_id__at__idx
  ON read.usage_ledger__v{v} (user_id, at);
CREATE INDEX IF NOT EXISTS usage_ledger__v{v}__root_chat_id__idx
  ON read.usage_ledger__v{v} (root_chat_id);
CREATE INDEX IF NOT EXISTS usage_ledger__v{v}__chat_id__position__idx
  ON read.usage_ledger__v{v} (chat_id, position);
-- Rows come in the order of time: BRIN finds the days that a DBA asks for.
CREATE INDEX IF NOT EXISTS usage_ledger__v{v}__at__idx
  ON read.usage_ledger__v{v} USING brin (at);

COMMENT ON TABLE read.usage_ledger__v{v} IS
  'Calls of models, one row each, for good: neither edits nor purges take one out.';
COMMENT ON COLUMN read.usage_ledger__v{v}.position IS
  'Position of the event that tells of the call.';
COMMENT ON COLUMN read.usage_ledger__v{v}.at IS
  'When that event was recorded, by the clock of the database.';
COMMENT ON COLUMN read.usage_ledger__v{v}.user_id IS 'Whose chat it was.';
COMMENT ON COLUMN read.usage_ledger__v{v}.organization_id IS
  'The organization of that chat.';
COMMENT ON COLUMN read.usage_ledger__v{v}.chat_id IS
  'The chat; it may be erased by now.';
COMMENT ON COLUMN read.usage_ledger__v{v}.root_chat_id IS
  'The first chat of its family; the chat itself, if nothing spawned it.';
COMMENT ON COLUMN read.usage_ledger__v{v}.model_config_id IS
  'The model config that was asked; null: the model that the environment names.';
COMMENT ON COLUMN read.usage_ledger__v{v}.provider IS
  'Kind of the vendor; unknown: it was asked before the log said which.';
COMMENT ON COLUMN read.usage_ledger__v{v}.model IS
  'What the vendor calls the model.';
COMMENT ON COLUMN read.usage_ledger__v{v}.purpose IS
  'turn, subagent (a turn of a spawned chat), compaction or title.';
COMMENT ON COLUMN read.usage_ledger__v{v}.input_tokens IS
  'Tokens read, but for those of caches; null here and below: nobody counted.';
COMMENT ON COLUMN read.usage_ledger__v{v}.output_tokens IS
  'Tokens written, with those of reasoning.';
COMMENT ON COLUMN read.usage_ledger__v{v}.cache_read_tokens IS
  'Tokens read from the vendor''s cache.';
COMMENT ON COLUMN read.usage_ledger__v{v}.cache_creation_tokens IS
  'Tokens written to the vendor''s cache.';
COMMENT ON COLUMN read.usage_ledger__v{v}.reasoning_tokens IS
  'Tokens of reasoning, a part of the output.';
COMMENT ON COLUMN read.usage_ledger__v{v}.cost_micros IS
  'Millionths of a dollar at the prices of then; null: nobody knows.';
COMMENT ON COLUMN read.usage_ledger__v{v}.runtime_ms IS
  'How long the model was at it.';

CREATE TABLE IF NOT EXISTS read.usage_chats__v{v} (
  chat_id uuid NOT NULL,
  user_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  root_chat_id uuid,
  version int NOT NULL,
  CONSTRAINT usage_chats__v{v}__chat_id__pkey PRIMARY KEY (chat_id)
);
COMMENT ON TABLE read.usage_chats__v{v} IS
  'Whose chats are, for the rows of the ledger; one row each, purged ones too.';
COMMENT ON COLUMN read.usage_chats__v{v}.chat_id IS 'The chat.';
COMMENT ON COLUMN read.usage_chats__v{v}.user_id IS 'Whose it is.';
COMMENT ON COLUMN read.usage_chats__v{v}.organization_id IS
  'The organization that it belongs to.';
COMMENT ON COLUMN read.usage_chats__v{v}.root_chat_id IS
  'The first chat of its family, if it was spawned.';
COMMENT ON COLUMN read.usage_chats__v{v}.version IS
  'Version of the event that said so: the first, or the fork.';

GRANT SELECT ON read.usage_ledger__v{v}, read.usage_chats__v{v}
  TO parley_service, parley_dba;

-- [view]
DROP VIEW IF EXISTS read.usage_ledger;
CREATE VIEW read.usage_ledger WITH (security_invoker = true) AS
SELECT l.position, l.at, l.user_id, l.organization_id, l.chat_id, l.root_chat_id,
  l.model_config_id, l.provider, l.model, l.purpose, l.input_tokens,
  l.output_tokens, l.cache_read_tokens, l.cache_creation_tokens,
  l.reasoning_tokens, l.cost_micros, l.runtime_ms
FROM read.usage_ledger__v{v} AS l;

COMMENT ON VIEW read.usage_ledger IS
  'Calls of models: the version of the read model that is in use.';
GRANT SELECT ON read.usage_ledger TO parley_service, parley_dba;
