"""What must hold when many do the same at once, each on a connection of their own: nobody waits in a pool."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
import pytest

from sqlkit import AsyncDatabase, Database
from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps import voxstitch
from sqlkit.apps.voxstitch import asynchronous
from sqlkit.security import new_token

Connection = psycopg.Connection[Any]
T = TypeVar("T")

HASH = "$argon2id$v=19$not-a-real-one"


@contextmanager
def connections(dsn: str, count: int) -> Iterator[list[Connection]]:
    """Give so many connections in autocommit."""
    with ExitStack() as stack:
        yield [stack.enter_context(psycopg.connect(dsn, autocommit=True)) for _ in range(count)]


def at_once(callers: list[Connection], call: Callable[[Connection], T]) -> list[T]:
    """Make a call on every connection at the same moment."""
    together = threading.Barrier(len(callers))

    def attempt(conn: Connection) -> T:
        together.wait()
        return call(conn)

    with ThreadPoolExecutor(len(callers)) as pool:
        return list(pool.map(attempt, callers))


def guest(db: Connection | Database, imports: int) -> int:
    """Create a user of voxstitch with so many imports left; return their id."""
    new = voxstitch.NewUser(email="a@b", hashed_password=HASH, remaining_imports=imports)
    return voxstitch.users.create_user(db, user=new).user_id


def chat_of(user_id: int) -> voxstitch.NewChat:
    """Return a chat to import."""
    return voxstitch.NewChat(user_id=user_id, title="T", platform=voxstitch.Platform.OTHER, content={})


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_fifty_connections_import_for_one_user(voxstitch_dsn: str, isolation: str) -> None:
    """Of 50 imports of a user with 2 left exactly 2 succeed, and the count ends at 0, never below.

    Where a transaction may not see what it waited for, the others fail and none is counted twice.
    """

    def attempt(conn: Connection) -> str:
        try:
            voxstitch.import_chat(conn, chat=chat_of(user_id))
        except (voxstitch.NoImportsLeft, psycopg.errors.SerializationFailure) as refused:
            return type(refused).__name__
        return "imported"

    with connections(voxstitch_dsn, 50) as callers:
        user_id = guest(callers[0], imports=2)
        for conn in callers:
            conn.execute(f"set default_transaction_isolation = '{isolation}'".encode())
        outcomes = Counter(at_once(callers, attempt))
        while isolation == "repeatable read" and outcomes["imported"] < 2:  # who lost a race may try again
            outcomes[attempt(callers[0])] += 1
        assert outcomes["imported"] == 2
        assert isolation == "repeatable read" or outcomes["NoImportsLeft"] == 48
        assert len(voxstitch.chats.list_chats(callers[0])) == 2
        assert voxstitch.users.get_remaining_imports(callers[0], user_id=user_id) == 0


def test_fifty_tasks_import_for_one_user(voxstitch_dsn: str) -> None:
    """On asyncio it is the same: 50 tasks, 2 imports left, 2 chats."""
    with Database.connect(voxstitch_dsn, pool_max_size=1) as db:
        user_id = guest(db, imports=2)

    async def run() -> list[voxstitch.Chat | None]:
        async with AsyncDatabase.connect(voxstitch_dsn, pool_min_size=20, pool_max_size=50) as db:
            chat = chat_of(user_id)
            return await asyncio.gather(*(asynchronous.chats.import_chat(db, chat=chat) for _ in range(50)))

    found = asyncio.run(run())
    assert len([chat for chat in found if chat is not None]) == 2
    with Database.connect(voxstitch_dsn, pool_max_size=1) as db:
        assert len(voxstitch.chats.list_chats(db)) == 2
        assert voxstitch.users.get_remaining_imports(db, user_id=user_id) == 0


def test_a_token_used_twice_at_once_again_and_again(frontend_dsn: str) -> None:
    """Each time one of two callers wins, the other is told of the reuse, and no token of the family is good."""
    with Database.connect(frontend_dsn, pool_min_size=2, pool_max_size=2) as db:
        new = frontend.NewUser(username="ella", email="a@b", hashed_password="$argon2id$x")
        user = frontend.users.create_user(db, user=new)
        together = threading.Barrier(2)

        def rotate(token: Any) -> str:
            together.wait()
            try:
                frontend.rotate_refresh_token(db, token)
            except frontend.TokenReused:
                return "reused"
            return "won"

        with ThreadPoolExecutor(2) as pool:
            for _ in range(25):
                fresh = new_token("rt")
                issued = frontend.NewRefreshToken(
                    user_id=user.user_id, token_hash=fresh.digest, lifetime=timedelta(days=1)
                )
                frontend.refresh_tokens.issue_token(db, token=issued)
                assert sorted(pool.map(rotate, [fresh.secret] * 2)) == ["reused", "won"]
                assert frontend.refresh_tokens.list_tokens(db, user_id=user.user_id) == []


def test_sixty_four_connections_verify_one_key(frontend_dsn: str) -> None:
    """64 verifications at once all succeed and last_used_at is written once; a minute later once more."""
    with connections(frontend_dsn, 64) as callers:
        first = callers[0]
        new = frontend.NewUser(username="ella", email="a@b", hashed_password="$argon2id$x")
        user = frontend.users.create_user(first, user=new)
        issued = frontend.issue_api_key(first, key=frontend.NewApiKey(user_id=user.user_id, name="build"))
        first.execute("create table noted (at timestamptz not null)")
        first.execute(
            "create function note() returns trigger language plpgsql as "
            "$$ begin insert into noted values (new.last_used_at); return null; end $$"
        )
        first.execute("create trigger note after update on api_keys for each row execute function note()")
        for minute in (1, 2, 3):
            for _ in range(2):
                assert all(at_once(callers, lambda conn: frontend.verify_api_key(conn, issued.key)))
                assert first.execute("select count(*) from noted").fetchone() == (minute,)
            first.execute("set session_replication_role = replica")  # no trigger for this update
            first.execute("update api_keys set last_used_at = last_used_at - interval '61 s'")
            first.execute("reset session_replication_role")
