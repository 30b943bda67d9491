"""Is the process alive, can it serve, how is it doing."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from service import metrics
from service.api.context import subject_of, vitals_of
from service.api.perform import json_response
from service.api.readiness import look
from service.errors import Rejection, Unavailable


async def healthz(_: Request) -> Response:
    """200 while the event loop turns; says nothing about the database."""
    return json_response({"status": "ok"})


async def readyz(request: Request) -> Response:
    """200 when the database answers and its schema is ours; 503 otherwise.

    Lag is told, and never makes a process unready: taking it out would not help.
    """
    found = await look(vitals_of(request).pool)
    if not found.database:
        raise Unavailable("the database does not answer")
    if not found.schema:
        raise Rejection("schema-not-current", "run `parley migrate`")
    lag = {
        row.projection: {
            "state": row.state,
            "events": row.events_behind,
            "seconds": row.seconds_behind,
            "parked_streams": row.parked_streams,
        }
        for row in found.lag
    }
    return json_response(
        {"status": "ready", "database": "ok", "schema": "current", "lag": lag}
    )


async def prometheus(request: Request) -> Response:
    """Vital signs, as Prometheus reads them; lag as the database tells it now.

    Any token will do: nothing in them is anybody's.
    """
    vitals = vitals_of(request)
    if not vitals.metrics_public:
        await subject_of(request)
    vitals.metrics.show_lag((await look(vitals.pool)).lag)
    text = vitals.metrics.render()
    return Response(text, headers={"content-type": metrics.CONTENT_TYPE})
