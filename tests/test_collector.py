"""The garbage collector during large batches: paused, restored once, and left off where it was off."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
import pytest
from pydantic import BaseModel, model_validator

from sqlkit import RowError
from sqlkit.rows import collector
from sqlkit.rows.collector import CollectorPause, paused_collector
from sqlkit.testing import TestServer
from tests.fetching import fetch


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    """Let each test begin and end with the collector on."""
    gc.enable()
    yield
    gc.enable()


def test_it_is_off_inside_and_on_again_after() -> None:
    """The block runs without the collector."""
    with paused_collector():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_is_on_again_after_an_error() -> None:
    """An error in the block restores it."""
    with pytest.raises(ZeroDivisionError), paused_collector():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_a_block_inside_another_does_not_restore_it_too_early() -> None:
    """Only the outermost block restores."""
    with paused_collector():
        with paused_collector():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off() -> None:
    """A program that runs without the collector keeps running without it."""
    gc.disable()
    with paused_collector():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_overlapping_threads_restore_it_once() -> None:
    """While any thread is inside it stays off; when the last leaves it is on, in whatever order they leave."""
    inside = [threading.Event(), threading.Event()]
    leave = [threading.Event(), threading.Event()]

    def hold(number: int) -> None:
        with paused_collector():
            inside[number].set()
            leave[number].wait(10)

    threads = [threading.Thread(target=hold, args=[number]) for number in (0, 1)]
    for thread, event in zip(threads, inside, strict=True):
        thread.start()
        assert event.wait(10)
    for number in (0, 1):
        assert not gc.isenabled()
        leave[number].set()
        threads[number].join(10)
    assert gc.isenabled()


def test_many_threads_leave_it_as_it_was() -> None:
    """Thousands of overlapping pauses end with the collector as it was."""

    def pause_often() -> None:
        for _ in range(5_000):
            with paused_collector():
                pass

    for state in (gc.enable, gc.disable):
        state()
        before = gc.isenabled()
        threads = [threading.Thread(target=pause_often) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert gc.isenabled() is before


def test_it_runs_between_pauses_that_overlap_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long some thread or other holds it, cycles of other code are collected from time to time."""
    monkeypatch.setattr(collector, "LONGEST_SECONDS", 0.01)
    gc.collect()
    pauses = [CollectorPause(), CollectorPause()]
    try:
        pauses[0].hold()
        cycles = [weakref.ref(Cycle()) for _ in range(10 * gc.get_threshold()[0])]
        time.sleep(0.02)
        pauses[1].hold()
        assert not gc.isenabled()
        assert sum(cycle() is not None for cycle in cycles) < len(cycles)
    finally:
        for pause in pauses:
            pause.release()
    assert gc.isenabled()


def test_hold_and_release_are_each_counted_once() -> None:
    """A pause that is held twice is released once, and released twice takes no other's pause away."""
    outer, inner = CollectorPause(), CollectorPause()
    outer.hold()
    inner.hold()
    inner.hold()
    inner.release()
    inner.release()
    assert not gc.isenabled()
    outer.release()
    assert gc.isenabled()


def interrupted_at(number: int) -> bool:
    """Pause and release the collector, with Ctrl-C at one of the lines that do it; tell whether there are so many.

    A ``with`` line is left out: it is traced once more before its lock is given back, where no signal is heard.
    """
    seen = 0
    lines = Path(collector.__file__).read_text().splitlines()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal seen
        if frame.f_code.co_filename != collector.__file__ or frame.f_code.co_name == "__del__":
            return None
        if event == "line" and not lines[frame.f_lineno - 1].lstrip().startswith("with "):
            seen += 1
            if seen == number:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with paused_collector():
            pass
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_an_interrupt_anywhere_leaves_it_as_it_was() -> None:
    """Ctrl-C at any line of a pause's beginning or end leaves the collector on, or off where it was off."""
    for state in (gc.enable, gc.disable):
        state()
        before = gc.isenabled()
        number = 1
        while interrupted_at(number):
            assert gc.isenabled() is before, number
            number += 1
        assert number > 8
    other = threading.Thread(target=CollectorPause().hold, daemon=True)
    other.start()
    other.join(10)
    assert not other.is_alive()  # the lock is free


class Cycle:
    """An object that only the collector frees."""

    def __init__(self) -> None:
        self.itself = self


class Row(BaseModel):
    number: int
    word: str


class Watching(Row):
    @model_validator(mode="after")
    def watch(self) -> Watching:
        """See whether the collector is on."""
        assert not gc.isenabled()
        return self


SQL = "select n as number, nullif(n, {bad})::text as word from generate_series(1, 1000) as n"


@pytest.mark.parametrize("annotation", [Row, Watching])
@pytest.mark.parametrize("bad", [0, 999])
def test_a_large_batch_restores_it(server: TestServer, annotation: Any, bad: int) -> None:
    """After a large batch, good or bad and on either path, the collector is on; while it is made, it is off."""
    with psycopg.connect(server.dsn) as conn:
        if bad:
            with pytest.raises(RowError):
                fetch(conn, annotation, SQL.format(bad=bad))
        else:
            assert len(fetch(conn, annotation, SQL.format(bad=bad))) == 1000
    assert gc.isenabled()


def test_it_stays_off_after_a_batch_where_it_was_off(server: TestServer) -> None:
    """A batch does not turn on what the program turned off."""
    gc.disable()
    with psycopg.connect(server.dsn) as conn:
        fetch(conn, Row, SQL.format(bad=0))
    assert not gc.isenabled()
