"""``sqlkit demo openai_frontend``: log files and usage in partitions, again and again."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend.sample import SAMPLE_MODELS, sample_usage
from sqlkit.operations.logfiles import SAMPLES
from tests.test_openai_frontend_import import REAL, needs_real_logs
from tests.test_voxstitch_demo import shown

pytestmark = pytest.mark.usefixtures("cheap_passwords")


def counts(dsn: str) -> tuple[int, ...]:
    """Return how many users, keys, lines and calls there are."""
    with psycopg.connect(dsn) as conn:
        rows = [
            conn.execute(f"select count(*) from {table}").fetchone() for table in ("users", "api_keys", "logs", "usage")
        ]
    return tuple(row[0] for row in rows if row)


def test_demo(frontend_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo shows tables, logs, usage, a key under many threads and a token used twice; twice it is the same."""
    monkeypatch.chdir(tmp_path)
    with psycopg.connect(frontend_dsn) as conn:
        line = frontend.NewLogLine(level=frontend.LogLevel.INFO, logger="mine", message="stays")
        frontend.write_log(conn, line=line)
    for _ in range(2):
        said = shown(monkeypatch, "openai_frontend", "--dsn", frontend_dsn)
        assert "table usage of usage: stands already" in said
        assert "Copied: 6000 calls of 90 days" in said
        assert "A key, verified 256 times from 64 threads" in said
        assert "one got the next token, the other was told that it was used before" in said
        assert "tokens of the family still good: 0" in said
        assert re.search(r"nadia +\d+ +[\d.]+ +▇{24}", said)
        assert counts(frontend_dsn) == (5, 0, 23, 6_000)
    assert list(tmp_path.iterdir()) == []


@needs_real_logs
def test_with_the_real_logs(frontend_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """--logs imports the files of a folder in place of the samples."""
    with psycopg.connect(frontend_dsn) as conn:
        frontend.import_log_file(conn, SAMPLES["apache"])
    said = shown(monkeypatch, "openai_frontend", "--dsn", frontend_dsn, "--logs", str(REAL))
    assert said.count("Imported: 2000 lines of ") == 4
    assert counts(frontend_dsn)[2] == 8000


def test_samples_are_plausible() -> None:
    """Invented usage is the same for a seed, in the days that were asked for, more by day, and few use much."""
    until = datetime(2026, 3, 1, 15, tzinfo=UTC)
    calls = list(sample_usage(3000, [1, 2, 3, 4], until=until, days=30, seed=1))
    assert calls == list(sample_usage(3000, [1, 2, 3, 4], until=until, days=30, seed=1))
    assert all(until - timedelta(days=31) < call.created_at < until for call in calls)
    users = Counter(call.user_id for call in calls)
    assert users[1] > users[2] > users[4] > 0
    assert {call.model for call in calls} == set(SAMPLE_MODELS)
    hours = Counter(call.created_at.hour for call in calls)
    assert hours[10] > 5 * hours[3]
