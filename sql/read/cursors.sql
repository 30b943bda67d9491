-- How far owners have read their chats.
-- Written by: projections/cursors.py. Read by: service/readmodels/chats.py.
-- Locks: none on other objects. {v} is the version of the projection.
CREATE TABLE IF NOT EXISTS read.cursors__v{v} (
  chat_id uuid NOT NULL,
  read_up_to int NOT NULL,
  first_unread int,
  version int NOT NULL,
  CONSTRAINT cursors__v{v}__chat_id__pkey PRIMARY KEY (chat_id)
) WITH (fillfactor = 80);

COMMENT ON TABLE read.cursors__v{v} IS
  'How far owners have read, a row a chat; it changes with each message.';
COMMENT ON COLUMN read.cursors__v{v}.chat_id IS 'The chat.';
COMMENT ON COLUMN read.cursors__v{v}.read_up_to IS
  'The newest message that the owner has seen; 0: none.';
COMMENT ON COLUMN read.cursors__v{v}.first_unread IS
  'The first answer after that one, if there is one.';
COMMENT ON COLUMN read.cursors__v{v}.version IS
  'Version of the newest event that is in this row.';

GRANT SELECT ON read.cursors__v{v} TO parley_service, parley_dba;

-- [view]
DROP VIEW IF EXISTS read.cursors;
CREATE VIEW read.cursors WITH (security_invoker = true) AS
SELECT c.chat_id, c.read_up_to, c.first_unread
FROM read.cursors__v{v} AS c;

COMMENT ON VIEW read.cursors IS
  'How far owners have read: the version of the read model that is in use.';
GRANT SELECT ON read.cursors TO parley_service, parley_dba;
