"""``make bench``: interleaved rounds, medians, each as a ratio to the baseline of its work, beside the limits."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.families import FAMILIES, family
from benchmarks.report import conditions, draw, markdown, table
from benchmarks.work import SHORT, WHOLE, Measured, Size, measure
from sqlkit.embedded import Embedded

SCALE = "scale"
FOLDER = Path(__file__).parent


def main() -> int:
    """Run the works (those of the environment variable ONLY, by name and comma) and print their ratios."""
    parser = argparse.ArgumentParser(prog="make bench", description="Time typed queries beside their peers.")
    parser.add_argument("--short", action="store_true", help="few rows, one round: shows that it runs, times nothing")
    parser.add_argument("--bindir", help="the programs of the PostgreSQL to start")
    given = parser.parse_args()
    only = [name for name in os.environ.get("ONLY", "").split(",") if name]
    names = [*FAMILIES, SCALE]
    chosen = only or (list(FAMILIES) if given.short else names)  # scale has a variable for its size
    if unknown := set(only).difference(names):
        print(f"no such work: {', '.join(sorted(unknown))}; there is {', '.join(names)}")
        return 2
    with tempfile.TemporaryDirectory(prefix="sqlkit-bench-") as folder:
        if os.geteuid() == 0:
            os.chmod(folder, 0o755)  # the server runs as another user
        with Embedded.start(f"{folder}/server", durable=False, bindir=given.bindir) as server:
            said = conditions(server.version)
            print(said)
            every = []
            for measured in measurements(server.dsn, chosen, SHORT if given.short else WHOLE):
                print(table(measured), flush=True)
                every.append(measured)
    if not only and not given.short:
        keep(every, said)
    return 0


def measurements(dsn: str, names: list[str], size: Size) -> Iterator[Measured]:
    """Measure one work after the other."""
    for name in names:
        if name == SCALE:
            from benchmarks.scale import scale

            yield from scale(dsn)
        else:
            with family(name)(dsn, size) as works:
                for work in works:
                    yield measure(work, size.rounds)


def keep(every: list[Measured], said: str) -> None:
    """Write what a whole run found beside this file: ``results.md`` and ``results.png``."""
    (FOLDER / "results.md").write_text(markdown(every, said), encoding="utf-8")
    draw(every, FOLDER / "results.png")
    print("\nwritten: benchmarks/results.md, benchmarks/results.png")


if __name__ == "__main__":
    sys.exit(main())
