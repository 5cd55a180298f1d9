"""The applications in one database: one in twenty schemas, several beside each other, through one pool.

Each statement is the one that is loaded for the application's own schema: where it goes is the view's matter.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeAlias

import pytest
from psycopg import errors

from sqlkit import AsyncDatabase, Database
from sqlkit.apps import MIGRATIONS, SQL, soleil, voxstitch
from sqlkit.apps.presentations import Presentations, queries
from sqlkit.apps.presentations.models import Job
from sqlkit.apps.presentations.models import NewUser as NewOwner
from sqlkit.apps.soleil import sync
from sqlkit.apps.soleil.models import NewBand, NewMember, NewSong, NewUser, Song, User
from sqlkit.lexer import Kind, tokenize
from sqlkit.migrate import history, migrate
from sqlkit.testing import TestServer, dropped_afterwards, template
from tests.presentations_stage import new_job, new_user, new_voice

TENANTS = [f"tenant_{number:02}" for number in range(1, 21)]
#: Two schemas of presentations beside them, each with a queue of its own.
QUEUES = ["presentations", "studio"]
EMAIL = "leader@example.org"  # the same in each schema

Homes: TypeAlias = dict[str, tuple[User, list[Song]]]


def load_all(dsn: str) -> None:
    """Make soleil's tables in twenty schemas, presentations' in two, voxstitch's in one, one folder for each."""
    for tenant in TENANTS:
        migrate(dsn, MIGRATIONS / "soleil", schema=tenant)
    migrate(dsn, MIGRATIONS / "voxstitch", schema="voxstitch")
    for queue in QUEUES:
        migrate(dsn, MIGRATIONS / "presentations", schema=queue)
        with Database.connect(dsn, schema=queue, pool_max_size=1) as db:
            Presentations(db).keep_logs()


@pytest.fixture(scope="module")
def estate(server: TestServer) -> Iterator[str]:
    """Give the name of a template database with all schemas."""
    with template(server, load_all, "estate") as database:
        yield database


@pytest.fixture
def db(server: TestServer, estate: str) -> Iterator[Database]:
    """Give one pool of three connections on a clone of it, whose own search path names no schema of theirs."""
    with (
        dropped_afterwards(server, estate, "clone") as database,
        Database.connect(server.dsn_for(database), pool_min_size=1, pool_max_size=3) as db,
    ):
        yield db


def settle(db: Database) -> Homes:
    """Give each tenant a leader with as many songs as its number."""
    homes = {}
    for number, tenant in enumerate(TENANTS, start=1):
        view = db.bound(schema=tenant)
        new = NewUser(email=EMAIL, google_id="1", display_name=f"Leader of {tenant}")
        leader = sync.users.create_user(view, user=new)
        songs = [NewSong(user_id=leader.user_id, title=f"{tenant} {song:02}", genre="jazz") for song in range(number)]
        homes[tenant] = leader, sync.songs.create_songs(view, songs)
    return homes


def check(db: Database, tenant: str, homes: Homes) -> None:
    """Read a tenant's rows in many ways: all of them, and none of another's."""
    view = db.bound(schema=tenant)
    leader, songs = homes[tenant]
    assert sync.users.get_user_by_email(view, email=EMAIL) == leader
    assert sync.songs.list_songs(view, user_id=leader.user_id) == songs
    assert sync.repertoire.get_repertoire_stats(view, user_id=leader.user_id).total_songs == len(songs)
    assert [song.title for song in sync.repertoire.stream_repertoire(view, user_id=leader.user_id)] == [
        song.title for song in songs
    ]
    stranger, strange = homes[TENANTS[TENANTS.index(tenant) - 1]]
    assert sync.users.get_user(view, user_id=stranger.user_id) is None
    assert sync.songs.get_song(view, song_id=strange[0].song_id) is None
    assert sync.songs.delete_song(view, song_id=strange[0].song_id) == 0


# One application in twenty schemas


def test_twenty_schemas_one_after_the_other(db: Database) -> None:
    """Call by call, tenant by tenant, on the connections of one pool."""
    homes = settle(db)
    for tenant in [*TENANTS, *TENANTS[::-1]]:
        check(db, tenant, homes)
    assert db.status().size <= 3


def test_twenty_schemas_from_many_threads(db: Database) -> None:
    """Eight threads switch between the tenants at random, and write, too."""
    homes = settle(db)

    def work(seed: int) -> int:
        chance = random.Random(seed)
        for turn in range(8):
            tenant = chance.choice(TENANTS)
            check(db, tenant, homes)
            with db.bound(schema=tenant).transaction() as conn:
                band = sync.bands.create_band(conn, band=NewBand(name=f"{tenant} {seed} {turn}"))
                leader = homes[tenant][0]
                sync.bands.add_member(conn, member=NewMember(band_id=band.band_id, user_id=leader.user_id))
        return 8

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(work, range(8))) == 64
    bands = {tenant: sync.bands.list_bands_with_members(db.bound(schema=tenant)) for tenant in TENANTS}
    assert sum(map(len, bands.values())) == 64
    for tenant, found in bands.items():
        assert all(band.name.startswith(f"{tenant} ") for band in found)
        assert all(member.user == homes[tenant][0] for band in found for member in band.members)


def test_twenty_schemas_on_asyncio(db: Database) -> None:
    """Tasks for all tenants at once, on one pool of asyncio's."""
    homes = settle(db)

    async def main() -> list[int]:
        async with await AsyncDatabase.connect(db.settings, pool_max_size=3) as pool:

            async def count(tenant: str) -> int:
                view = pool.bound(schema=tenant)
                return len(await soleil.songs.list_songs(view, user_id=homes[tenant][0].user_id))

            return await asyncio.gather(*map(count, TENANTS * 3))

    assert asyncio.run(main()) == list(range(1, 21)) * 3


def test_a_tenant_that_fails(db: Database) -> None:
    """An error in one tenant's transaction leaves no row there and touches no other's."""
    homes = settle(db)
    view = db.bound(schema=TENANTS[4])
    twin = NewUser(email=EMAIL, google_id="2", display_name="Twin")

    def fail() -> None:
        with view.transaction() as conn:
            sync.bands.create_band(conn, band=NewBand(name="lost"))
            sync.users.create_user(conn, user=twin)

    with pytest.raises(errors.UniqueViolation):
        fail()
    assert sync.bands.list_bands(view) == []
    for tenant in TENANTS[3:6]:
        check(db, tenant, homes)


def test_each_schema_has_its_history(db: Database) -> None:
    """All schemas of one folder have all its migrations in a history of their own."""
    names = [path.stem for path in sorted((MIGRATIONS / "soleil").glob("*.sql")) if ".rollback" not in path.stem]
    dsn = db.settings.dsn()
    for tenant in TENANTS:
        assert sorted(mark.migration_id for mark in history(dsn, schema=tenant)) == names


# Two applications in two schemas


def test_applications_beside_each_other(db: Database) -> None:
    """Soleil, voxstitch and presentations, all with a table users, in turn on the connections of one pool."""
    homes = settle(db)
    imports = db.bound(schema="voxstitch")
    studio = db.bound(schema="presentations")
    for number in range(1, 4):
        check(db, TENANTS[number], homes)
        guest = voxstitch.users.create_user(imports, user=voxstitch.NewUser(is_guest=True))
        chat = voxstitch.NewChat(
            user_id=guest.user_id, title=f"chat {number}", platform=voxstitch.Platform.CHATGPT, content={}
        )
        assert voxstitch.import_chat(imports, chat=chat).title == f"chat {number}"
        owner = new_user(studio, f"Owner {number}", email=EMAIL.replace("leader", f"owner{number}"))
        assert new_job(studio, new_voice(studio, owner)).owner_id == owner.user_id
        check(db, TENANTS[number + 1], homes)
    counts = {schema: count_users(db, schema) for schema in (TENANTS[0], "voxstitch", *QUEUES)}
    assert counts == {TENANTS[0]: 1, "voxstitch": 3, "presentations": 3, "studio": 0}
    assert voxstitch.users.get_user_by_email(imports, email=EMAIL) is None


def count_users(db: Database, schema: str) -> int:
    """Count the users of a schema, by the full name of the table."""
    with db.connection() as conn:
        row = conn.execute(f"select count(*) from {schema}.users".encode()).fetchone()
    return int(row[0]) if row else -1


def test_two_queues(db: Database) -> None:
    """Presentations in two schemas: workers of each claim the jobs of their own, though ids are the same."""
    apps = {queue: Presentations(db.bound(schema=queue)) for queue in QUEUES}
    submitted = {}
    for number, queue in enumerate(QUEUES, start=3):
        voice = new_voice(apps[queue].db, new_user(apps[queue].db, queue))
        submitted[queue] = {new_job(apps[queue].db, voice, s3_pptx_path=f"/{queue}").job_id for _ in range(number)}
    assert submitted["presentations"] < submitted["studio"]  # by ids alone they could not be told apart

    def work(number: int) -> list[tuple[str, Job]]:
        queue = QUEUES[number % 2]
        worker = apps[queue].working(f"worker {number}")
        claimed = []
        while jobs := worker.work.claim_jobs(worker.db):
            claimed += [(queue, job) for job in jobs]
        return claimed

    with ThreadPoolExecutor(4) as threads:
        claimed = [one for found in threads.map(work, range(4)) for one in found]
    assert len(claimed) == 7
    for queue in QUEUES:
        jobs = [job for claimed_from, job in claimed if claimed_from == queue]
        assert {job.job_id for job in jobs} == submitted[queue]
        assert {job.s3_pptx_path for job in jobs} == {f"/{queue}"}
        (job_id, *_) = submitted[queue]
        assert len(queries.history.list_status_changes(apps[queue].db, job_id=job_id)) == 2


def test_owners_of_two_schemas(db: Database) -> None:
    """The owner with the same id in two schemas sees their own schema's rows alone, under row-level security."""
    apps = {queue: Presentations(db.bound(schema=queue)) for queue in QUEUES}
    owners = {queue: [new_user(apps[queue].db, name) for name in ("first", "second")] for queue in QUEUES}
    assert len({tuple(owner.user_id for owner in both) for both in owners.values()}) == 1
    for queue in QUEUES:
        for owner in owners[queue]:
            new_voice(apps[queue].db, owner, f"{queue} {owner.name}")
    for queue in QUEUES * 3:
        first, second = owners[queue]
        mine = apps[queue].acting_for(first.user_id)
        assert [voice.name for voice in mine.voices.list_voices(mine.db, owner_id=first.user_id)] == [f"{queue} first"]
        assert mine.voices.list_voices(mine.db, owner_id=second.user_id) == []


def test_partitions_of_one_schema_alone(db: Database) -> None:
    """A writer that finds no partition makes it in its own schema; the other's are as they were."""
    apps = {queue: Presentations(db.bound(schema=queue)) for queue in QUEUES}
    before = {queue: partitions(db, queue) for queue in QUEUES}
    assert before["presentations"] == before["studio"]
    assert len(before["studio"]) > 4
    with db.connection() as conn:
        for name in before["studio"]:
            conn.execute(f"drop table studio.{name}".encode())
        conn.commit()
    studio = apps["studio"]
    owner = studio.users.create_user(studio.db, user=NewOwner(name="Ada"))
    assert [line.row_id for line in queries.history.list_audit_lines(studio.db)] == [owner.user_id]
    assert len(partitions(db, "studio")) in (1, 2)  # two around the end of a month
    studio.keep_logs()
    assert partitions(db, "studio") == before["studio"]
    assert partitions(db, "presentations") == before["presentations"]
    assert queries.history.list_audit_lines(apps["presentations"].db) == []


def partitions(db: Database, schema: str) -> list[str]:
    """Return the partitions in a schema."""
    asked = (
        "select relname::text from pg_class where relispartition and relkind = 'r' and relnamespace = %s::regnamespace"
    )
    with db.connection() as conn:
        return sorted(row[0] for row in conn.execute(asked, [schema]))


# What makes it so


@pytest.mark.parametrize("app", ["analysis", "openai_frontend", "presentations", "soleil", "voxstitch"])
def test_no_statement_names_a_schema(app: str) -> None:
    """No statement and no migration says `<app>.`: where tables are is the connection's search path."""
    paths = [*(SQL / app).rglob("*.sql"), *(MIGRATIONS / app).rglob("*.sql")]
    assert len(paths) > 4
    for path in paths:
        text = path.read_text()
        words = [(token.kind, text[token.start : token.end].lower()) for token in tokenize(text)]
        names = [word for (kind, word), after in pairwise(words) if after[1] == "." and kind is Kind.WORD]
        assert {app, "public"}.isdisjoint(names), path
