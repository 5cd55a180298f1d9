"""The settings of voxstitch's database, with the pool's figures of its document."""

from __future__ import annotations

from pydantic import Field

from sqlkit.settings import Seconds, Settings

__all__ = ["VoxstitchSettings"]


class VoxstitchSettings(Settings):
    """Settings with voxstitch's defaults: 5 connections and 10 more at need, 30 s to wait for one, 30 min of life."""

    application_name: str = Field("voxstitch", max_length=63)
    schema: str | None = Field("voxstitch")
    pool_min_size: int = Field(5, ge=0)
    pool_max_size: int = Field(15, ge=1)
    pool_timeout: Seconds = Field(30.0)
    pool_max_lifetime: Seconds = Field(1800.0)
