"""SQL in files, contracts in Python, proof from PostgreSQL: a raw-SQL query layer without an ORM."""

from typing import TYPE_CHECKING, Any

from sqlkit.annotations import UNSET, Affected, One, PgMultirange, PgRange, Unset
from sqlkit.errors import (
    ArgumentError,
    BackupError,
    ConfigurationError,
    ConnectionBusy,
    ContractError,
    EmbeddedError,
    Holder,
    MigrationError,
    NoRow,
    PoolExhausted,
    RowError,
    SqlFileError,
    SqlkitError,
    TooManyRows,
)
from sqlkit.execution.lending import AsyncExecutor, AsyncLender, Executor, Lender

if TYPE_CHECKING:
    from sqlkit.adhoc import execute, fetch_all, fetch_one, fetch_optional, stream
    from sqlkit.database import AsyncDatabase, Database
    from sqlkit.execution.streams import AsyncRows, Rows
    from sqlkit.queries import load
    from sqlkit.settings import Settings
    from sqlkit.statements import Statement, read_statements

__all__ = [
    "UNSET",
    "Affected",
    "ArgumentError",
    "AsyncDatabase",
    "AsyncExecutor",
    "AsyncLender",
    "AsyncRows",
    "BackupError",
    "ConfigurationError",
    "ConnectionBusy",
    "ContractError",
    "Database",
    "EmbeddedError",
    "Executor",
    "Holder",
    "Lender",
    "MigrationError",
    "NoRow",
    "One",
    "PgMultirange",
    "PgRange",
    "PoolExhausted",
    "RowError",
    "Rows",
    "Settings",
    "SqlFileError",
    "SqlkitError",
    "Statement",
    "TooManyRows",
    "Unset",
    "execute",
    "fetch_all",
    "fetch_one",
    "fetch_optional",
    "load",
    "read_statements",
    "stream",
]

#: Imported at first use: what reads files and Protocols, what runs statements, and settings with pydantic-settings.
LAZY = {
    "AsyncDatabase": "database",
    "AsyncRows": "execution.streams",
    "Database": "database",
    "Rows": "execution.streams",
    "Settings": "settings",
    "Statement": "statements",
    "execute": "adhoc",
    "fetch_all": "adhoc",
    "fetch_one": "adhoc",
    "fetch_optional": "adhoc",
    "load": "queries",
    "read_statements": "statements",
    "stream": "adhoc",
}


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module 'sqlkit' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"sqlkit.{LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *LAZY})
