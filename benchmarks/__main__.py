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
from benchmarks.works import Work, plainly, works
from sqlkit.embedded import Embedded

ROUNDS = 15


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
            unknown = only - {work.name for work in every}
            if unknown:
                print(f"no such work: {', '.join(sorted(unknown))}; there is {', '.join(w.name for w in every)}")
                return 2
            print(conditions(server.version))
            for work in every:
                if not only or work.name in only:
                    report(work, measure(work))
    return 0


def conditions(server: object) -> str:
    """Say on what the ratios were measured."""
    return (
        f"PostgreSQL {server}, psycopg {psycopg.__version__} ({psycopg.pq.__impl__}), pydantic {pydantic.VERSION}, "
        f"Python {platform.python_version()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}; "
        f"medians of {ROUNDS} interleaved rounds, as ratios to the first line"
    )


def measure(work: Work) -> dict[str, float]:
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
    return {name: statistics.median(values) for name, values in times.items()}


def timed(call: Callable[[], Any], calls: int) -> float:
    """Return the seconds of one call, over some."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def report(work: Work, medians: dict[str, float]) -> None:
    """Print one work as a table with bars."""
    baseline = next(iter(medians.values()))
    print(f"\n{work.name}: {work.title}")
    for name, median in medians.items():
        ratio = median / baseline
        print(f"  {name:24} {ratio:6.2f}  {'█' * max(1, round(ratio * 10))}")


if __name__ == "__main__":
    sys.exit(main())
