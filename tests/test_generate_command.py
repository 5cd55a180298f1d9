"""``sqlkit generate``: what it writes, prints and compares, its exit status, its options, the pages about it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from sqlkit.cli.app import app
from sqlkit.testing import TestServer, dropped_afterwards

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
NAMED = re.compile(r"(?:--|#) (\S+\.(?:sql|py|toml))\n")

SCHEMA = "create table songs (song_id bigint generated always as identity primary key, title text not null)"
SONGS = """\
-- name: get_song
-- One song.
select song_id, title from songs where song_id = :song_id;

-- name: add_song
insert into songs (title) values (:song.title) returning song_id;
"""

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def songs_dsn(server: TestServer) -> Iterator[str]:
    """Give the DSN of a database with songs."""
    with dropped_afterwards(server) as name:
        dsn = server.dsn_for(name)
        with psycopg.connect(dsn, autocommit=True) as conn:
            conn.execute(SCHEMA)
        yield dsn


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, songs_dsn: str) -> Run:
    """Give the function that runs the command in a folder with songs.sql, on a database with songs."""
    for name in [name for name in os.environ if name.startswith(("DATABASE_", "POSTGRES_", "PG"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "songs.sql").write_text(SONGS)

    def invoke(*arguments: str, dsn: str | None = songs_dsn) -> Result:
        database = ["--dsn", dsn] if dsn else []
        return CliRunner().invoke(app, ["generate", *arguments, *database], prog_name="sqlkit")

    return invoke


def test_it_prints(run: Run) -> None:
    """Without --output the module is printed, and loads the file from the working directory."""
    done = run("songs.sql")
    assert (done.exit_code, done.stderr) == (0, "")
    assert 'songs: SongQueries = sqlkit.load(SongQueries, "songs.sql")' in done.stdout
    compile(done.stdout, "songs.py", "exec")


def test_it_writes(run: Run, tmp_path: Path) -> None:
    """With --output it is written, in folders that are made for it, and finds the file from its own place."""
    done = run("songs.sql", "--output", "app/queries.py")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "sqlkit: app/queries.py: written\n"
    text = (tmp_path / "app" / "queries.py").read_text()
    assert 'sqlkit.load(SongQueries, Path(__file__).parents[1] / "songs.sql")' in text.replace("\n    ", " ")


def test_what_is_equal_is_left(run: Run, tmp_path: Path) -> None:
    """A second run finds nothing to do."""
    run("songs.sql", "-o", "queries.py")
    before = (tmp_path / "queries.py").stat().st_mtime_ns
    done = run("songs.sql", "-o", "queries.py")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "sqlkit: queries.py: is as it would be written\n"
    assert (tmp_path / "queries.py").stat().st_mtime_ns == before


def test_what_differs_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    """A module that exists is compared: the diff is printed, the status is 1, the file stays."""
    run("songs.sql", "-o", "queries.py")
    path = tmp_path / "queries.py"
    mine = path.read_text().replace("    title: str\n", "    title: str  # as it is sung\n", 1)
    path.write_text(mine)
    done = run("songs.sql", "-o", "queries.py")
    assert done.exit_code == 1
    assert "-    title: str  # as it is sung\n+    title: str\n" in done.stdout
    assert done.stdout.startswith("--- queries.py\n+++ queries.py (generated)\n@@")
    assert "exists and differs, so it is left as it is" in done.stderr
    assert path.read_text() == mine


def test_some_statements(run: Run) -> None:
    """Named statements alone are written."""
    done = run("songs.sql", "get_song")
    assert "def get_song" in done.stdout
    assert "add_song" not in done.stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--async"], ["class SongQueries", "async def get_song(self, db: AsyncExecutor"]),
        (["--both"], ["class SongQueries", "class AsyncSongQueries", "async_songs: AsyncSongQueries = "]),
        (["--protocol", "Repertoire"], ["class Repertoire(Protocol)", "songs: Repertoire = "]),
    ],
)
def test_options(run: Run, options: list[str], expected: list[str]) -> None:
    """The colour and the Protocol's name can be chosen."""
    done = run("songs.sql", *options)
    assert done.exit_code == 0
    assert [text for text in expected if text not in done.stdout] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["songs.sql", "get_sing"], "songs.sql: has no statement get_sing, did you mean get_song?"),
        (["nowhere.sql"], "nowhere.sql:1:1: no such file"),
        (["songs.sql", "--schema", "nowhere"], "schema nowhere: is not in the database"),
        (["songs.sql", "--models-from", "nowhere_at_all"], "--models-from nowhere_at_all: does not import"),
    ],
)
def test_what_is_wrong(run: Run, arguments: list[str], message: str) -> None:
    """What cannot be done is one line and status 2."""
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"sqlkit: {message}")
    assert done.stderr.count("\n") == 1


def test_async_and_both(run: Run) -> None:
    """The two options cannot stand together."""
    assert run("songs.sql", "--async", "--both").exit_code == 2


def test_without_a_schema(run: Run) -> None:
    """Where nothing says which schema is meant, the error says what to give."""
    done = run("songs.sql", dsn=None)
    assert done.exit_code == 2
    assert "there is no schema to generate for: give --migrations DIR or --dsn" in done.stderr


def test_a_refused_statement(run: Run, tmp_path: Path) -> None:
    """What PostgreSQL refuses has its place in the file, and nothing is written."""
    (tmp_path / "songs.sql").write_text("-- name: q\nselect title,\n    titel from songs\n")
    done = run("songs.sql", "-o", "queries.py")
    assert done.exit_code == 2
    assert done.stderr.startswith('sqlkit: songs.sql:3:5: q: column "titel" does not exist')
    assert not (tmp_path / "queries.py").exists()


def test_nothing_is_left_in_the_database(run: Run, songs_dsn: str) -> None:
    """The database that --dsn names is as it was."""
    query = "select json_agg(relname order by oid)::text from pg_class where relnamespace = 'public'::regnamespace"
    with psycopg.connect(songs_dsn, autocommit=True) as conn:
        before = conn.execute(query).fetchone()
        assert run("songs.sql").exit_code == 0
        assert conn.execute(query).fetchone() == before
        assert conn.execute("select count(*) from songs").fetchone() == (0,)


def test_files_of_aiosql(run: Run, tmp_path: Path) -> None:
    """A file in aiosql's form is read, and written in sqlkit's where --sql-output says, once."""
    (tmp_path / "old.sql").write_text("-- name: get-title$\nselect title from songs where song_id = :song_id;\n")
    done = run("old.sql", "--sql-output", "new.sql", "-o", "queries.py")
    assert done.exit_code == 0
    assert (tmp_path / "new.sql").read_text().startswith("-- name: get_title :optional\n")
    assert '"new.sql"' in (tmp_path / "queries.py").read_text()
    assert run("old.sql", "--sql-output", "new.sql", "-o", "queries.py").exit_code == 0
    (tmp_path / "new.sql").write_text("-- mine\n")
    assert run("old.sql", "--sql-output", "new.sql", "-o", "queries.py").exit_code == 1
    assert (tmp_path / "new.sql").read_text() == "-- mine\n"


def test_a_file_of_aiosql_alone(run: Run, tmp_path: Path) -> None:
    """Without --sql-output it is said that load does not read the file."""
    (tmp_path / "old.sql").write_text("-- name: get_title$\nselect title from songs where song_id = :song_id;\n")
    done = run("old.sql")
    assert "def get_title(self, db: Executor, *, song_id: int) -> str | None:" in done.stdout
    assert "is in aiosql's form, which load does not read" in done.stderr


def test_models_beside_the_configuration(run: Run, tmp_path: Path) -> None:
    """Models are imported from the project's folder, though it is not on Python's path."""
    model = "from pydantic import BaseModel\n\nclass Tune(BaseModel):\n    song_id: int\n    title: str\n"
    (tmp_path / "tune_models.py").write_text(model)
    done = run("songs.sql", "get_song", "--models-from", "tune_models")
    assert "from tune_models import Tune\n" in done.stdout
    assert "-> Tune | None:" in done.stdout


def test_a_file_that_is_no_text(run: Run, tmp_path: Path) -> None:
    """What exists and is not UTF-8 is not compared, and left."""
    (tmp_path / "queries.py").write_bytes(b"\xff")
    done = run("songs.sql", "-o", "queries.py")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "queries.py: is not UTF-8, so it is not compared" in done.stderr
    assert (tmp_path / "queries.py").read_bytes() == b"\xff"


def test_names_are_completed(tmp_path: Path) -> None:
    """The shell completes the names of the file's statements."""
    (tmp_path / "songs.sql").write_text(SONGS)
    environment = {
        **os.environ,
        "_SQLKIT_COMPLETE": "complete_bash",
        "COMP_WORDS": "sqlkit generate songs.sql ge",
        "COMP_CWORD": "3",
    }
    program = [sys.executable, "-c", "from sqlkit.cli import main; main()"]
    done = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stdout.split() == ["get_song"]


# The pages


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the code blocks of a page, each with its kind."""
    return BLOCK.findall((ROOT / "docs" / page).read_text("utf-8"))


def lay(folder: Path, page: str) -> None:
    """Write the blocks of a page that name a file, each into that file."""
    for _, text in blocks(page):
        if named := NAMED.match(text):
            (folder / named[1]).parent.mkdir(exist_ok=True)
            (folder / named[1]).write_text(text, "utf-8")


def follow(folder: Path, page: str) -> tuple[list[str], list[str]]:
    """Run the command that a page shows first; return what it said, and what the page says that it says."""
    console = next(text for kind, text in blocks(page) if kind == "console")
    command, *promised = console.strip().splitlines()
    arguments = command.removeprefix("$ sqlkit ").split()
    program = [sys.executable, "-c", "from sqlkit.cli import main; main()", *arguments]
    done = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines(), promised


def test_the_page_on_generate(tmp_path: Path) -> None:
    """The module that docs/generate.md shows is the one that its command writes."""
    lay(tmp_path, "generate.md")
    promised = (tmp_path / "queries.py").read_text("utf-8").removeprefix("# queries.py\n")
    (tmp_path / "queries.py").unlink()
    said, told = follow(tmp_path, "generate.md")
    assert said == told
    assert (tmp_path / "queries.py").read_text("utf-8") == promised


def test_the_page_for_users_of_aiosql(tmp_path: Path, dsn: str) -> None:
    """A file in aiosql's form moves over as docs/from-aiosql.md tells, and its program prints what stands below it."""
    lay(tmp_path, "from-aiosql.md")
    said, told = follow(tmp_path, "from-aiosql.md")
    assert said == told
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(next((tmp_path / "migrations").iterdir()).read_bytes())
    done = subprocess.run(
        [sys.executable, "after.py"],
        cwd=tmp_path,
        env={**os.environ, "DATABASE_URL": dsn},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    assert done.stdout == next(text for kind, text in blocks("from-aiosql.md") if kind == "text")
