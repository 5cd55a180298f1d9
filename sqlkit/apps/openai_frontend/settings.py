"""The settings of openai_frontend's database, with the pool's figures of its document.

``config.yml`` in the working directory has them under ``database``: host, port, username, password, database and
table_prefix, which is the schema here.
"""

from __future__ import annotations

from pydantic import Field

from sqlkit.settings import Seconds, Settings

__all__ = ["OpenaiFrontendSettings"]


class OpenaiFrontendSettings(Settings):
    """Settings with this application's defaults: 10 connections and 20 more at need, 30 s to wait, an hour of life."""

    application_name: str = Field("openai_frontend", max_length=63)
    schema: str | None = Field("openai_frontend")
    pool_min_size: int = Field(10, ge=0)
    pool_max_size: int = Field(30, ge=1)
    pool_timeout: Seconds = Field(30.0)
    pool_max_lifetime: Seconds = Field(3600.0)
