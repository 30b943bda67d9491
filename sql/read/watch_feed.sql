-- What owners hear of their chats, numbered per owner; the last seven days.
-- Written by: projections/watch_feed.py. Read by: service/readmodels/watch_feed.py.
-- Locks: none on other objects. {v} is the version of the projection.
CREATE TABLE IF NOT EXISTS read.watch_feed__v{v} (
  owner_id uuid NOT NULL,
  number bigint NOT NULL,
  kind text NOT NULL,
  chat_id uuid NOT NULL,
  version int NOT NULL,
  status text NOT NULL,
  last_error jsonb,
  updated_at timestamptz NOT NULL,
  recorded_at timestamptz NOT NULL,
  digest text NOT NULL,
  CONSTRAINT watch_feed__v{v}__owner_id__number__pkey PRIMARY KEY (owner_id, number)
);
-- New in place: null for all that was told before calls could wait for clients.
ALTER TABLE read.watch_feed__v{v} ADD COLUMN IF NOT EXISTS tool_calls jsonb;

CREATE INDEX IF NOT EXISTS watch_feed__v{v}__recorded_at__idx
  ON read.watch_feed__v{v} (recorded_at);

COMMENT ON TABLE read.watch_feed__v{v} IS
  'What happened to chats, as their owners hear it; goes after seven days.';
COMMENT ON COLUMN read.watch_feed__v{v}.owner_id IS 'Who hears it.';
COMMENT ON COLUMN read.watch_feed__v{v}.number IS
  '1, 2, ... without holes for each owner, in the order of the log.';
COMMENT ON COLUMN read.watch_feed__v{v}.kind IS
  'created, deleted, status_change, title_change, action_required or
  chat_change.';
COMMENT ON COLUMN read.watch_feed__v{v}.chat_id IS 'The chat that it is about.';
COMMENT ON COLUMN read.watch_feed__v{v}.version IS
  'Version of the chat after the append that did it.';
COMMENT ON COLUMN read.watch_feed__v{v}.status IS 'Status of the chat then.';
COMMENT ON COLUMN read.watch_feed__v{v}.last_error IS
  'Why its last turn failed, when status is error.';
COMMENT ON COLUMN read.watch_feed__v{v}.updated_at IS
  'Clock reading of the event that did it.';
COMMENT ON COLUMN read.watch_feed__v{v}.recorded_at IS
  'When that event was recorded; rows go by it.';
COMMENT ON COLUMN read.watch_feed__v{v}.digest IS
  'First 8 hex digits of that event''s digest: ids of watchers carry them.';
COMMENT ON COLUMN read.watch_feed__v{v}.tool_calls IS
  'The calls that wait for a client, when kind is action_required.';

CREATE TABLE IF NOT EXISTS read.watch_chats__v{v} (
  chat_id uuid NOT NULL,
  owner_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  title text NOT NULL,
  client_type text NOT NULL,
  labels jsonb NOT NULL,
  parent_chat_id uuid,
  root_chat_id uuid,
  created_at timestamptz NOT NULL,
  status text NOT NULL,
  last_error jsonb,
  shown text,
  position bigint NOT NULL,
  CONSTRAINT watch_chats__v{v}__chat_id__pkey PRIMARY KEY (chat_id)
) WITH (fillfactor = 80);
-- New in place: what the defaults say is so for all chats of before.
ALTER TABLE read.watch_chats__v{v}
  ADD COLUMN IF NOT EXISTS archived boolean NOT NULL DEFAULT false,
  ADD COLUMN IF NOT EXISTS plan_mode text NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS workspace_id uuid,
  ADD COLUMN IF NOT EXISTS model_config_id uuid,
  ADD COLUMN IF NOT EXISTS mcp_server_ids jsonb NOT NULL DEFAULT '[]',
  ADD COLUMN IF NOT EXISTS pin_key text,
  ADD COLUMN IF NOT EXISTS origin jsonb,
  ADD COLUMN IF NOT EXISTS read_up_to int NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS tool_calls jsonb,
  ADD COLUMN IF NOT EXISTS updated_at timestamptz;

COMMENT ON TABLE read.watch_chats__v{v} IS
  'Chats as the watch feed needs them: whose they are, and what was told last.';
COMMENT ON COLUMN read.watch_chats__v{v}.chat_id IS 'The chat.';
COMMENT ON COLUMN read.watch_chats__v{v}.owner_id IS 'Whose it is.';
COMMENT ON COLUMN read.watch_chats__v{v}.organization_id IS
  'The organization that it belongs to.';
COMMENT ON COLUMN read.watch_chats__v{v}.title IS 'Its title.';
COMMENT ON COLUMN read.watch_chats__v{v}.client_type IS
  'ui or api: what created it.';
COMMENT ON COLUMN read.watch_chats__v{v}.labels IS
  'Names and values that its owner gave it.';
COMMENT ON COLUMN read.watch_chats__v{v}.parent_chat_id IS
  'The chat that spawned it, if any.';
COMMENT ON COLUMN read.watch_chats__v{v}.root_chat_id IS
  'The first chat of its family, if it was spawned.';
COMMENT ON COLUMN read.watch_chats__v{v}.created_at IS 'When it was created.';
COMMENT ON COLUMN read.watch_chats__v{v}.status IS
  'Its status after the newest event taken.';
COMMENT ON COLUMN read.watch_chats__v{v}.last_error IS
  'Why its last turn failed, while status is error.';
COMMENT ON COLUMN read.watch_chats__v{v}.shown IS
  'The status that was told last; null before it was told of.';
COMMENT ON COLUMN read.watch_chats__v{v}.position IS
  'Position of the last event that was about it or its status.';
COMMENT ON COLUMN read.watch_chats__v{v}.archived IS 'Whether it is put away.';
COMMENT ON COLUMN read.watch_chats__v{v}.plan_mode IS
  'plan: its turns plan first; empty: they do not.';
COMMENT ON COLUMN read.watch_chats__v{v}.workspace_id IS
  'The workspace that it works in, if any.';
COMMENT ON COLUMN read.watch_chats__v{v}.model_config_id IS
  'Its model config; null: the deployment''s default.';
COMMENT ON COLUMN read.watch_chats__v{v}.mcp_server_ids IS
  'The MCP servers whose tools it offers.';
COMMENT ON COLUMN read.watch_chats__v{v}.pin_key IS
  'Sort key among its owner''s pins; null: it is no pin.';
COMMENT ON COLUMN read.watch_chats__v{v}.origin IS
  'The chat and the version that it was forked from, if it was.';
COMMENT ON COLUMN read.watch_chats__v{v}.read_up_to IS
  'The newest message that its owner has seen; 0: none.';
COMMENT ON COLUMN read.watch_chats__v{v}.tool_calls IS
  'The calls that wait for a client, while status is requires_action.';
COMMENT ON COLUMN read.watch_chats__v{v}.updated_at IS
  'When its status last changed, or it was put away; null: before that was kept.';

CREATE TABLE IF NOT EXISTS read.watch_owners__v{v} (
  owner_id uuid NOT NULL,
  number bigint NOT NULL,
  digest text NOT NULL,
  CONSTRAINT watch_owners__v{v}__owner_id__pkey PRIMARY KEY (owner_id)
) WITH (fillfactor = 80);

COMMENT ON TABLE read.watch_owners__v{v} IS
  'The newest number of each owner; it stays when the rows have gone.';
COMMENT ON COLUMN read.watch_owners__v{v}.owner_id IS 'The owner.';
COMMENT ON COLUMN read.watch_owners__v{v}.number IS 'The newest number given out.';
COMMENT ON COLUMN read.watch_owners__v{v}.digest IS 'The digest in that row.';

GRANT SELECT ON read.watch_feed__v{v}, read.watch_chats__v{v},
  read.watch_owners__v{v} TO parley_service, parley_dba;

-- [view]
DROP VIEW IF EXISTS read.watch_feed;
CREATE VIEW read.watch_feed WITH (security_invoker = true) AS
SELECT f.owner_id, f.number, f.kind, f.chat_id, f.version, f.status, f.last_error,
  f.updated_at, f.recorded_at, f.digest, c.organization_id, c.title, c.client_type,
  c.labels, c.parent_chat_id, c.root_chat_id, c.created_at, f.tool_calls,
  c.archived, c.plan_mode, c.workspace_id, c.model_config_id, c.mcp_server_ids,
  c.pin_key, c.origin, c.read_up_to
FROM read.watch_feed__v{v} AS f
LEFT JOIN read.watch_chats__v{v} AS c ON c.chat_id = f.chat_id;
COMMENT ON VIEW read.watch_feed IS
  'What owners hear of their chats: the version of the read model that is in use.';

DROP VIEW IF EXISTS read.watch_owners;
CREATE VIEW read.watch_owners WITH (security_invoker = true) AS
SELECT o.owner_id, o.number, o.digest FROM read.watch_owners__v{v} AS o;
COMMENT ON VIEW read.watch_owners IS
  'The newest number of each owner: the version of the read model that is in use.';
COMMENT ON COLUMN read.watch_owners.owner_id IS 'The owner.';
COMMENT ON COLUMN read.watch_owners.number IS 'The newest number given out.';
COMMENT ON COLUMN read.watch_owners.digest IS 'The digest in that row.';
GRANT SELECT ON read.watch_feed, read.watch_owners TO parley_service, parley_dba;
