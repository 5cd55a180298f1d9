"""``make bench``: interleaved rounds, medians, each as a ratio to the baseline of its work."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pydantic

from benchmarks.checking import checking
from benchmarks.scale import scale
from benchmarks.works import Measured, Work, plainly, works
from sqlkit.embedded import Embedded

ROUNDS = 15
SCALE = "scale"


def main() -> int:
    """Run the works (those of the environment variable ONLY, by name and comma) and print their ratios."""
    only = {name for name in os.environ.get("ONLY", "").split(",") if name}
    with tempfile.TemporaryDirectory(prefix="sqlkit-bench-") as folder:
        if os.geteuid() == 0:
            os.chmod(folder, 0o755)  # the server runs as another user
        with (
            Embedded.start(f"{folder}/server", durable=False) as server,
            works(server.dsn) as queries,
            checking(server.dsn) as checks,
        ):
            every = [*queries, *checks]
            names = [*(work.name for work in every), SCALE]
            if unknown := only.difference(names):
                print(f"no such work: {', '.join(sorted(unknown))}; there is {', '.join(names)}")
                return 2
            print(conditions(server.version))
            for work in every:
                if not only or work.name in only:
                    report(measure(work))
            if not only or SCALE in only:
                for measured in scale(server.dsn):
                    report(measured)
    return 0


def conditions(server: object) -> str:
    """Say on what the ratios were measured."""
    return (
        f"PostgreSQL {server}, psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), pydantic {pydantic.VERSION}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}; "
        f"medians of {ROUNDS} interleaved rounds, as ratios to the first line"
    )


def measure(work: Work) -> Measured:
    """Compare the answers, then time the contenders turn by turn; the median of each, in seconds a call."""
    answers = {name: plainly(call()) for name, call in work.contenders.items()}
    first = next(iter(answers.values()))
    for name, answer in answers.items():
        if answer != first:
            raise AssertionError(f"{work.name}: {name} does not answer as the baseline does")
    times: dict[str, list[float]] = {name: [] for name in work.contenders}
    for _ in range(ROUNDS):
        for name, call in work.contenders.items():
            times[name].append(timed(call, work.calls))
    return Measured(work.name, work.title, {name: statistics.median(values) for name, values in times.items()})


def timed(call: Callable[[], Any], calls: int) -> float:
    """Return the seconds of one call, over some."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def report(measured: Measured) -> None:
    """Print one work as a table with bars."""
    baseline = next(iter(measured.medians.values()))
    width = max(24, *map(len, measured.medians))
    print(f"\n{measured.name}: {measured.title}")
    for name, median in measured.medians.items():
        ratio = median / baseline
        print(f"  {name:{width}} {ratio:6.2f}  {'█' * max(1, round(ratio * 10))}")
    if measured.said:
        print(f"  {measured.said}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
