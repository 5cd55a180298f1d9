"""Reads that see what was written, whatever the replicas do."""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from starlette.middleware.base import RequestResponseEndpoint

from sqlkit import AsyncDatabase, Database
from sqlkit.database import Following
from sqlkit.errors import ArgumentError
from tests.replicas.queries import async_queries, queries
from tests.replicas.stage import POOL, SOON, in_loop, of_replica, serving, wait_until
from tests.replicas.standby import Pair


def test_a_block_reads_what_it_writes(db: Database, pair: Pair) -> None:
    """In a `following` block a read sees the block's own writes, though the replica has them not yet."""
    pair.standby.pause()
    try:
        with db.following() as following:
            assert of_replica(queries.here(db))
            assert not following.wrote
            queries.write(db, author="own", n=5)
            assert following.wrote
            for _ in range(60):
                found = queries.latest(db, author="own")
                assert (of_replica(found.server), found.n) == (False, 5)
                time.sleep(0.01)
        assert queries.latest(db, author="own").n == 0  # outside of the block it is the replica's
    finally:
        pair.standby.resume()


def test_a_block_returns_to_the_replica(db: Database) -> None:
    """As soon as the replica has a block's write, the block reads from it again."""
    with db.following():
        queries.write(db, author="returns", n=1)
        wait_until(lambda: of_replica(queries.latest(db, author="returns").server))
        assert queries.latest(db, author="returns").n == 1


def test_a_transaction_is_a_write(db: Database, pair: Pair) -> None:
    """What a transaction of the block has committed is seen by its reads, raw SQL included."""
    pair.standby.pause()
    try:
        with db.following():
            with db.transaction() as conn:
                conn.execute("insert into notes values ('raw', 9)")
            assert queries.latest(db, author="raw").n == 9
    finally:
        pair.standby.resume()


def test_a_token_waits_for_the_replica(db: Database, pair: Pair) -> None:
    """A read that follows a token waits until the replica has the write, and is answered by it."""
    pair.standby.pause()
    queries.write(db, author="token", n=3)
    token = db.token()
    resumes = threading.Timer(0.15, pair.standby.resume)
    resumes.start()
    with db.following(token, within=SOON):
        found = queries.latest(db, author="token")
    resumes.join()
    assert (of_replica(found.server), found.n) == (True, 3)


def test_a_token_does_not_wait_for_ever(db: Database, pair: Pair) -> None:
    """When the replica does not reach the token in time, the primary answers."""
    pair.standby.pause()
    try:
        queries.write(db, author="in time", n=4)
        with db.following(db.token(), within=0.05):
            found = queries.latest(db, author="in time")
        assert (of_replica(found.server), found.n) == (False, 4)
    finally:
        pair.standby.resume()


def test_a_token_serves_another_database_object(db: Database, pair: Pair) -> None:
    """A token is text that another process's Database can follow."""
    queries.write(db, author="elsewhere", n=6)
    token = db.token()
    assert re.fullmatch(r"1-[0-9A-F]+/[0-9A-F]+", token)
    with (
        Database.connect(pair.dsn, replicas=[pair.standby.dsn]) as other,
        other.following(token),
    ):
        assert queries.latest(other, author="elsewhere").n == 6


@pytest.mark.parametrize("by_token", [True, False], ids=["token", "block"])
def test_a_write_that_is_not_yet_flushed_is_followed(pair: Pair, by_token: bool) -> None:
    """With synchronous_commit off a write is seen before the log has it; a read that follows it sees it, too."""
    dsn = f"{pair.dsn}&options=-csynchronous_commit%3Doff"
    with Database.connect(dsn, replicas=[pair.standby.dsn], replica_ask_every=0.005, **POOL) as db:
        wait_until(lambda: serving(db))
        for n in range(1, 150):
            with db.following():
                queries.write(db, author=f"unflushed {by_token}", n=n)
                token = db.token() if by_token else None
                reads = 0 if by_token else 3
                for _ in range(reads):
                    assert queries.latest(db, author=f"unflushed {by_token}").n == n
                    time.sleep(0.002)
            if by_token:
                with db.following(token, within=0.001):
                    assert queries.latest(db, author=f"unflushed {by_token}").n == n


def test_blocks_nest(db: Database, pair: Pair) -> None:
    """An inner block reads what an outer one wrote, and the other way round."""
    pair.standby.pause()
    try:
        with db.following():
            queries.write(db, author="outer", n=1)
            with db.following():
                assert queries.latest(db, author="outer").n == 1
                queries.write(db, author="inner", n=2)
            assert queries.latest(db, author="inner").n == 2
    finally:
        pair.standby.resume()


def test_a_block_is_of_one_thread(db: Database, pair: Pair) -> None:
    """A block says nothing of what other threads read."""
    pair.standby.pause()
    try:
        with db.following(), ThreadPoolExecutor(1) as threads:
            queries.write(db, author="threads", n=1)
            assert of_replica(threads.submit(queries.here, db).result(timeout=SOON))
    finally:
        pair.standby.resume()


@pytest.mark.parametrize("token", ["", "0", "0/0", "1-0/0/0", "1-1/123456789", "1-x/1", " 1-0/1", "1-0/1\n", "-0/1"])
def test_what_is_no_token_is_refused(db: Database, token: str) -> None:
    """A text that `db.token()` cannot have given is an ArgumentError, which does not quote it."""
    with pytest.raises(ArgumentError, match=r"following: that is no token of db\.token\(\)"):
        db.following(token)


def test_without_replicas_a_block_is_the_primarys(pair: Pair) -> None:
    """On a Database without replicas tokens and blocks work, and everything reads the primary."""
    with Database.connect(pair.dsn) as db, db.following(db.token()) as following:
        assert not of_replica(queries.here(db))
        assert following.wrote  # in doubt, for nothing was watched
        assert db.status().replicas == ()


def test_reading_what_was_written_never_lies(pair: Pair) -> None:
    """Whatever the replay does, a read that follows a write sees it: in the block, and by its token elsewhere."""
    rounds: Counter[bool] = Counter()
    wrong: list[str] = []
    over = threading.Event()

    def pauses() -> None:
        while not over.is_set():
            pair.standby.pause()
            time.sleep(random.choice([0.001, 0.02, 0.3]))
            pair.standby.resume()
            time.sleep(random.choice([0.05, 0.3]))

    def reads(who: str, n: int) -> None:
        found = queries.latest(db, author=who)
        rounds[of_replica(found.server)] += 1
        if found.n < n:
            wrong.append(f"{who}: {found.n} of {found.server}, {n} was written")

    def reads_by_token(who: str, n: int, token: str) -> None:
        with db.following(token, within=random.choice([0.001, 0.05, 0.5])):
            reads(who, n)

    def author(who: str) -> None:
        chance, n = random.Random(who), 0
        while not over.is_set():
            with db.following():
                for _ in range(chance.randint(1, 5)):
                    n += 1
                    queries.write(db, author=who, n=n)
                    for _ in range(chance.randint(0, 3)):
                        reads(who, n)
                        time.sleep(chance.choice([0, 0, 0.002, 0.1]))
                token = db.token()
            readers.submit(reads_by_token, who, n, token).result(timeout=SOON)

    settings = {"replica_ask_every": 0.02, **POOL, "pool_max_size": 16}
    with (
        Database.connect(pair.dsn, replicas=[pair.standby.dsn], **settings) as db,
        ThreadPoolExecutor(5) as authors,
        ThreadPoolExecutor(4) as readers,
    ):
        running = [authors.submit(author, f"author {number}") for number in range(4)]
        running.append(authors.submit(pauses))
        time.sleep(2.5)
        over.set()
        for one in running:
            one.result(timeout=SOON)
    assert wrong == []
    assert rounds[True] > 50, rounds
    assert rounds[False] > 50, rounds


def test_reading_what_was_written_never_lies_on_asyncio(pair: Pair) -> None:
    """On asyncio, too, a read that follows a write sees it, in the block's own tasks as well."""
    rounds: Counter[bool] = Counter()
    wrong: list[str] = []

    async def work(db: AsyncDatabase) -> None:
        over = asyncio.Event()

        async def pauses() -> None:
            while not over.is_set():
                await asyncio.to_thread(pair.standby.pause)
                await asyncio.sleep(random.choice([0.001, 0.02, 0.3]))
                await asyncio.to_thread(pair.standby.resume)
                await asyncio.sleep(random.choice([0.05, 0.3]))

        async def reads(who: str, n: int) -> None:
            found = await async_queries.latest(db, author=who)
            rounds[of_replica(found.server)] += 1
            if found.n < n:
                wrong.append(f"{who}: {found.n} of {found.server}, {n} was written")

        async def author(who: str) -> None:
            chance, n = random.Random(who), 0
            while not over.is_set():
                with db.following():
                    n += 1
                    await async_queries.write(db, author=who, n=n)
                    for _ in range(chance.randint(0, 3)):
                        await asyncio.gather(*(reads(who, n) for _ in range(2)))
                        await asyncio.sleep(chance.choice([0, 0, 0.002, 0.1]))
                    token = await db.token()
                with db.following(token, within=chance.choice([0.001, 0.05, 0.5])):
                    await reads(who, n)

        running = [asyncio.create_task(author(f"task {number}")) for number in range(8)]
        running.append(asyncio.create_task(pauses()))
        await asyncio.sleep(2.5)
        over.set()
        await asyncio.gather(*running)

    in_loop(pair, work, replica_ask_every=0.02)
    assert wrong == []
    assert rounds[True] > 50, rounds
    assert rounds[False] > 50, rounds


def followed_app(db: AsyncDatabase) -> FastAPI:
    """Return an application with the middleware that the page on replicas prints."""
    page = (Path(__file__).parents[2] / "docs/replicas.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    (printed,) = (block for block in blocks if "app.middleware" in block)
    app = FastAPI()
    names = {
        "app": app,
        "db": db,
        "ArgumentError": ArgumentError,
        "Following": Following,
        "Request": Request,
        "RequestResponseEndpoint": RequestResponseEndpoint,
        "Response": Response,
    }
    exec(compile(printed, "docs/replicas.md", "exec", dont_inherit=True), names)
    return app


def browser(app: FastAPI) -> httpx.AsyncClient:
    """Return a client that keeps cookies."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://notes.example")


def test_a_cookie_that_is_no_token_is_passed_over(pair: Pair) -> None:
    """The middleware of the page serves a browser whose cookie is no token, and gives it one when it writes."""

    async def work(db: AsyncDatabase) -> None:
        app = followed_app(db)

        @app.post("/notes")
        async def write() -> None:
            async with db.transaction() as conn:
                await async_queries.write(conn, author="garbage", n=1)

        @app.get("/notes")
        async def read() -> int:
            return (await async_queries.latest(db, author="nobody")).n

        for cookie in ("garbage", "", '""', "1-0/XYZ"):
            async with browser(app) as client:
                sent = {"cookie": f"written={cookie}"}
                assert (await client.get("/notes", headers=sent)).status_code == 200
                written = await client.post("/notes", headers=sent)
                assert written.status_code == 200
                assert re.fullmatch(r'"?1-0/[0-9A-F]+"?', written.cookies["written"])

    in_loop(pair, work)


def test_a_cookie_carries_the_token(pair: Pair) -> None:
    """The middleware of the page on replicas: a browser reads what it wrote, whichever request served it."""

    async def work(db: AsyncDatabase) -> None:
        app = followed_app(db)

        @app.post("/notes/{n}")
        async def write(n: int) -> int:
            async with db.transaction() as conn:
                await async_queries.write(conn, author="cookie", n=n)
            return (await async_queries.latest(db, author="cookie")).n

        @app.get("/notes")
        async def read() -> int:
            return (await async_queries.latest(db, author="cookie")).n

        async with browser(app) as writes, browser(app) as other:
            assert (await writes.post("/notes/1")).json() == 1
            assert writes.cookies["written"]
            assert (await writes.get("/notes")).json() == 1
            assert (await other.get("/notes")).json() == 0
            assert "written" not in other.cookies

    async def paused(db: AsyncDatabase) -> None:
        await asyncio.to_thread(pair.standby.pause)
        await work(db)

    try:
        in_loop(pair, paused)
    finally:
        pair.standby.resume()
