"""Checks of the host: packages, the data folder, a service that answers."""

from __future__ import annotations

import platform
import shutil
from importlib import metadata
from pathlib import Path

import httpx2

from service.cli.checks.check import Check, State

PACKAGES = (
    "parley", "psycopg", "psycopg-pool", "aiopg", "pydantic", "starlette",
    "sse-starlette", "uvicorn", "yoyo-migrations", "orjson",
)  # fmt: skip
LITTLE_SPACE, NO_SPACE = 1 << 30, 100 << 20
"""Bytes: what a busy day may write; what a checkpoint may need at once."""
SERVICE_S = 5.0


def packages() -> Check:
    """What this command is made of."""
    versions = [f"Python {platform.python_version()}"]
    missing = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        told = f"not installed: {', '.join(missing)}"
        return Check(
            "packages", "fail", told, "install Parley anew, with what it needs"
        )
    return Check("packages", "ok", ", ".join(versions))


def data_folder(path: Path) -> Check:
    """The disk of the embedded database."""
    there = path
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    told = f"{path}, {free / (1 << 30):.1f} GiB free"
    if free < LITTLE_SPACE:
        state: State = "fail" if free < NO_SPACE else "warn"
        remedy = "free some space, or choose another folder with PARLEY_DATA_DIR"
        return Check("data folder", state, told, remedy)
    return Check("data folder", "ok", told)


async def running_service(url: str) -> Check:
    """The service that answers at `url`, if any."""
    start = "start it with `parley serve`, or give --url"
    try:
        async with httpx2.AsyncClient(timeout=SERVICE_S) as http:
            ready = await http.get(f"{url}/readyz")
    except (httpx2.TransportError, httpx2.InvalidURL):
        return Check("service", "warn", f"nothing answers at {url}", start)
    if ready.status_code == 200:
        return Check("service", "ok", f"ready at {url}")
    told = f"{url} is not ready: {ready.text[:200].strip()}"
    return Check("service", "fail", told, "see its log")
