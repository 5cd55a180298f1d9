"""What keeps a database running: partitions made ahead and dropped, what the server is doing, diagrams, log files."""

from sqlkit.operations.activity import Session, Waiting, blocking_trees
from sqlkit.operations.intervals import Interval, Partition
from sqlkit.operations.looking import look
from sqlkit.operations.overview import Missing, Overview
from sqlkit.operations.page import html_report
from sqlkit.operations.partitions import (
    drop_partitions,
    ensure_partitions,
    is_missing_partition,
    keep_partitions,
    list_partitions,
    make_partitions,
    with_partition,
)
from sqlkit.operations.remarks import Limits, Remark, remarks
from sqlkit.operations.reports import Partitioned, PartitionReport
from sqlkit.operations.retention import in_batches

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
