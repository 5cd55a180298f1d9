"""``sqlkit demo analysis``: invented work and log files, again and again."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from sqlkit import Database
from sqlkit.apps.analysis import NewAnalysis, analyses, sign_up
from sqlkit.apps.analysis.models import WorkStatus
from sqlkit.apps.analysis.sample import sample_analyses, sample_files, sample_tools
from tests.test_analysis_logs import LOGS, needs_logs
from tests.test_presentations_demo import shown

pytestmark = pytest.mark.usefixtures("cheap_passwords")

CAPTION = re.compile(r"^(\d+) rows? · \d+\.\d ms · (analysis\.\w+\.\w+)$", re.MULTILINE)
QUERIES = ["upkeep.count_analyses_by_status", "analyses.list_analyses", "files.list_files", "logs.count_logs"]
QUERIES = [f"analysis.{name}" for name in [*QUERIES, "logs.list_logs"]]


def test_demo(analysis_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo copies work and log lines in and shows its answers; a second run leaves other people's rows."""
    monkeypatch.chdir(tmp_path)
    with Database.connect(analysis_dsn, pool_max_size=2) as db:
        mine = sign_up(db, "ada", "ada@example.org", "correct horse")
        kept = analyses.create_analysis(db, analysis=NewAnalysis(user_id=mine.user_id, title="Mine"))
        for _ in range(2):
            said = shown(monkeypatch, "analysis", "--dsn", analysis_dsn)
            assert re.search(r"Copied: 400 analyses with \d+ files, 120 tools", said)
            assert "9 users, 9 active_users, 401 data_analyses" in said
            assert said.count("Imported:") == 4
            assert "Health: healthy" in said
            assert re.search(r"Backup: \d+ rows of one moment", said)
            assert [name for _, name in CAPTION.findall(said)] == QUERIES
        assert analyses.get_analysis(db, analysis_id=kept.analysis_id) == kept
    assert list(tmp_path.iterdir()) == []
    with psycopg.connect(analysis_dsn) as conn:
        row = conn.execute("select count(*), count(*) filter (where service = 'demo') from system_logs").fetchone()
    assert row == (24, 2)


@needs_logs
def test_demo_with_real_logs(analysis_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--logs takes a folder of log files: each line is a row with its own time, service, level and message."""
    monkeypatch.chdir(tmp_path)
    said = shown(monkeypatch, "analysis", "--dsn", analysis_dsn, "--logs", str(LOGS))
    assert said.count("Imported: 2000 lines of ") == 4
    assert re.search(r"zookeeper +warning +1318 +▇+", said)
    assert "8001 system_logs" in said


def test_the_sample_is_plausible_and_the_same() -> None:
    """One seed gives one load, with results where work has ended."""
    ids = [UUID(int=number) for number in range(8)]
    made = list(sample_analyses(200, ids))
    assert made == list(sample_analyses(200, ids))
    assert {one.user_id for one in made} == set(ids)
    assert all((one.result is not None) == (one.status in (WorkStatus.COMPLETED, WorkStatus.FAILED)) for one in made)
    assert {file.analysis_id for file in sample_files(ids)} == set(ids)
    assert len(list(sample_tools(10, ids))) == 10
