"""``sqlkit health``: whether the database answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from sqlkit.cli.output import answers
from sqlkit.cli.target import DsnOption, FolderOption, opened_target
from sqlkit.database import Database
from sqlkit.errors import EmbeddedError, PoolExhausted
from sqlkit.settings import Settings

__all__ = ["health"]


def health(
    dsn: DsnOption = None,
    folder: FolderOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as one JSON object.")] = False,
    within: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds to wait for an answer.")] = 5.0,
) -> None:
    """Say whether the database answers: status 0 if it does, 1 if not."""
    found = _ask(dsn, folder, within)
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
    try:
        with Database.connect(settings, connect_timeout=within, pool_min_size=1, pool_max_size=1) as db:
            return asdict(db.health(within)) | place
    except PoolExhausted as error:
        return {"healthy": False, "reasons": [" ".join(str(error.__cause__ or error).split())]} | place


def _show(found: dict[str, Any]) -> None:
    lines = [f"{'healthy' if found['healthy'] else 'unhealthy'}: {found['database'] or 'the embedded PostgreSQL'}"]
    if found.get("server_version"):
        role = "a standby" if found["in_recovery"] else "a primary"
        lines.append(f"PostgreSQL {found['server_version']}, {role}, one round trip in {found['latency_ms']:.1f} ms")
    for replica in (found.get("pool") or {}).get("replicas", ()):
        lag = "" if replica["lag"] is None else f", at most {replica['lag']:.1f} s behind"
        lines.append(f"replica {replica['database']}: {replica['reason'] or 'serves'}{lag}")
    lines += found["reasons"]
    answers.print("\n".join(lines), markup=False, soft_wrap=True)
