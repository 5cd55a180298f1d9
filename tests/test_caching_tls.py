"""Redis by TLS (``rediss://``): a real server behind a gate that speaks it, for the wheel's server does not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest

from sqlkit.caching import AsyncCache, AsyncRedisTier, Cache, RedisTier
from tests.redis_server import RedisServer, SlowProxy
from tests.test_tls import certificate, pump

TIMEOUT = 0.5

Colour = tuple[Any, Any]
COLOURS = pytest.mark.parametrize("colour", [(Cache, RedisTier), (AsyncCache, AsyncRedisTier)], ids=["sync", "async"])


class TlsGate:
    """A listener that takes TLS off, hands on what is inside, and notes how each caller came in."""

    def __init__(self, target: int, folder: Path) -> None:
        self._target = target
        self.certificate, key = certificate(folder)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self.seen: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._threads = [threading.Thread(target=self._serve)]
        self._threads[0].start()

    def url(self, port: int | None = None, authority: Path | None = None) -> str:
        """Return where a client finds it, and which certificate it is to trust."""
        return f"rediss://127.0.0.1:{port or self.port}/0?ssl_ca_certs={authority or self.certificate}"

    def close(self) -> None:
        """Let nobody in any more, and wait until all have left."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                self._threads.append(threading.Thread(target=self._let_in, args=(caller,)))
                self._threads[-1].start()

    def _let_in(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target)) as server:
            try:
                encrypted = self._context.wrap_socket(caller, server_side=True)
            except ssl.SSLError:
                self.seen.append("refused")
                return
            with encrypted:
                self.seen.append(encrypted.version() or "")
                pump(encrypted, server)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[TlsGate]:
    """Give a gate before a Redis."""
    redis = RedisServer(tmp_path)
    redis.start()
    opened = TlsGate(redis.port, tmp_path)
    yield opened
    opened.close()
    redis.kill()


def run(colour: Colour, url: str, *calls: Callable[[Any], Any], timeout: float = 10.0) -> tuple[list[Any], Any, float]:
    """Return what calls on a cache of Redis alone give, the tier's health, and how long the first of them took."""

    async def told() -> tuple[list[Any], Any, float]:
        cache_kind, tier_kind = colour
        tier = tier_kind(url, timeout=timeout)
        cache, found, began, first = cache_kind(tier), [], time.monotonic(), 0.0
        for call in calls:
            answer = call(cache)
            found.append(await answer if isawaitable(answer) else answer)
            first = first or time.monotonic() - began
        closing = tier.close()
        if isawaitable(closing):
            await closing
        return found, tier.health(), first

    return asyncio.run(told())


KEEP: Callable[[Any], Any] = lambda cache: cache.set("song", "Blue")  # noqa: E731
READ: Callable[[Any], Any] = lambda cache: cache.get("song", str)  # noqa: E731


@COLOURS
def test_values_go_by_tls(colour: Colour, gate: TlsGate) -> None:
    """What is kept comes back, and all of it went by TLS to a server whose certificate was verified."""
    found, health, _ = run(colour, gate.url(), KEEP, READ)
    assert found[1] == "Blue"
    assert (health.hits, health.fills, health.failures) == (1, 1, 0)
    gate.close()
    assert gate.seen
    assert set(gate.seen) <= {"TLSv1.2", "TLSv1.3"}


@COLOURS
def test_a_server_that_nobody_vouches_for(colour: Colour, gate: TlsGate, tmp_path: Path) -> None:
    """A certificate that is not known is a failure of the tier: nothing is kept there, and health says why."""
    other = tmp_path / "other"
    other.mkdir()
    found, health, _ = run(colour, gate.url(authority=certificate(other)[0]), KEEP, READ)
    assert found[1] is None
    assert (health.hits, health.fills, health.failures) == (0, 0, 2)
    assert health.reason
    gate.close()
    assert set(gate.seen) == {"refused"}


@COLOURS
@pytest.mark.parametrize("how", ["silent", "dripping"])
def test_a_handshake_that_does_not_end(colour: Colour, gate: TlsGate, how: str) -> None:
    """A server that never answers the handshake, or answers it a few bytes at a time, costs its time and no more."""
    with contextlib.ExitStack() as stack:
        if how == "silent":
            port = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
        else:
            proxy = SlowProxy(gate.port, size=20)
            stack.callback(proxy.close)
            proxy.delay, port = TIMEOUT / 3, proxy.port
        found, health, took = run(colour, gate.url(port), READ, timeout=TIMEOUT)
    assert found == [None]
    assert health.failures >= 1
    assert took < 20 * TIMEOUT  # without a bound it would be half a minute, or for ever
