"""``sqlkit check`` and ``sqlkit describe``: what they print, their status, and how they end."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sqlkit.cli import output
from sqlkit.cli.app import app
from sqlkit.migrate import migrate

ROOT = Path(__file__).parent.parent
MAIN = "from sqlkit.cli import main; main()"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
NAMED = re.compile(r"(?:--|#) (\S+\.(?:sql|py|toml))\n")

SONGS = "create table songs (song_id bigint primary key, title text not null, artist text);\n"
MODULE = """
from typing import NamedTuple, Protocol
import sqlkit
from sqlkit import Executor

class Song(NamedTuple):
    song_id: int
    title: str

class Queries(Protocol):
    def get_song(self, db: Executor, *, song_id: int) -> Song | None: ...

songs: Queries = sqlkit.load(Queries, {path!r})
"""
GET = "-- name: get_song\nselect song_id, title\nfrom songs\nwhere song_id = :song_id;\n"
VARIANTS = """
-- name: find
select songs.song_id, owners.title
from songs
left join songs as owners
    on songs.artist = owners.artist
where
    true
    and owners.title = :title  --? optional
order by songs.song_id;
"""

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def forget_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work in an empty folder, and forget the modules that were imported from there."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Give the function that runs a command in this process."""
    monkeypatch.setattr(output.answers, "_width", 200)

    def invoke(*arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments), prog_name="sqlkit")

    return invoke


@pytest.fixture
def project(tmp_path: Path, dsn: str) -> str:
    """Write a project in which all is well, and give the DSN of its database."""
    for name, text in {
        "migrations/0001.songs.sql": SONGS,
        "sql/songs.sql": GET,
        "shop.py": MODULE.format(path=str(tmp_path / "sql/songs.sql")),
        "pyproject.toml": '[tool.sqlkit]\nmodules = ["shop"]\nmigrations = "migrations"\nsql = ["sql"]\n',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    migrate(dsn, tmp_path / "migrations")
    return dsn


def change(name: str, old: str, new: str) -> None:
    """Replace a text in a file of the project."""
    text = Path(name).read_text(encoding="utf-8")
    assert old in text
    Path(name).write_text(text.replace(old, new), encoding="utf-8")


# The page


def test_the_page_prints_what_it_says(run: Run, tmp_path: Path) -> None:
    """The project of docs/check.md, written down as it is shown, gets the reports that stand below it."""
    blocks = BLOCK.findall((ROOT / "docs/check.md").read_text(encoding="utf-8"))
    for _, text in blocks:
        if named := NAMED.match(text):
            path = tmp_path / named[1]
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    consoles = [text.partition("\n") for kind, text in blocks if kind == "console"]
    for command, _, expected in consoles:
        assert run(*command.removeprefix("$ sqlkit ").split()).stdout == expected
    assert len(consoles) == 2
    namespace: dict[str, Any] = {}
    exec((tmp_path / "test_queries.py").read_text(encoding="utf-8"), namespace)
    with pytest.raises(AssertionError, match="error SK001: PostgreSQL refuses it"):
        namespace["test_queries_are_proved"]()


def test_the_hook_is_the_page_s() -> None:
    """The hook that the repository offers is the one that the page shows."""
    import yaml

    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    page = next(
        text for kind, text in BLOCK.findall((ROOT / "docs/check.md").read_text(encoding="utf-8")) if kind == "yaml"
    )
    shown = yaml.safe_load(page)["repos"][0]["hooks"][0]
    assert shown.items() <= hook.items()


# check


def test_clean(run: Run, project: str) -> None:
    """A project in which all is well ends with 0 and one line."""
    result = run("check", "--dsn", project)
    assert (result.stdout, result.stderr) == ("1 statement, 1 variant, 2 columns (2 never NULL): clean\n", "")
    assert result.exit_code == 0


def test_everything_by_arguments(run: Run, project: str) -> None:
    """Without configuration the arguments say it all, and a server is started."""
    Path("pyproject.toml").unlink()
    result = run("check", "shop", "--migrations", "migrations", "--sql", "sql", "--schema", "app")
    assert result.stdout == "1 statement, 1 variant, 2 columns (2 never NULL): clean\n"


def test_findings_end_with_1(run: Run, project: str) -> None:
    """A finding is printed with both places."""
    change("sql/songs.sql", "title", "artist as title")
    result = run("check", "--dsn", project)
    assert result.exit_code == 1
    assert result.stdout.startswith("sql/songs.sql:2:17: get_song: error SK007: ")
    assert "\n  --> shop.py:8:5\n   8 |     title: str\n     |     ^^^^^^^^^^\n" in result.stdout
    assert result.stdout.endswith("\n1 statement, 1 variant, 2 columns (1 never NULL): 1 error\n")


def test_module_that_does_not_import(run: Run, project: str) -> None:
    """A module that does not import is said, the statements are checked all the same, and the status is 2."""
    Path("broken.py").write_text("import shop\nshop.none\n", encoding="utf-8")
    change("pyproject.toml", '"shop"', '"broken"')
    change("sql/songs.sql", "title", "titel")
    result = run("check", "--dsn", project)
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-3:] == [
        "could not check: broken.py:2: broken does not import: AttributeError: module 'shop' has no attribute 'none'",
        "",
        "1 statement, 1 variant, 0 columns (0 never NULL): 1 error",
    ]


def test_json(run: Run, project: str) -> None:
    """The JSON format is one object and nothing else, whatever a module prints as it is imported."""
    change("shop.py", "import sqlkit\n", "import sqlkit\nprint('loading')\n")
    change("sql/songs.sql", "title", "titel")
    result = run("check", "--dsn", project, "--format", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == found["status"] == 1
    assert [finding["code"] for finding in found["findings"]] == ["SK001"]
    assert found["findings"][0]["sql"] == {"path": "sql/songs.sql", "line": 2, "column": 17, "end": 22}


def test_github(run: Run, project: str) -> None:
    """The format for GitHub is commands and nothing else."""
    change("sql/songs.sql", "title", "titel")
    result = run("check", "--dsn", project, "--format", "github")
    (line,) = result.stdout.splitlines()
    assert line.startswith("::error file=sql/songs.sql,line=2,col=17,endColumn=22,title=SK001::get_song: ")


@pytest.mark.parametrize(
    ("options", "codes", "status"),
    [
        ([], ["SK010", "SK012"], 1),
        (["--hints"], ["SK010", "SK011", "SK012"], 1),
        (["--ignore", "SK010"], ["SK012"], 1),
        (["--ignore", "sk010, SK012"], [], 0),
        (["--ignore", "SK010", "--ignore", "SK012", "--hints"], ["SK011"], 0),
        (["--ignore", "SK010", "--ignore", "SK012", "--strict"], ["SK011"], 1),
        (["--select", "SK011"], ["SK011"], 0),
        (["--select", "SK010,SK001"], ["SK010"], 1),
    ],
)
def test_codes(run: Run, project: str, options: list[str], codes: list[str], status: int) -> None:
    """Codes are chosen by options; hints are shown when asked for and count with --strict alone."""
    with Path("sql/songs.sql").open("a", encoding="utf-8") as file:
        file.write("-- name: purge\ndelete from songs;\n")
    result = run("check", "--dsn", project, "--format", "json", *options)
    assert sorted(finding["code"] for finding in json.loads(result.stdout)["findings"]) == codes
    assert result.exit_code == status


def test_hints_of_the_configuration(run: Run, project: str) -> None:
    """The configuration asks for hints and ignores codes; an option overrules it."""
    change("pyproject.toml", "[tool.sqlkit]\n", "[tool.sqlkit]\nhints = true\n")
    assert "hint SK011" in run("check", "--dsn", project).stdout
    assert "hint SK011" not in run("check", "--dsn", project, "--no-hints").stdout
    change("pyproject.toml", "hints = true\n", 'hints = true\nignore = ["SK011"]\n')
    assert "hint SK011" not in run("check", "--dsn", project).stdout


def test_several_projects(run: Run, project: str) -> None:
    """Projects are checked one after the other; one is chosen by name, or by a module of its own."""
    Path("other.py").write_text("import nowhere\n", encoding="utf-8")
    Path("pyproject.toml").write_text(
        '[[tool.sqlkit.project]]\nname = "shop"\nmodules = ["shop"]\nmigrations = "migrations"\n'
        '[[tool.sqlkit.project]]\nname = "other"\nmodules = ["other.*"]\nmigrations = "migrations"\n',
        encoding="utf-8",
    )
    result = run("check", "--dsn", project)
    assert (result.exit_code, "could not check: other: " in result.stdout) == (2, True)
    assert run("check", "--dsn", project, "--project", "shop").exit_code == 0
    assert run("check", "--dsn", project, "shop").exit_code == 0
    assert run("check", "--dsn", project, "other.below").exit_code == 2
    assert run("check", "--dsn", project, "third").stderr == (
        "sqlkit: third: is in none of the projects; say which one's by --project\n"
    )


def test_the_folder_named_migrations_is_taken(run: Run, project: str) -> None:
    """Where nothing says what makes the schema, the folder of that name does, as for `sqlkit migrate`."""
    Path("pyproject.toml").unlink()
    assert run("check", "shop").stdout.endswith(": clean\n")
    assert "bigint" in run("describe", "sql/songs.sql").stdout
    assert "def get_song(" in run("generate", "sql/songs.sql").stdout


def test_names_of_statements_are_completed(project: str) -> None:
    """The shell completes the statements of the file that is described."""
    words = "sqlkit describe sql/songs.sql g"
    asked = {"_SQLKIT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": "3"}
    assert CliRunner().invoke(app, [], prog_name="sqlkit", env=asked).stdout.split() == ["get_song"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "there is nothing to check: name modules, or write [tool.sqlkit] into pyproject.toml"),
        (["shop"], "there is no schema to check against: give --migrations DIR or --dsn"),
        (["shop", "--project", "nope"], "--project nope: there is no such project"),
        (["shop", "--dsn", "x", "--select", "SK13"], "--select: 'SK13' is no code, did you mean SK013?"),
        (["shop", "--dsn", "x", "--plans"], "--plans: name the snapshot in [tool.sqlkit]: plans ="),
        (["--config", "nope.toml"], "nope.toml: cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_meant(run: Run, arguments: list[str], reason: str) -> None:
    """Arguments that mean nothing are an error of one line, and status 2."""
    result = run("check", *arguments)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert result.stdout == ""


def test_unknown_key(run: Run, project: str) -> None:
    """A key that nobody knows is an error with the nearest that there is."""
    change("pyproject.toml", "modules", "module")
    result = run("check", "--dsn", project)
    assert result.stderr == (
        f"sqlkit: {Path.cwd()}/pyproject.toml: tool.sqlkit.module: is no key, did you mean modules?\n"
    )
    assert result.exit_code == 2


def test_plans(run: Run, project: str) -> None:
    """Plans are written once, and then compared."""
    change("pyproject.toml", "[tool.sqlkit]\n", '[tool.sqlkit]\nplans = "plans.json"\n')
    missing = run("check", "--dsn", project, "--plans")
    assert (missing.exit_code, "plans.json: there is no snapshot yet" in missing.stdout) == (2, True)
    run("check", "--dsn", project, "--update-plans")
    assert "songs" in Path("plans.json").read_text(encoding="utf-8")
    assert "plans.json" not in run("check", "--dsn", project, "--plans").stdout


@pytest.mark.parametrize("command", ["check", "describe"])
def test_help(run: Run, command: str) -> None:
    """Each command explains itself and names its options for the database."""
    result = run(command, "--help")
    assert result.exit_code == 0
    for option in ("--dsn", "--schema", "--migrations", "--config", "--project"):
        assert option in result.output


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("sqlkit check --select SK02", ["SK020", "SK021"]),
        ("sqlkit check --ignore SK012,SK019", ["SK012,SK019"]),
        ("sqlkit check --project s", ["shop"]),
        ("sqlkit describe --project s", ["shop"]),
        ("sqlkit check --format g", ["github"]),
    ],
)
def test_completion(project: str, words: str, offered: list[str]) -> None:
    """The shell offers codes, projects and formats."""
    Path("pyproject.toml").write_text('[[tool.sqlkit.project]]\nname = "shop"\n', encoding="utf-8")
    variables = {"_SQLKIT_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    result = CliRunner().invoke(app, [], prog_name="sqlkit", env=variables)
    assert result.stdout.split() == offered


@pytest.mark.parametrize("command", ["check", "describe"])
def test_missing_extra_is_named(command: str) -> None:
    """Without rich the command says which extra brings it."""
    program = f"import sys; sys.modules['rich'] = None; {MAIN}"
    result = subprocess.run([sys.executable, "-c", program, command], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (
        2,
        "sqlkit: the command line needs rich: pip install 'sqlkit[cli]'\n",
    )


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_terminal(project: str, no_color: str, coloured: bool) -> None:
    """On a terminal the report is coloured, unless NO_COLOR is set."""
    change("sql/songs.sql", "title", "titel")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "check", "--dsn", project],
        env=os.environ | {"NO_COLOR": no_color, "TERM": "xterm", "COLUMNS": "200"},
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    said = b""
    try:
        while block := os.read(ours, 4096):
            said += block
    except OSError:  # how Linux tells that the other end is closed
        pass
    finally:
        os.close(ours)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"")
    assert (b"\x1b[1;31m" in said) == coloured
    assert b"error SK001" in said


def test_interrupted(project: str) -> None:
    """Ctrl-C while a migration runs leaves no server and no folder, and ends with 130."""
    Path("migrations/0002.wait.sql").write_text("select pg_sleep(60);\n", encoding="utf-8")
    program = (
        "import sys, sqlkit.embedded.scratch as scratch\n"
        "make = scratch.scratch_folder\n"
        "def told(prefix):\n"
        "    folder = make(prefix)\n"
        "    print(folder, flush=True)\n"
        "    return folder\n"
        "scratch.scratch_folder = told\n" + MAIN
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, "check"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    folder = Path(process.stdout.readline().strip())
    assert folder.name.startswith("sqlkit-check-")
    deadline = time.monotonic() + 30
    while not (folder / "log").exists() or "pg_sleep" not in activity(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "sqlkit: interrupted\n")
    assert not folder.exists()
    assert processes_of(folder) == []


def test_interrupted_at_the_start() -> None:
    """Ctrl-C while the command line is still being imported ends with 130, too, without a traceback."""
    program = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'typer':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n" + MAIN
    )
    result = subprocess.run([sys.executable, "-c", program, "check"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "sqlkit: interrupted\n")


def activity(folder: Path) -> str:
    """Return what the server of a folder runs, nothing while it does not answer."""
    import psycopg

    host = folder / "socket"
    try:
        with psycopg.connect(host=str(host), port=5432, user="postgres", dbname="postgres", connect_timeout=2) as conn:
            rows = conn.execute("select query from pg_stat_activity where pid <> pg_backend_pid()").fetchall()
    except psycopg.OperationalError:
        return ""
    return "\n".join(query for (query,) in rows)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


# describe


def test_describe(run: Run, project: str) -> None:
    """A statement is described with parameters, columns and reasons."""
    result = run("describe", "sql/songs.sql", "--dsn", project)
    assert result.stdout == (
        "sql/songs.sql:1: get_song\n"
        "  takes\n"
        "    song_id  bigint\n"
        "  returns\n"
        "    song_id  bigint  not null: column songs.song_id\n"
        "    title    text    not null: column songs.title\n"
        "  one row at most: unique key songs_pkey\n"
    )
    assert (result.exit_code, result.stderr) == (0, "")


def test_describe_json(run: Run, project: str) -> None:
    """--json is a list with an object for each statement, in the documented shape."""
    result = run("describe", "sql/songs.sql", "get_song", "--json", "--dsn", project)
    assert json.loads(result.stdout) == [
        {
            "statement": "get_song",
            "parameters": [{"name": "song_id", "type": "bigint"}],
            "columns": [
                {"name": "song_id", "type": "bigint", "nullable": False, "reason": "not null: column songs.song_id"},
                {"name": "title", "type": "text", "nullable": False, "reason": "not null: column songs.title"},
            ],
        }
    ]


def test_describe_variants(run: Run, project: str) -> None:
    """Where variants differ each is shown; as JSON, a column is nullable if it is in any of them."""
    Path("sql/find.sql").write_text(VARIANTS, encoding="utf-8")
    shown = run("describe", "sql/find.sql", "--dsn", project).stdout
    assert re.search(r"\n  returns without title\n    song_id +bigint +not null.*\n    title +text +nullable: ", shown)
    assert re.search(r"\n  returns with title\n    song_id +bigint +not null.*\n    title +text +not null: ", shown)
    (found,) = json.loads(run("describe", "sql/find.sql", "--json", "--dsn", project).stdout)
    assert [column["nullable"] for column in found["columns"]] == [False, True]
    assert found["columns"][1]["reason"].startswith("nullable: ")
    assert [(each["variants"], each["columns"][1]["nullable"]) for each in found["variants"]] == [
        (["without title"], True),
        (["with title"], False),
    ]


def test_describe_refused(run: Run, project: str) -> None:
    """What PostgreSQL refuses is said with its place, and the status is 1."""
    change("sql/songs.sql", "title", "titel")
    result = run("describe", "sql/songs.sql", "--dsn", project)
    assert result.stdout.splitlines()[1] == (
        '  sql/songs.sql:2:17: PostgreSQL refuses it: column "titel" does not exist '
        '(Perhaps you meant to reference the column "songs.title")'
    )
    assert result.exit_code == 1
    (found,) = json.loads(run("describe", "sql/songs.sql", "--json", "--dsn", project).stdout)
    assert (found["columns"], len(found["problems"])) == ([], 1)


def test_describe_without_migrations(run: Run, tmp_path: Path) -> None:
    """Without configuration a statement is described against an empty database, which is said."""
    Path("a.sql").write_text("-- name: now\nselect now() as now, :x::int as x;\n", encoding="utf-8")
    result = run("describe", "a.sql")
    assert result.exit_code == 0
    assert "    now  timestamp with time zone  not null: " in result.stdout
    assert result.stderr == (
        "sqlkit: no migrations: describing against an empty database (--migrations DIR or --dsn name another)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["sql/songs.sql", "get_sonk"], "sql/songs.sql: has no statement get_sonk, did you mean get_song?"),
        (["nope.sql"], "nope.sql:1:1: no such file"),
        (["sql/songs.sql", "--project", "x"], "--project x: there is no such project"),
        (
            ["sql/songs.sql", "--dsn", "postgresql://u:secret@127.0.0.1:1/x"],
            r"postgresql://u:\*\*\*@127.0.0.1:1/x: the server cannot be reached: .*refused",
        ),
    ],
)
def test_describe_errors(run: Run, project: str, arguments: list[str], reason: str) -> None:
    """What cannot be described is an error of one line."""
    result = run("describe", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.match(f"sqlkit: {reason}", result.stderr)
    assert "secret" not in result.stderr


@pytest.mark.parametrize("command", ["describe", "generate"])
def test_a_failing_migration_is_found_from_here(run: Run, project: str, command: str) -> None:
    """A migration that fails is said by the path that it has from the working directory."""
    change("migrations/0001.songs.sql", "create table", "create tabel")
    result = run(command, "sql/songs.sql")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("sqlkit: migrations/0001.songs.sql:1:8: syntax error")


def test_describe_finds_the_project(run: Run, project: str) -> None:
    """Of several projects the one counts whose folder a file is in; else one has to be named."""
    Path("pyproject.toml").write_text(
        '[[tool.sqlkit.project]]\nname = "shop"\nsql = ["sql"]\nschema = "nope"\n'
        '[[tool.sqlkit.project]]\nname = "other"\nsql = ["more"]\n',
        encoding="utf-8",
    )
    nope = "sqlkit: schema nope: is not in the database"
    assert nope in run("describe", "sql/songs.sql", "--dsn", project).stderr
    Path("loose.sql").write_text(GET, encoding="utf-8")
    assert nope in run("describe", "loose.sql", "--dsn", project, "--project", "shop").stderr
    assert run("describe", "loose.sql").stderr == (
        "sqlkit: loose.sql: is in the folder of no project, or of several: say --project (shop, other)\n"
    )
