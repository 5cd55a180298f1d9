"""An embedded PostgreSQL: a server that belongs to a folder, and needs no installation and no care."""

from sqlkit.embedded.binaries import find_bindir
from sqlkit.embedded.server import Embedded

__all__ = ["Embedded", "find_bindir"]

for _public in (Embedded, find_bindir):
    _public.__module__ = "sqlkit.embedded"
