"""A work: contenders that give the same answer, the limits that the ratios of their times must keep."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

__all__ = ["SHORT", "WHOLE", "Family", "Limit", "Measured", "Size", "Verdict", "Work", "measure", "plainly", "timed"]

ROUNDS = 15


@dataclass(frozen=True)
class Size:
    """How much is done: ``SHORT`` shows that a work runs, ``WHOLE`` is what the limits are about."""

    rows: int
    million: int
    bulk: int
    batch: int
    parents: int
    statements: int
    calls: int
    threads: int
    rounds: int | None  # None is each work's own number


WHOLE = Size(10_000, 1_000_000, 100_000, 1_000, 1_000, 1_000, 500, 32, None)
SHORT = Size(60, 2_000, 50, 20, 10, 20, 3, 4, 1)


@dataclass(frozen=True)
class Limit:
    """The time of one contender in times of another must be ``at_most`` this, or its rate in rates ``at_least``."""

    to: str
    at_most: float | None = None
    at_least: float | None = None
    of: str = "sqlkit"

    def verdict(self, medians: dict[str, float]) -> Verdict:
        """Hold it against the medians of a run."""
        ratio = medians[self.of] / medians[self.to]
        if self.at_least is None:
            return Verdict(f"{self.of} / {self.to}, time", ratio, at_most=self.at_most)
        return Verdict(f"{self.of} / {self.to}, rate", 1 / ratio, at_least=self.at_least)


@dataclass(frozen=True)
class Verdict:
    """A figure beside its limit."""

    what: str
    figure: float
    at_most: float | None = None
    at_least: float | None = None
    unit: str = ""

    @property
    def met(self) -> bool:
        """Whether the figure keeps its limit."""
        if self.at_most is not None and self.figure > self.at_most:
            return False
        return self.at_least is None or self.figure >= self.at_least

    @property
    def limit(self) -> str:
        """The limit, as people write it."""
        bound = f"≤ {self.at_most:.2f}" if self.at_most is not None else f"≥ {self.at_least:.2f}"
        return bound + self.unit


@dataclass(frozen=True)
class Work:
    """One work: ``contenders`` by name, the baseline first; ``calls`` of each make a round.

    ``before`` runs untimed before each round of a contender. ``answer`` reads what a call left behind, where its result
    does not show it. With ``own_clock`` a contender returns its own seconds. ``besides`` measures what is no time.
    """

    name: str
    title: str
    calls: int
    contenders: dict[str, Callable[[], Any]]
    limits: tuple[Limit, ...] = ()
    rounds: int = ROUNDS
    before: Callable[[], Any] | None = None
    answer: Callable[[], Any] | None = None
    own_clock: bool = False
    besides: Callable[[], list[Verdict]] | None = None


@dataclass(frozen=True)
class Measured:
    """What came of a work: ``medians`` in seconds, the baseline first, ``verdicts`` on its limits, a word to add."""

    name: str
    title: str
    medians: dict[str, float]
    said: str = ""
    verdicts: list[Verdict] = field(default_factory=list)


#: A function of a server's DSN and a size, which gives works on connections that are closed afterwards.
Family = Callable[[str, Size], AbstractContextManager[list[Work]]]


def measure(work: Work, rounds: int | None = None) -> Measured:
    """Compare the answers, then time the contenders turn by turn; the median of each, in seconds a call."""
    compare(work)
    times: dict[str, list[float]] = {name: [] for name in work.contenders}
    with own_heap_left_out():
        for _ in range(rounds or work.rounds):
            for name, call in work.contenders.items():
                if work.before:
                    work.before()
                times[name].append(call() if work.own_clock else timed(call, work.calls))
    medians = {name: statistics.median(values) for name, values in times.items()}
    verdicts = [limit.verdict(medians) for limit in work.limits]
    if work.besides:
        verdicts += work.besides()
    return Measured(work.name, work.title, medians, verdicts=verdicts)


@contextmanager
def own_heap_left_out() -> Iterator[None]:
    """Keep Python's collector from what all the contenders' libraries have made, which none of them would have alone.

    Walked in the middle of another's rows, it made psycopg's tuples several times slower than they are in a program of
    their own, and sqlkit, which pauses the collector, look better than it is.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def compare(work: Work) -> None:
    """Run each contender once; raise AssertionError where it does not answer as the baseline does."""
    if work.own_clock:
        return
    first: Any = None
    for number, (name, call) in enumerate(work.contenders.items()):
        if work.before:
            work.before()
        answer = plainly(call())
        if work.answer:
            answer = plainly(work.answer())
        if number == 0:
            first = answer
        elif answer != first:
            raise AssertionError(f"{work.name}: {name} does not answer as {next(iter(work.contenders))} does")


def timed(call: Callable[[], Any], calls: int) -> float:
    """Return the seconds of one call, over some."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def plainly(answer: Any) -> Any:
    """Return an answer so that contenders can be compared: rows of any kind as the tuples of their fields."""
    if hasattr(answer, "plainly"):
        return answer.plainly()
    if isinstance(answer, list):
        return [plainly(row) for row in answer]
    if isinstance(answer, BaseModel):
        return tuple(plainly(getattr(answer, name)) for name in type(answer).model_fields)
    if hasattr(answer, "__table__"):  # an object of SQLAlchemy
        return tuple(getattr(answer, column.key) for column in answer.__table__.columns)
    if hasattr(answer, "keys"):  # asyncpg's record
        return tuple(answer.values())
    return tuple(answer) if isinstance(answer, tuple) or hasattr(answer, "_mapping") else answer
