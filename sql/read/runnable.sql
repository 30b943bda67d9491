-- The chats that a worker should hold, so that somebody goes on with them.
-- Written by: projections/runnable.py. Read by: service/readmodels/runnable.py.
-- Locks: none on other objects. {v} is the version of the projection.
CREATE TABLE IF NOT EXISTS read.runnable__v{v} (
  chat_id uuid NOT NULL,
  status text NOT NULL,
  version int NOT NULL,
  since timestamptz NOT NULL,
  priority smallint NOT NULL GENERATED ALWAYS AS (
    CASE status
      WHEN 'interrupting' THEN 1
      WHEN 'requires_action' THEN 2
      ELSE 3
    END) STORED,
  CONSTRAINT runnable__v{v}__chat_id__pkey PRIMARY KEY (chat_id)
);

CREATE INDEX IF NOT EXISTS runnable__v{v}__priority__since__chat_id__idx
  ON read.runnable__v{v} (priority, since, chat_id);

COMMENT ON TABLE read.runnable__v{v} IS
  'Chats with a turn to go on with, one row each; few: those that run now.';
COMMENT ON COLUMN read.runnable__v{v}.chat_id IS 'The chat.';
COMMENT ON COLUMN read.runnable__v{v}.status IS
  'running, interrupting or requires_action.';
COMMENT ON COLUMN read.runnable__v{v}.version IS
  'Version of the event that gave it this status.';
COMMENT ON COLUMN read.runnable__v{v}.since IS 'When that event was recorded.';
COMMENT ON COLUMN read.runnable__v{v}.priority IS
  '1 interrupting: a person waits, 2 requires_action: a deadline, 3 running.';

GRANT SELECT ON read.runnable__v{v} TO parley_service, parley_dba;

-- [view]
DROP VIEW IF EXISTS read.runnable;
CREATE VIEW read.runnable WITH (security_invoker = true) AS
SELECT r.chat_id, r.status, r.version, r.since, r.priority
FROM read.runnable__v{v} AS r;

COMMENT ON VIEW read.runnable IS
  'Runnable chats: the version of the read model that is in use.';
GRANT SELECT ON read.runnable TO parley_service, parley_dba;
