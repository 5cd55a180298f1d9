"""Counting a call at its end: on the connection that it ran on, for the Database that lent it."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

from sqlkit.connection import Memory, memory_of
from sqlkit.contracts.contract import Cardinality
from sqlkit.execution.prepared import Connection
from sqlkit.execution.query import Query
from sqlkit.tally import ROWS, TIME, figures_of

__all__ = ["Counting", "count", "count_call", "fail"]

ONE, OPTIONAL, ALL, AFFECTED = Cardinality.ONE, Cardinality.OPTIONAL, Cardinality.ALL, Cardinality.AFFECTED


def count_call(memory: Memory, query: Query, text: str, began: int, made: Any) -> None:
    """Count a single call that ended well, as ``count`` does: every call passes here, so it is short."""
    spent = perf_counter_ns() - began
    figures = memory.counts.get(query.statement) or figures_of(memory.counts, query.statement)
    figures[spent.bit_length()] += 1
    figures[TIME] += spent
    figures[ROWS] += 1 if query.single and made is not None else _rows(query, made)
    tally = memory.tally
    if tally is not None and spent >= tally.notice:
        tally.tell(query.statement, text, spent, _rows(query, made))


def _rows(query: Query, made: Any) -> int:
    """Return how many rows a call returned or affected, by what it promises."""
    cardinality = query.cardinality
    if cardinality is ALL:
        return len(made)
    if cardinality is OPTIONAL or cardinality is ONE:
        return int(made is not None or cardinality is ONE)
    return int(made) if cardinality is AFFECTED else 0


def count(memory: Memory, query: Query, text: str, began: int, rows: int, size: int | None = None) -> None:
    """Count a call that ended well; ``began`` is a time of ``perf_counter_ns``."""
    spent = perf_counter_ns() - began
    figures = memory.counts.get(query.statement) or figures_of(memory.counts, query.statement)
    figures[TIME] += spent
    figures[ROWS] += rows
    figures[spent.bit_length()] += 1
    tally = memory.tally
    if tally is not None and spent >= tally.notice:
        tally.tell(query.statement, text, spent, rows, None, size)


def fail(memory: Memory, query: Query, text: str, began: int, error: BaseException, size: int | None = None) -> None:
    """Count a call that ended with an error."""
    spent = perf_counter_ns() - began
    figures = memory.counts.get(query.statement) or figures_of(memory.counts, query.statement)
    figures[TIME] += spent
    figures[spent.bit_length()] += 1
    tally = memory.tally
    if tally is not None:
        tally.failed(query.statement, error)
        if spent >= tally.notice:
            tally.tell(query.statement, text, spent, 0, error, size)


class Counting:
    """Counts a batch or a copy, from when this is made to one of its ends: the time to take the items is in it."""

    __slots__ = ("began", "memory", "query", "text")

    def __init__(self, conn: Connection, query: Query, text: str) -> None:
        self.memory = memory_of(conn)
        self.query = query
        self.text = text
        self.began = perf_counter_ns()

    def ended(self, rows: int, size: int) -> None:
        """Count it, with the rows that it affected and the number of its items."""
        if self.memory.tally is not None:
            count(self.memory, self.query, self.text, self.began, rows, size)

    def failed(self, error: BaseException, size: int) -> None:
        """Count it with its error, and the number of items that were sent."""
        if self.memory.tally is not None:
            fail(self.memory, self.query, self.text, self.began, error, size)
