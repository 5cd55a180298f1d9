"""The listener: what this process knows of the versions of tags, as long as it hears of every commit.

It has a direct connection of its own (LISTEN does not work through a pooler in transaction mode). A notification makes
it forget the tag's version, so that the next reader asks the database; so it matters neither whose tag it was nor in
which order two of them come. What a reader asked before a notification came is not kept after it.

The process that writes does not wait for the notification to see its own commit: from ``invalidate`` until then, the
versions of the tags in question are asked of the database each time.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any
from weakref import WeakSet

import psycopg
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGconn

__all__ = ["CHANNEL", "Listener", "unsettle"]

CHANNEL = "sqlkit_cache"  # the one that sql/caching/cache.sql notifies
MOST = 100_000  # tags whose versions are remembered
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds until a connection is tried again

log = logging.getLogger("sqlkit.caching")


def _clock() -> Callable[[], float]:
    """Return the clock that goes on while the machine sleeps, where there is one: commits go on, too."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot is None else partial(time.clock_gettime, boot)


now = _clock()

# Those of this process, for ``invalidate`` knows a connection and no cache.
_started: WeakSet[Listener] = WeakSet()
_starting = threading.Lock()  # a set that grows cannot be walked through


def unsettle(tags: Iterable[str], pid: int | None) -> None:
    """Tell the listeners of this process that a transaction of the server's process ``pid`` changes tags.

    None: that it has.
    """
    wanted = list(tags)
    with _starting:
        listeners = list(_started)
    for listener in listeners:
        listener.forget(wanted, None) if pid is None else listener.unsettle(wanted, pid)


class Listener:
    """Hears which tags are invalidated, in a thread of its own, from ``start`` to ``close``.

    ``heartbeat`` is how often it asks whether the connection still answers. After ``patience`` seconds without an
    answer, or at once when the connection breaks, it is cut off: ``hears`` is false, the memory tiers are emptied, and
    versions are asked of the database until it hears again. So ``patience`` is the greatest age, in seconds, at which
    a value from memory may be served after a write that changed it was committed.
    """

    def __init__(self, dsn: str, *, heartbeat: float = 0.5, patience: float = 2.0) -> None:
        self.patience = patience
        self._dsn = dsn
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        self._scopes = 0
        self._known: dict[str, dict[int, int]] = {}  # by tag, then by scope
        self._unsettled: dict[str, dict[int, float]] = {}  # by tag, then by the server's process, until when
        self._generation = 0
        self._beat = float("-inf")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._on_cut: list[Callable[[], None]] = []
        self.cuts = 0
        self.reason: str | None = "it was not started"

    @property
    def hears(self) -> bool:
        """Whether every commit is heard of: the connection answered within ``patience`` seconds."""
        return now() - self._beat <= self.patience

    def on_cut(self, call: Callable[[], None]) -> None:
        """Have a function called whenever the listener is cut off."""
        self._on_cut.append(call)

    def start(self, timeout: float = 5.0) -> Listener:
        """Begin to listen; wait up to ``timeout`` seconds until it hears, and go on without if it does not."""
        self._woken, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="sqlkit cache listener", daemon=True)
        self._thread.start()
        with _starting:
            _started.add(self)
        deadline = now() + timeout
        while not self.hears and now() < deadline:
            time.sleep(0.005)
        return self

    def close(self) -> None:
        """Listen no more; a second call does nothing."""
        self._stop.set()
        if self._thread is not None:
            self._waker.close()  # wakes it up: it waits on its sockets
            self._thread.join(self._heartbeat + self.patience)
            self._woken.close()
        self._cut("it was closed")

    def __enter__(self) -> Listener:
        return self if self._thread else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # What readers ask.

    def new_scope(self) -> int:
        """Return a number for whoever asks: two schemas of one database may have a tag of one name each."""
        with self._lock:
            self._scopes += 1
            return self._scopes

    def known(self, scope: int, tags: Iterable[str]) -> tuple[dict[str, int], int]:
        """Return the versions that are known, and the generation to give ``learn`` what was asked instead."""
        with self._lock:
            if not self.hears:
                return {}, -1
            known = self._known
            found = {tag: known[tag][scope] for tag in tags if tag in known and scope in known[tag]}
            return found, self._generation

    def fits(self, scope: int, versions: Mapping[str, int]) -> bool:
        """Tell whether these versions are known to be those of now."""
        if now() - self._beat > self.patience:
            return False
        known = self._known  # read without the lock: each step is one, and what is heard meanwhile is heard later
        for tag, version in versions.items():
            scopes = known.get(tag)
            if scopes is None or scopes.get(scope) != version:
                return False
        return True

    def learn(self, scope: int, versions: Mapping[str, int], generation: int) -> None:
        """Remember what the database said, unless something was heard since it was asked."""
        with self._lock:
            if generation == self._generation:
                if len(self._known) > MOST:
                    self._known.clear()
                for tag, version in versions.items():
                    if tag not in self._unsettled or self._settled(tag):
                        self._known.setdefault(tag, {})[scope] = version

    def forget(self, tags: Iterable[str], pid: int | None = None) -> None:
        """Forget versions: of tags that are invalidated, by a transaction of the server's process ``pid``."""
        with self._lock:
            self._generation += 1
            for tag in tags:
                self._drop(tag)
                if pid is not None and tag in self._unsettled:
                    self._unsettled[tag].pop(pid, None)

    def unsettle(self, tags: Iterable[str], pid: int) -> None:
        """Forget versions of tags, and remember none until a process of the server has said how its write ended.

        One that rolls back says nothing, and is waited for no longer than for any notification.
        """
        with self._lock:
            self._generation += 1
            until = now() + self.patience
            if len(self._unsettled) > MOST:
                for tag in list(self._unsettled):
                    self._settled(tag)
            for tag in tags:
                self._drop(tag)
                self._unsettled.setdefault(tag, {})[pid] = until

    def _drop(self, tag: str) -> None:
        if tag:
            self._known.pop(tag, None)
        else:  # what invalidate_all sends
            self._known.clear()

    def _settled(self, tag: str) -> bool:
        """Tell whether no transaction of this process is about to change a tag."""
        moment = now()
        if any(until > moment for until in self._unsettled[tag].values()):
            return False
        del self._unsettled[tag]
        return True

    # The thread.

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stop.is_set():
            try:
                conn = psycopg.connect(self._dsn, **self._options())
                try:
                    self._listen(conn.pgconn)
                finally:
                    conn.close()
            except Exception as error:  # whatever it is, it is tried again
                pause = FIRST_PAUSE if self.reason is None else min(2 * pause, LONGEST_PAUSE)
                self._cut(type(error).__name__)
                log.warning("cache listener: cut off (%s)", type(error).__name__)
            self._stop.wait(pause)

    def _options(self) -> dict[str, Any]:
        seconds = max(2, round(self.patience))  # libpq takes whole seconds, and no less than two
        return {
            "autocommit": True,
            "client_encoding": "utf8",  # which tags are compared in
            "connect_timeout": seconds,
            "tcp_user_timeout": 1000 * seconds,
            "application_name": "sqlkit cache listener",
        }

    def _listen(self, conn: PGconn) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(conn.socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            self._ask(conn, selector, f"listen {CHANNEL}")
            with self._lock:
                self._known.clear()  # what was said while nobody listened
                self._generation += 1
            while not self._stop.is_set():
                asked = now()
                self._ask(conn, selector, "select 1")
                self._beat, self.reason = asked, None  # what was committed before was heard with the answer
                due = asked + self._heartbeat
                while (left := due - now()) > 0 and selector.select(left) and not self._stop.is_set():
                    conn.consume_input()
                    self._hear(conn)

    def _ask(self, conn: PGconn, selector: selectors.BaseSelector, statement: str) -> None:
        """Run a statement; TimeoutError where no answer comes within ``patience``, which psycopg would wait for."""
        deadline = now() + self.patience
        conn.send_query(statement.encode())
        conn.flush()
        while True:
            left = deadline - now()
            if left <= 0 or not selector.select(left):
                raise TimeoutError
            if self._stop.is_set():
                return
            conn.consume_input()
            while not conn.is_busy():
                result = conn.get_result()
                if result is None:
                    self._hear(conn)
                    return
                if result.status == ExecStatus.FATAL_ERROR:
                    raise psycopg.OperationalError("the server refuses to answer")

    def _hear(self, conn: PGconn) -> None:
        while (notify := conn.notifies()) is not None:
            self.forget([notify.extra.decode("utf-8", "replace")], notify.be_pid)

    def _cut(self, reason: str) -> None:
        with self._lock:
            self.cuts += self._beat != float("-inf")
            self._beat, self.reason = float("-inf"), reason
            self._known.clear()
            self._generation += 1
        for call in self._on_cut:
            call()
