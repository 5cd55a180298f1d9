"""``sqlkit demo``: from nothing to answers, again and again, and from an installed wheel."""

from __future__ import annotations

import re
import shutil
import site
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from sqlkit.embedded import Embedded
from sqlkit.migrate import database_url
from tests.test_cli import MAIN, clean_environment
from tests.test_soleil_import import STANDARDS, needs_standards

ROOT = Path(__file__).parent.parent
CAPTION = re.compile(r"^(\d+) rows? · \d+\.\d ms · (soleil\.\w+\.\w+)$", re.MULTILINE)


def demo(*arguments: str, cwd: Path, program: tuple[str, ...] = (sys.executable, "-c", MAIN)) -> str:
    """Run the demo in a folder, with nothing configured; return what it says on stdout."""
    ran = subprocess.run(
        [*program, "demo", *arguments],
        cwd=cwd,
        env=clean_environment() | {"COLUMNS": "120", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def counts(dsn: str) -> tuple[int, ...]:
    """Return how many users, songs, bands and members there are."""
    with psycopg.connect(dsn) as conn:
        tables = ("users", "songs", "bands", "band_members")
        rows = [conn.execute(f"select count(*) from {table}").fetchone() for table in tables]
    return tuple(row[0] for row in rows if row)


def test_from_nothing_to_answers_and_again(tmp_path: Path) -> None:
    """In an empty folder the demo makes everything; a second run takes seconds and answers the same."""
    first = demo(cwd=tmp_path)
    start = time.monotonic()
    second = demo(cwd=tmp_path)
    assert time.monotonic() - start < 10
    assert "Migrations: 9 applied" in first
    assert "Migrations: everything is applied" in second
    tables = [
        ("11", "soleil.repertoire.count_songs_by_key"),
        ("7", "soleil.repertoire.count_songs_by_rhythm"),
        ("1", "soleil.songs.search_songs"),
        ("4", "soleil.bands.list_members"),
    ]
    for said in (first, second):
        assert "Import: tunes.csv" in said
        assert "44/44" in said
        assert CAPTION.findall(said) == tables
        assert re.search(r"F major +15 +▇+", said)
        assert re.search(r"Two-Beat +7 +80 to 250", said)
        assert re.search(r"Sweet Georgia Brown +Maceo Pinkard +Ab major +Medium Up Swing +4/4 +190", said)
        assert re.search(r"Nora Vale +trumpet +leader +April 2019", said)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".sqlkit"]


def test_two_at_once(tmp_path: Path) -> None:
    """Two demos that begin together in one empty folder share the server, and fill it once."""
    with ThreadPoolExecutor(2) as pool:
        for said in pool.map(lambda _: demo(cwd=tmp_path), range(2)):
            assert "Repertoire: 44 songs" in said
    with Embedded.start(tmp_path / ".sqlkit") as server:
        assert counts(database_url(server.dsn, schema="soleil")) == (4, 44, 1, 4)


def test_on_a_standing_database(soleil_dsn: str, tmp_path: Path) -> None:
    """--dsn takes a database that is there; a second run leaves the same rows, and other users' songs alone."""
    with psycopg.connect(soleil_dsn) as conn:
        conn.execute(
            "with fan as (insert into users (email, google_id, display_name) values ('a@b', 'g', 'A') "
            "returning user_id) insert into songs (user_id, title) select user_id, 'Mine' from fan"
        )
    demo("--dsn", soleil_dsn, cwd=tmp_path)
    assert counts(soleil_dsn) == (5, 45, 1, 4)
    demo("--dsn", soleil_dsn, cwd=tmp_path)
    assert counts(soleil_dsn) == (5, 45, 1, 4)
    assert list(tmp_path.iterdir()) == []


def test_a_configured_database_is_left_alone(tmp_path: Path) -> None:
    """A DATABASE_URL does not lead the demo's songs into somebody's database."""
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://nobody@127.0.0.1:1/songs\n")
    assert "Repertoire: 44 songs" in demo(cwd=tmp_path)


def test_a_search_of_ones_own(soleil_dsn: str, tmp_path: Path) -> None:
    """--search looks for another term; one that is found nowhere gives an empty table."""
    said = demo("--dsn", soleil_dsn, "--search", "gershwinn", cwd=tmp_path)
    assert said.count("George Gershwin") == 5
    assert ("0", "soleil.songs.search_songs") in CAPTION.findall(
        demo("--dsn", soleil_dsn, "--search", "zzz", cwd=tmp_path)
    )


def test_titles_are_no_markup(soleil_dsn: str, tmp_path: Path) -> None:
    """A title with brackets is shown as it is."""
    (tmp_path / "list.csv").write_text("title\n[bold]Dinah[/bold]\n")
    said = demo("--dsn", soleil_dsn, "--songs", "list.csv", "--search", "[bold]dinah", cwd=tmp_path)
    assert "[bold]Dinah[/bold]" in said
    assert "Search for “[bold]dinah”" in said


@needs_standards
def test_with_a_song_list(soleil_dsn: str, tmp_path: Path) -> None:
    """--songs imports a published song list of 1,382 songs, in place of those of the run before."""
    demo("--dsn", soleil_dsn, cwd=tmp_path)
    said = demo("--dsn", soleil_dsn, "--songs", str(STANDARDS), cwd=tmp_path)
    assert "1382/1382" in said
    assert "Repertoire: 1382 songs by 544 composers" in said
    assert re.search(r"F major +254", said)
    assert re.search(r"Medium Swing +506", said)
    assert counts(soleil_dsn) == (4, 1382, 1, 4)


def test_without_trigrams(dsn: str, tmp_path: Path) -> None:
    """Where pg_trgm is not found the demo says so and searches without it."""
    demo("--dsn", dsn, cwd=tmp_path)
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("drop extension pg_trgm cascade")
    said = demo("--dsn", dsn, "--search", "sweet geo", cwd=tmp_path)
    assert "no typing error is forgiven" in said
    assert ("1", "soleil.songs.search_songs_plainly") in CAPTION.findall(said)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_carries_statements_and_migrations(wheel: Path) -> None:
    """The wheel has the .sql files, the migrations, the tunes, the command and the mark of types; no tests."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder in ("sql", "migrations"):
        files = list((ROOT / folder).rglob("*.sql"))
        assert files
        assert {f"sqlkit/{path.relative_to(ROOT).as_posix()}" for path in files} <= names
    assert {"sqlkit/apps/soleil/tunes.csv", "sqlkit/py.typed"} <= names
    assert {name for name in names if not name.startswith(("sqlkit/", "sqlkit-"))} == {"sqlkit_command.py"}


def test_installed_wheel_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    """The wheel in a virtual environment elsewhere, with the same dependencies and no repository, runs the demo."""
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(environment)]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    # The dependencies that are installed here, as a path alone: the link to this repository is not followed.
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    python = environment / "bin" / "python"
    found = subprocess.run(
        [str(python), "-c", "import sqlkit, sqlkit.apps; print(sqlkit.__file__, sqlkit.apps.SQL)"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.split() == [str(packages / "sqlkit" / "__init__.py"), str(packages / "sqlkit" / "sql")]
    program = str(environment / "bin" / "sqlkit")
    said = demo(cwd=tmp_path, program=(program,))
    assert len(CAPTION.findall(said)) == 4
    called = "sqlkit" if shutil.which("sqlkit") else program
    assert f"\nLook around: {called} psql --schema soleil --folder {tmp_path.resolve() / '.sqlkit'}\n" in said
