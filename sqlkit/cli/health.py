"""``sqlkit health``: whether the database answers, and what stands beside it: the replicas, the cache in Redis."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from sqlkit.cli.output import answers
from sqlkit.cli.target import DsnOption, FolderOption, opened_target
from sqlkit.database import Database
from sqlkit.database.unreachable import refusal
from sqlkit.errors import ConfigurationError, EmbeddedError, PoolExhausted
from sqlkit.operations.units import seconds_text
from sqlkit.settings import Settings

__all__ = ["health"]

#: A key that nobody keeps: to be asked for it is to be asked at all.
NO_KEY = "sqlkit health"


def health(
    dsn: DsnOption = None,
    folder: FolderOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as one JSON object.")] = False,
    within: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds to wait for an answer.")] = 5.0,
) -> None:
    """Say whether the database answers: status 0 if it does, 1 if not.

    Replicas (DATABASE_REPLICAS) and the cache in Redis (REDIS_URL) are told where they are named; what fails there
    is told, and calls go on without it, so the status is the database's.

    Example: sqlkit health --json --within 1 | jq .healthy
    """
    found = _ask(dsn, folder, within) | {"caches": _caches(within)}
    if as_json:
        typer.echo(json.dumps(found))
    else:
        _show(found)
    raise typer.Exit(0 if found["healthy"] else 1)


def _ask(dsn: str | None, folder: Path | None, within: float) -> dict[str, Any]:
    try:
        with opened_target(dsn, folder) as target:
            return _ask_server(target.settings, within)
    except EmbeddedError as error:
        return {"healthy": False, "reasons": [str(error)], "database": None}


def _ask_server(settings: Settings, within: float) -> dict[str, Any]:
    place = {"database": settings.safe_dsn}
    one = {"application_name": "sqlkit health", "pool_min_size": 1, "pool_max_size": 1}
    try:
        with Database.connect(settings, connect_timeout=within, **one) as db:
            return asdict(db.health(within)) | place
    except PoolExhausted as error:
        reason = refusal(error.__cause__) if error.__cause__ else str(error)
        return {"healthy": False, "reasons": [reason]} | place


def _caches(within: float) -> list[dict[str, Any]]:
    """Ask the cache in Redis for a key, where one is named."""
    from sqlkit.caching import RedisTier
    from sqlkit.caching.redis import redis_url

    try:
        url = redis_url()
        if url is None:
            return []
        tier = RedisTier(url, timeout=within)
    except ConfigurationError as error:
        return [{"name": "redis", "healthy": False, "reason": str(error)}]
    place = _masked(url)
    try:
        tier.get_many([NO_KEY])
        reason = tier.health().reason
    finally:
        tier.close()
    said = None if reason is None else f"{place}: {reason}: start it, or mend REDIS_URL; calls go on without it"
    return [{"name": "redis", "healthy": reason is None, "reason": said}]


def _masked(url: str) -> str:
    """Return where a Redis is, without the name, the password and the options of its URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{'***@' if '@' in parts.netloc else ''}{parts.netloc.rpartition('@')[2]}{parts.path}"


def _show(found: dict[str, Any]) -> None:
    lines = [f"{'healthy' if found['healthy'] else 'unhealthy'}: {found['database'] or 'the embedded PostgreSQL'}"]
    if found.get("server_version"):
        role = "a standby" if found["in_recovery"] else "a primary"
        lines.append(f"PostgreSQL {found['server_version']}, {role}, one round trip in {found['latency_ms']:.1f} ms")
    lines += found["reasons"]
    for replica in found.get("pool", {}).get("replicas", ()):
        behind = "" if replica["lag"] is None else f", {seconds_text(replica['lag'])} behind at most"
        state = f"serves reads{behind}" if replica["serving"] else f"serves no reads: {replica['reason']}"
        lines.append(f"replica {replica['database']}: {state}")
    for cache in found["caches"]:
        lines.append(f"cache {cache['name']}: {'answers' if cache['healthy'] else cache['reason']}")
    answers.print("\n".join(lines), markup=False, soft_wrap=True)
