"""Settings: read once from the environment, passed down in parts.

Every variable is documented in the README; a test compares the two.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from service.errors import SetupError

logger = logging.getLogger(__name__)

PREFIX = "PARLEY_"

NOT_SETTINGS = ("PARLEY_TEST_", "PARLEY_CHAT_ID", "PARLEY_URL", "PARLEY_TOKEN")
"""Variables that others read: tests, commands inside a workspace, clients."""

OF_VENDORS = {
    "openai_api_key": "OPENAI_API_KEY",
    "anthropic_api_key": "ANTHROPIC_API_KEY",
    "otel_exporter_otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
}
"""Fields that go by the names which their vendors' tools use."""

MODEL = re.compile(r"scripted|(openai|anthropic):\S+")

ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9.:_\[\]-]+")
"""As browsers send it: lower case, no path; some apps have schemes of their own."""

Role = Literal["api", "worker", "projector"]
ALL_ROLES: frozenset[Role] = frozenset({"api", "worker", "projector"})


class Settings(BaseModel):
    """Everything that can be set. Field `x_y` is the variable `PARLEY_X_Y`.

    A few fields have other names: see `variable_of`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: SecretStr | None = None
    """Any PostgreSQL >= 15; absent: PostgreSQL 18 from the wheel, in `data_dir`."""
    listen_url: SecretStr | None = None
    """A direct connection for LISTEN and migrations; absent: `database_url`."""
    data_dir: Path | None = None
    """Data folder of the embedded database; absent: the user's data folder."""
    database_pooler: bool = False
    """`database_url` leads to a transaction pooler."""
    role_prefix: str = Field(default="parley", pattern=r"^[a-z][a-z0-9_]{0,39}$")
    """Roles are per cluster: two Parleys in one cluster need two prefixes."""
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    pool_size: int = Field(default=10, ge=1, le=1000)
    """Connections for requests; the log, tail and projections have their own."""
    poll_interval_s: float = Field(default=5.0, gt=0)
    """How late a reader may be when every notification is lost."""
    heartbeat_interval_s: float = Field(default=10.0, gt=0)
    """One statement per worker and interval renews all its leases."""
    lease_s: float = Field(default=30.0, gt=0, validate_default=True)
    """A worker silent for so long has lost its chats; three heartbeats."""
    worker_slots: int = Field(default=200, ge=1)
    """Chats that one worker runs at a time; those that only wait take none."""
    shutdown_grace_s: float = Field(default=10.0, ge=0)
    """How long running turns may finish their step before they are given back."""
    scripted_rate: float = Field(default=50.0, gt=0)
    """Parts a second of the scripted provider."""
    model: str = "scripted"
    """`openai:NAME`, `anthropic:NAME`, or `scripted`, which needs no key."""
    model_base_url: str | None = None
    """A server that speaks the API of `model`'s vendor; absent: the vendor's own."""
    openai_api_key: SecretStr | None = None
    """Key for `openai:` models; a server at `model_base_url` may need none."""
    anthropic_api_key: SecretStr | None = None
    """Key for `anthropic:` models; a server at `model_base_url` may need none."""
    model_startup_s: float = Field(default=60.0, gt=0)
    """A model that has not begun to answer by then is asked again."""
    model_silence_s: float = Field(default=600.0, gt=0)
    """So is one that stops for so long; some think aloud to nobody for minutes."""
    secret_key: SecretStr | None = None
    """Encrypts stored keys: one or several, the newest first; absent: a file."""
    otel_exporter_otlp_endpoint: str | None = None
    """An OTLP collector (HTTP) that turns are traced to; needs `parley[otel]`."""
    stream_heartbeat_s: float = Field(default=15.0, gt=0)
    """A comment on every idle stream; proxies cut silent connections after 60 s."""
    stream_lifetime_s: float = Field(default=600.0, gt=0)
    """A stream is cut, when caught up, after this time and up to a tenth more."""
    stream_send_timeout_s: float = Field(default=30.0, gt=0)
    """A follower that takes nothing for so long is cut."""
    ring_frames: int = Field(default=1024, ge=16)
    """Frames kept per followed chat; 20 s of a model at 50 tokens a second."""
    ring_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    """Bytes of all rings of the process together."""
    state_cache_bytes: int = Field(default=64 * 1024 * 1024, ge=0)
    """Bytes of folded chats kept in memory, estimated from their events."""
    append_queue: int = Field(default=10_000, ge=1)
    """Append requests that may wait; one more is refused with 503."""
    append_deadline_s: float = Field(default=30.0, gt=0)
    """After this an append with unknown outcome is answered 503."""
    rate_limit_per_minute: int = Field(default=6000, ge=0)
    """Requests a minute of one token to one process, in a burst too; 0: no limit."""
    max_running_chats_per_user: int = Field(default=1000, ge=0)
    """Further turns of the user are refused, about; 0: no limit."""
    cors_origins: str = ""
    """Exact origins that browsers may call from, separated by commas."""
    metrics_public: bool = False
    """/metrics needs no token; also answers while the database is away."""
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """Where a process without the role api tells /metrics and its health, if at all."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    guard: Literal["raise", "count"] = "count"
    """What a connection held across a slow call does; tests raise."""

    @field_validator("lease_s")
    @classmethod
    def _outlives_a_heartbeat(cls, value: float, info: ValidationInfo) -> float:
        interval = info.data.get("heartbeat_interval_s", 0.0)
        if value < 2 * interval:
            # a turn longer than the lease would be taken anew again and again
            raise ValueError(f"expected two heartbeats ({2 * interval:g} s) or more")
        return value

    @field_validator("cors_origins")
    @classmethod
    def _exact_origins(cls, value: str) -> str:
        origins = [text.strip() for text in value.split(",")]
        if any(origin and ORIGIN.fullmatch(origin) is None for origin in origins):
            raise ValueError("expected https://host[:port], without * or a path")
        return value

    @field_validator("model")
    @classmethod
    def _a_known_vendor(cls, value: str) -> str:
        if MODEL.fullmatch(value) is None:
            raise ValueError("expected scripted, openai:NAME or anthropic:NAME")
        return value

    @field_validator("model_base_url", "otel_exporter_otlp_endpoint")
    @classmethod
    def _a_plain_url(cls, value: str | None) -> str | None:
        if value is not None:
            url = urlsplit(value)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError("expected http://host... or https://host...")
            if url.username is not None or url.query or url.fragment:
                raise ValueError("expected no user, query or fragment in the URL")
        return value

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings; a wrong value raises SetupError naming its variable."""
        known = {variable_of(name): name for name in cls.model_fields}
        values = {
            known[variable]: value
            for variable, value in environ.items()
            if variable in known and value != ""
        }
        for variable in environ:
            if variable.startswith(PREFIX) and variable not in known:
                if variable.startswith(NOT_SETTINGS):
                    continue
                # without the prefix, or everything would be near to everything
                name = variable.removeprefix(PREFIX).lower()
                near = difflib.get_close_matches(name, cls.model_fields, n=1)
                logger.warning(
                    "unknown setting %s is ignored%s",
                    variable,
                    f"; did you mean {variable_of(near[0])}" if near else "",
                )
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SetupError(_explain(error)) from error


def variable_of(field: str) -> str:
    """The environment variable that sets this field."""
    return OF_VENDORS.get(field, PREFIX + field.upper())


def _explain(error: ValidationError) -> str:
    problems = error.errors(include_input=False, include_url=False)
    return "; ".join(
        f"{variable_of(str(p['loc'][0]))}: {p['msg'].removeprefix('Value error, ')}"
        for p in problems
    )
