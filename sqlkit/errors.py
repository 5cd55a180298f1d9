"""The errors that sqlkit raises, in one tree.

::

    SqlkitError
    ├── SqlFileError          a .sql file that does not parse
    ├── ContractError         a Protocol and its file disagree, found by load
    ├── ArgumentError         arguments that fit the signature but not the statement
    ├── NoRow                 a row was promised and none came
    ├── TooManyRows           one row was promised and more came
    ├── RowError              a row does not fit its type
    ├── ConnectionBusy        a statement on a connection whose stream is open
    ├── PoolExhausted         no connection in time (also psycopg_pool.PoolTimeout)
    ├── ConfigurationError    settings that are missing, unknown or impossible
    ├── EmbeddedError         the embedded PostgreSQL does not start or stop
    ├── MigrationError        a migration that cannot be read, applied or rolled back
    └── BackupError           a backup that cannot be taken, read or restored

A message begins with the place (``sql/songs.sql:14: get_song: ...``) and never shows the value of a parameter
or of a row: it may be a secret. What PostgreSQL refuses stays psycopg's own class (``psycopg.errors``), with a note
that names the query and its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg_pool import PoolTimeout

__all__ = [
    "ArgumentError",
    "BackupError",
    "ConfigurationError",
    "ConnectionBusy",
    "ContractError",
    "EmbeddedError",
    "Holder",
    "MigrationError",
    "NoRow",
    "PoolExhausted",
    "RowError",
    "SqlFileError",
    "SqlkitError",
    "TooManyRows",
]


class SqlkitError(Exception):
    """The root of all errors that sqlkit raises itself."""


class SqlFileError(SqlkitError):
    """A ``.sql`` file that does not parse.

    ``path`` is the file, ``line`` and ``column`` count from 1 (in characters), ``reason`` is the sentence alone.
    """

    def __init__(self, path: Path | str, line: int, column: int, reason: str) -> None:
        super().__init__(f"{path}:{line}:{column}: {reason}")
        self.path = Path(path)
        self.line = line
        self.column = column
        self.reason = reason

    def __reduce__(self) -> tuple[type[SqlFileError], tuple[Path, int, int, str]]:
        return type(self), (self.path, self.line, self.column, self.reason)


class ContractError(SqlkitError):
    """A Protocol that does not fit its ``.sql`` file, or whose annotations cannot be mapped; raised by ``load``."""


class ArgumentError(SqlkitError, ValueError):
    """Arguments that fit the signature but not the statement: half of an optional line, an unknown choice."""


class NoRow(SqlkitError):
    """The annotation promises a row, and none came."""


class TooManyRows(SqlkitError):
    """The annotation promises at most one row, and more came."""


class RowError(SqlkitError):
    """A row does not fit its type.

    ``query`` names the statement with its place, ``column`` the column (None when the whole row is meant),
    ``expected`` what the annotation wants, ``got`` the type that came. The value itself is not kept.
    """

    def __init__(
        self,
        message: str,
        *,
        query: str = "",
        column: str | None = None,
        expected: str | None = None,
        got: str | None = None,
    ) -> None:
        super().__init__(message)
        self.query = query
        self.column = column
        self.expected = expected
        self.got = got


class ConnectionBusy(SqlkitError):
    """A statement on a connection whose stream is still open; close the stream first or take another connection."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a connection of a pool.

    ``place`` is a query's name or ``file:line in function`` of the caller, ``owner`` the thread's or task's name,
    ``seconds`` how long.
    """

    place: str
    owner: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.place} ({self.owner}, for {self.seconds:.1f} s)"


class PoolExhausted(SqlkitError, PoolTimeout):
    """No connection came free in time, or none ever could; ``holders`` says who has them."""

    def __init__(self, message: str, holders: Sequence[Holder] = ()) -> None:
        listed = "".join(f"\n  held by {holder}" for holder in holders)
        super().__init__(message + listed)
        self.holders = tuple(holders)


class ConfigurationError(SqlkitError):
    """Settings that are missing, unknown or impossible, or an extra that is not installed."""


class EmbeddedError(SqlkitError):
    """The embedded PostgreSQL cannot be found, started or stopped."""


class MigrationError(SqlkitError):
    """A migration that cannot be read, applied or rolled back."""


class BackupError(SqlkitError):
    """A backup that cannot be taken, read or restored; what was there before is there still."""


# Their public address, which tracebacks and documentation show.
for _public in list(globals().values()):
    if isinstance(_public, type) and _public.__module__ == __name__:
        _public.__module__ = "sqlkit"
