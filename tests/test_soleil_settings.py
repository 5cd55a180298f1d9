"""Soleil's settings are those of its document, and may be changed like any other's."""

from __future__ import annotations

import pytest

from sqlkit import ConfigurationError
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
