"""The plans that are committed: a JSON file of lines, by statement and variant, sorted, so that a change is a diff."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlkit.errors import ConfigurationError
from sqlkit.statements import Statement

__all__ = ["Snapshot", "read_snapshot", "statement_key", "write_snapshot"]

#: The key of the variant that a statement without markers has.
Plans = Mapping[str, Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Plans as lines, by statement and by variant, and the major version of the PostgreSQL that made them."""

    postgresql: int
    plans: Plans = field(default_factory=dict)


def statement_key(statement: Statement, snapshot: Path) -> str:
    """Return a statement's name with its file, as it is seen from the snapshot: ``sql/songs.sql: get_song``."""
    try:
        path = os.path.relpath(statement.path.resolve(), snapshot.resolve().parent)
    except ValueError:  # another drive
        path = str(statement.path)
    return f"{Path(path).as_posix()}: {statement.name}"


def read_snapshot(path: Path) -> Snapshot | None:
    """Read a snapshot; None where there is no file, ConfigurationError for one that is none."""
    try:
        read = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        raise ConfigurationError(f"{path}: is no JSON; write it anew with --update-plans") from None
    try:
        return Snapshot(int(read["postgresql"]), _plans(read["plans"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ConfigurationError(f"{path}: is no snapshot of plans; write it anew with --update-plans") from None


def _plans(read: Any) -> Plans:
    return {
        statement: {variant: tuple(map(str, lines)) for variant, lines in variants.items()}
        for statement, variants in read.items()
    }


def write_snapshot(path: Path, snapshot: Snapshot) -> bool:
    """Write a snapshot, in the same order whatever the order of its statements; tell whether it was another before."""
    text = json.dumps({"postgresql": snapshot.postgresql, "plans": snapshot.plans}, indent=2, sort_keys=True) + "\n"
    if path.exists() and path.read_bytes() == text.encode():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.new")
    waiting.write_bytes(text.encode())
    waiting.replace(path)
    return True
