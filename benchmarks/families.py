"""The families of works by name; each module is imported when it runs, for some need peers that others do not."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from benchmarks.work import Family

__all__ = ["FAMILIES", "family"]

#: A family's name, as ONLY has it, and the function that gives its works.
FAMILIES = {
    "point": "point.point",
    "rows": "rows.rows",
    "async": "asynchronous.asynchronous",
    "nested": "nested.nested",
    "bulk": "bulk.bulk",
    "batch": "bulk.batch",
    "search": "search.search",
    "stream": "streaming.streaming",
    "import": "starting.imports",
    "load": "starting.loading",
    "threads": "concurrency.concurrency",
    "cache": "cache.cache",
    "overhead": "overhead.overhead",
    "replicas": "replicas.replicas",
    "pooler": "pooler.pooler",
    "check": "checking.checking",
}


def family(name: str) -> Family:
    """Import a family; raises ModuleNotFoundError where its peers are not installed."""
    module, function = FAMILIES[name].split(".")
    return cast("Family", getattr(import_module(f"benchmarks.{module}"), function))
