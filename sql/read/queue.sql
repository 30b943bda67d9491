-- The queues of chats: messages that wait for the turn to end.
-- Written by: projections/queue.py. Read by: service/readmodels/queue.py.
-- Locks: none on other objects. {v} is the version of the projection.
CREATE TABLE IF NOT EXISTS read.queue__v{v} (
  chat_id uuid NOT NULL,
  id int NOT NULL,
  parts jsonb NOT NULL,
  created_at timestamptz NOT NULL,
  created_by uuid NOT NULL,
  settings jsonb,
  CONSTRAINT queue__v{v}__chat_id__id__pkey PRIMARY KEY (chat_id, id)
);
-- New in place: null for all that was queued before anything could be moved.
ALTER TABLE read.queue__v{v} ADD COLUMN IF NOT EXISTS moved int;

CREATE INDEX IF NOT EXISTS queue__v{v}__chat_id__moved__id__idx
  ON read.queue__v{v} (chat_id, moved DESC NULLS LAST, id);

COMMENT ON TABLE read.queue__v{v} IS
  'Messages that wait, one row each. At most 20 a chat; rows come and go.';
COMMENT ON COLUMN read.queue__v{v}.chat_id IS 'The chat.';
COMMENT ON COLUMN read.queue__v{v}.id IS
  'Version of the event that queued it; the order of the queue.';
COMMENT ON COLUMN read.queue__v{v}.moved IS
  'Version of the event that put it first; the last one moved is the head.';
COMMENT ON COLUMN read.queue__v{v}.parts IS
  'What it says, without what only providers may see.';
COMMENT ON COLUMN read.queue__v{v}.created_at IS 'When it was sent.';
COMMENT ON COLUMN read.queue__v{v}.created_by IS 'The user who sent it.';
COMMENT ON COLUMN read.queue__v{v}.settings IS
  'What it asks of its turn, if anything.';

GRANT SELECT ON read.queue__v{v} TO parley_service, parley_dba;

-- [view]
DROP VIEW IF EXISTS read.queue;
CREATE VIEW read.queue WITH (security_invoker = true) AS
SELECT q.chat_id, q.id, q.parts, q.created_at, q.created_by, q.settings,
  q.moved
FROM read.queue__v{v} AS q;

COMMENT ON VIEW read.queue IS
  'Queued messages: the version of the read model that is in use.';
GRANT SELECT ON read.queue TO parley_service, parley_dba;
