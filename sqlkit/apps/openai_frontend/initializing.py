"""The database brought to its newest schema, and closed at the end."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import psycopg

from sqlkit.apps.openai_frontend.chains import CHAINS, Chain, migrate_chain
from sqlkit.apps.openai_frontend.logwriter import DatabaseLogHandler
from sqlkit.apps.openai_frontend.settings import OpenaiFrontendSettings
from sqlkit.database import Database
from sqlkit.database.options import connect_keywords
from sqlkit.errors import MigrationError
from sqlkit.operations import ensure_partitions
from sqlkit.settings import Settings

__all__ = ["InitReport", "TableReport", "close_database", "init_database", "prepare_database"]

log = logging.getLogger("sqlkit.apps.openai_frontend")


@dataclass(frozen=True, slots=True)
class TableReport:
    """What became of a table: it was created now, it stood already, or its module's migrations failed."""

    table: str
    chain: str
    state: Literal["created", "stood", "failed"]

    def __str__(self) -> str:
        said = {"created": "created", "stood": "stands already", "failed": "failed"}
        return f"table {self.table} of {self.chain}: {said[self.state]}"


@dataclass(frozen=True, slots=True)
class InitReport:
    """What became of every table, and why a module failed, by its name; true where none did."""

    tables: tuple[TableReport, ...]
    errors: dict[str, str]

    def __bool__(self) -> bool:
        return not self.errors

    def state(self, table: str) -> str:
        """Return what became of a table."""
        return next(report.state for report in self.tables if report.table == table)


def init_database(settings: Settings | str | None = None) -> bool:
    """Bring a database to the newest schema, say for each table what became of it, and return whether all is well.

    Rows that are there are neither changed nor dropped. A module whose migrations fail is rolled back whole; the others
    go on, and the answer is False; so it is when no connection can be had. Safe from many processes at once. The log
    ``sqlkit.apps.openai_frontend`` has the details, ``prepare_database`` returns them.
    """
    return bool(prepare_database(settings))


def prepare_database(settings: Settings | str | None = None, *, chains: Sequence[Chain] = CHAINS) -> InitReport:
    """Do what ``init_database`` does; return what became of each table. Settings are as for ``Database.connect``."""
    known = OpenaiFrontendSettings(url=settings) if isinstance(settings, str) else settings or OpenaiFrontendSettings()
    tables: list[TableReport] = []
    log.info("the tables of %s are looked at", known.safe_dsn)
    errors = _unreachable(known, chains)
    for chain in chains:
        created: tuple[str, ...] = ()
        if chain.name not in errors:
            try:
                created = _prepare(known, chain)
            except (MigrationError, psycopg.Error) as error:
                errors[chain.name] = _reason(error)
                log.error("module %s: %s", chain.name, errors[chain.name])
        for table in chain.tables:
            state: Literal["created", "stood", "failed"] = "created" if table in created else "stood"
            report = TableReport(table, chain.name, "failed" if chain.name in errors else state)
            log.info("%s", report)
            tables.append(report)
    return InitReport(tuple(tables), errors)


def _unreachable(settings: Settings, chains: Sequence[Chain]) -> dict[str, str]:
    """Return why each module fails where no connection can be had, so that not each of them waits for one."""
    try:
        psycopg.connect(settings.dsn(), **connect_keywords(settings)).close()
    except psycopg.OperationalError as error:
        reason = _reason(error)
        log.error("%s: no connection: %s", settings.safe_dsn, reason)
        return {chain.name: reason for chain in chains}
    return {}


def _prepare(settings: Settings, chain: Chain) -> tuple[str, ...]:
    """Migrate a chain, and make the partitions of now and of the next months."""
    created = migrate_chain(settings.dsn(), chain, schema=settings.schema)
    if chain.partitioned:
        with psycopg.connect(settings.dsn(), **connect_keywords(settings)) as conn:
            for table in chain.partitioned:
                ensure_partitions(conn, table)
    return created


def _reason(error: Exception) -> str:
    """Say why; a driver's error in one line, and of an error with data only its class."""
    if isinstance(error, psycopg.Error) and (error.sqlstate or "")[:2] in ("22", "23"):
        return f"{type(error).__name__} ({error.sqlstate})"
    return " ".join(str(error).split())


def close_database(db: Database, *handlers: DatabaseLogHandler, timeout: float = 5.0) -> None:
    """Write the lines that log handlers still have, lend no more connections, and close them all."""
    for handler in handlers:
        handler.close()
    db.close(timeout)
