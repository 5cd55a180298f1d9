"""How far a backup or a restore has come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Progress", "Stage", "Told"]

Stage: TypeAlias = Literal["dump", "checksum", "verify", "restore", "count"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A step that was done: of a stage, ``done`` of ``total`` parts, the last of which is ``what``."""

    stage: Stage
    done: int
    total: int
    what: str


Told: TypeAlias = Callable[[Progress], None]
