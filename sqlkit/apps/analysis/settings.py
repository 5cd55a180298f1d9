"""The settings of analysis' database, with the pool's figures of its document, and where Redis is."""

from __future__ import annotations

from pydantic import Field

from sqlkit.caching.redis import redis_url
from sqlkit.settings import Seconds, Settings

__all__ = ["AnalysisSettings", "redis_url"]


class AnalysisSettings(Settings):
    """Settings with analysis' defaults: 20 connections and 30 more at need, 30 s to wait for one, an hour of life."""

    application_name: str = Field("analysis", max_length=63)
    schema: str | None = Field("analysis")
    pool_min_size: int = Field(20, ge=0)
    pool_max_size: int = Field(50, ge=1)
    pool_timeout: Seconds = Field(30.0)
    pool_max_lifetime: Seconds = Field(3600.0)
