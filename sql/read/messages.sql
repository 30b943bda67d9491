-- The messages of chats, parts as clients see them.
-- Written by: projections/messages.py. Read by: service/readmodels/messages.py.
-- Locks: none on other objects. {v} is the version of the projection.
CREATE TABLE IF NOT EXISTS read.messages__v{v} (
  chat_id uuid NOT NULL,
  id int NOT NULL,
  role text NOT NULL,
  visibility text NOT NULL,
  parts jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  created_by uuid,
  settings jsonb,
  queued_id int,
  epoch int,
  attempt int,
  CONSTRAINT messages__v{v}__chat_id__id__pkey PRIMARY KEY (chat_id, id)
);

-- New in place: null for all that was said before the log knew either.
ALTER TABLE read.messages__v{v}
  ADD COLUMN IF NOT EXISTS model_config_id uuid,
  ADD COLUMN IF NOT EXISTS usage jsonb;

CREATE INDEX IF NOT EXISTS messages__v{v}__prompts__chat_id__id__idx
  ON read.messages__v{v} (chat_id, id)
  WHERE role = 'user' AND visibility IN ('user', 'both');

COMMENT ON TABLE read.messages__v{v} IS
  'Messages of all chats, one row each; rows never change, an edit deletes.';
COMMENT ON COLUMN read.messages__v{v}.chat_id IS 'The chat.';
COMMENT ON COLUMN read.messages__v{v}.id IS
  'Version of the event that appended it; the order of the history.';
COMMENT ON COLUMN read.messages__v{v}.role IS
  'system, user, assistant or tool.';
COMMENT ON COLUMN read.messages__v{v}.visibility IS
  'user, model or both: who may see it; clients never see model.';
COMMENT ON COLUMN read.messages__v{v}.parts IS
  'What it says, without what only providers may see.';
COMMENT ON COLUMN read.messages__v{v}.created_at IS
  'Clock reading of its event; never used for order.';
COMMENT ON COLUMN read.messages__v{v}.created_by IS
  'The user who wrote it, if a user did.';
COMMENT ON COLUMN read.messages__v{v}.settings IS
  'What it asks of its turn, if anything.';
COMMENT ON COLUMN read.messages__v{v}.queued_id IS
  'Its id in the queue, if it waited there.';
COMMENT ON COLUMN read.messages__v{v}.epoch IS
  'Epoch of the attempt that produced it, if one did.';
COMMENT ON COLUMN read.messages__v{v}.attempt IS
  'Number of that attempt within its epoch.';
COMMENT ON COLUMN read.messages__v{v}.model_config_id IS
  'The model config that gave this answer, if one did.';
COMMENT ON COLUMN read.messages__v{v}.usage IS
  'Tokens of the call that it is the answer of, as the vendor counted them.';

GRANT SELECT ON read.messages__v{v} TO parley_service, parley_dba;

-- [view]
DROP VIEW IF EXISTS read.messages;
CREATE VIEW read.messages WITH (security_invoker = true) AS
SELECT m.chat_id, m.id, m.role, m.visibility, m.parts, m.created_at,
  m.created_by, m.settings, m.queued_id, m.epoch, m.attempt, m.model_config_id,
  m.usage
FROM read.messages__v{v} AS m;

COMMENT ON VIEW read.messages IS
  'Messages: the version of the read model that is in use.';
GRANT SELECT ON read.messages TO parley_service, parley_dba;
