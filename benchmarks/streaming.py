"""A table read to its end as a stream of models: its rate beside psycopg's own stream, its memory in a new process.

``python -m benchmarks.streaming DSN`` prints by how many MiB the peak of a process that streams is above itself idle.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
from psycopg.rows import class_row

import sqlkit
from benchmarks.search import COLUMNS, SETUP, Take
from benchmarks.work import Limit, Size, Verdict, Work
from sqlkit import Executor, Rows

__all__ = ["streaming"]

CHUNK = 1000
ALL = f"select {COLUMNS} from takes"
STREAM, CHUNKED = "psycopg stream, tuples", f"psycopg stream, tuples, binary, {CHUNK:,} a chunk"


class StreamQueries(Protocol):
    """The streaming statement of ``takes.sql``."""

    def every_take(self, db: Executor) -> Rows[Take]: ...


takes: StreamQueries = sqlkit.load(StreamQueries, Path(__file__).parent / "takes.sql")


@contextmanager
def streaming(dsn: str, size: Size) -> Iterator[list[Work]]:
    """Give the work of reading so many rows, none of which is kept."""
    with ExitStack() as stack:
        plain = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        plain.execute(SETUP.format(rows=size.million).encode())
        models = stack.enter_context(psycopg.connect(dsn, autocommit=True, row_factory=class_row(Take)))
        typed = stack.enter_context(psycopg.connect(dsn, autocommit=True))

        def with_psycopg(conn: psycopg.Connection[Any], chunk: int, *, binary: bool) -> int:
            with conn.cursor() as cursor:
                return counted(cursor.stream(ALL, size=chunk, binary=binary))

        def with_sqlkit() -> int:
            with takes.every_take(typed) as rows:
                return counted(rows)

        yield [
            Work(
                "stream",
                f"{size.million:,} rows streamed into models",
                1,
                {
                    STREAM: lambda: with_psycopg(plain, 1, binary=False),
                    CHUNKED: lambda: with_psycopg(plain, CHUNK, binary=True),
                    f"psycopg stream, class_row, {CHUNK:,} a chunk": lambda: with_psycopg(models, CHUNK, binary=False),
                    "sqlkit": with_sqlkit,
                },
                (Limit(STREAM, at_least=0.6), Limit(CHUNKED, at_least=0.6)),
                rounds=3,
                besides=lambda: [memory(dsn)],
            )
        ]


def counted(rows: Iterable[Any]) -> int:
    """Count rows, keeping none."""
    return sum(1 for _ in rows)


def memory(dsn: str) -> Verdict:
    """Stream in a process of its own and take what it printed."""
    command = [sys.executable, "-m", "benchmarks.streaming", dsn]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    return Verdict("sqlkit: peak memory above idle", float(ran.stdout), at_most=40, unit=" MiB")


def resident(what: str) -> float:
    """Return this process's memory in MiB as Linux has it: VmRSS is what it holds now, VmHWM the most that it held."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS, and only the most
    line = next(line for line in status.read_text().splitlines() if line.startswith(f"{what}:"))
    return int(line.split()[1]) / 1024


def main() -> int:
    """Connect, note the memory, stream all, print what was added."""
    with psycopg.connect(sys.argv[1], autocommit=True) as conn:
        conn.execute("select 1")
        idle = resident("VmRSS")
        with takes.every_take(conn) as rows:
            counted(rows)
        print(max(resident("VmHWM") - idle, 0.01))
    return 0


if __name__ == "__main__":
    sys.exit(main())
