"""What keeps a database running: partitions made ahead and dropped, diagrams of a schema, log files to import."""

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

__all__ = [
    "Interval",
    "Partition",
    "PartitionReport",
    "Partitioned",
    "drop_partitions",
    "ensure_partitions",
    "is_missing_partition",
    "keep_partitions",
    "list_partitions",
    "make_partitions",
    "with_partition",
]
