"""The statements of the watch feed: what is told, and what its chats are then.

They read the feed's own tables; each guards itself by positions against what has been
told already.
"""

from __future__ import annotations

from projections.facts import FACTS

CREATE = """
INSERT INTO read.watch_chats__v{v}
SELECT u.chat_id, u.owner_id, u.organization_id, u.title, u.client_type, u.labels,
  u.parent_chat_id, u.root_chat_id, u.created_at, 'waiting', NULL, NULL,
  u.position - 1, false, u.plan_mode, NULL, NULL, '[]', NULL, NULL, 0, NULL,
  u.created_at
FROM json_to_recordset(%s) AS u (
  chat_id uuid, owner_id uuid, organization_id uuid, title text, client_type text,
  labels jsonb, parent_chat_id uuid, root_chat_id uuid, created_at timestamptz,
  plan_mode text, position bigint)
ON CONFLICT (chat_id) DO NOTHING
"""

CHANGING = (*FACTS, "read_up_to")

CHANGE = f"""
UPDATE read.watch_chats__v{{v}} AS c
SET ({", ".join(CHANGING)}) = (
  SELECT {", ".join(f"p.{name}" for name in CHANGING)}
  FROM jsonb_populate_record(c, u.changes) AS p)
FROM json_to_recordset(%s) AS u (chat_id uuid, changes jsonb, position bigint)
WHERE c.chat_id = u.chat_id AND c.position < u.position
"""  # noqa: S608 - names are ours
"""Before anything is told: a fork has another owner than what it copies."""

TELL = """
INSERT INTO read.watch_feed__v{v}
SELECT c.owner_id, coalesce(o.number, 0) + row_number() OVER (
    PARTITION BY c.owner_id ORDER BY u.place, k.nth),
  k.kind, c.chat_id, u.version, k.status,
  CASE WHEN k.status <> 'error' THEN NULL WHEN u.status IS NULL THEN c.last_error
    ELSE u.last_error END,
  coalesce(u.at, greatest(c.updated_at, u.moved_at), c.created_at), u.recorded_at,
  u.digest,
  CASE WHEN k.kind <> 'action_required' THEN NULL WHEN u.status IS NULL
    THEN c.tool_calls ELSE u.tool_calls END
FROM json_to_recordset(%s) AS u (
  chat_id uuid, place bigint, kind text, version int, position bigint, status text,
  last_error jsonb, tool_calls jsonb, moved_at timestamptz, before text,
  settled boolean, at timestamptz, recorded_at timestamptz, digest text)
JOIN read.watch_chats__v{v} AS c ON c.chat_id = u.chat_id AND (
  c.position < coalesce(u.position, u.place)
  OR c.position = u.position AND c.status IS DISTINCT FROM c.shown)
LEFT JOIN read.watch_owners__v{v} AS o ON o.owner_id = c.owner_id
CROSS JOIN LATERAL (SELECT coalesce(u.status, c.status), coalesce(
  u.before, CASE WHEN u.settled THEN c.status ELSE c.shown END)) AS b (status, shown)
CROSS JOIN LATERAL (VALUES
  (1, u.kind, b.shown, u.kind IS NOT NULL AND b.shown IS NOT NULL),
  (2, CASE WHEN b.shown IS NULL THEN 'created' ELSE 'status_change' END, b.status,
    u.kind IS NULL AND b.status IS DISTINCT FROM b.shown),
  (3, 'action_required', b.status, u.kind IS NULL AND b.status = 'requires_action'
    AND b.status <> b.shown)) AS k (nth, kind, status, holds)
WHERE k.holds
"""

COUNT = """
INSERT INTO read.watch_owners__v{v} AS o
SELECT w.owner_id, f.number, f.digest
FROM (
  SELECT DISTINCT c.owner_id FROM json_to_recordset(%s) AS u (chat_id uuid)
  JOIN read.watch_chats__v{v} AS c ON c.chat_id = u.chat_id) AS w
CROSS JOIN LATERAL (
  SELECT t.number, t.digest FROM read.watch_feed__v{v} AS t
  WHERE t.owner_id = w.owner_id ORDER BY t.number DESC LIMIT 1) AS f
ON CONFLICT (owner_id) DO UPDATE SET number = excluded.number, digest = excluded.digest
WHERE o.number < excluded.number
"""

TAKE = """
UPDATE read.watch_chats__v{v} AS c
SET status = coalesce(u.status, c.status), position = coalesce(u.position, c.position),
  last_error = CASE WHEN u.status IS NULL THEN c.last_error ELSE u.last_error END,
  tool_calls = CASE WHEN u.status IS NULL THEN c.tool_calls ELSE u.tool_calls END,
  updated_at = greatest(c.updated_at, u.moved_at),
  shown = CASE WHEN u.border THEN coalesce(u.status, c.status)
    ELSE coalesce(u.before, CASE WHEN u.settled THEN c.status ELSE c.shown END) END
FROM json_to_recordset(%s) AS u (
  chat_id uuid, place bigint, position bigint, status text, last_error jsonb,
  tool_calls jsonb, moved_at timestamptz, border boolean, before text, settled boolean)
WHERE c.chat_id = u.chat_id AND CASE
  WHEN u.position IS NULL
    THEN c.position < u.place AND c.status IS DISTINCT FROM c.shown
  ELSE c.position < u.position OR c.position = u.position AND u.border END
"""

PRUNE = """
DELETE FROM read.watch_feed__v{v} AS f
WHERE f.recorded_at < (%s::json -> 0 ->> 'before')::timestamptz
"""

TELL_DELETED = """
INSERT INTO read.watch_feed__v{v}
SELECT c.owner_id, o.number + row_number() OVER (
    PARTITION BY c.owner_id ORDER BY e.position),
  'deleted', c.chat_id, e.version, c.status, NULL, e.recorded_at, e.recorded_at,
  left(encode(e.digest, 'hex'), 8)
FROM json_to_recordset(%s) AS u (id uuid)
JOIN read.watch_chats__v{v} AS c ON c.chat_id = u.id
JOIN read.watch_owners__v{v} AS o ON o.owner_id = c.owner_id
CROSS JOIN LATERAL (
  SELECT p.version, p.position, p.recorded_at, p.digest FROM es.events AS p
  WHERE p.stream_id = c.chat_id ORDER BY p.version DESC LIMIT 1) AS e
"""
"""The last event of the stream is its `stream_purged`: nothing comes after it."""

COUNT_DELETED = COUNT.replace("(chat_id uuid)", "(id uuid)").replace(
    "u.chat_id", "u.id"
)

SCRUB = """
UPDATE read.watch_feed__v{v} SET last_error = NULL, tool_calls = NULL
WHERE (last_error IS NOT NULL OR tool_calls IS NOT NULL) AND chat_id IN (
  SELECT u.id FROM json_to_recordset(%s) AS u (id uuid))
"""

FORGET = """
DELETE FROM read.watch_chats__v{v}
WHERE chat_id IN (SELECT u.id FROM json_to_recordset(%s) AS u (id uuid))
"""

TOLD = """
SELECT f.*, lag(f.digest) OVER (PARTITION BY f.owner_id ORDER BY f.number) AS follows
FROM read.watch_feed__v{v} AS f
JOIN read.watch_chats__v{v} AS c ON c.chat_id = f.chat_id
WHERE f.recorded_at >= (
  SELECT e.recorded_at FROM es.events AS e ORDER BY e.position DESC LIMIT 1)
  - interval '7 days'
"""
"""Rows of chats that are there, and what each follows; what may be pruned may be gone.

A version that saw events which are erased now was pruned by them, too.
"""

WATCHED = """
SELECT o.* FROM read.watch_owners__v{v} AS o
WHERE EXISTS (
  SELECT FROM read.watch_chats__v{v} AS c
  WHERE c.owner_id = o.owner_id AND c.shown IS NOT NULL)
"""
