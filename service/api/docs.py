"""GET /docs: a page that shows /openapi.json, with nothing from anywhere else."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response


async def docs(_: Request) -> Response:
    """200 and the page, which may run its own script and read from here, no more."""
    text, policy = _page()
    return Response(
        text,
        media_type="text/html",
        headers={
            "content-security-policy": policy,
            "referrer-policy": "no-referrer",
            "cache-control": "no-cache",
        },
    )


@cache
def _page() -> tuple[str, str]:
    text = (files("service.api") / "docs.html").read_text("utf-8")
    return text, "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hash_of('script', text)}",
            f"style-src {_hash_of('style', text)}",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _hash_of(tag: str, text: str) -> str:
    """The one element of this name, as a Content-Security-Policy allows it."""
    (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
    return f"'sha256-{digest}'"
