"""The small wrong projects below ``tests/wrong``: a ``pyproject.toml`` each, and in ``report.txt`` what is said of it.

``report.json`` and ``report.github`` beside it are what the other formats give.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlkit.checking.project import read_projects
from sqlkit.checking.run import Report, check
from sqlkit.migrate import migrate
from sqlkit.testing import TestServer, dropped_afterwards

WRONG = Path(__file__).parent / "wrong"
CASES = sorted(path.parent.name for path in WRONG.glob("*/report.txt"))


class Databases:
    """A database for each folder of migrations and schema, made when it is first asked for."""

    def __init__(self, server: TestServer, stack: ExitStack) -> None:
        self.server = server
        self.stack = stack
        self.dsns: dict[tuple[tuple[Path, ...], str | None], str] = {}

    def dsn(self, folders: tuple[Path, ...], schema: str | None = None) -> str:
        """Return the DSN of a database with the migrations of some folders."""
        key = tuple(folder.resolve() for folder in folders), schema
        if key not in self.dsns:
            dsn = self.server.dsn_for(self.stack.enter_context(dropped_afterwards(self.server, kind="wrong")))
            for folder in folders:
                migrate(dsn, folder, schema=schema)
            self.dsns[key] = dsn
        return self.dsns[key]

    def report(self, case: str) -> Report:
        """Return the report of a wrong project."""
        (project,) = read_projects(WRONG / case / "pyproject.toml")
        return check(project, self.dsn(project.migrations or (), project.schema))


@contextmanager
def databases(server: TestServer) -> Iterator[Databases]:
    """Give the databases, and drop them after the block."""
    with ExitStack() as stack:
        yield Databases(server, stack)
