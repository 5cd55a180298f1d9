"""The benchmark of scale, with few rows: it compares what it times, and reads no partition that it does not need."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.conftest import ROOT


def test_a_short_run() -> None:
    """Copies leave the same rows as psql's, a quarter reads three partitions of twelve, nothing is left of a month."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks"],
        cwd=ROOT,
        env={**os.environ, "ONLY": "scale", "SQLKIT_BENCH_ROWS": "1200"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "scale: 1,200 rows of usage by copy" in ran.stdout
    assert re.search(r"partitions of twelve that a quarter reads +3.00  ≤ 3.00: met", ran.stdout)
    assert "scale: a month of 1,200 rows past its retention, on a durable server" in ran.stdout
