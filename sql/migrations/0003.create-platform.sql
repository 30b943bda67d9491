-- depends: 0002.create-operations
-- Users, organizations, memberships and tokens, and the default organization.
-- Locks nothing that exists; takes milliseconds.
CREATE TABLE platform.users (
  id uuid NOT NULL,
  name text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT users__pkey PRIMARY KEY (id),
  CONSTRAINT users__name__check CHECK (char_length(name) BETWEEN 1 AND 200)
);
COMMENT ON TABLE platform.users IS 'People and programs that may call the service.';
COMMENT ON COLUMN platform.users.id IS 'The user; owner of chats, actor of events.';
COMMENT ON COLUMN platform.users.name IS 'What others see; not unique.';
COMMENT ON COLUMN platform.users.created_at IS 'When the user was made.';

CREATE TABLE platform.organizations (
  id uuid NOT NULL,
  name text NOT NULL,
  is_default boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT organizations__pkey PRIMARY KEY (id),
  CONSTRAINT organizations__name__key UNIQUE (name),
  CONSTRAINT organizations__name__check
    CHECK (char_length(name) BETWEEN 1 AND 200)
);
CREATE UNIQUE INDEX organizations__is_default__idx
  ON platform.organizations (is_default) WHERE is_default;
COMMENT ON TABLE platform.organizations IS 'Who chats belong to; one is the default.';
COMMENT ON COLUMN platform.organizations.id IS 'The organization.';
COMMENT ON COLUMN platform.organizations.name IS 'Its unique name.';
COMMENT ON COLUMN platform.organizations.is_default IS
  'New users become members of this one; exactly one row has true.';
COMMENT ON COLUMN platform.organizations.created_at IS 'When it was made.';
COMMENT ON INDEX platform.organizations__is_default__idx IS
  'At most one default organization.';
INSERT INTO platform.organizations (id, name, is_default)
VALUES ('00000000-0000-4000-8000-000000000001', 'default', true);

CREATE TABLE platform.memberships (
  user_id uuid NOT NULL,
  organization_id uuid NOT NULL,
  role text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT memberships__pkey PRIMARY KEY (user_id, organization_id),
  CONSTRAINT memberships__user_id__fk
    FOREIGN KEY (user_id) REFERENCES platform.users (id) ON DELETE CASCADE,
  CONSTRAINT memberships__organization_id__fk
    FOREIGN KEY (organization_id) REFERENCES platform.organizations (id)
);
CREATE INDEX memberships__organization_id__idx
  ON platform.memberships (organization_id);
COMMENT ON TABLE platform.memberships IS 'Who belongs to which organization.';
COMMENT ON COLUMN platform.memberships.user_id IS 'The member.';
COMMENT ON COLUMN platform.memberships.organization_id IS 'The organization.';
COMMENT ON COLUMN platform.memberships.role IS 'What the member may do there.';
COMMENT ON COLUMN platform.memberships.created_at IS 'When the member joined.';
COMMENT ON INDEX platform.memberships__organization_id__idx IS
  'Members of an organization; keeps its foreign key cheap.';

CREATE TABLE platform.tokens (
  id uuid NOT NULL,
  user_id uuid NOT NULL,
  token_hash bytea NOT NULL,
  name text NOT NULL,
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  expires_at timestamptz,
  revoked_at timestamptz,
  CONSTRAINT tokens__pkey PRIMARY KEY (id),
  CONSTRAINT tokens__token_hash__key UNIQUE (token_hash),
  CONSTRAINT tokens__token_hash__check CHECK (octet_length(token_hash) = 32),
  CONSTRAINT tokens__user_id__fk
    FOREIGN KEY (user_id) REFERENCES platform.users (id) ON DELETE CASCADE
);
CREATE INDEX tokens__user_id__idx ON platform.tokens (user_id);
COMMENT ON TABLE platform.tokens IS 'Bearer tokens, as hashes only.';
COMMENT ON COLUMN platform.tokens.id IS 'Names the token without giving it away.';
COMMENT ON COLUMN platform.tokens.user_id IS 'Whose token it is.';
COMMENT ON COLUMN platform.tokens.token_hash IS 'sha256 of the token.';
COMMENT ON COLUMN platform.tokens.name IS 'What its owner calls it.';
COMMENT ON COLUMN platform.tokens.scopes IS 'What it may do.';
COMMENT ON COLUMN platform.tokens.created_at IS 'When it was made.';
COMMENT ON COLUMN platform.tokens.expires_at IS 'From then on refused; null: never.';
COMMENT ON COLUMN platform.tokens.revoked_at IS 'Refused since then; null: valid.';
COMMENT ON INDEX platform.tokens__user_id__idx IS 'Tokens of a user.';
