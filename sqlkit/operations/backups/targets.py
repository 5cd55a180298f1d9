"""The database that is backed up or restored: its settings, and the DSN that the server's own programs get."""

from __future__ import annotations

import math

from psycopg.conninfo import make_conninfo

from sqlkit.errors import ConfigurationError
from sqlkit.settings import Settings

__all__ = ["dsn_of", "settings_of"]


def settings_of(target: Settings | str | None) -> Settings:
    """Return settings, of a DSN or of the environment where they are not given; refused are those of a pooler."""
    settings = target if isinstance(target, Settings) else Settings() if target is None else Settings(url=target)
    if settings.pooler != "none":
        raise ConfigurationError("backups: want the server itself: name it, not its pooler (PgBouncer)")
    return settings


def dsn_of(settings: Settings) -> str:
    """Return the DSN, with the settings' bound on the time to connect, for pg_dump too."""
    dsn = str(settings.dsn())
    if "connect_timeout" in settings.parameters:
        return dsn
    return make_conninfo(dsn, connect_timeout=max(2, math.ceil(settings.connect_timeout)))  # which libpq has as least
