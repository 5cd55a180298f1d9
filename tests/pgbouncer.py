"""A real PgBouncer in transaction mode, before the server of the tests.

It has a few server connections to each database and uses them turn by turn, so that what a transaction leaves in its
session is not there for the next one, and is there for somebody else's: as behind a busy pooler, only always.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, suppress
from typing import Any

import psycopg
import pytest
from psycopg import sql

from sqlkit.embedded.account import account_for
from sqlkit.embedded.scratch import scratch_folder
from sqlkit.migrate import database_url
from sqlkit.testing import TestServer

INSTALL = "no PgBouncer: apt-get install pgbouncer"
PLACES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"  # besides the PATH: Debian's is where ordinary users do not look
PREFIX = "sqlkit-pgbouncer-"
TURNS = 3  # server connections that take turns

CONFIGURATION = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users.txt
admin_users = postgres
pool_mode = transaction
max_client_conn = 500
default_pool_size = {size}
min_pool_size = {turns}
server_round_robin = 1
query_wait_timeout = 30
log_connections = 0
log_disconnections = 0
logfile = {folder}/pgbouncer.log
pidfile =
"""


def program() -> str | None:
    """Return PgBouncer's program, None where it is not installed."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path=PLACES)


def needed() -> str:
    """Return PgBouncer's program; skip the test where it is not installed, with the command that would."""
    found = program()
    if found is None:
        pytest.skip(INSTALL)
    return found


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class PgBouncer:
    """One that pools the connections to a server: at most ``size`` for each database, of which some are always open."""

    def __init__(self, server: TestServer, *, size: int = 20) -> None:
        self.folder = scratch_folder(PREFIX)
        self.port = free_port()
        self._account = account_for(self.folder / "data")  # PgBouncer refuses to run as root, as PostgreSQL does
        address = server.address()
        settings = {"host": address["host"], "port": address["port"], "listen": self.port, "folder": self.folder}
        self._write("pgbouncer.ini", CONFIGURATION.format(**settings, size=size, turns=min(size, TURNS)))
        self._write("users.txt", f'"{address["user"]}" ""\n')
        self._account.own(self.folder)
        self._process: subprocess.Popen[bytes] | None = None

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.write_text(text)
        self._account.own(path)

    def dsn(self, database: str, user: str = "postgres") -> str:
        """Return the URL of a database through it."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it listens."""
        command = [needed(), "--quiet", str(self.folder / "pgbouncer.ini")]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **self._account.popen_arguments()
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        pytest.fail(f"PgBouncer did not start: {self.log()}")

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it at once, and its folder."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def warm(self, database: str) -> None:
        """Have it open the connections that take turns, which it does by itself after a third of a second."""
        with ExitStack() as stack:
            for _ in range(TURNS):
                conn = stack.enter_context(psycopg.connect(self.dsn(database), prepare_threshold=None))
                conn.execute("select 1")

    def log(self) -> str:
        """Return what it has logged."""
        path = self.folder / "pgbouncer.log"
        return path.read_text() if path.exists() else "nothing is logged"

    def ask(self, command: str) -> list[tuple[Any, ...]]:
        """Ask its console, which knows the simple protocol alone."""
        with psycopg.connect(self.dsn("pgbouncer"), autocommit=True, cursor_factory=psycopg.ClientCursor) as conn:
            return conn.execute(command.encode()).fetchall()


class PooledServer(TestServer):
    """The server of the tests as those behind PgBouncer reach it; databases are made and dropped on itself.

    A schema cannot come with the DSN, whose ``options`` PgBouncer refuses: it becomes the database's own setting.
    """

    def __init__(self, server: TestServer, pgbouncer: PgBouncer) -> None:
        super().__init__(pgbouncer.dsn("postgres"), server.version, server.bindir, server.numbers)
        self.direct = server
        self.pgbouncer = pgbouncer

    def dsn_for(self, database: str, schema: str | None = None) -> str:
        """Return the DSN of a database through PgBouncer."""
        if schema is not None:
            with psycopg.connect(self.direct.dsn, autocommit=True) as conn:
                names = sql.Identifier(database), sql.Identifier(schema)
                conn.execute(sql.SQL("alter database {} set search_path = {}, extensions").format(*names))
        self.pgbouncer.warm(database)
        return database_url(self.dsn, database=database)

    def address(self) -> dict[str, Any]:
        """Return what pytest-postgresql wants to know of the server itself."""
        return self.direct.address()

    def drop(self, database: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.direct.drop(database)
