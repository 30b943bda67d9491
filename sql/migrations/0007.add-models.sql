-- depends: 0006.keep-lease-times
-- Providers, model configs, settings and thresholds, and the outbox of their audit.
-- Locks platform.users for milliseconds: the foreign keys; nothing is rewritten.
CREATE TABLE platform.providers (
  id uuid NOT NULL,
  kind text NOT NULL,
  display_name text NOT NULL,
  base_url text,
  enabled boolean NOT NULL DEFAULT true,
  api_key_encrypted bytea,
  has_api_key boolean NOT NULL
    GENERATED ALWAYS AS (api_key_encrypted IS NOT NULL) STORED,
  deleted_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT providers__pkey PRIMARY KEY (id),
  CONSTRAINT providers__kind__check
    CHECK (kind IN ('openai', 'openai_compat', 'anthropic')),
  CONSTRAINT providers__display_name__check
    CHECK (char_length(display_name) BETWEEN 1 AND 200),
  CONSTRAINT providers__base_url__check
    CHECK (base_url ~ '^https?://' AND char_length(base_url) <= 2000),
  -- A server that only speaks like OpenAI's is nowhere in particular.
  CONSTRAINT providers__kind__base_url__check
    CHECK (kind <> 'openai_compat' OR base_url IS NOT NULL)
);
CREATE UNIQUE INDEX providers__display_name__idx
  ON platform.providers (display_name) WHERE deleted_at IS NULL;
COMMENT ON TABLE platform.providers IS
  'Servers of models, each with its address and its key.';
COMMENT ON COLUMN platform.providers.id IS 'The provider.';
COMMENT ON COLUMN platform.providers.kind IS
  'What it speaks: openai, openai_compat (another server, the same API), anthropic.';
COMMENT ON COLUMN platform.providers.display_name IS
  'What people call it; unique among those that are not deleted.';
COMMENT ON COLUMN platform.providers.base_url IS
  'Where it is; null: the address of the vendor.';
COMMENT ON COLUMN platform.providers.enabled IS 'Whether its models may be asked.';
COMMENT ON COLUMN platform.providers.api_key_encrypted IS
  'Its key, encrypted by the service with a key that the database never sees.';
COMMENT ON COLUMN platform.providers.has_api_key IS
  'Whether there is a key: for those who may not read it.';
COMMENT ON COLUMN platform.providers.deleted_at IS
  'Gone since then; the row stays, spending refers to it. Null: it is there.';
COMMENT ON COLUMN platform.providers.created_at IS 'When it was made.';
COMMENT ON COLUMN platform.providers.updated_at IS
  'When anything of it changed last; clients of older values are closed.';
COMMENT ON INDEX platform.providers__display_name__idx IS
  'A name leads to one provider.';

CREATE TABLE platform.model_configs (
  id uuid NOT NULL,
  provider_id uuid NOT NULL,
  model text NOT NULL,
  display_name text NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  is_default boolean NOT NULL DEFAULT false,
  context_limit int NOT NULL,
  compaction_threshold int NOT NULL DEFAULT 70,
  max_output_tokens int,
  temperature numeric,
  reasoning_effort text,
  max_reasoning_effort text,
  options jsonb NOT NULL DEFAULT '{}',
  price_input numeric,
  price_output numeric,
  price_cache_read numeric,
  price_cache_write numeric,
  deleted_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT model_configs__pkey PRIMARY KEY (id),
  CONSTRAINT model_configs__provider_id__fk
    FOREIGN KEY (provider_id) REFERENCES platform.providers (id),
  -- Triggers keep one default; this holds should anybody switch them off. At commit,
  -- because setting one comes before clearing the other.
  CONSTRAINT model_configs__is_default__key
    EXCLUDE USING btree (is_default WITH =) WHERE (is_default)
    DEFERRABLE INITIALLY DEFERRED,
  CONSTRAINT model_configs__model__check
    CHECK (char_length(model) BETWEEN 1 AND 200),
  CONSTRAINT model_configs__display_name__check
    CHECK (char_length(display_name) BETWEEN 1 AND 200),
  CONSTRAINT model_configs__context_limit__check CHECK (context_limit > 0),
  CONSTRAINT model_configs__compaction_threshold__check
    CHECK (compaction_threshold BETWEEN 0 AND 100),
  CONSTRAINT model_configs__max_output_tokens__check CHECK (max_output_tokens > 0),
  CONSTRAINT model_configs__temperature__check CHECK (temperature BETWEEN 0 AND 2),
  CONSTRAINT model_configs__reasoning_effort__check CHECK (reasoning_effort IN
    ('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max')),
  CONSTRAINT model_configs__max_reasoning_effort__check
    CHECK (max_reasoning_effort IN
      ('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max')),
  CONSTRAINT model_configs__options__check CHECK (jsonb_typeof(options) = 'object'),
  -- NaN and infinity are greater than every number: the upper bound keeps them out.
  CONSTRAINT model_configs__price_input__check
    CHECK (price_input BETWEEN 0 AND 1000000),
  CONSTRAINT model_configs__price_output__check
    CHECK (price_output BETWEEN 0 AND 1000000),
  CONSTRAINT model_configs__price_cache_read__check
    CHECK (price_cache_read BETWEEN 0 AND 1000000),
  CONSTRAINT model_configs__price_cache_write__check
    CHECK (price_cache_write BETWEEN 0 AND 1000000)
);
CREATE UNIQUE INDEX model_configs__provider_id__model__display_name__idx
  ON platform.model_configs (provider_id, model, display_name)
  WHERE deleted_at IS NULL;
COMMENT ON TABLE platform.model_configs IS
  'Models that chats may use. Usable: enabled, not deleted, of an enabled provider.';
COMMENT ON COLUMN platform.model_configs.id IS
  'The config; chats, messages and spending name it.';
COMMENT ON COLUMN platform.model_configs.provider_id IS 'Who serves the model.';
COMMENT ON COLUMN platform.model_configs.model IS 'Its name there.';
COMMENT ON COLUMN platform.model_configs.display_name IS 'What people see.';
COMMENT ON COLUMN platform.model_configs.enabled IS 'Whether chats may use it.';
COMMENT ON COLUMN platform.model_configs.is_default IS
  'What a chat uses that names none; exactly one of the usable ones has true.';
COMMENT ON COLUMN platform.model_configs.context_limit IS
  'Tokens that a prompt and its answer may have.';
COMMENT ON COLUMN platform.model_configs.compaction_threshold IS
  'Percent of it that a prompt takes before the history is shortened; 100: never.';
COMMENT ON COLUMN platform.model_configs.max_output_tokens IS
  'Of one answer; null: what the service takes by itself.';
COMMENT ON COLUMN platform.model_configs.temperature IS
  'Null: as the vendor has it.';
COMMENT ON COLUMN platform.model_configs.reasoning_effort IS
  'How much it thinks where a chat does not say; null: as the vendor has it.';
COMMENT ON COLUMN platform.model_configs.max_reasoning_effort IS
  'No chat gets more than this; null: no limit.';
COMMENT ON COLUMN platform.model_configs.options IS
  'What only some vendors know, a JSON object: {"top_p": 0.9}.';
COMMENT ON COLUMN platform.model_configs.price_input IS
  'US dollars per million tokens of the prompt; null: no price.';
COMMENT ON COLUMN platform.model_configs.price_output IS
  'The same for answers, reasoning included.';
COMMENT ON COLUMN platform.model_configs.price_cache_read IS
  'The same for tokens that the vendor had in its cache.';
COMMENT ON COLUMN platform.model_configs.price_cache_write IS
  'The same for tokens that the vendor put into its cache.';
COMMENT ON COLUMN platform.model_configs.deleted_at IS
  'Gone since then; the row stays, spending refers to it. Null: it is there.';
COMMENT ON COLUMN platform.model_configs.created_at IS
  'When it was made; of several the oldest becomes the default.';
COMMENT ON COLUMN platform.model_configs.updated_at IS
  'When anything of it changed last.';
COMMENT ON INDEX platform.model_configs__provider_id__model__display_name__idx IS
  'Nobody makes the same config twice; keeps the foreign key cheap.';

CREATE TABLE platform.settings (
  key text NOT NULL,
  value jsonb NOT NULL,
  version int NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_by text NOT NULL DEFAULT 'system',
  CONSTRAINT settings__pkey PRIMARY KEY (key),
  CONSTRAINT settings__key__check CHECK (key ~ '^[a-z][a-z0-9_.]{0,99}$')
);
COMMENT ON TABLE platform.settings IS
  'What operators set for everybody: prompts, models for titles and summaries.';
COMMENT ON COLUMN platform.settings.key IS 'Which setting: deployment_prompt.';
COMMENT ON COLUMN platform.settings.value IS
  'What it is set to; a reader takes a malformed one for not set.';
COMMENT ON COLUMN platform.settings.version IS 'Counts its changes, from 1.';
COMMENT ON COLUMN platform.settings.updated_at IS 'When it changed last.';
COMMENT ON COLUMN platform.settings.updated_by IS
  'Who changed it last: parley.actor of that transaction.';

CREATE TABLE platform.user_settings (
  user_id uuid NOT NULL,
  key text NOT NULL,
  value jsonb NOT NULL,
  version int NOT NULL DEFAULT 1,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT user_settings__pkey PRIMARY KEY (user_id, key),
  CONSTRAINT user_settings__user_id__fk
    FOREIGN KEY (user_id) REFERENCES platform.users (id) ON DELETE CASCADE,
  CONSTRAINT user_settings__key__check CHECK (key ~ '^[a-z][a-z0-9_.]{0,99}$')
);
COMMENT ON TABLE platform.user_settings IS 'What a user sets for themselves.';
COMMENT ON COLUMN platform.user_settings.user_id IS 'Whose it is.';
COMMENT ON COLUMN platform.user_settings.key IS 'Which setting: custom_prompt.';
COMMENT ON COLUMN platform.user_settings.value IS
  'What it is set to; a reader takes a malformed one for not set.';
COMMENT ON COLUMN platform.user_settings.version IS 'Counts its changes, from 1.';
COMMENT ON COLUMN platform.user_settings.updated_at IS 'When it changed last.';

CREATE TABLE platform.compaction_thresholds (
  user_id uuid NOT NULL,
  model_config_id uuid NOT NULL,
  threshold_percent int NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT compaction_thresholds__pkey PRIMARY KEY (user_id, model_config_id),
  CONSTRAINT compaction_thresholds__user_id__fk
    FOREIGN KEY (user_id) REFERENCES platform.users (id) ON DELETE CASCADE,
  CONSTRAINT compaction_thresholds__model_config_id__fk
    FOREIGN KEY (model_config_id) REFERENCES platform.model_configs (id)
    ON DELETE CASCADE,
  CONSTRAINT compaction_thresholds__threshold_percent__check
    CHECK (threshold_percent BETWEEN 0 AND 100)
);
CREATE INDEX compaction_thresholds__model_config_id__idx
  ON platform.compaction_thresholds (model_config_id);
COMMENT ON TABLE platform.compaction_thresholds IS
  'When a user wants histories shortened, per model; else the config says it.';
COMMENT ON COLUMN platform.compaction_thresholds.user_id IS 'Whose chats.';
COMMENT ON COLUMN platform.compaction_thresholds.model_config_id IS
  'Those with this model.';
COMMENT ON COLUMN platform.compaction_thresholds.threshold_percent IS
  'Percent of the context that a prompt takes before; 100: never.';
COMMENT ON COLUMN platform.compaction_thresholds.updated_at IS
  'When it changed last.';
COMMENT ON INDEX platform.compaction_thresholds__model_config_id__idx IS
  'Keeps the foreign key cheap.';

-- No row outlives its transaction: nothing of it is worth a write-ahead log.
CREATE UNLOGGED TABLE platform.audit_outbox (
  id bigint GENERATED ALWAYS AS IDENTITY,
  stream_id uuid NOT NULL,
  type text NOT NULL,
  data jsonb NOT NULL,
  CONSTRAINT audit_outbox__pkey PRIMARY KEY (id)
);
COMMENT ON TABLE platform.audit_outbox IS
  'Changes of this schema on their way into the log; empty outside transactions.';
COMMENT ON COLUMN platform.audit_outbox.id IS 'The order of the changes.';
COMMENT ON COLUMN platform.audit_outbox.stream_id IS
  'Stream of category platform: the id of the row, or md5 of <table>:<key>.';
COMMENT ON COLUMN platform.audit_outbox.type IS 'Type of the event.';
COMMENT ON COLUMN platform.audit_outbox.data IS
  '{"op": "insert" | "update" | "delete", "row": {...}}, without secrets.';
