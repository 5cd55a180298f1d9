"""What the tests of replicas share: waiting for what is to come, and whose answer it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from sqlkit import AsyncDatabase, Database
from tests.replicas.standby import Pair

POOL = {"pool_max_size": 8, "pool_timeout": 10, "connect_timeout": 5}
SOON = 15.0  # seconds in which whatever is to happen soon happens, on a busy machine too


def serving(db: Database | AsyncDatabase) -> bool:
    """Tell whether each replica serves."""
    return all(one.serving for one in db.status().replicas)


def wait_until(holds: Callable[[], object]) -> None:
    """Wait until something holds; fail if it does not soon."""
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.005)


def of_replica(server: str) -> bool:
    """Tell whether that is the name of a standby."""
    return server.startswith("standby")


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds; fail if it does not soon."""
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline, "it did not come to hold"
        await asyncio.sleep(0.005)


def in_loop(pair: Pair, work: Callable[[AsyncDatabase], Any], **settings: Any) -> Any:
    """Run a coroutine function on an AsyncDatabase with one replica."""

    async def main() -> Any:
        async with AsyncDatabase.connect(pair.dsn, replicas=[pair.standby.dsn], **POOL | settings) as db:
            await until(lambda: serving(db))
            result = await asyncio.wait_for(work(db), 4 * SOON)
            status = db.status()
            assert [status.checked_out, *(one.checked_out for one in status.replicas)] == [0, 0]
            return result

    return asyncio.run(main())
