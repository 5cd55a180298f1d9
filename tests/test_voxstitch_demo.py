"""``sqlkit demo voxstitch``: users import chats, again and again, and leave other people's alone."""

from __future__ import annotations

import random
import re
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from sqlkit.apps import voxstitch
from sqlkit.apps.voxstitch.sample import SAMPLE_DOMAIN, TOPICS, sample_chats, sample_emails
from sqlkit.cli import output
from sqlkit.cli.app import app
from tests.test_demo import CAPTION, demo

pytestmark = pytest.mark.usefixtures("cheap_passwords")


def shown(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """Run a demo in this process, on a wide screen; return what it says on stdout."""
    monkeypatch.setattr(output.answers, "_width", 160)
    ran = CliRunner().invoke(app, ["demo", *arguments])
    assert ran.exit_code == 0, ran.stderr
    return ran.stdout


def counts(dsn: str) -> tuple[int, ...]:
    """Return how many users, chats and sessions there are."""
    with psycopg.connect(dsn) as conn:
        rows = [
            conn.execute(f"select count(*) from {table}").fetchone() for table in ("users", "chats", "login_sessions")
        ]
    return tuple(row[0] for row in rows if row)


def test_demo(voxstitch_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo shows chats, searches, the race for the last imports and a login; a second run leaves the same rows."""
    monkeypatch.chdir(tmp_path)
    with psycopg.connect(voxstitch_dsn) as conn:
        mine = voxstitch.users.create_user(conn, user=voxstitch.NewUser(is_guest=True))
        (chat,) = sample_chats(1)
        voxstitch.import_chat(conn, chat=voxstitch.NewChat(user_id=mine.user_id, **dict(chat)))
    for _ in range(2):
        said = shown(monkeypatch, "voxstitch", "--dsn", voxstitch_dsn)
        assert "Imported: 960 chats of 24 users" in said
        assert "50 imports at once of a user with 2 left: 2 succeeded, 48 were refused, 0 are left" in said
        assert [name for _, name in CAPTION.findall(said.replace("voxstitch.", "soleil."))] == [
            "soleil.chats.count_chats_by_platform",
            *["soleil.chats.search_chats"] * 3,
            "soleil.chats.list_chats",
            "soleil.login_sessions.list_sessions",
        ]
        assert re.search(r"chatgpt +\d+ +▇{24}", said)
        assert "Weekend in Lisbon" in said
        assert counts(voxstitch_dsn) == (25, 963, 0)
    assert list(tmp_path.iterdir()) == []


def test_from_nothing(tmp_path: Path) -> None:
    """In an empty folder the demo makes everything, and says where to look around."""
    said = demo("voxstitch", cwd=tmp_path)
    assert "Migrations: 5 applied" in said
    assert re.search(r"Look around: \S+ psql --schema voxstitch --folder ", said)


def test_a_demo_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown name is refused with those that there are, before anything is started."""
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(app, ["demo", "nonsense"])
    assert ran.exit_code == 2
    assert "nonsense: there is no such demo: soleil, " in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_samples_are_the_same_for_a_seed() -> None:
    """Invented chats are the same for the same seed, others for another, and of every topic."""
    assert list(sample_chats(50, seed=7)) == list(sample_chats(50, seed=7)) != list(sample_chats(50, seed=8))
    assert {chat.title for chat in sample_chats(200)} == set(TOPICS)
    before = random.getstate()
    list(sample_chats(3))
    assert random.getstate() == before


@pytest.mark.parametrize("count", [1, 12, 40])
def test_sample_addresses(count: int) -> None:
    """Invented addresses are as many as wanted, each once, all at one domain."""
    emails = sample_emails(count)
    assert len(set(emails)) == count
    assert all(email.endswith(f"@{SAMPLE_DOMAIN}") for email in emails)
