"""Interleavings that hypothesis chooses, on a real server: readers, writers and notifications, one step at a time.

What a cache does is a generator that says what it wants to call next, so a reader can be held between any two of its
calls while others go on. Notifications are real, and arrive when they are let in. Whatever the order: a read gives no
value older than the last commit that its process had heard of when the read began.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pydantic import BaseModel

import sqlkit
from sqlkit import Database, Executor
from sqlkit.caching import Cache, DatabaseTags, Listener, MemoryTier, PostgresTier, install
from sqlkit.caching import listener as listeners
from sqlkit.caching.reading import seen
from sqlkit.caching.statements import cache as queries
from sqlkit.caching.statements import invalidate
from sqlkit.testing import TestServer, dropped_afterwards, template

SQL = """
-- name: get_song
select song_id, plays from songs where song_id = :song_id;

-- name: play_song
update songs set plays = plays + 1 where song_id = :song_id;
"""
NUMBERS = itertools.count(1)


class Song(BaseModel):
    song_id: int
    plays: int


class Songs(Protocol):
    """Songs."""

    def get_song(self, db: Executor, *, song_id: int) -> Song: ...
    def play_song(self, db: Executor, *, song_id: int) -> sqlkit.Affected: ...


class HandListener(Listener):
    """A listener without a thread: it hears what it is told to hear, on a connection of its own."""

    def __init__(self, dsn: str) -> None:
        super().__init__(dsn, patience=3600)
        self._conn: psycopg.Connection[Any] | None = None

    def connect(self) -> None:
        """Listen anew, as the thread does."""
        self._conn = psycopg.connect(self._dsn, autocommit=True)
        self._conn.add_notify_handler(lambda notify: self.forget([notify.payload], notify.pid))
        self._conn.execute(f"listen {listeners.CHANNEL}")
        with self._lock:
            self._known.clear()
            self._generation += 1
        self._beat = math.inf

    def hear(self) -> None:
        """Hear what was committed."""
        assert self._conn is not None
        self._conn.execute("select 1")

    def cut(self) -> None:
        """Lose the connection, and what it would have said."""
        self._cut("cut")
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    @property
    def is_cut(self) -> bool:
        """Whether nothing is heard."""
        return self._conn is None


@dataclass
class Process:
    """A cache as one process has it. ``floor`` is the number that its reads from now on must reach."""

    cache: Cache
    listener: HandListener
    floor: int = 0


@dataclass
class Reader:
    """A read that is under way, the call that it waits for, and the least number that it may give."""

    steps: Generator[Any, Any, Song]
    floor: int
    call: Any = None
    answer: Any = field(default=None)


class Races(RuleBasedStateMachine):
    """Two processes that listen and one that asks each time, any number of readers, a writer."""

    db: Database
    writer: psycopg.Connection[Any]
    listeners: tuple[HandListener, HandListener]
    songs: Songs
    readers = Bundle("readers")

    @initialize()
    def begin(self) -> None:
        """Make a song that nobody has read, and three processes: two that listen and one that asks each time."""
        self.song_id = next(NUMBERS)
        self.tag = f"song:{self.song_id}"
        with self.db.connection() as conn:
            conn.execute("insert into songs values (%s, 0)", [self.song_id])
        self.committed = 0
        self.pending: Process | None = None
        self.writes = False
        self.processes = []
        for listener in self.listeners:
            listener.cut()
            listener.connect()
            cache = Cache(MemoryTier(), PostgresTier(self.db), tags=DatabaseTags(self.db, listener))
            self.processes.append(Process(cache, listener))
            listeners._started.add(listener)
        self.without = Cache(MemoryTier(), PostgresTier(self.db), tags=DatabaseTags(self.db))

    def teardown(self) -> None:
        """Leave nothing to the next one."""
        self.writer.rollback()
        for listener in self.listeners:
            listeners._started.discard(listener)

    # Readers.

    def reading(self, cache: Cache) -> Generator[Any, Any, Song]:
        """Read as ``cached`` does, one call after the other."""
        key = f"get_song:{self.song_id}"
        found: dict[str, Song] = yield from cache._find([key], Song)
        if key in found:
            return found[key]
        versions = yield from seen(cache.tags, [self.tag])
        song: Song = yield lambda: self.songs.get_song(self.db, song_id=self.song_id)
        yield from cache._keep(key, song, Song, 3600, 0.1, [self.tag], versions)
        return song

    @rule(target=readers, number=st.integers(0, 2))
    def start(self, number: int) -> Reader:
        """Begin to read in a process."""
        return self.opened(number)

    def opened(self, number: int) -> Reader:
        """Return a read of a process, which has made no call yet."""
        if number == 2:
            return Reader(self.reading(self.without), self.committed)
        process = self.processes[number]
        return Reader(self.reading(process.cache), self.committed if process.listener.is_cut else process.floor)

    @rule(reader=consumes(readers), target=readers, calls=st.integers(1, 3))
    def step(self, reader: Reader, calls: int) -> Reader:
        """Let a reader make some of its calls; when it has its value, that is no older than it may be."""
        for _ in range(calls):
            if not self.advance(reader):
                break
        return reader

    @rule(number=st.integers(0, 2))
    def read(self, number: int) -> None:
        """Read from beginning to end."""
        reader = self.opened(number)
        while self.advance(reader):
            pass

    def advance(self, reader: Reader) -> bool:
        """Make one call of a reader; False when it has its value."""
        try:
            reader.call = reader.steps.send(reader.answer)
        except StopIteration as end:
            song: Song | None = end.value  # None where it ended before
        else:
            reader.answer = reader.call()
            return True
        assert song is None or song.plays >= reader.floor
        return False

    # The writer: one transaction at a time, which the row would make of two anyway.

    @precondition(lambda self: not self.writes)
    @rule(number=st.sampled_from([0, 1, None]))
    def write(self, number: int | None) -> None:
        """Write, as one of the processes with a listener or as none of them."""
        self.writes = True
        self.pending = None if number is None else self.processes[number]
        self.songs.play_song(self.writer, song_id=self.song_id)
        if number is None:
            queries.bump_tags(self.writer, tags=[self.tag])
            return
        # The listeners of others are not told but by NOTIFY.
        (other,) = [each.listener for each in self.processes[:2] if each is not self.pending]
        listeners._started.discard(other)
        invalidate(self.writer, self.tag)
        listeners._started.add(other)

    @precondition(lambda self: self.writes)
    @rule()
    def commit(self) -> None:
        """Commit; a process has heard of its own commit."""
        self.writes = False
        self.writer.commit()
        self.committed += 1
        if self.pending is not None:
            self.pending.floor = self.committed

    @precondition(lambda self: self.writes)
    @rule()
    def roll_back(self) -> None:
        """Roll back: nothing has changed."""
        self.writes = False
        self.writer.rollback()

    # Notifications.

    @rule(number=st.integers(0, 1))
    def hear(self, number: int) -> None:
        """Let all notifications in that wait for a process."""
        process = self.processes[number]
        if not process.listener.is_cut:
            process.listener.hear()
            process.floor = self.committed

    @rule(number=st.integers(0, 1))
    def cut(self, number: int) -> None:
        """Cut a listener off, or let one that was cut off listen again."""
        process = self.processes[number]
        if process.listener.is_cut:
            process.listener.connect()
            process.floor = self.committed
        else:
            process.listener.cut()


def load_songs(dsn: str) -> None:
    """Make the cache's tables, and songs."""
    install(dsn)
    with psycopg.connect(dsn) as conn:
        conn.execute("create table songs (song_id int primary key, plays int not null)")


@pytest.fixture(scope="module")
def races(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Races]]:
    """Give the machine, on a database of its own."""
    file = tmp_path_factory.mktemp("sql") / "songs.sql"
    file.write_text(SQL)
    with (
        template(server, load_songs, "raced_songs") as made,
        dropped_afterwards(server, made, "races") as database,
        Database.connect(server.dsn_for(database), pool_max_size=2) as db,
        psycopg.connect(server.dsn_for(database)) as writer,
    ):
        hands = [HandListener(server.dsn_for(database)) for _ in range(2)]
        names = {"db": db, "writer": writer, "listeners": hands, "songs": sqlkit.load(Songs, Path(file))}
        yield type("Races", (Races,), names)
        for hand in hands:
            hand.cut()


CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


@pytest.mark.parametrize(
    "examples",
    [pytest.param(30, id="short"), pytest.param(3000, id="long", marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
)
def test_no_interleaving_gives_an_old_value(races: type[Races], examples: int) -> None:
    """In whatever order readers, writers and notifications take their steps, nobody reads what they know is old."""
    wanted = settings(max_examples=examples, stateful_step_count=40, deadline=None, suppress_health_check=CHECKS)
    run_state_machine_as_test(races, settings=wanted)


#: What happens while a read is held: calls on the machine; ``None`` stands for a call of the reader's meanwhile.
MEANWHILE: dict[str, list[Callable[[Races], object] | None]] = {
    "another's commit is heard": [lambda it: it.write(None), lambda it: it.commit(), lambda it: it.hear(0)],
    "another's commit is not heard": [lambda it: it.write(None), lambda it: it.commit()],
    "its own commit": [lambda it: it.write(0), lambda it: it.commit()],
    "its own slow commit": [lambda it: it.write(0), None, lambda it: it.commit()],
    "its own slower commit": [lambda it: it.write(0), None, None, lambda it: it.commit()],
    "its neighbour's commit is heard": [lambda it: it.write(1), lambda it: it.commit(), lambda it: it.hear(0)],
    "a commit, then it is cut off": [lambda it: it.write(None), lambda it: it.commit(), lambda it: it.cut(0)],
    "cut off, then a commit": [lambda it: it.cut(0), lambda it: it.write(None), lambda it: it.commit()],
    "cut off for a commit": [
        lambda it: it.cut(0),
        lambda it: it.write(None),
        lambda it: it.commit(),
        lambda it: it.cut(0),
    ],
    "a write that is rolled back": [lambda it: it.write(0), None, lambda it: it.roll_back(), lambda it: it.hear(0)],
}


@pytest.mark.parametrize("number", [0, 2])
@pytest.mark.parametrize("before", [(), (0, 1, 2), (1,)], ids=["cold", "warm", "kept by another"])
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_a_read_that_is_held_anywhere(races: type[Races], meanwhile: str, before: tuple[int, ...], number: int) -> None:
    """Held before each of its calls in turn, a read fills nothing that later reads of any process must not get."""
    for held in range(8):
        it = races()
        it.begin()
        try:
            for each in before:
                it.read(each)
            reader = it.opened(number)
            for _ in range(held):
                it.advance(reader)
            for step in MEANWHILE[meanwhile]:
                if step is None:
                    it.advance(reader)
                else:
                    step(it)
            while it.advance(reader):
                pass
            for each in (0, 1, 2, 0, 1, 2):
                it.read(each)
        finally:
            it.teardown()
