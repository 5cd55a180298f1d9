"""What keeps a database running: partitions made ahead and dropped, what the server is doing, diagrams, log files."""

from typing import TYPE_CHECKING, Any

from sqlkit.operations.intervals import Interval, Partition
from sqlkit.operations.partitions import (
    drop_partitions,
    ensure_partitions,
    is_missing_partition,
    keep_partitions,
    list_partitions,
    make_partitions,
    with_partition,
)
from sqlkit.operations.reports import Partitioned, PartitionReport
from sqlkit.operations.retention import in_batches

if TYPE_CHECKING:
    from sqlkit.operations.activity import Session, Waiting, blocking_trees
    from sqlkit.operations.attention import Limits, Remark, remarks
    from sqlkit.operations.looking import look
    from sqlkit.operations.overview import Missing, Overview
    from sqlkit.operations.page import html_report

__all__ = [
    "Interval",
    "Limits",
    "Missing",
    "Overview",
    "Partition",
    "PartitionReport",
    "Partitioned",
    "Remark",
    "Session",
    "Waiting",
    "blocking_trees",
    "drop_partitions",
    "ensure_partitions",
    "html_report",
    "in_batches",
    "is_missing_partition",
    "keep_partitions",
    "list_partitions",
    "look",
    "make_partitions",
    "remarks",
    "with_partition",
]

#: What is imported at first use, and from where: a program that keeps its partitions need not know the server's views.
LAZY = {
    "Limits": "attention",
    "Missing": "overview",
    "Overview": "overview",
    "Remark": "attention",
    "Session": "activity",
    "Waiting": "activity",
    "blocking_trees": "activity",
    "html_report": "page",
    "look": "looking",
    "remarks": "attention",
}


def __getattr__(name: str) -> Any:
    if name not in LAZY:
        raise AttributeError(f"module 'sqlkit.operations' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"sqlkit.operations.{LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *LAZY})
