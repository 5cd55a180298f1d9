"""What a pool tells the server, and what it says of itself: all that needs no connection to be decided."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from psycopg import IsolationLevel

from sqlkit.errors import ArgumentError, ConfigurationError
from sqlkit.execution.lending import Local

if TYPE_CHECKING:
    from sqlkit.settings import Settings

__all__ = [
    "Begins",
    "Health",
    "Isolation",
    "PoolStatus",
    "ReplicaStatus",
    "Transaction",
    "begins_with",
    "connect_keywords",
    "default_local",
    "for_replica",
    "migrating_dsn",
    "narrowed",
    "search_path",
    "settled",
]

Isolation: TypeAlias = IsolationLevel | Literal["read uncommitted", "read committed", "repeatable read", "serializable"]

# A peer that vanished without a word is noticed within a minute, not after the kernel's two hours.
KEEPALIVES = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
# A replica's within seconds: its reads can go elsewhere.
VANISHES_SOON = {
    "keepalives_idle": "3",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": "5000",
}
NAME_BYTES = 63  # NAMEDATALEN - 1: the server cuts longer names off, and two tenants could become one


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A replica at one moment: whether it serves reads, or for what ``reason`` it was left.

    ``lag`` is the time in seconds by which it is behind the primary at most, None where that is not known. ``size``
    connections are open, ``checked_out`` are lent, ``waiting`` callers wait for one.
    """

    database: str
    serving: bool
    reason: str | None
    lag: float | None
    size: int
    checked_out: int
    waiting: int


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """A pool at one moment: ``size`` connections are open, ``checked_out`` are lent, ``available`` idle.

    ``overflow`` is how many are open beyond ``min_size``, ``waiting`` how many callers wait for one. The figures are
    the primary's; each of the ``replicas`` has a pool of its own.
    """

    size: int
    checked_out: int
    overflow: int
    available: int
    waiting: int
    min_size: int
    max_size: int
    replicas: tuple[ReplicaStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a database answers: ``reasons`` says why not, in sentences without secrets.

    ``latency_ms`` is one round trip, ``in_recovery`` is true on a standby; both and ``server_version`` are
    None where the server did not answer.
    """

    healthy: bool
    reasons: tuple[str, ...]
    server_version: str | None
    in_recovery: bool | None
    latency_ms: float | None
    pool: PoolStatus


@dataclass(frozen=True, slots=True)
class Transaction:
    """The options of a block's transactions; None leaves the server's default."""

    isolation: IsolationLevel | None = None
    read_only: bool | None = None
    deferrable: bool | None = None

    @classmethod
    def of(cls, isolation: Isolation | None, read_only: bool | None, deferrable: bool | None = None) -> Transaction:
        """Make options of what a caller writes; ArgumentError for an isolation level that there is not."""
        if isinstance(isolation, str):
            try:
                isolation = IsolationLevel[isolation.strip().upper().replace(" ", "_")]
            except KeyError:
                levels = ", ".join(level.name.lower().replace("_", " ") for level in IsolationLevel)
                raise ArgumentError(f"transaction: no isolation level {isolation!r}; there are {levels}") from None
        return cls(isolation, read_only, deferrable)


def settled(settings: Settings | str | None, overrides: Mapping[str, Any]) -> Settings:
    """Return the settings that a caller means: read from the environment, for a DSN, or given."""
    from sqlkit.settings import Settings

    if isinstance(settings, Settings):
        return settings.replace(**overrides) if overrides else settings
    return Settings(**overrides) if settings is None else Settings(url=settings, **overrides)


def migrating_dsn(settings: Settings) -> str:
    """Return the DSN to migrate by: ConfigurationError behind a pooler, through which two runs would be in one lock."""
    if settings.pooler == "transaction":
        raise ConfigurationError(
            "migrate: not through a pooler of transactions: give the server's own DSN to `sqlkit migrate --dsn`, or to "
            "a Database without pooler="
        )
    return settings.dsn()


def connect_keywords(settings: Settings) -> dict[str, Any]:
    """Return what every connection of a pool is opened with, besides the DSN.

    A direct connection gets its session settings from libpq's ``options``, which survive RESET ALL. A
    pooler in transaction mode refuses those, and would hand session settings to other clients.
    """
    keywords: dict[str, Any] = {
        "autocommit": True,
        "application_name": settings.application_name,
        "client_encoding": "UTF8",
        "connect_timeout": max(2, math.ceil(settings.connect_timeout)),  # libpq takes 1 for 2
    }
    keywords |= {key: value for key, value in KEEPALIVES.items() if key not in settings.parameters}
    if _chooses_among_servers(settings):
        keywords["target_session_attrs"] = "read-write"
    if settings.pooler == "transaction":
        return keywords | {"prepare_threshold": None}
    own = " ".join(f"-c {name}={_option(value)}" for name, value in _session(settings).items())
    return keywords | {"options": f"{settings.parameters.get('options', '')} {own}".strip()}


def for_replica(settings: Settings) -> Settings:
    """Return settings whose connections are read-only and soon notice that their server has vanished.

    A replica that is promoted keeps its connections, and would take writes of a function that a query calls. A pooler
    in transaction mode refuses the options that say so.
    """
    found = VANISHES_SOON | dict(settings.parameters)
    if settings.pooler == "none":
        found["options"] = f"{found.get('options', '')} -c default_transaction_read_only=on".strip()
    return settings.replace(parameters=found)


def _chooses_among_servers(settings: Settings) -> bool:
    """Whether several servers are named and nothing says which to take: the one that takes writes, then."""
    hosts = f"{settings.host or ''}{settings.parameters.get('hostaddr', '')}"
    said = "target_session_attrs" in settings.parameters or "PGTARGETSESSIONATTRS" in os.environ
    return "," in hosts and not said


def default_local(settings: Settings) -> Local | None:
    """Return what each call of a Database sets in its transaction: nothing, or all behind a pooler."""
    if settings.pooler == "none":
        return None
    session = _session(settings)
    return Local(tuple(session.items()), session.get("search_path"))


def narrowed(local: Local | None, schema: str | None, role: str | None, settings: Mapping[str, str]) -> Local:
    """Return what a bound view sets: what its parent sets, with the view's own over it and the role last.

    The role comes last because it may be one that could not set the others.
    """
    values = dict(local.settings) if local else {}
    former = values.pop("role", None)
    if schema is not None:
        values["search_path"] = search_path(schema)
    values |= settings
    last = values.pop("role", None) or role or former
    if last is not None:
        values["role"] = last
    for name, value in values.items():
        if not isinstance(value, str) or "\0" in value or "\0" in name or not name:
            raise ArgumentError(f"bound: the setting {name!r} takes text without NUL characters")
    return Local(tuple(values.items()), values.get("search_path"))


def search_path(schema: str) -> str:
    """Return the search path of a schema: itself, then the extensions."""
    if not schema or "\0" in schema or len(schema.encode()) > NAME_BYTES:
        raise ArgumentError(f"bound: {schema!r} is no schema's name: 1 to {NAME_BYTES} bytes, no NUL character")
    quoted = schema.replace('"', '""')
    return f'"{quoted}", extensions'


class Begins(NamedTuple):
    """What rides along with BEGIN: a statement, empty if there is nothing to set, and the search path it sets."""

    statement: bytes
    path: bytes


def begins_with(local: Local | None) -> Begins:
    """Return the statement that sets what a view is bound to, as literals, for it shares a message with BEGIN."""
    if local is None or not local.settings:
        return Begins(b"", b"")
    calls = (f"pg_catalog.set_config({_literal(name)}, {_literal(value)}, true)" for name, value in local.settings)
    return Begins(f"select {', '.join(calls)}".encode(), (local.path or "").encode())


def _session(settings: Settings) -> dict[str, str]:
    session = {"timezone": settings.timezone}
    if settings.schema is not None:
        session["search_path"] = search_path(settings.schema)
    if settings.statement_timeout is not None:
        session["statement_timeout"] = _milliseconds(settings.statement_timeout)
    if settings.idle_in_transaction_timeout is not None:
        session["idle_in_transaction_session_timeout"] = _milliseconds(settings.idle_in_transaction_timeout)
    return session


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))  # 0 would switch the timeout off


def _option(value: str) -> str:
    r"""Escape a value for libpq's ``options``, which are split at blanks."""
    return "".join(f"\\{char}" if char == "\\" or char.isspace() else char for char in value)


def _literal(value: str) -> str:
    r"""Quote a literal, whatever standard_conforming_strings says: E'' as soon as there is a backslash."""
    quoted = value.replace("'", "''")
    return f"E'{quoted}'".replace("\\", "\\\\") if "\\" in quoted else f"'{quoted}'"
