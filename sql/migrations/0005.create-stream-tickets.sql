-- depends: 0004.rebuild-read-models
-- Tickets that open one stream each, for clients that can send no header.
-- Locks nothing that exists; takes milliseconds.
CREATE UNLOGGED TABLE ops.stream_tickets (
  ticket_hash bytea NOT NULL,
  token_id uuid NOT NULL,
  chat_id uuid,
  expires_at timestamptz NOT NULL,
  CONSTRAINT stream_tickets__pkey PRIMARY KEY (ticket_hash),
  CONSTRAINT stream_tickets__ticket_hash__check
    CHECK (octet_length(ticket_hash) = 32)
) WITH (
  -- Rows live for a minute at most.
  autovacuum_vacuum_scale_factor = 0.01,
  autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX stream_tickets__expires_at__idx ON ops.stream_tickets (expires_at);
COMMENT ON TABLE ops.stream_tickets IS
  'Tickets for one stream, used once. Emptied by a crash: clients take new ones.';
COMMENT ON COLUMN ops.stream_tickets.ticket_hash IS 'sha256 of the ticket.';
COMMENT ON COLUMN ops.stream_tickets.token_id IS
  'The token that it was taken with, and whose rights it has.';
COMMENT ON COLUMN ops.stream_tickets.chat_id IS
  'The chat that it opens; null: the feed of all chats of its owner.';
COMMENT ON COLUMN ops.stream_tickets.expires_at IS 'From then on refused.';
COMMENT ON INDEX ops.stream_tickets__expires_at__idx IS
  'What the janitor removes.';
