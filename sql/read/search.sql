-- The words of chats, for full text search.
-- Written by: projections/search.py. Read by: service/readmodels/chats.py.
-- Locks: none on other objects. {v} is the version of the projection.
CREATE TABLE IF NOT EXISTS read.search__v{v} (
  chat_id uuid NOT NULL,
  id int NOT NULL,
  version int NOT NULL,
  words tsvector NOT NULL,
  CONSTRAINT search__v{v}__chat_id__id__pkey PRIMARY KEY (chat_id, id)
);

CREATE INDEX IF NOT EXISTS search__v{v}__words__idx
  ON read.search__v{v} USING gin (words);

COMMENT ON TABLE read.search__v{v} IS
  'Words of chats: a row a title, a row a visible message with text.';
COMMENT ON COLUMN read.search__v{v}.chat_id IS 'The chat.';
COMMENT ON COLUMN read.search__v{v}.id IS 'The message; 0: the title.';
COMMENT ON COLUMN read.search__v{v}.version IS
  'Version of the event that the words are from.';
COMMENT ON COLUMN read.search__v{v}.words IS
  'Its words in the configuration simple: no stems, no stop words.';

GRANT SELECT ON read.search__v{v} TO parley_service, parley_dba;

-- [view]
DROP VIEW IF EXISTS read.search;
CREATE VIEW read.search WITH (security_invoker = true) AS
SELECT s.chat_id, s.id, s.words
FROM read.search__v{v} AS s;

COMMENT ON VIEW read.search IS
  'Words of chats: the version of the read model that is in use.';
GRANT SELECT ON read.search TO parley_service, parley_dba;
