"""``sqlkit backup``, ``restore`` and ``reset``: what they say, and what is left when they are ended in the middle."""

from __future__ import annotations

import os
import pty
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from sqlkit import BackupError
from sqlkit.cli import output
from sqlkit.cli.app import app
from sqlkit.cli.backup import period
from sqlkit.cli.diagram import migrate_app
from sqlkit.migrate import database_url
from sqlkit.operations.backups import backup, list_backups, rehearse_restore, restore
from sqlkit.operations.backups.processes import Stopped
from sqlkit.testing import TestServer, dropped_afterwards
from tests import backup_stage
from tests.backup_stage import aged, caught_here, databases, dropped, dumps, hanging, processes_with, wait_until
from tests.test_cli import clean_environment, confirmed, spawn

Run = Callable[..., Any]
shop = backup_stage.shop
again = backup_stage.again


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

    def invoke(*arguments: str | Path, **options: Any) -> Any:
        return CliRunner().invoke(app, list(map(str, arguments)), prog_name="sqlkit", **options)

    return invoke


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Give the folder for backups."""
    return tmp_path / "shelf"


# What they say.


def test_backup_and_restore(run: Run, shop: str, again: str, shelf: Path) -> None:
    """The folder and its figures are the answer; restored, the figures are the same."""
    old = backup(shop, shelf, schema="shop").path
    aged(old, timedelta(days=8))
    taken = run("backup", shelf, "--dsn", shop, "--schema", "shop", "--keep", "7d", "--rehearse", "--jobs", "3")
    assert taken.exit_code == 0, taken.output
    (whole,) = list_backups(shelf)
    assert taken.stdout.splitlines() == [str(whole), f"{old}: removed, older than 7 days"]
    restored = run("restore", whole.path, "--dsn", shop, "--into", again)
    assert (restored.exit_code, restored.stdout) == (0, f"{again}: 2 tables, 150 rows, as in the backup\n")
    rehearsed = run("restore", whole.path, "--dsn", shop, "--rehearse")
    assert rehearsed.exit_code == 0
    assert rehearsed.stdout.endswith("2 tables, 150 rows, as in the backup (rehearsed, and dropped again)\n")


def test_progress_in_lines(run: Run, shop: str, shelf: Path) -> None:
    """Where nobody watches, each stage says by quarters how far it is, on stderr."""
    taken = run("backup", shelf, "--dsn", shop, "--schema", "shop")
    lines = taken.stderr.splitlines()
    assert lines[-1].startswith("sqlkit: reading back: 100 %")
    assert "sqlkit: dumping tables: 100 %, all tables" in lines


def test_progress_as_a_bar(shop: str, shelf: Path) -> None:
    """On a terminal it is a bar that goes away when it is done."""
    ours, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-c", "from sqlkit.cli import main; main()", "backup", str(shelf), "--dsn", shop],
        env=clean_environment() | {"TERM": "xterm-256color", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # which Linux says when the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(ours)
    out, _ = done.communicate(timeout=60)
    assert done.returncode == 0, seen
    text = seen.decode(errors="replace")
    assert "dumping tables" in text
    assert "━" in text
    assert "100%" in text
    assert b"tables" in out


@pytest.mark.parametrize(("text", "days"), [("7d", 7), ("4w", 28), (" 48h ", 2), ("0d", 0)])
def test_lengths_of_time(text: str, days: int) -> None:
    """Hours, days and weeks."""
    assert period(text).total_seconds() == days * 86400


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1.5d", "7 d", "7m", "9999999d"])
def test_what_is_no_length_of_time(run: Run, shop: str, shelf: Path, text: str) -> None:
    """What could be read in two ways is refused, and nothing is done."""
    refused = run("backup", shelf, "--dsn", shop, f"--keep={text}")
    assert refused.exit_code == 2
    assert "such as 7d" in refused.stderr
    assert not shelf.exists()


@pytest.mark.parametrize("command", ["backup", "restore", "reset"])
def test_help_has_an_example(run: Run, command: str) -> None:
    """Each command explains itself, with an example."""
    said = run(command, "--help").output
    assert f"sqlkit {command} " in said.partition("Usage:")[2].partition("\n")[2]
    assert "For example" in said


def test_errors_are_one_line(run: Run, shop: str, tmp_path: Path) -> None:
    """What cannot be done is one line and status 2."""
    failed = run("restore", tmp_path / "nothing", "--dsn", shop)
    assert (failed.exit_code, failed.stdout) == (2, "")
    assert failed.stderr == f"sqlkit: {tmp_path / 'nothing'}: there is no such backup\n"


@pytest.mark.parametrize("name", ["shelf/backup", "shelf/plain.sql", "shelf"])
def test_a_backup_that_may_not_be_read(
    run: Run, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Somebody else's backup is named, in one line."""
    locked = tmp_path / "locked"
    (locked / "shelf").mkdir(parents=True)
    locked.chmod(0)
    monkeypatch.chdir("/")
    before = os.geteuid()
    os.seteuid(before or 65_534)  # root may read whatever there is
    try:
        failed = run("restore", locked / name, "--dsn", dsn, "--into", "never")
    finally:
        os.seteuid(before)
        locked.chmod(0o700)
    assert (failed.exit_code, failed.stdout) == (2, "")
    assert failed.stderr == f"sqlkit: {locked / name}: cannot be read: Permission denied\n"


def test_a_name_that_is_too_long(run: Run, dsn: str, tmp_path: Path) -> None:
    """A name that the server would cut is refused before anything is read."""
    failed = run("restore", tmp_path / "nothing", "--dsn", dsn, "--into", "ä" * 32)
    assert failed.exit_code == 2
    assert failed.stderr.endswith("is a name of 64 bytes, and PostgreSQL takes 63: restore into another\n")
    assert "no such backup" in run("restore", tmp_path / "nothing", "--dsn", dsn, "--into", "ä" * 31).stderr


@pytest.mark.parametrize(
    ("keep", "words"), [("0d", "this one"), ("1d", "1 day"), ("1w", "7 days"), ("1h", "1 hour"), ("30h", "30 hours")]
)
def test_what_left_is_said_in_words(run: Run, shop: str, shelf: Path, keep: str, words: str) -> None:
    """What is deleted is said with the time that was given."""
    old = backup(shop, shelf, schema="shop").path
    aged(old, timedelta(days=8))
    taken = run("backup", shelf, "--dsn", shop, "--schema", "shop", "--keep", keep)
    assert taken.stdout.splitlines()[1:] == [f"{old}: removed, older than {words}"]


def test_the_wait_for_a_lock_is_an_option(run: Run, shop: str, shelf: Path) -> None:
    """A locked table is named after the time that was given, and told of meanwhile."""
    with psycopg.connect(shop) as mover:
        mover.execute("lock table shop.goods in access exclusive mode")
        failed = run("backup", shelf, "--dsn", shop, "--lock-timeout", "1.1")
    assert failed.exit_code == 2
    waiting, refused = failed.stderr.splitlines()
    assert waiting.startswith("sqlkit: waiting for a lock: 100 %, shop.goods is held by process ")
    assert "shop.goods is held by process" in refused
    assert "no lock within 1.1 s" in refused


# Ended in the middle.


@contextmanager
def caught(shop: str, shelf: Path, **options: Any) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Give a backup that waits in the middle, and the number of its pg_dump."""
    with hanging(shop):
        process = spawn("backup", str(shelf), "--dsn", shop, "--schema", "shop", **options)
        try:
            yield process, wait_until(lambda: dumps(shelf), "pg_dump writes")[0]
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_leaves_nothing_behind(
    server: TestServer, shop: str, shelf: Path, number: signal.Signals, status: int
) -> None:
    """Ctrl-C ends pg_dump, too, and what it asked of the server; the folder is as it was before. So does SIGTERM."""
    before = backup(shop, shelf, schema="shop").path
    with caught(shop, shelf) as (process, _):
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
        assert process.returncode == status
        assert err.endswith("sqlkit: interrupted\n") or number is signal.SIGTERM
        assert "Traceback" not in err
        assert list(shelf.iterdir()) == [before]
        assert dumps(shelf) == []
        name = conninfo_to_dict(shop)["dbname"]
        asked = "select count(*) from pg_stat_activity where datname = %s and application_name like 'sqlkit%%'"
        with psycopg.connect(server.dsn, autocommit=True) as conn:
            wait_until(lambda: conn.execute(asked, [name]).fetchone() == (0,), "its connections are closed")


def test_a_killed_backup_is_cleared_by_the_next(shop: str, shelf: Path) -> None:
    """Killed by -9, it takes pg_dump along; what it left is no backup, and goes with the next; older ones stay."""
    before = backup(shop, shelf, schema="shop").path
    with caught(shop, shelf) as (process, _):
        process.kill()
        process.wait()
        wait_until(lambda: not dumps(shelf), "pg_dump ends with its parent")
        left = [entry.name for entry in shelf.iterdir() if entry != before]
        assert len(left) == 1
        assert left[0].startswith(".")
        assert [one.path for one in list_backups(shelf)] == [before]
    newer = backup(shop, shelf, schema="shop").path
    assert sorted(shelf.iterdir()) == [before, newer]


def test_one_does_not_clear_what_another_writes(server: TestServer, shop: str, shelf: Path) -> None:
    """A backup that is taken while another is being written leaves that one alone."""
    with caught_here(shop, shelf) as (raised, _), dropped_afterwards(server) as other:
        backup(server.dsn_for(other), shelf)
        assert len(list(shelf.iterdir())) == 2
        assert raised == []


def test_a_pg_dump_that_is_killed(shop: str, shelf: Path) -> None:
    """The error says by what, and nothing is left."""
    with caught_here(shop, shelf) as (raised, pid):
        os.kill(pid, signal.SIGKILL)
        (error,) = wait_until(lambda: raised, "it is noticed")
        assert str(error) == "pg_dump: it was ended by SIGKILL"
        assert list(shelf.iterdir()) == []


def test_a_stop_from_another_thread(shop: str, shelf: Path) -> None:
    """In a program, an event ends it, and nothing is left."""
    with caught_here(shop, shelf) as (raised, _):
        pass
    assert [type(error) for error in raised] == [Stopped]
    assert list(shelf.iterdir()) == []
    assert dumps(shelf) == []


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Mount a disk of two megabytes at a place, for the block; skip where that is not allowed."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk: run as root, with CAP_SYS_ADMIN")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def with_noise(dsn: str) -> None:
    """Add four megabytes that cannot be packed much."""
    with psycopg.connect(dsn) as conn:
        conn.execute("create table shop.noise as select md5(random()::text) as a from generate_series(1, 130000)")


def test_a_full_disk(run: Run, shop: str, tmp_path: Path) -> None:
    """Where the disk is full the error says so; what was written goes, and the older backup is there."""
    place = tmp_path / "disk"
    with small_disk(place):
        before = backup(shop, place, schema="shop").path
        with_noise(shop)
        failed = run("backup", place, "--dsn", shop, "--schema", "shop", "--keep", "0d")
        assert failed.exit_code == 2
        assert "No space left on device" in failed.stderr.splitlines()[-1]
        assert list(place.iterdir()) == [before]
        assert [one.path for one in list_backups(place)] == [before]


def test_a_file_that_may_not_grow(shop: str, shelf: Path) -> None:
    """Where a file reaches the greatest size that the system lets it have, the error says so; the older one stays."""
    before = backup(shop, shelf, schema="shop").path
    with_noise(shop)

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(BackupError, match=r"SIGXFSZ|File too large"):
            backup(shop, shelf, schema="shop", keep=timedelta(0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(shelf.iterdir()) == [before]


def test_a_folder_that_cannot_be_written(run: Run, shop: str, tmp_path: Path) -> None:
    """A file in the folder's place is named."""
    (tmp_path / "file").write_text("")
    failed = run("backup", tmp_path / "file" / "shelf", "--dsn", shop)
    assert failed.exit_code == 2
    assert failed.stderr == f"sqlkit: {tmp_path / 'file' / 'shelf'}: cannot be written: Not a directory\n"


# A restore, ended in the middle.

#: An index whose making takes for ever in a database that is being restored, and no time in any other.
SLOW = """
create function shop.slow(text) returns text immutable language plpgsql as $$
begin
    if current_database() like 'sqlkit_restoring%' then
        perform pg_sleep(60);
    end if;
    return $1;
end $$;
create index goods_slow_idx on shop.goods (shop.slow(name));
"""


@pytest.fixture
def slow(shop: str, shelf: Path) -> Path:
    """Give a backup that takes for ever to restore."""
    with psycopg.connect(shop) as conn:
        conn.execute(SLOW)
    return backup(shop, shelf, schema="shop").path


@contextmanager
def restoring(server: TestServer, shop: str, slow: Path, into: str) -> Iterator[subprocess.Popen[str]]:
    """Give a restore that waits in the middle."""
    process = spawn("restore", str(slow), "--dsn", shop, "--into", into)
    try:
        sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
        with psycopg.connect(server.dsn, autocommit=True) as conn:
            wait_until(lambda: conn.execute(sleeping).fetchone() != (0,), "the index is being made")
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_ctrl_c_in_a_restore(server: TestServer, shop: str, slow: Path, again: str) -> None:
    """Ctrl-C drops what was made, and the name is free."""
    with restoring(server, shop, slow, again) as process:
        assert databases(server, again) == []
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err.splitlines()[-1]) == (130, "sqlkit: interrupted")
        assert databases(server, again) == databases(server, "sqlkit_re%") == []
        assert processes_with("pg_restore", str(slow)) == {}


def test_a_killed_restore_is_cleared_by_the_next(
    server: TestServer, shop: str, slow: Path, again: str, shelf: Path
) -> None:
    """Killed by -9, it leaves a database under no good name, which the next restore drops."""
    with restoring(server, shop, slow, again) as process:
        process.kill()
        process.wait()
        assert databases(server, again) == []
        (left,) = databases(server, "sqlkit_restoring%")
        wait_until(lambda: not processes_with("pg_restore", str(slow)), "pg_restore ends with its parent")
    with psycopg.connect(shop) as conn:
        conn.execute("drop index shop.goods_slow_idx")
    quick = backup(shop, shelf, schema="shop").path

    def restored() -> bool:
        """Restore again: the server notices that the killed one is gone when its sleep is interrupted."""
        with psycopg.connect(server.dsn, autocommit=True) as conn:
            conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [left])
        time.sleep(0.05)
        restore(shop, quick, into=again)
        return True

    assert restored()
    assert databases(server, again) == [again]
    assert databases(server, "sqlkit_restoring%") == []


@contextmanager
def refusing(server: TestServer, catalogue: str) -> Iterator[Callable[[], int | None]]:
    """Let nobody write into a catalogue of the cluster for the block; give what finds the process that waits for it."""
    waiting = "select pid from pg_locks where relation = %s::regclass and not granted and database = 0"
    with (
        psycopg.connect(server.dsn) as conn,
        psycopg.connect(server.dsn, autocommit=True) as watching,
    ):
        conn.execute(f"lock table {catalogue} in share mode".encode())

        def waiter() -> int | None:
            found = watching.execute(waiting, [catalogue]).fetchone()
            return found[0] if found else None

        yield waiter


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("catalogue", ["pg_database", "pg_shdescription"])
def test_ctrl_c_while_the_database_is_made(
    server: TestServer, shop: str, shelf: Path, again: str, catalogue: str, number: signal.Signals, status: int
) -> None:
    """Whether the server is making the database, or is marking it: none is there after the command."""
    taken = backup(shop, shelf, schema="shop").path
    with refusing(server, catalogue) as waiter:
        process = spawn("restore", str(taken), "--dsn", shop, "--into", again)
        try:
            wait_until(waiter, "the server waits")
            process.send_signal(number)
        except BaseException:
            process.kill()
            raise
    _, err = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in err) == (status, False)
    wait_until(lambda: databases(server, "sqlkit_restoring%") == [], "the database is gone")


def test_a_restore_that_is_killed_before_its_mark(server: TestServer, shop: str, shelf: Path, again: str) -> None:
    """A database that has the name of a restore's, and no mark yet, goes with the next; one with a word stays."""
    taken = backup(shop, shelf, schema="shop").path
    with refusing(server, "pg_shdescription") as waiter, psycopg.connect(server.dsn, autocommit=True) as conn:
        process = spawn("restore", str(taken), "--dsn", shop, "--into", again)
        pid = wait_until(waiter, "the server waits")
        process.kill()
        process.communicate()
        conn.execute("select pg_terminate_backend(%s, 5000)", [pid])
    (left,) = databases(server, "sqlkit_restoring%")
    with psycopg.connect(server.dsn, autocommit=True) as conn:
        conn.execute(f"comment on database {left} is 'mine now'".encode())
        rehearse_restore(shop, taken)
        assert databases(server, "sqlkit_restoring%") == [left]
        conn.execute(f"comment on database {left} is null".encode())
    restore(shop, taken, into=again)
    assert databases(server, "sqlkit_restoring%") == []


def test_a_restored_database_has_no_mark(server: TestServer, shop: str, shelf: Path, again: str) -> None:
    """It bears its name without the mark by which unfinished ones are known."""
    restore(shop, backup(shop, shelf, schema="shop").path, into=again)
    asked = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
    with psycopg.connect(server.dsn) as conn:
        assert conn.execute(asked, [again]).fetchone() == (None,)


def test_two_restores_into_one_name(server: TestServer, shop: str, slow: Path, again: str) -> None:
    """The second is refused while the first is at it, and does not drop what that one fills."""
    with restoring(server, shop, slow, again):
        with pytest.raises(BackupError, match="somebody else is restoring into it"):
            restore(shop, slow, into=again)
        with psycopg.connect(shop) as conn:
            conn.execute("create schema other")
        other = backup(shop, slow.parent, schema="other").path
        with dropped(server) as name:
            restore(shop, other, into=name)
        assert len(databases(server, "sqlkit_restoring%")) == 1


# What destroys asks.


@pytest.mark.parametrize("name", ["soleil", "openai_frontend"])
def test_reset(run: Run, dsn: str, name: str) -> None:
    """All tables go with their rows and come back empty, with their partitions, when the database is named."""
    migrate_app(dsn, name, name)
    with psycopg.connect(database_url(dsn, schema=name), autocommit=True) as conn:
        conn.execute("create table users_before as select 1")
        conn.execute("drop table users_before")
        columns = "email, google_id, display_name" if name == "soleil" else "username, email, hashed_password"
        conn.execute(f"insert into users ({columns}) values ('a@b.org', 'c@d.org', '$argon2id$x')".encode())
        done = run("reset", "--app", name, "--dsn", dsn, *confirmed(dsn))
        assert done.exit_code == 0, done.output
        assert done.stdout.endswith(" applied\n")
        assert conn.execute("select count(*) from users").fetchone() == (0,)


def test_reset_of_ones_own(run: Run, dsn: str, tmp_path: Path) -> None:
    """The migrations of a folder are rolled back and applied again, in their schema alone."""
    place = tmp_path / "mine"
    place.mkdir()
    (place / "0001.create-things.sql").write_text("create table things (a int);\n")
    (place / "0001.create-things.rollback.sql").write_text("drop table things;\n")
    for schema in ("one", "two"):
        assert run("migrate", "--migrations", place, "--dsn", dsn, "--schema", schema).exit_code == 0
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("insert into one.things values (1)")
        conn.execute("insert into two.things values (1)")
        done = run("reset", "--migrations", place, "--dsn", dsn, "--schema", "one", *confirmed(dsn))
        assert (done.exit_code, done.stdout) == (0, "1 migration rolled back, 1 applied\n")
        counts = "select (select count(*) from one.things), (select count(*) from two.things)"
        assert conn.execute(counts).fetchone() == (0, 1)


DESTROYING = [
    ("reset", "--app", "voxstitch"),
    ("migrate", "down", "--app", "voxstitch"),
    ("partitions", "openai_frontend", "--keep", "0"),
]


@pytest.mark.parametrize("command", DESTROYING, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", r"Its name, to go on: \nsqlkit: nothing was destroyed: to do so, type the name, or give --confirm "),
        ("\n", r"Its name, to go on: \nsqlkit: nothing was destroyed: to do so, type the name, or give --confirm "),
        ("postgres\n", "nothing was destroyed: this is the database .*, not postgres"),
        (None, "nothing was destroyed: this is the database .*, not elsewhere"),
    ],
)
def test_what_destroys_asks_for_the_name(
    run: Run, dsn: str, command: tuple[str, ...], answer: str | None, reason: str
) -> None:
    """Without the name, or with another one, typed or given, nothing is destroyed."""
    for name in ("voxstitch", "openai_frontend"):
        migrate_app(dsn, name, name)
    refused = run(*command, "--dsn", dsn, *(("--confirm", "elsewhere") if answer is None else ()), input=answer)
    assert refused.exit_code == 2, refused.output
    assert re.search(reason, refused.stderr), refused.stderr
    assert refused.stderr.count("This ") <= 1
    with psycopg.connect(dsn) as conn:
        assert conn.execute("select to_regclass('voxstitch.login_sessions') is not null").fetchone() == (True,)


@pytest.mark.parametrize("command", DESTROYING, ids=lambda command: command[0])
def test_what_destroys_goes_on_with_the_name(run: Run, dsn: str, command: tuple[str, ...]) -> None:
    """The name typed at the question is as good as the one that is given."""
    for name in ("voxstitch", "openai_frontend"):
        migrate_app(dsn, name, name)
    done = run(*command, "--dsn", dsn, input=f"{conninfo_to_dict(dsn)['dbname']}\n")
    assert done.exit_code == 0, done.output
    assert "Its name, to go on" in done.stderr


def test_the_question_shows_no_password(run: Run, dsn: str) -> None:
    """It says which database it is, without the password of the DSN."""
    asked = run("reset", "--app", "soleil", "--dsn", dsn.replace("postgres@", "postgres:hidden@", 1), input="\n")
    assert "This drops all tables of soleil with their rows, in the database" in asked.stderr
    assert "hidden" not in asked.stderr
