"""The settings of soleil's database, with the pool's figures of its document."""

from __future__ import annotations

from pydantic import Field

from sqlkit.settings import Seconds, Settings

__all__ = ["SoleilSettings"]


class SoleilSettings(Settings):
    """Settings with soleil's defaults: 20 connections and 40 more at need, 30 s to wait for one, 30 min of life."""

    application_name: str = Field("soleil", max_length=63)
    schema: str | None = Field("soleil")
    pool_min_size: int = Field(20, ge=0)
    pool_max_size: int = Field(60, ge=1)
    pool_timeout: Seconds = Field(30.0)
    pool_max_lifetime: Seconds = Field(1800.0)
