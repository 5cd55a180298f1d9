"""An application under uvicorn, in a thread of the test, on a port of its own."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

__all__ = ["served"]


@contextmanager
def served(app: Any, *, within: float = 10) -> Iterator[httpx.Client]:
    """Serve an application for the block, and give a client of it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_config=None, ws="none", lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="uvicorn")
        thread.start()
        try:
            deadline = time.monotonic() + within
            while not server.started:
                assert thread.is_alive(), "the application did not start"
                assert time.monotonic() < deadline, "the application did not start in time"
                time.sleep(0.005)
            port = listening.getsockname()[1]
            # uvicorn closes a connection after an error of the application, whatever the next request expects.
            limits = httpx.Limits(max_connections=100, max_keepalive_connections=0)
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", limits=limits, timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(within)
