"""What the README and docs/queries.md show is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
COMMAND = "from sqlkit.cli import main; main()"
NAMED = re.compile(r"(?:--|#) (\S+\.(?:sql|py))\n")


def blocks(page: str, kind: str) -> list[str]:
    """Return the code blocks of one kind in a page."""
    return [text for found, text in BLOCK.findall((ROOT / page).read_text(encoding="utf-8")) if found == kind]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Give a folder with the README's example, each block in the file that its first line names."""
    for text in blocks("README.md", "sql") + blocks("README.md", "python"):
        named = NAMED.match(text)
        if named:
            path = tmp_path / named[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return tmp_path


def run(project: Path) -> subprocess.CompletedProcess[str]:
    """Run the example as its reader would, in a folder of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DATABASE_", "POSTGRES_"))}
    return subprocess.run(
        [sys.executable, "app.py"], cwd=project, env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_example_prints_what_the_readme_says(project: Path) -> None:
    """The example, typed by hand in an empty folder, prints what stands below it."""
    result = run(project)
    assert result.stderr == ""
    assert result.stdout == blocks("README.md", "text")[0]


@pytest.mark.parametrize(
    ("file", "old", "new", "line"),
    [
        ("app.py", "get_song(self, db: Executor, *, song_id: int)", "get_song(self, db: Executor, *, song: int)", 0),
        (
            "songs.sql",
            "and key = :key                            --? opt",
            "and key = :key                            --? not-",
            1,
        ),
    ],
)
def test_the_errors_are_those_that_the_readme_shows(project: Path, file: str, old: str, new: str, line: int) -> None:
    """Each error of "What load proves" is the one that the mistake gives."""
    path = project / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    promised = next(block for block in blocks("README.md", "text") if "SongQueries.get_song" in block).splitlines()
    error = run(project).stderr.splitlines()[-1]
    assert error.split(": ", 1)[1].replace(f"{project}{os.sep}", "") == promised[line]


def test_the_check_finds_what_the_readme_shows(project: Path) -> None:
    """The finding of "What sqlkit check proves" is what the mistake gives; without it the example is clean."""
    command = [sys.executable, "-c", COMMAND, "check", "app"]
    clean = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    path = project / "app.py"
    text = path.read_text(encoding="utf-8")
    assert "    key: str | None\n" in text
    path.write_text(text.replace("    key: str | None\n", "    key: str\n"), encoding="utf-8")
    found = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
    assert found.returncode == 1
    promised = next(block for block in blocks("README.md", "text") if "SK007" in block)
    assert found.stdout.startswith(promised.split("\n", 1)[1])


def test_the_page_on_null_shows_what_describe_says(tmp_path: Path) -> None:
    """The verdicts and reasons of docs/nullability.md are those of ``sqlkit describe``."""
    for text in blocks("docs/nullability.md", "sql"):
        named = NAMED.match(text)
        assert named is not None
        path = tmp_path / named[1]
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    shown, expected = blocks("docs/nullability.md", "console")[0].split("\n", 1)
    command = [sys.executable, "-c", COMMAND, *shown.removeprefix("$ sqlkit ").split()]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert result.stdout == expected


def test_the_readme_names_what_there_is() -> None:
    """Each page that the README links to exists, and it keeps to its length."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (ROOT / link).exists(), link
    assert len(text.splitlines()) < 250


def test_the_page_on_queries_runs(dsn: str, tmp_path: Path) -> None:
    """The examples of docs/queries.md run from top to bottom, in one program."""
    sql, python = blocks("docs/queries.md", "sql"), blocks("docs/queries.md", "python")
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(sql[0].encode())
    (tmp_path / "songs.sql").write_text("\n".join(sql[1:]), encoding="utf-8")
    (tmp_path / "page.py").write_text("\n".join(python), encoding="utf-8")
    result = subprocess.run(
        [sys.executable, "page.py"],
        cwd=tmp_path,
        env={**os.environ, "DATABASE_URL": dsn},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
