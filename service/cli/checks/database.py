"""Checks of the database: what Parley needs of it, and how it does there."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from service.cli.checks.check import Check, Patient, State
from service.db.migrate import schema_state
from service.subscription.listener import Listener

OLDEST_SERVER = 150_000
BESIDE_POOL = 12
"""Connections of a process beside its pool: listener, appender (2), tail, live parts
(2), leases (2), janitor, and one for each projection."""
LISTEN_S = 5.0
BEHIND = timedelta(minutes=1)
"""A read model so late is noticed by people; a poll tick is five seconds."""
CLOCK_OFF_S, CLOCK_WRONG_S = 1.0, 30.0
"""Times of messages would look odd; tokens would expire at wrong times."""
QUEUE_FULL = 0.5
"""Of the notification queue: somebody listens in an old transaction."""

SERVER = """
SELECT current_setting('server_version'), pg_is_in_recovery(),
  current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
  current_setting('server_encoding')
"""

ROLES = """
SELECT r.name, p.oid IS NOT NULL,
  coalesce(pg_has_role(current_user, p.oid, 'MEMBER'), false)
FROM unnest(%s::text[]) AS r (name)
LEFT JOIN pg_roles AS p ON p.rolname = r.name
"""

RIGHTS = """
SELECT bool_and(has_function_privilege(%(service)s, p.oid, 'EXECUTE')),
  bool_or(has_table_privilege(%(service)s, 'es.events', 'UPDATE, DELETE, TRUNCATE'))
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = 'es' AND p.proname IN ('append', 'read_stream', 'read_log')
"""

LAG = """
SELECT projection, state, lag_events, lag_age, parked_streams, error
FROM ops.projection_lag WHERE active ORDER BY projection
"""

LOG = """
SELECT head, table_bytes + index_bytes, notification_queue_usage
FROM ops.log_overview
"""

STUCK = """
SELECT problem, count(*), min(chat_id::text)
FROM ops.stuck_chats GROUP BY problem ORDER BY problem
"""

CONNECTIONS = """
SELECT current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int,
  (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
"""


async def server(patient: Patient) -> Check:
    """Version, encoding, and whether it may be written to."""
    row = await _row(patient, SERVER)
    version, standby, durable, encoding = row
    told = f"PostgreSQL {version}"
    if patient.connection.info.server_version < OLDEST_SERVER or encoding != "UTF8":
        remedy = "take PostgreSQL 15 or newer, and a database with ENCODING 'UTF8'"
        return Check("database", "fail", f"{told}, {encoding}", remedy)
    if standby:
        remedy = "let PARLEY_DATABASE_URL name the primary"
        return Check("database", "fail", f"{told}, a standby: nothing to write", remedy)
    if not durable:
        remedy = "switch fsync and full_page_writes on, unless this is for tests"
        return Check("database", "warn", f"{told}; a crash may lose the log", remedy)
    return Check("database", "ok", told)


async def schema(patient: Patient) -> Check:
    """Whether this release can work on the database."""
    state = await schema_state(patient.connection)
    if not state.current:
        wanting = ", ".join(state.pending) or "functions, triggers and views"
        return Check("schema", "fail", f"wanting: {wanting}", "run `parley migrate`")
    if state.unknown:
        told = f"migrated by a newer release: {', '.join(state.unknown)}"
        return Check("schema", "warn", told, "upgrade this installation of Parley")
    return Check("schema", "ok", "current")


async def roles(patient: Patient) -> Check:
    """Whether the login can take the roles that it needs, and may do its work."""
    wanted = [patient.role(name) for name in ("owner", "service", "projector", "dba")]
    cursor = await patient.connection.execute(ROLES, (wanted,))
    found = sorted(await cursor.fetchall(), key=lambda row: wanted.index(row[0]))
    if missing := [name for name, exists, _ in found if not exists]:
        told = f"there is no role {', '.join(missing)}"
        return Check("roles", "fail", told, "run `parley migrate`")
    if closed := [name for name, _, member in found if not member]:
        told = f"{_login(patient)} is no member of {', '.join(closed)}"
        if patient.role("dba") not in closed and patient.role("service") in closed:
            remedy = "serve with a login of the service; this one is for looking"
            return Check("roles", "warn", f"a login of a DBA: {told}", remedy)
        grants = "; ".join(f"GRANT {name} TO {_login(patient)}" for name in closed)
        needed = {patient.role("service"), patient.role("projector")} & {*closed}
        return Check("roles", "fail" if needed else "warn", told, grants)
    may_work, may_change = await _row(
        patient, RIGHTS, {"service": patient.role("service")}
    )
    if not may_work or may_change:
        told = f"the rights of {patient.role('service')} are not those of this release"
        return Check("roles", "fail", told, "run `parley migrate`; see es.verify too")
    return Check("roles", "ok", f"{_login(patient)} may act as {', '.join(wanted)}")


async def log(patient: Patient) -> Check:
    """How long the log is, and whether its doorbell is heard."""
    head, size, usage = await _row(patient, LOG)
    told = f"{head} events, {size / (1 << 20):.0f} MiB"
    if usage > QUEUE_FULL:
        remedy = "end the oldest transaction of pg_stat_activity that listens"
        told = f"{told}; the notification queue is {usage:.0%} full"
        return Check("log", "warn", told, remedy)
    return Check("log", "ok", told)


async def lag(patient: Patient) -> Check:
    """How far the read models are behind."""
    rows = await (await patient.connection.execute(LAG)).fetchall()
    if not rows:
        remedy = "start a process with the role projector: `parley serve`"
        return Check("read models", "warn", "none has run yet", remedy)
    stopped = [f"{row[0]}: {row[5]}" for row in rows if row[1] == "stopped"]
    if stopped:
        remedy = "mend the cause, then `parley projections retry`, skip or rebuild"
        return Check("read models", "fail", f"stopped: {'; '.join(stopped)}", remedy)
    if parked := [f"{row[0]} ({row[4]})" for row in rows if row[4]]:
        remedy = (
            "see ops.parked_streams; mend the cause, then `parley projections retry`"
        )
        return Check("read models", "warn", f"parked: {', '.join(parked)}", remedy)
    late = [f"{row[0]} by {row[2]} events" for row in rows if row[3] > BEHIND]
    if late:
        remedy = "start a process with the role projector, or wait for it"
        return Check("read models", "warn", f"behind: {', '.join(late)}", remedy)
    return Check("read models", "ok", f"{len(rows)}, none behind")


async def chats(patient: Patient) -> Check:
    """Chats that do not go on although they should."""
    rows = await (await patient.connection.execute(STUCK)).fetchall()
    if rows:
        told = ", ".join(f"{problem}: {count} ({one})" for problem, count, one in rows)
        remedy = "see ops.stuck_chats, and `parley events show` for what happened"
        return Check("chats", "warn", f"stuck: {told}", remedy)
    return Check("chats", "ok", "none is stuck")


async def clock(patient: Patient) -> Check:
    """The clock of the database against ours; the quickest of three readings counts."""
    readings = []
    for _ in range(3):
        began = patient.now()
        (at,) = await _row(patient, "SELECT clock_timestamp()")
        ended = patient.now()
        middle = began + (ended - began) / 2
        readings.append((ended - began, abs((at - middle).total_seconds())))
    apart = min(readings)[1]
    told = f"{apart * 1000:.0f} ms apart from the database's"
    if apart > CLOCK_OFF_S:
        state: State = "fail" if apart > CLOCK_WRONG_S else "warn"
        return Check("clock", state, told, "let NTP set the clock on both machines")
    return Check("clock", "ok", told)


async def listen(patient: Patient) -> Check:
    """A notification, from the connection of requests to that of the listener."""
    channel, heard = f"parley_doctor_{secrets.token_hex(6)}", asyncio.Event()
    listener = Listener(patient.databases.direct.dsn)
    # without a payload it is the connect, with one our own
    listener.subscribe(channel, lambda payload: heard.set() if payload else None)
    task = asyncio.create_task(listener.run(), name="listener")
    try:
        async with asyncio.timeout(LISTEN_S):
            await listener.connected.wait()
            # finer than the loop's own clock, which counts milliseconds
            began = time.perf_counter()
            await patient.connection.execute("SELECT pg_notify(%s, 'x')", (channel,))
            await heard.wait()
    except TimeoutError:
        where = "heard nothing" if listener.connects else "cannot connect"
        remedy = "set PARLEY_LISTEN_URL to a direct connection, not to a pooler"
        told = f"the listener {where} for {LISTEN_S:.0f} s; readers would only poll"
        return Check("listen", "fail", told, remedy)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    took_ms = (time.perf_counter() - began) * 1000
    return Check("listen", "ok", f"NOTIFY came back after {took_ms:.1f} ms")


async def connections(patient: Patient) -> Check:
    """Whether one more process finds room."""
    most, used = await _row(patient, CONNECTIONS)
    needs = patient.settings.pool_size + BESIDE_POOL
    told = f"{used} of {most} in use; a process takes up to {needs}"
    if most - used < needs:
        remedy = "raise max_connections, or lower PARLEY_POOL_SIZE"
        return Check("connections", "warn", told, remedy)
    return Check("connections", "ok", told)


OF_DATABASE: tuple[tuple[str, Callable[[Patient], Awaitable[Check]]], ...] = (
    ("database", server),
    ("schema", schema),
    ("roles", roles),
    ("log", log),
    ("read models", lag),
    ("chats", chats),
    ("clock", clock),
    ("listen", listen),
    ("connections", connections),
)
"""In this order: what fails first is most often why the others fail."""


def _login(patient: Patient) -> str:
    return patient.connection.info.user


async def _row(
    patient: Patient, query: str, values: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """The one row of a query that always has one."""
    row = await (await patient.connection.execute(query.encode(), values)).fetchone()
    assert row is not None  # noqa: S101  says the docstring
    return row
