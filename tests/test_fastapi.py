"""FastAPI on sqlkit, under uvicorn and over HTTP: threads and tasks, commits, errors, health."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from inspect import isawaitable
from pathlib import Path
from random import Random
from typing import Annotated, Any

import httpx
import psycopg
import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, Query
from psycopg import AsyncConnection, Connection
from pydantic import BaseModel

import sqlkit
from sqlkit import AsyncDatabase, Database
from sqlkit.fastapi import (
    ANSWERS,
    RowsResponse,
    async_connection_of,
    async_transaction_of,
    connection_of,
    database_of,
    health_router,
    install_errors,
    lifespan_of,
    transaction_of,
)
from sqlkit.pages import AfterLimit, Keyset, Page
from tests.conftest import ROOT
from tests.serving import served

TABLES = """
create table bands (band_id int, constraint bands_pkey primary key (band_id));
create table songs (
    song_id bigint generated always as identity,
    title text not null,
    tempo int,
    band_id int,
    constraint songs_pkey primary key (song_id),
    constraint songs_title_key unique (title),
    constraint songs_tempo_check check (tempo > 0),
    constraint songs_tempo_key unique (tempo) deferrable initially deferred,
    constraint songs_band_id_fkey foreign key (band_id) references bands (band_id)
);
create table logs (created_at timestamptz) partition by range (created_at);
"""

INSERT = "insert into songs (title, tempo, band_id) values (:title, :tempo, :band_id) returning song_id, title, tempo"
SELECT = "select song_id, title, tempo from songs where song_id = :song_id"
EXPORT = "select repeat('x', 9999) || chr(10) from generate_series(1, :rows) as i where i + 0 / (:rows - 13) > 0"
PAST = "select :moment::timestamp < localtimestamp"
LIST = "select song_id, title, tempo from songs where song_id > :after order by song_id limit :limit"


class NewSong(BaseModel):
    title: str | None
    tempo: int | None = None
    band_id: int | None = None


class Song(BaseModel):
    song_id: int
    title: str
    tempo: int | None


class AfterSong(BaseModel):
    song_id: int


SONGS = Keyset(AfterSong)

Threads = Annotated[Database, database_of()]
Tasks = Annotated[AsyncDatabase, database_of()]
Conn = Annotated[Connection[Any], connection_of()]
AsyncConn = Annotated[AsyncConnection[Any], async_connection_of()]
Reading = Annotated[Connection[Any], transaction_of(isolation="serializable", read_only=True)]
AsyncReading = Annotated[AsyncConnection[Any], async_transaction_of(isolation="serializable", read_only=True)]


def add_threads(app: FastAPI) -> None:
    """Add the routes of an application of threads."""

    @app.post("/songs", status_code=201)
    def add_song(song: NewSong, conn: Conn) -> Song:
        return sqlkit.fetch_one(conn, Song, INSERT, **song.model_dump())

    @app.get("/songs/{song_id}")
    def get_song(song_id: int, db: Threads) -> Song:
        return sqlkit.fetch_one(db, Song, SELECT, song_id=song_id)

    @app.get("/songs")
    def list_songs(db: Threads, page: Annotated[AfterLimit, Query()]) -> Page[Song]:
        after = SONGS.after(page.after)
        start = after.song_id if after else 0
        rows = sqlkit.fetch_all(db, Song, LIST, after=start, limit=page.limit + 1)
        return SONGS.page(rows, page.limit)

    @app.post("/half")
    def half(song: NewSong, conn: Conn, how: str) -> None:
        sqlkit.execute(conn, "insert into songs (title) values (:title)", title=song.title)
        raise HTTPException(418, "no") if how == "http" else ZeroDivisionError

    @app.post("/sql")
    def run(conn: Conn, statement: str) -> None:
        conn.execute(statement.encode())

    @app.get("/reading")
    def reading(conn: Reading) -> list[str]:
        names = ("transaction_isolation", "transaction_read_only")
        return [str(conn.execute(f"show {name}".encode()).fetchone()) for name in names]

    @app.get("/export")
    def export(db: Threads, rows: int) -> RowsResponse:
        return RowsResponse(sqlkit.stream(db, str, EXPORT, rows=rows), str, head="first\n", media_type="text/csv")

    @app.get("/past")
    def past(db: Threads, moment: datetime) -> bool:
        return sqlkit.fetch_one(db, bool, PAST, moment=moment)

    @app.get("/slow")
    def slow(conn: Conn, seconds: float) -> None:
        conn.execute("select pg_sleep(%s)", [seconds])

    @app.post("/later")
    def later(db: Threads, tasks: BackgroundTasks) -> None:
        tasks.add_task(lambda: sqlkit.execute(db, "insert into songs (title) values ('later')"))


def add_tasks(app: FastAPI) -> None:
    """Add the same routes on asyncio."""

    @app.post("/songs", status_code=201)
    async def add_song(song: NewSong, conn: AsyncConn) -> Song:
        return await sqlkit.fetch_one(conn, Song, INSERT, **song.model_dump())

    @app.get("/songs/{song_id}")
    async def get_song(song_id: int, db: Tasks) -> Song:
        return await sqlkit.fetch_one(db, Song, SELECT, song_id=song_id)

    @app.get("/songs")
    async def list_songs(db: Tasks, page: Annotated[AfterLimit, Query()]) -> Page[Song]:
        after = SONGS.after(page.after)
        start = after.song_id if after else 0
        rows = await sqlkit.fetch_all(db, Song, LIST, after=start, limit=page.limit + 1)
        return SONGS.page(rows, page.limit)

    @app.post("/half")
    async def half(song: NewSong, conn: AsyncConn, how: str) -> None:
        await sqlkit.execute(conn, "insert into songs (title) values (:title)", title=song.title)
        raise HTTPException(418, "no") if how == "http" else ZeroDivisionError

    @app.post("/sql")
    async def run(conn: AsyncConn, statement: str) -> None:
        await conn.execute(statement.encode())

    @app.get("/reading")
    async def reading(conn: AsyncReading) -> list[str]:
        names = ("transaction_isolation", "transaction_read_only")
        return [str(await (await conn.execute(f"show {name}".encode())).fetchone()) for name in names]

    @app.get("/export")
    async def export(db: Tasks, rows: int) -> RowsResponse:
        return RowsResponse(sqlkit.stream(db, str, EXPORT, rows=rows), str, head="first\n", media_type="text/csv")

    @app.get("/past")
    async def past(db: Tasks, moment: datetime) -> bool:
        return await sqlkit.fetch_one(db, bool, PAST, moment=moment)

    @app.get("/slow")
    async def slow(conn: AsyncConn, seconds: float) -> None:
        await conn.execute("select pg_sleep(%s)", [seconds])

    @app.post("/later")
    async def later(db: Tasks, tasks: BackgroundTasks) -> None:
        async def work() -> None:
            await sqlkit.execute(db, "insert into songs (title) values ('later')")

        tasks.add_task(work)


ADD: dict[str, tuple[type[Database] | type[AsyncDatabase], Callable[[FastAPI], None]]] = {
    "threads": (Database, add_threads),
    "tasks": (AsyncDatabase, add_tasks),
}


def application(colour: str, dsn: str, **settings: Any) -> FastAPI:
    """Make the application of a colour."""
    kind, add = ADD[colour]
    app = FastAPI(lifespan=lifespan_of(kind, lambda: sqlkit.Settings(url=dsn, **settings)))
    install_errors(app)
    app.include_router(health_router())
    add(app)
    return app


@pytest.fixture(params=list(ADD))
def colour(request: pytest.FixtureRequest) -> str:
    """Give one colour after the other."""
    return str(request.param)


@pytest.fixture
def tables(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection in autocommit to a database with the tables."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(TABLES.encode())
        yield conn


@pytest.fixture
def client(colour: str, dsn: str, tables: psycopg.Connection[Any]) -> Iterator[httpx.Client]:
    """Give a client of the application, whose pool has three connections."""
    with served(application(colour, dsn, pool_max_size=3)) as client:
        yield client


def test_what_is_written_is_read(client: httpx.Client) -> None:
    """A row that a POST answered is there for the next request."""
    made = client.post("/songs", json={"title": "Misty", "tempo": 60})
    assert (made.status_code, made.json()) == (201, {"song_id": 1, "title": "Misty", "tempo": 60})
    assert client.get("/songs/1").json() == made.json()


REFUSED: list[tuple[dict[str, Any], int, dict[str, str]]] = [
    ({"title": "Misty"}, 409, {"detail": "it is there already", "constraint": "songs_title_key"}),
    ({"title": "New", "tempo": -77}, 422, {"detail": "a value is not allowed", "constraint": "songs_tempo_check"}),
    ({"title": None}, 422, {"detail": "a value is missing", "column": "title"}),
    (
        {"title": "New", "band_id": 77},
        409,
        {"detail": "it refers to what is not there, or others refer to it", "constraint": "songs_band_id_fkey"},
    ),
    # It is refused at COMMIT: had that come after the answer, the answer would be 201.
    ({"title": "New", "tempo": 60}, 409, {"detail": "it is there already", "constraint": "songs_tempo_key"}),
    # Noise, since a text that can be compressed fits an index for longer.
    ({"title": Random(1).randbytes(9000).hex()}, 422, {"detail": "a text is too long for its index"}),
    ({"title": "be\0tween"}, 422, {"detail": "a text holds a character that cannot be stored"}),
]


@pytest.mark.parametrize(("song", "status", "answer"), REFUSED)
def test_what_the_database_refuses(
    client: httpx.Client, song: dict[str, Any], status: int, answer: dict[str, str]
) -> None:
    """Each constraint has its status and its name, also one that is checked at COMMIT; no value is told."""
    client.post("/songs", json={"title": "Misty", "tempo": 60})
    refused = client.post("/songs", json=song)
    assert (refused.status_code, refused.json()) == (status, answer)
    assert client.get("/songs").json()["items"] == [{"song_id": 1, "title": "Misty", "tempo": 60}]


def test_arguments_that_do_not_fit(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """A time with a zone for a column without one is the request's fault, and the log says of which parameter."""
    assert client.get("/past", params={"moment": "2001-01-01T00:00"}).json() is True
    refused = client.get("/past", params={"moment": "2001-01-01T00:00Z"})
    detail = "a value does not fit what it is for, or not the others"
    assert (refused.status_code, refused.json()) == (422, {"detail": detail})
    (line,) = [record for record in caplog.records if record.name == "sqlkit.fastapi"]
    assert line.levelname == "WARNING"
    assert "'moment'" in line.getMessage()


def test_no_row_is_not_found(client: httpx.Client) -> None:
    """A query that promises a row and finds none answers 404, without the statement or its file."""
    missing = client.get("/songs/9")
    assert (missing.status_code, missing.json()) == (404, {"detail": "not found"})


@pytest.mark.parametrize(("how", "status"), [("http", 418), ("bug", 500)])
def test_a_route_that_fails_leaves_nothing(client: httpx.Client, how: str, status: int) -> None:
    """What a route wrote before its error is rolled back, also before an HTTPException."""
    assert client.post(f"/half?how={how}", json={"title": "half"}).status_code == status
    assert client.get("/songs").json()["items"] == []


def test_pages(client: httpx.Client) -> None:
    """Page after page by tokens; one that is not of this list is 400."""
    for number in range(5):
        client.post("/songs", json={"title": f"Song {number}"})
    seen, query = [], {"limit": "2"}
    while True:
        page = client.get("/songs", params=query).json()
        seen += [song["title"] for song in page["items"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]
    assert seen == [f"Song {number}" for number in range(5)]
    assert client.get("/songs?after=bogus").status_code == 400


@pytest.mark.parametrize("rows", [0, 1, 200, 451])
def test_an_export(client: httpx.Client, rows: int) -> None:
    """All rows of a stream are the answer, behind its first line."""
    answer = client.get("/export", params={"rows": rows})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.text == "first\n" + f"{'x' * 9999}\n" * rows


def test_an_export_that_nobody_reads_to_its_end(client: httpx.Client) -> None:
    """Clients that go away in the middle of a stream leave no connection out: more of them than the pool has."""
    for _ in range(4):
        with client.stream("GET", "/export", params={"rows": 20_000}) as answer:  # more than sockets hold
            assert next(answer.iter_text()).startswith("first\nxxx")
    deadline = time.monotonic() + 10
    while client.get("/status").json()["checked_out"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.get("/status").json()["checked_out"] == 0


def test_an_export_that_is_refused(client: httpx.Client) -> None:
    """What the database refuses before the first row is answered as elsewhere: nothing was sent yet."""
    refused = client.get("/export", params={"rows": 2**40})
    assert (refused.status_code, refused.json()) == (422, {"detail": "a number is too large"})
    assert client.get("/export", params={"rows": 13}).status_code == 500
    assert client.get("/status").json()["checked_out"] == 0


def test_options_of_a_transaction(client: httpx.Client) -> None:
    """A dependency's transaction has the isolation and the mode that it names."""
    assert client.get("/reading").json() == ["('serializable',)", "('on',)"]


def test_many_at_once(client: httpx.Client, tables: psycopg.Connection[Any]) -> None:
    """Sixty writers and readers at once over three connections are all served, and the connections come back."""

    def work(number: int) -> tuple[int, int]:
        made = client.post("/songs", json={"title": f"Song {number}"})
        found = client.get(f"/songs/{made.json()['song_id']}")
        return made.status_code, found.status_code

    with ThreadPoolExecutor(30) as pool:
        assert set(pool.map(work, range(60))) == {(201, 200)}
    assert tables.execute("select count(*) from songs").fetchone() == (60,)
    status = client.get("/status").json()
    assert (status["checked_out"], status["waiting"]) == (0, 0)
    assert status["size"] <= 3


@pytest.mark.parametrize(
    ("statement", "status", "again"),
    [
        ("select pg_terminate_backend(pg_backend_pid())", 503, True),
        ("do $$ begin raise exception using errcode = '40001'; end $$", 503, True),
        ("do $$ begin raise exception using errcode = '42501'; end $$", 403, False),
        ("do $$ begin raise exception using errcode = '57014'; end $$", 503, True),
        ("select 99999999999::int", 422, False),
        (r"""select '"\u0000"'::jsonb""", 422, False),
        (r"select convert_from('\x00', 'UTF8')", 422, False),
        ("select '0001-01-01 00:00:00+23:59'::timestamptz", 422, False),
        ("select '299999-01-01'::timestamptz", 422, False),
        ("insert into logs values (now())", 500, False),
        ("select 1/0", 500, False),
        ("selec", 500, False),
    ],
)
def test_other_errors(client: httpx.Client, statement: str, status: int, again: bool) -> None:
    """What may go well when it is tried again says so; what is the program's own fault stays 500."""
    answer = client.post("/sql", params={"statement": statement})
    assert (answer.status_code, "retry-after" in answer.headers) == (status, again)
    assert client.get("/health").status_code == 200


def test_a_busy_pool_says_when_to_come_again(
    colour: str, dsn: str, tables: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """While all connections are taken, the answer is 503 with Retry-After; the log says which route has them."""
    with (
        served(application(colour, dsn, pool_max_size=1, pool_timeout=0.2)) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        slow = pool.submit(client.get, "/slow?seconds=1")
        while not client.get("/status").json()["checked_out"]:
            time.sleep(0.01)
        client.get("/reading")
        assert re.search(r"in add_\w+.<locals>.reading: no connection within 0.2 s", caplog.text)
        assert re.search(r"held by tests/test_fastapi.py:\d+ in add_\w+.<locals>.slow ", caplog.text)
        busy = client.get("/songs/1")
        assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
        assert busy.json() == {"detail": "the database is busy"}
        assert slow.result().status_code == 200
        assert client.get("/songs/1").status_code == 404


def test_background_tasks_have_a_connection_of_their_own(client: httpx.Client, tables: psycopg.Connection[Any]) -> None:
    """A task that runs after the answer takes its own connection from the database."""
    assert client.post("/later").status_code == 200
    deadline = time.monotonic() + 10
    while not client.get("/songs").json()["items"]:
        assert time.monotonic() < deadline
    assert client.get("/status").json()["checked_out"] == 0


def test_health(client: httpx.Client, colour: str) -> None:
    """Health answers with the server's version and the pool's figures."""
    health = client.get("/health")
    assert health.status_code == 200
    assert health.json()["healthy"] is True
    assert health.json()["pool"]["max_size"] == 3


def test_health_of_a_closed_database(colour: str, dsn: str) -> None:
    """A database that does not answer is 503, with the reason and no password."""
    app = application(colour, dsn)

    @app.post("/close")
    async def close(db: Annotated[Any, database_of()]) -> None:
        closing = db.close()
        if isawaitable(closing):
            await closing

    with served(app) as client:
        client.post("/close")
        health = client.get("/health")
    assert health.status_code == 503
    assert "closed" in health.json()["reasons"][0]


def test_what_is_done_at_the_start(colour: str, dsn: str) -> None:
    """What is to be done first is done with the open database before a request is served; then it is closed."""
    threads = []

    def prepare(db: Database) -> None:
        threads.append(threading.current_thread().name)
        sqlkit.execute(db, "create table prepared (a int)")

    async def prepare_async(db: AsyncDatabase) -> None:
        threads.append(threading.current_thread().name)
        await sqlkit.execute(db, "create table prepared (a int)")

    kind = ADD[colour][0]
    at_start: Any = prepare if kind is Database else prepare_async
    app = FastAPI(lifespan=lifespan_of(kind, dsn, name="shop", at_start=at_start))
    app.include_router(health_router("shop"))
    with served(app) as client:
        assert client.get("/health").status_code == 200
        with psycopg.connect(dsn) as conn:
            assert conn.execute("select count(*) from prepared").fetchone() == (0,)
        database = app.state.shop
    assert "closed" in repr(database)
    assert len(threads) == 1


def test_a_database_that_is_not_there(colour: str, dsn: str) -> None:
    """A dependency without its database, or with one of the other colour, fails in the log and tells nobody more."""
    app = FastAPI(lifespan=lifespan_of(ADD[colour][0], dsn, name="other"))
    ADD[colour][1](app)
    wrong = FastAPI(lifespan=lifespan_of(ADD[colour][0], dsn))
    ADD["tasks" if colour == "threads" else "threads"][1](wrong)
    for one in (app, wrong):
        with served(one) as client:
            assert client.get("/slow?seconds=0").status_code == 500


def test_the_description_is_true(client: httpx.Client) -> None:
    """OpenAPI knows the models of pages, of health and of the pool, and no parameter for a dependency."""
    described = client.get("/openapi.json").json()
    assert {"Song", "NewSong", "Page_Song_", "Health", "PoolStatus"} <= set(described["components"]["schemas"])
    parameters = described["paths"]["/songs"]["get"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == ["after", "limit"]
    assert "parameters" not in described["paths"]["/songs"]["post"]


#: All that imports FastAPI, whoever imports it first.
SERVING = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in [ROOT / "sqlkit/fastapi.py", *ROOT.glob("sqlkit/apps/**/*.py")]
    if "\nfrom fastapi" in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", ["sqlkit.fastapi", *SERVING])
def test_a_missing_extra_is_named(module: str) -> None:
    """Where FastAPI is not installed, the error says what to install, of each module of an application too."""
    assert len(SERVING) > 5
    script = (
        "import sys; sys.modules['fastapi'] = sys.modules['starlette'] = None\n"
        f"try: import {module}\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "ConfigurationError fastapi is not installed: pip install 'sqlkit[fastapi]'\n"


def test_the_page_on_fastapi_runs(dsn: str) -> None:
    """The program of docs/fastapi.md serves what the page says."""
    page = (Path(__file__).parent.parent / "docs/fastapi.md").read_text(encoding="utf-8")
    program = "\n".join(re.findall(r"```python\n(.*?)```", page, re.DOTALL))
    names: dict[str, Any] = {"dsn": dsn}
    exec(compile(program, "docs/fastapi.md", "exec"), names)
    with served(names["app"]) as client:
        assert client.post("/songs", json={"title": "Misty"}).status_code == 201
        refused = client.post("/songs", json={"title": "Misty"})
        shown = re.search(r"```json\n(.*?)```", page, re.DOTALL)
        assert shown is not None
        assert (refused.status_code, refused.json()) == (409, json.loads(shown[1]))
        assert client.get("/songs/1").json() == {"song_id": 1, "title": "Misty"}
        assert client.get("/songs/9").status_code == 404
        assert client.post("/songs/count").status_code == 200
        assert client.get("/songs.csv").text == "id,title\n1,Misty\n"
        assert client.get("/health").status_code == 200


def test_the_page_says_every_answer() -> None:
    """The table of docs/fastapi.md has each error that is answered by its name, or by what it is called there."""
    page = (Path(__file__).parent.parent / "docs/fastapi.md").read_text(encoding="utf-8")
    called = {
        "NumericValueOutOfRange": "a number",
        "StringDataRightTruncation": "text that is too large",
        "DataError": "a character that cannot be stored",
        "CharacterNotInRepertoire": "a character that cannot be stored",
        "UntranslatableCharacter": "a character that cannot be stored",
        "ProgramLimitExceeded": "too long for its index",
        "DatetimeFieldOverflow": "a time",
        "InvalidTimeZoneDisplacementValue": "a time",
        "SerializationFailure": "a serialization failure",
        "DeadlockDetected": "a deadlock",
        "LockNotAvailable": "a lock",
        "QueryCanceled": "a statement timeout",
        "OperationalError": "a lost connection",
    }
    for kind, answer in ANSWERS.items():
        name = called.get(kind.__name__, f"`{kind.__name__}`")
        (row,) = [line for line in page.splitlines() if line.startswith("|") and re.search(rf"{name}\b|{name}", line)]
        assert str(answer.status) in row
