"""How far a backup or a restore has come."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Progress", "Stage", "Told", "Weighed"]

Stage: TypeAlias = Literal["lock", "dump", "checksum", "verify", "restore", "count"]


@dataclass(frozen=True, slots=True)
class Progress:
    """A step: of a stage, ``done`` of ``total`` (bytes, rows or tables, as the stage has them), and now ``what``."""

    stage: Stage
    done: int
    total: int
    what: str


Told: TypeAlias = Callable[[Progress], None]


class Weighed:
    """The progress of a program that says which table it begins, by what each weighs.

    As many tables as there are jobs are at work at once; whatever was begun before them is done.
    """

    def __init__(self, stage: Stage, weights: Mapping[str, int], jobs: int, told: Told | None) -> None:
        self._stage: Stage = stage
        self._weights, self._told = weights, told
        self._at_work: deque[str] = deque(maxlen=jobs)
        self._done, self._total = 0, sum(weights.values())

    def hear(self, begins: re.Pattern[str]) -> Callable[[str], None]:
        """Return what hears the program's lines; those that ``begins`` matches name a table."""

        def heard(line: str) -> None:
            if found := begins.match(line):
                self._begin(found["table"])

        return heard

    def _begin(self, table: str) -> None:
        if len(self._at_work) == self._at_work.maxlen:
            self._done = min(self._total, self._done + self._weights.get(self._at_work[0], 0))
        self._at_work.append(table)
        self._tell(table)

    def finish(self) -> None:
        """Tell that all is done."""
        self._done = self._total
        self._tell("all tables")

    def _tell(self, what: str) -> None:
        if self._told is not None:
            self._told(Progress(self._stage, self._done, self._total, what))
