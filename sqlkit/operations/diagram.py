"""A schema as a Mermaid entity-relationship diagram."""

from __future__ import annotations

import psycopg

__all__ = ["diagram", "marked_diagram"]


def diagram(conn: psycopg.Connection[object], schema: str | None = None) -> str:
    """Return the Mermaid ``erDiagram`` of a schema, the first of the search path where none is named.

    Tables and columns by name and place, each with type and PK, FK, UK; relations with their cardinality; partitions
    belong to their table. The same schema gives the same text.
    """
    raise NotImplementedError


def marked_diagram(page: str) -> str:
    """Return the text of the first ``mermaid`` block of a page, for a test that compares it with ``diagram``."""
    raise NotImplementedError
