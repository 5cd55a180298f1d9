"""What a program pays before its first query: the import, and loading its statements."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import aiosql

import sqlkit
from benchmarks.work import Limit, Size, Work

__all__ = ["imports", "loading"]

PLAIN = "psycopg, psycopg_pool, pydantic"
MODEL = "the same, and pydantic.BaseModel"
IMPORTS = {
    PLAIN: "import psycopg, psycopg_pool, pydantic",
    MODEL: "import psycopg, psycopg_pool\nfrom pydantic import BaseModel",
    "sqlkit": "import sqlkit",
    "sqlkit, ready to load statements": "import sqlkit\nsqlkit.load",
}
CLOCK = "import time\nstart = time.perf_counter()\n{}\nprint(time.perf_counter() - start)"

STATEMENT = """
-- name: get_song_{number}
-- One song of the title, if its tempo is right.
select song_id, title, tempo, rating, is_standard, note
from songs
where
    title = :title_{number}
    and tempo between :slowest and :fastest
    and note like 'note {number}%%';
"""
MODULE = """
from typing import Protocol
from benchmarks.models import Song
from sqlkit import Executor

class Queries(Protocol):
"""
METHOD = """
    def get_song_{number}(self, db: Executor, *, title_{number}: str, slowest: int, fastest: int) -> list[Song]: ...
"""


@contextmanager
def imports(dsn: str, size: Size) -> Iterator[list[Work]]:  # noqa: ARG001 - needs no server
    """Give the work of importing, each time in a new process, which times itself."""
    contenders: dict[str, Callable[[], Any]] = {name: partial(import_time, code) for name, code in IMPORTS.items()}
    yield [Work("import", "import of the library", 1, contenders, (Limit(PLAIN, at_most=1.3),), own_clock=True)]


def import_time(code: str) -> float:
    """Return the seconds that a new process takes for an import."""
    command = [sys.executable, "-c", CLOCK.format(code)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    return float(ran.stdout)


@contextmanager
def loading(dsn: str, size: Size) -> Iterator[list[Work]]:  # noqa: ARG001 - needs no server
    """Give the work of loading so many statements of one file; sqlkit reads a Protocol for them besides."""
    with tempfile.TemporaryDirectory(prefix="sqlkit-bench-") as folder:
        path = Path(folder) / "statements.sql"
        path.write_text("".join(STATEMENT.format(number=number) for number in range(size.statements)))
        interface = declared(Path(folder) / "declared.py", size.statements)

        def with_aiosql() -> int:
            queries = aiosql.from_path(path, "psycopg", mandatory_parameters=False)
            return len([name for name in queries.available_queries if not name.endswith("_cursor")])

        def with_sqlkit() -> int:
            queries = sqlkit.load(interface, path)
            return len([name for name in vars(type(queries)) if name.startswith("get_song_")])

        yield [
            Work(
                "load",
                f"{size.statements:,} statements, and for sqlkit their Protocol",
                1,
                {"aiosql": with_aiosql, "sqlkit": with_sqlkit},
                (Limit("aiosql", at_most=1.5),),
                rounds=5,
            )
        ]


def declared(path: Path, statements: int) -> type[Any]:
    """Write a module with the statements' Protocol, import it and return the Protocol."""
    path.write_text(MODULE + "".join(METHOD.format(number=number) for number in range(statements)))
    spec = spec_from_file_location("sqlkit_bench_declared", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    interface: type[Any] = module.Queries
    return interface
