"""The settings of presentations' database, with the pool's figures of its document, and the keys of its secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pydantic import Field

from sqlkit.errors import ConfigurationError
from sqlkit.security import Cipher
from sqlkit.settings import Seconds, Settings

__all__ = ["PresentationsSettings", "cipher_of"]

KEYS = "PRESENTATIONS_KEYS"


class PresentationsSettings(Settings):
    """Settings with presentations' defaults: 20 connections and 30 more at need, each for an hour, 10 s to connect.

    A statement that takes a second is logged by its name.
    """

    application_name: str = Field("presentation-generator", max_length=63)
    schema: str | None = Field("presentations")
    connect_timeout: Seconds = Field(10.0)
    pool_min_size: int = Field(20, ge=0)
    pool_max_size: int = Field(50, ge=1)
    pool_timeout: Seconds = Field(30.0)
    pool_max_lifetime: Seconds = Field(3600.0)
    slow_after: Seconds | None = Field(1.0)


def cipher_of(environment: Mapping[str, str] | None = None) -> Cipher:
    """Return the Cipher of the keys in ``PRESENTATIONS_KEYS``, with commas between, the newest first.

    Raises ConfigurationError where there are none, or one that is none.
    """
    given = (os.environ if environment is None else environment).get(KEYS, "")
    keys = [key.strip() for key in given.split(",") if key.strip()]
    if not keys:
        raise ConfigurationError(f"{KEYS}: no key is given; Cipher.new_key() makes one")
    return Cipher(*keys)
