"""The settings of analysis' database, with the pool's figures of its document, and where Redis is."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import Field

from sqlkit.errors import ConfigurationError
from sqlkit.settings import Seconds, SecretDsn, Settings

__all__ = ["AnalysisSettings", "redis_url"]


class AnalysisSettings(Settings):
    """Settings with analysis' defaults: 20 connections and 30 more at need, 30 s to wait for one, an hour of life."""

    application_name: str = Field("analysis", max_length=63)
    schema: str | None = Field("analysis")
    pool_min_size: int = Field(20, ge=0)
    pool_max_size: int = Field(50, ge=1)
    pool_timeout: Seconds = Field(30.0)
    pool_max_lifetime: Seconds = Field(3600.0)


def redis_url(environment: Mapping[str, str] | None = None) -> SecretDsn | None:
    """Return where Redis is: ``REDIS_URL``, or ``REDIS_HOST`` with ``REDIS_PORT`` and ``REDIS_DB``; None where nowhere.

    Raises ConfigurationError for a port or a number that is none.
    """
    given = os.environ if environment is None else environment
    if url := given.get("REDIS_URL"):
        return SecretDsn(url)
    host = given.get("REDIS_HOST")
    if not host:
        return None
    port, number = given.get("REDIS_PORT") or "6379", given.get("REDIS_DB") or "0"
    for name, value, most in (("REDIS_PORT", port, 65_535), ("REDIS_DB", number, 2**31)):
        if not (value.isascii() and value.isdigit() and int(value) <= most):
            raise ConfigurationError(f"{name}: a whole number up to {most} is wanted")
    return SecretDsn(f"redis://{f'[{host}]' if ':' in host else host}:{port}/{number}")
