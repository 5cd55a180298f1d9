"""Soleil's settings are those of its document, and may be changed like any other's."""

from __future__ import annotations

import asyncio

import pytest

import sqlkit
from sqlkit import AsyncDatabase, ConfigurationError
from sqlkit.apps.soleil.settings import SoleilSettings

DSN = "postgresql://ella@localhost/soleil_db"


def test_defaults_are_those_of_the_document() -> None:
    """Twenty connections, forty more at need, thirty seconds to wait, renewed every half hour."""
    settings = SoleilSettings(url=DSN)
    assert (settings.pool_min_size, settings.pool_max_size) == (20, 60)
    assert (settings.pool_timeout, settings.pool_max_lifetime) == (30, 1800)
    assert (settings.schema, settings.application_name) == ("soleil", "soleil")


def test_each_may_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyword and the environment change a default of the application as they change sqlkit's."""
    monkeypatch.setenv("POOL_MIN_SIZE", "2")
    settings = SoleilSettings(url=DSN, pool_max_size=4)
    assert (settings.pool_min_size, settings.pool_max_size) == (2, 4)


def test_constraints_are_kept() -> None:
    """A default of its own takes nothing from what a setting may be."""
    with pytest.raises(ConfigurationError, match="pool_timeout"):
        SoleilSettings(url=DSN, pool_timeout=-1)


def test_the_environment_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """The URL with its driver's name, the pool's size and overflow, and echo are read as the document writes them."""
    given = {
        "DATABASE_URL": "postgresql+asyncpg://user:password@localhost:5432/soleil_db",
        "POOL_SIZE": "5",
        "POOL_MAX_OVERFLOW": "10",
        "POOL_RECYCLE": "60",
        "DATABASE_ECHO": "true",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = SoleilSettings()
    assert settings.safe_dsn == "postgresql://user:***@localhost:5432/soleil_db"
    assert (settings.pool_min_size, settings.pool_max_size, settings.pool_max_lifetime) == (5, 15, 60)
    assert settings.debug


def test_connections_say_who_they_are(soleil_dsn: str) -> None:
    """A connection is soleil's by name, in UTC, with its schema first in the path."""

    async def said() -> tuple[str, str, str]:
        async with AsyncDatabase.connect(SoleilSettings(url=soleil_dsn, pool_min_size=1)) as db:
            shown = "select current_setting('application_name'), current_setting('timezone'), current_schema()::text"
            return await sqlkit.fetch_one(db, tuple[str, str, str], shown)

    assert asyncio.run(said()) == ("soleil", "UTC", "soleil")
