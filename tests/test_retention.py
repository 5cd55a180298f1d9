"""Retention in batches: how it goes on, what it waits for, what is left when it is interrupted, in which systems."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors

from sqlkit import ArgumentError, AsyncDatabase, Database
from sqlkit.apps.analysis.keeping import cleanup_old_data
from sqlkit.apps.analysis.models import NewUser
from sqlkit.apps.analysis.queries import analyses, files, users
from sqlkit.apps.analysis.sample import sample_analyses, sample_files
from sqlkit.apps.openai_frontend import queries as frontend
from sqlkit.apps.presentations.application import Presentations
from sqlkit.apps.presentations.models import JobStatus
from sqlkit.apps.voxstitch import queries as voxstitch
from sqlkit.operations import in_batches
from tests.presentations_stage import brought_to, new_user, new_voice

SOME = """
delete from logs where log_id in (
    select log_id from logs where log_id <= 100 order by log_id limit %s for update{}
)
"""


@pytest.fixture
def logs(dsn: str) -> Iterator[Database]:
    """Give a pool on a database with 120 rows, of which 100 are old."""
    with psycopg.connect(dsn) as conn:
        conn.execute("create table logs as select i as log_id from generate_series(1, 120) i")
    with Database.connect(dsn, pool_max_size=4) as db:
        yield db


def left(db: Database) -> int:
    """Count the rows that are left."""
    with db.connection() as conn:
        row = conn.execute("select count(*) from logs").fetchone()
    assert row is not None
    return int(row[0])


def delete(conn: psycopg.Connection[Any], limit: int) -> int:
    """Delete some old rows; wait for those that somebody holds."""
    return conn.execute(SOME.format("").encode(), [limit]).rowcount


@pytest.mark.parametrize("batch", [1, 7, 50, 100, 1000])
def test_all_that_is_old_goes(logs: Database, batch: int) -> None:
    """However large a batch is, what is old goes and what is young stays; again there is nothing to do."""
    assert in_batches(logs, delete, batch=batch) == 100
    assert left(logs) == 20
    assert in_batches(logs, delete, batch=batch) == 0


def test_each_batch_is_a_transaction(logs: Database) -> None:
    """Where it is interrupted, the batches before stay done, its own is undone, and the next call goes on."""
    calls = 0

    def interrupted(conn: psycopg.Connection[Any], limit: int) -> int:
        nonlocal calls
        calls += 1
        found = delete(conn, limit)
        if calls == 3:
            raise KeyboardInterrupt
        return found

    with pytest.raises(KeyboardInterrupt):
        in_batches(logs, interrupted, batch=10)
    assert left(logs) == 100
    assert in_batches(logs, delete, batch=10) == 80


def test_a_lock_is_not_waited_for_long(logs: Database) -> None:
    """While somebody holds a row, batches give up in time and try again; a writer of others is not kept waiting."""
    waits = []
    with logs.connection() as holder, logs.connection() as writer:
        holder.execute("select from logs where log_id = 50 for update")

        def watched(conn: psycopg.Connection[Any], limit: int) -> int:
            try:
                return delete(conn, limit)
            except errors.LockNotAvailable:
                waits.append(left(logs))
                if len(waits) == 3:
                    holder.rollback()
                raise

        begun = threading.Thread(target=lambda: waits.append(-in_batches(logs, watched, batch=20, lock_timeout=0.05)))
        begun.start()
        writer.execute("set lock_timeout = '5s'")
        writer.execute("update logs set log_id = log_id where log_id = 110")
        begun.join()
    assert waits == [80, 80, 80, -100]


def test_patience_ends(logs: Database) -> None:
    """A lock that never comes free is an error that says what was done, which stays done."""
    with logs.connection() as holder:
        holder.execute("select from logs where log_id = 50 for update")
        with pytest.raises(errors.LockNotAvailable) as caught:
            in_batches(logs, delete, batch=20, lock_timeout=0.01, patience=0.1)
    assert caught.value.__notes__[-1] == "in_batches: 40 rows were done before, and stay so; the next call goes on"
    assert left(logs) == 80


def test_several_at_once(logs: Database) -> None:
    """Processes that do the same share the rows: each goes once."""

    def skipping(conn: psycopg.Connection[Any], limit: int) -> int:
        return conn.execute(SOME.format(" skip locked").encode(), [limit]).rowcount

    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(in_batches(logs, skipping, batch=3))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) + in_batches(logs, skipping, batch=3) == 100
    assert left(logs) == 20


def test_on_asyncio(dsn: str, logs: Database) -> None:
    """An asynchronous database's batches are awaited."""

    async def go() -> int:
        async def some(conn: psycopg.AsyncConnection[Any], limit: int) -> int:
            return (await conn.execute(SOME.format("").encode(), [limit])).rowcount

        async with AsyncDatabase.connect(dsn, pool_max_size=2) as db:
            async with db.connection() as holder:
                await holder.execute("select from logs where log_id = 1 for update")
                with pytest.raises(errors.LockNotAvailable):
                    await in_batches(db, some, batch=9, lock_timeout=0.01, patience=0.05)
                await holder.rollback()
            return await in_batches(db, some, batch=9)

    assert asyncio.run(go()) == 100


def test_no_batch(logs: Database) -> None:
    """A batch of none would never end."""
    with pytest.raises(ArgumentError):
        in_batches(logs, delete, batch=0)


# The systems.


def test_analyses_go_in_batches(analysis_dsn: str) -> None:
    """Analysis' old rows go a few at a time, files with their analyses; one that somebody holds is left alone."""
    with Database.connect(analysis_dsn, schema="analysis", pool_max_size=3) as db:
        user = users.create_user(db, user=NewUser(username="ada", email="a@b.org", hashed_password="x"))
        made = [analyses.create_analysis(db, analysis=new) for new in sample_analyses(60, [user.user_id])]
        ended = [one for one in made if one.status in ("completed", "failed", "cancelled")]
        for file in sample_files([one.analysis_id for one in ended]):
            files.create_file(db, file=file)
        later = datetime.now(UTC) + timedelta(days=31)
        with db.connection() as holder:
            holder.execute("select from data_analyses where analysis_id = %s for update", [ended[0].analysis_id])
            held = holder.execute(
                "select count(*) from analysis_files where analysis_id = %s", [ended[0].analysis_id]
            ).fetchone()
            removed = cleanup_old_data(db, 30, now=later, batch=4)
        total = list(sample_files([one.analysis_id for one in ended]))
        assert removed["data_analyses"] == len(ended) - 1
        assert held is not None
        assert removed["analysis_files"] == len(total) - held[0]
        assert cleanup_old_data(db, 30, now=later, batch=4)["data_analyses"] == 1


def test_jobs_are_archived_in_batches(presentations_dsn: str) -> None:
    """An archiving that is interrupted has moved whole batches, and the next goes on: none lost, none twice."""
    with Database.connect(presentations_dsn, schema="presentations", pool_max_size=3) as db:
        app = Presentations(db)
        voice = new_voice(db, new_user(db))
        jobs = {brought_to(db, voice, JobStatus.COMPLETED).job_id for _ in range(7)}
        later = datetime.now(UTC) + timedelta(days=91)
        real, calls = app.history.archive_jobs, 0

        def interrupted(*arguments: Any, **keywords: Any) -> Any:
            nonlocal calls
            calls += 1
            moved = real(*arguments, **keywords)
            if calls == 3:
                raise KeyboardInterrupt
            return moved

        app.history.archive_jobs = interrupted  # type: ignore[method-assign]
        with suppress(KeyboardInterrupt):
            app.archive(now=later, batch=2)
        with db.connection() as conn:
            assert conn.execute("select count(*) from archived_jobs").fetchone() == (4,)
            conn.rollback()
        assert app.archive(now=later, batch=2) == 3
        with db.connection() as conn:
            assert {job for (job,) in conn.execute("select job_id from archived_jobs")} == jobs
            assert conn.execute("select count(*) from presentation_jobs").fetchone() == (0,)


def test_expired_sessions_and_tokens_go_in_batches(voxstitch_dsn: str, frontend_dsn: str) -> None:
    """Voxstitch's sessions and openai_frontend's tokens take a limit, for those who have many."""
    with psycopg.connect(voxstitch_dsn) as conn:
        conn.execute("insert into users (email, hashed_password) values ('a@b.org', '$argon2id$x')")
        conn.execute(
            "insert into login_sessions (user_id, token_hash, created_at, expires_at)"
            " select user_id, sha256(i::text::bytea), now() - interval '2 d', now() - interval '1 d'"
            " from users, generate_series(1, 25) i"
        )
    with Database.connect(voxstitch_dsn, schema="voxstitch", pool_max_size=2) as db:
        cleanup = voxstitch.login_sessions.cleanup_expired_sessions
        assert cleanup(db, limit=4) == 4
        assert in_batches(db, lambda conn, limit: cleanup(conn, limit=limit), batch=5) == 21
    with psycopg.connect(frontend_dsn) as conn:
        conn.execute("insert into users (username, email, hashed_password) values ('a', 'a@b.org', '$argon2id$x')")
        conn.execute(
            "insert into refresh_tokens (user_id, token_hash, family, issued_at, expires_at)"
            " select user_id, sha256(i::text::bytea), gen_random_uuid(), now() - interval '2 d', now() - interval '1 d'"
            " from users, generate_series(1, 25) i"
        )
    with Database.connect(frontend_dsn, schema="openai_frontend", pool_max_size=2) as db:
        tokens = frontend.refresh_tokens.cleanup_expired_tokens
        assert tokens(db, limit=4) == 4
        assert in_batches(db, lambda conn, limit: tokens(conn, limit=limit), batch=5) == 21
