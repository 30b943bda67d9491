-- The list of chats: one row a chat, as its newest event left it.
-- Written by: projections/chats.py. Read by: service/readmodels/chats.py.
-- Locks: none on other objects. {v} is the version of the projection.
CREATE TABLE IF NOT EXISTS read.chats__v{v} (
  id uuid NOT NULL,
  organization_id uuid NOT NULL,
  owner_id uuid NOT NULL,
  title text NOT NULL,
  status text NOT NULL,
  archived boolean NOT NULL,
  client_type text NOT NULL,
  labels jsonb NOT NULL,
  parent_chat_id uuid,
  root_chat_id uuid,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  last_error jsonb,
  version int NOT NULL,
  CONSTRAINT chats__v{v}__id__pkey PRIMARY KEY (id)
);

-- New in place: what the defaults say is so for all chats of before.
ALTER TABLE read.chats__v{v}
  ADD COLUMN IF NOT EXISTS plan_mode text NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS workspace_id uuid,
  ADD COLUMN IF NOT EXISTS model_config_id uuid,
  ADD COLUMN IF NOT EXISTS mcp_server_ids jsonb NOT NULL DEFAULT '[]',
  ADD COLUMN IF NOT EXISTS pin_key text COLLATE "C",
  ADD COLUMN IF NOT EXISTS origin jsonb;

DROP INDEX IF EXISTS read.chats__v{v}__owner_id__archived__updated_at__id__idx;
CREATE INDEX IF NOT EXISTS chats__v{v}__roots__owner_id__archived__updated_at__id__idx
  ON read.chats__v{v} (owner_id, archived, updated_at DESC, id DESC)
  WHERE root_chat_id IS NULL AND pin_key IS NULL;
CREATE INDEX IF NOT EXISTS chats__v{v}__pins__owner_id__pin_key__id__idx
  ON read.chats__v{v} (owner_id, pin_key, id) WHERE pin_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS chats__v{v}__children__root_chat_id__created_at__id__idx
  ON read.chats__v{v} (root_chat_id, created_at DESC, id DESC)
  WHERE root_chat_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS chats__v{v}__running__owner_id__idx
  ON read.chats__v{v} (owner_id) WHERE status IN ('running', 'interrupting');
CREATE INDEX IF NOT EXISTS chats__v{v}__labels__idx
  ON read.chats__v{v} USING gin (labels jsonb_path_ops);

COMMENT ON TABLE read.chats__v{v} IS
  'Chats, one row each; a row changes with each event of its chat.';
COMMENT ON COLUMN read.chats__v{v}.id IS 'The chat: id of its stream.';
COMMENT ON COLUMN read.chats__v{v}.organization_id IS
  'The organization that it belongs to.';
COMMENT ON COLUMN read.chats__v{v}.owner_id IS 'The user whose chat it is.';
COMMENT ON COLUMN read.chats__v{v}.title IS 'Its title.';
COMMENT ON COLUMN read.chats__v{v}.status IS
  'waiting, running, interrupting, requires_action or error.';
COMMENT ON COLUMN read.chats__v{v}.archived IS 'Whether it is put away.';
COMMENT ON COLUMN read.chats__v{v}.client_type IS 'ui or api: what created it.';
COMMENT ON COLUMN read.chats__v{v}.labels IS
  'Names and values that its owner gave it.';
COMMENT ON COLUMN read.chats__v{v}.parent_chat_id IS
  'The chat that spawned it, if any.';
COMMENT ON COLUMN read.chats__v{v}.root_chat_id IS
  'The first chat of its family, if it was spawned.';
COMMENT ON COLUMN read.chats__v{v}.created_at IS 'When it was created.';
COMMENT ON COLUMN read.chats__v{v}.updated_at IS
  'Latest clock reading of what happened in it; the order of the list.';
COMMENT ON COLUMN read.chats__v{v}.last_error IS
  'Why its last turn failed, while status is error.';
COMMENT ON COLUMN read.chats__v{v}.version IS
  'Version of the newest event that is in this row.';
COMMENT ON COLUMN read.chats__v{v}.plan_mode IS
  'plan: its turns plan first; empty: they do not.';
COMMENT ON COLUMN read.chats__v{v}.workspace_id IS
  'The workspace that it works in, if any.';
COMMENT ON COLUMN read.chats__v{v}.model_config_id IS
  'Its model config; null: the deployment''s default.';
COMMENT ON COLUMN read.chats__v{v}.mcp_server_ids IS
  'The MCP servers whose tools it offers.';
COMMENT ON COLUMN read.chats__v{v}.pin_key IS
  'Sort key among its owner''s pins, compared by bytes; null: it is no pin.';
COMMENT ON COLUMN read.chats__v{v}.origin IS
  'The chat and the version that it was forked from, if it was.';

GRANT SELECT ON read.chats__v{v} TO parley_service, parley_dba;

-- [view]
DROP VIEW IF EXISTS read.chats;
CREATE VIEW read.chats WITH (security_invoker = true) AS
SELECT c.id, c.organization_id, c.owner_id, c.title, c.status, c.archived,
  c.client_type, c.labels, c.parent_chat_id, c.root_chat_id, c.created_at,
  c.updated_at, c.last_error, c.version, c.plan_mode, c.workspace_id,
  c.model_config_id, c.mcp_server_ids, c.pin_key, c.origin,
  (
    SELECT string_agg(
      format('%s is parked at version %s', k.projection, k.event_version),
      '; ' ORDER BY k.projection)
    FROM ops.parked_streams AS k
    JOIN ops.projections AS a
      ON a.name = k.projection AND a.active_version = k.version
    WHERE k.category = 'chat' AND k.stream_id = c.id AND k.skipped IS NULL
  ) AS projection_error
FROM read.chats__v{v} AS c;

COMMENT ON VIEW read.chats IS
  'Chats: the version of the read model that is in use.';
COMMENT ON COLUMN read.chats.projection_error IS
  'Its read models that are parked at an event, and where; null: none is.';
GRANT SELECT ON read.chats TO parley_service, parley_dba;
