"""Soleil's backups: by pg_dump, kept for seven days, restored before older ones leave; old files, too."""

from __future__ import annotations

import asyncio
import gzip
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from sqlkit import BackupError, Database
from sqlkit.apps import MIGRATIONS, soleil
from sqlkit.apps.soleil import bandstand
from sqlkit.apps.soleil.settings import SoleilSettings
from sqlkit.apps.soleil.songlist import TUNES, read_song_list
from sqlkit.migrate import adopt
from sqlkit.operations.backups import list_backups
from sqlkit.operations.backups.programs import find_program
from sqlkit.testing import TestServer, dropped_afterwards
from tests.backup_loads import rows_of
from tests.backup_stage import aged, databases, dropped, processes_with, wait_until


@pytest.fixture
def played(soleil_dsn: str) -> str:
    """Give the DSN of a database with a band and its repertoire."""
    with Database.connect(soleil_dsn, schema="soleil", pool_max_size=2) as db:
        leader, _ = bandstand.assemble(db)
        bandstand.rehearse(db, leader, (song.for_user(leader.user_id) for song in read_song_list(TUNES)))
    return soleil_dsn


@pytest.fixture
def again(server: TestServer) -> Iterator[str]:
    """Give the name of a database that is not there yet."""
    with dropped(server) as name:
        yield name


def test_a_week_of_backups(server: TestServer, played: str, again: str, tmp_path: Path) -> None:
    """Each night's is restored and compared; those older than seven days leave; one comes back row for row."""

    async def nights() -> list[Path]:
        taken = [await soleil.back_up(played, tmp_path, rehearse=False, keep=None) for _ in range(3)]
        for one, days in zip(taken, (9, 8, 6), strict=True):
            aged(one.path, timedelta(days=days))
        tonight = await soleil.back_up(SoleilSettings(url=played), tmp_path)
        assert tonight.removed == (taken[0].path, taken[1].path)
        assert (await soleil.rehearse_backup(played, taken[2].path)).tables == tonight.manifest.tables
        await soleil.restore_backup(played, tonight.path, into=again)
        return [taken[2].path, tonight.path]

    left = asyncio.run(nights())
    assert [one.path for one in list_backups(tmp_path)] == left
    assert databases(server, "sqlkit_re%") == []
    with psycopg.connect(played) as old, psycopg.connect(server.dsn_for(again)) as new:
        wanted = rows_of(old, "soleil")
        assert len(wanted["songs"]) > 10
        assert rows_of(new, "soleil") == wanted


#: An index that can be made in no database that is being restored.
UNRESTORABLE = """
create function soleil.only_here(text) returns text immutable language plpgsql as $$
begin
    if current_database() like 'sqlkit_restoring%' then
        raise 'not here';
    end if;
    return $1;
end $$;
create index songs_only_here_idx on soleil.songs (soleil.only_here(title));
"""


def test_one_that_cannot_be_restored_deletes_none(server: TestServer, played: str, tmp_path: Path) -> None:
    """Where the new one fails its rehearsal, that is an error, and the older ones are there still."""
    old = asyncio.run(soleil.back_up(played, tmp_path, rehearse=False)).path
    aged(old, timedelta(days=30))
    with psycopg.connect(played) as conn:
        conn.execute(UNRESTORABLE)
    with pytest.raises(
        BackupError,
        match=r"was taken, but could not be restored, .*: pg_restore: could not execute query: ERROR: not here",
    ):
        asyncio.run(soleil.back_up(played, tmp_path))
    assert list_backups(tmp_path)[0].path == old
    assert databases(server, "sqlkit_re%") == []


def test_a_cancelled_task_leaves_nothing(played: str, tmp_path: Path) -> None:
    """When the cancellation goes on, pg_dump has ended and the folder is as it was."""
    with psycopg.connect(played) as conn:
        conn.execute("create sequence soleil.tickets")
    with psycopg.connect(played) as blocking:
        blocking.execute("drop sequence soleil.tickets")  # which pg_dump waits for

        async def cancelled() -> None:
            task = asyncio.create_task(soleil.back_up(played, tmp_path))
            words = ("--format=directory", str(tmp_path))
            await asyncio.to_thread(wait_until, lambda: processes_with(*words), "pg_dump has begun")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert processes_with(*words) == {}

        asyncio.run(cancelled())
        assert list(tmp_path.iterdir()) == []


#: What the document's ORM made, as far as this test goes, in the schema public.
OLD_TABLES = """
create extension pg_trgm;
create table users (id varchar primary key, email varchar not null, google_id varchar not null);
create table songs (
    id varchar primary key, user_id varchar not null references users (id), title varchar not null, artist varchar
);
create index songs_title_trgm on songs using gin (title gin_trgm_ops);
insert into users select 'u' || i, 'u' || i || '@example.org', 'g' || i from generate_series(1, 20) i;
insert into songs
select 's' || i, 'u' || (i % 20 + 1), 'Title ' || i, 'line' || chr(10) || '\\.' from generate_series(1, 500) i;
"""


def test_an_old_file_of_the_script(server: TestServer, again: str, tmp_path: Path) -> None:
    """What `pg_dump | gzip` wrote of the ORM's tables comes back, and can be compared with the migrations."""
    program = find_program("pg_dump", server.version // 10000)
    path = tmp_path / "backup_20240101_120000.sql.gz"
    with dropped_afterwards(server) as name:
        with psycopg.connect(server.dsn_for(name)) as conn:
            conn.execute(OLD_TABLES)
            wanted = rows_of(conn, "public")
        dumped = subprocess.run([program.path, "-d", server.dsn_for(name)], capture_output=True, check=True)
        path.write_bytes(gzip.compress(dumped.stdout))
    done = asyncio.run(soleil.restore_backup(server.dsn, path, into=again))
    assert done.tables == {"public.songs": 500, "public.users": 20}
    with psycopg.connect(server.dsn_for(again)) as conn:
        assert rows_of(conn, "public") == wanted
    compared = adopt(server.dsn_for(again), [MIGRATIONS / "soleil"], schema="public", dry_run=True)
    assert compared.differences
