"""Presentations: passwords and encrypted numbers, the archive, the logs' partitions, slow statements, settings."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import psycopg
import pytest

from sqlkit import ArgumentError, ConfigurationError, Database
from sqlkit.apps.presentations import queries
from sqlkit.apps.presentations.application import LOGS, Presentations
from sqlkit.apps.presentations.models import Job, JobStatus, NewUser, PastJob, UserChanges
from sqlkit.apps.presentations.records import AfterArchivedJob, PastStatusChange
from sqlkit.apps.presentations.settings import PresentationsSettings, cipher_of
from sqlkit.operations.partitions import drop_partitions, list_partitions
from sqlkit.security import Cipher
from tests.presentations_stage import brought_to, new_user, new_voice

pytestmark = pytest.mark.usefixtures("cheap_passwords")

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=200)


@pytest.fixture
def db(presentations_dsn: str) -> Iterator[Database]:
    """Give a pool on a database of presentations' own."""
    with Database.connect(presentations_dsn, pool_max_size=10) as database:
        yield database


# Secrets.


def test_a_password_is_checked_by_its_hash(db: Database) -> None:
    """The right password gives its user; a wrong one, an unknown address and one without a password give nobody."""
    app = Presentations(db)
    user, _ = new_user(db, email="ada@example.org"), new_user(db, email="bea@example.org")
    assert app.set_password(user.user_id, "correct horse")
    found = app.check_password("ada@example.org", "correct horse")
    assert found is not None
    assert found.user_id == user.user_id
    for email, password in (
        ("ada@example.org", "battery staple"),
        ("ada@example.org", ""),
        ("bea@example.org", "correct horse"),
        ("eve@example.org", "correct horse"),
    ):
        assert app.check_password(email, password) is None
    with db.connection() as conn:
        row = conn.execute("select password_hash from users where user_id = %s", [user.user_id]).fetchone()
    assert row is not None
    assert row[0].startswith("$argon2id$")
    assert not app.set_password(0, "correct horse")


def test_who_is_no_longer_active_has_no_password(db: Database) -> None:
    """A user who was deleted softly does not get in."""
    app = Presentations(db)
    user = new_user(db, email="ada@example.org")
    app.set_password(user.user_id, "correct horse")
    queries.users.deactivate_user(db, user_id=user.user_id)
    assert app.check_password("ada@example.org", "correct horse") is None


def test_an_old_hash_is_replaced(db: Database) -> None:
    """A bcrypt hash of before is verified once and is argon2id's then."""
    app = Presentations(db)
    user = new_user(db, email="ada@example.org")
    old = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
    queries.users.set_password_hash(db, user_id=user.user_id, password_hash=old)
    assert app.check_password("ada@example.org", "wrong") is None
    for _ in range(2):
        assert app.check_password("ada@example.org", "correct horse") is not None
        credentials = queries.users.get_credentials(db, email="ada@example.org")
        assert credentials is not None
        assert credentials.password_hash is not None
        assert credentials.password_hash.startswith("$argon2id$")
        assert "argon2" not in repr(credentials)


def test_a_number_is_kept_encrypted(db: Database) -> None:
    """A phone number is nowhere in the database as it is, is read with the key, and can be taken away."""
    app, cipher = Presentations(db), Cipher(Cipher.new_key())
    user = new_user(db)
    assert app.read_phone(cipher, user.user_id) is None
    assert app.write_phone(cipher, user.user_id, "+49 30 1234567")
    assert app.read_phone(cipher, user.user_id) == "+49 30 1234567"
    with db.connection() as conn:
        everything = conn.execute(
            "select to_jsonb(users)::text from users union all select to_jsonb(audit_log)::text from audit_log"
        )
        assert "1234567" not in str(everything.fetchall())
    with pytest.raises(ArgumentError, match="no key opens it"):
        app.read_phone(Cipher(Cipher.new_key()), user.user_id)
    assert app.write_phone(cipher, user.user_id, None)
    assert app.read_phone(cipher, user.user_id) is None
    assert not app.write_phone(cipher, 0, "+49 30 1234567")


def test_keys_rotate(db: Database) -> None:
    """With a new key in front each number is encrypted anew, once; then the old key can go."""
    app = Presentations(db)
    old, new = Cipher.new_key(), Cipher.new_key()
    people = [new_user(db, f"User {number}").user_id for number in range(25)]
    for number, user_id in enumerate(people):
        app.write_phone(Cipher(old), user_id, f"+{number}")
    new_user(db)
    app.write_phone(Cipher(new, old), people[3], "+3")
    assert app.rotate_phones(Cipher(new, old), batch=10) == 24
    assert app.rotate_phones(Cipher(new, old), batch=10) == 0
    assert [app.read_phone(Cipher(new), user_id) for user_id in people] == [f"+{number}" for number in range(25)]


def test_keys_come_from_the_environment() -> None:
    """PRESENTATIONS_KEYS holds the keys, the newest first; none or a broken one is an error that shows nothing."""
    old, new = Cipher.new_key().get_secret_value(), Cipher.new_key().get_secret_value()
    cipher = cipher_of({"PRESENTATIONS_KEYS": f"{new}, {old}"})
    assert cipher.is_outdated(Cipher(old).encrypt("+1"))
    assert not cipher.is_outdated(Cipher(new).encrypt("+1"))
    for keys in ("", " , ", "not a key"):
        with pytest.raises(ConfigurationError) as refused:
            cipher_of({"PRESENTATIONS_KEYS": keys})
        assert "not a key" not in str(refused.value)


# The archive.


def complete_many(db: Database, number: int, owners: int) -> list[Job]:
    """Import completed jobs of some owners, most of them long ago; return all."""
    voices = [new_voice(db, new_user(db, f"Owner {n}")) for n in range(owners)]
    past = []
    for n in range(number):
        voice, ended = voices[n % owners], LONG_AGO + timedelta(minutes=n)
        past.append(
            PastJob(
                owner_id=voice.owner_id,
                voice_clone_id=voice.voice_clone_id,
                status=JobStatus.COMPLETED,
                s3_pptx_path=f"/decks/{n}.pptx",
                s3_video_path=f"/videos/{n}.mp4",
                created_at=ended,
                started_at=ended,
                completed_at=ended,
            )
        )
    assert queries.jobs.import_jobs(db, past) == number
    return queries.jobs.list_jobs(db, limit=number)


def test_jobs_move_into_the_archive(db: Database) -> None:
    """Completed jobs past their retention move, others stay; each is found in the archive as it was."""
    app = Presentations(db)
    old = {job.job_id: job for job in complete_many(db, 10, owners=2)}
    voice = new_voice(db, new_user(db))
    others = [brought_to(db, voice, status) for status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)]
    with db.connection() as conn:
        conn.execute("update presentation_jobs set updated_at = %s", [LONG_AGO])
    assert app.archive() == 10
    assert app.archive() == 0
    assert {job.job_id for job in queries.jobs.list_jobs(db)} == {job.job_id for job in others}
    for job_id, job in old.items():
        archived = queries.history.get_archived_job(db, job_id=job_id)
        assert archived is not None
        assert archived.job == job.model_copy(update={"updated_at": LONG_AGO})
    assert queries.history.get_archived_job(db, job_id=others[0].job_id) is None


def test_pages_of_the_archive(db: Database) -> None:
    """An owner's archived jobs come in pages, the latest completed first, whatever bundles they lie in."""
    app = Presentations(db)
    found = complete_many(db, 30, owners=2)
    assert app.archive(batch=7) == 30
    mine = sorted((job for job in found if job.owner_id == found[0].owner_id), key=lambda job: -job.job_id)
    seen = queries.history.list_archived_jobs(db, owner_id=found[0].owner_id, limit=4)
    while page := queries.history.list_archived_jobs(
        db,
        owner_id=found[0].owner_id,
        limit=4,
        after=AfterArchivedJob(completed_at=seen[-1].completed_at, job_id=seen[-1].job_id),
    ):
        seen += page
    assert [one.job for one in seen] == mine


def test_four_archive_at_once(db: Database) -> None:
    """Four who archive 2,000 jobs at once move each of them once and lose none."""
    app = Presentations(db)
    before = {job.job_id for job in complete_many(db, 2000, owners=5)}
    with ThreadPoolExecutor(4) as pool:
        moved = list(pool.map(lambda _: app.archive(batch=100), range(4)))
    assert sum(moved) == 2000
    with db.connection() as conn:
        listed = [job_id for (job_id,) in conn.execute("select job_id from archived_jobs").fetchall()]
        bundled = conn.execute(
            "select (job ->> 'job_id')::bigint from job_archives, jsonb_array_elements(jobs) as job"
        ).fetchall()
        left = conn.execute("select count(*) from presentation_jobs").fetchone()
    assert sorted(listed) == sorted(job_id for (job_id,) in bundled) == sorted(before)
    assert left == (0,)


def test_two_at_once_archive_different_jobs(db: Database) -> None:
    """While one who archives has not committed, another takes the next jobs and waits for nobody."""
    complete_many(db, 5, owners=1)
    soon = datetime.now(UTC) + timedelta(days=1)
    with db.transaction() as first, db.transaction() as second:
        second.execute("set local lock_timeout = '2s'")
        moved = [queries.history.archive_jobs(conn, completed_before=soon, limit=2) for conn in (first, second, second)]
    assert moved == [2, 2, 1]


def test_the_archive_is_compressed(db: Database) -> None:
    """A bundle takes less than a quarter of its text."""
    app = Presentations(db)
    complete_many(db, 500, owners=1)
    app.archive()
    with db.connection() as conn:
        row = conn.execute("select pg_column_size(jobs), octet_length(jobs::text) from job_archives").fetchone()
    assert row is not None
    assert row[0] < row[1] / 4


def test_a_move_that_fails_moves_nothing(db: Database) -> None:
    """Where one job is in the archive already, the statement is undone as a whole."""
    app = Presentations(db)
    found = complete_many(db, 5, owners=1)
    with db.connection() as conn:
        conn.execute(
            "with bundle as (insert into job_archives (owner_id, jobs) values (%(owner)s, '[]') returning archive_id) "
            "insert into archived_jobs (job_id, owner_id, archive_id, completed_at) "
            "select %(job)s, %(owner)s, archive_id, now() from bundle",
            {"owner": found[0].owner_id, "job": found[2].job_id},
        )
    with pytest.raises(psycopg.errors.UniqueViolation):
        app.archive()
    assert len(queries.jobs.list_jobs(db)) == 5


# The logs' partitions.


def without_partitions(db: Database) -> None:
    """Drop all partitions of the logs."""
    for table in LOGS:
        drop_partitions(db, table, before=NOW + timedelta(days=400))
        assert list_partitions(db, table) == []


def test_a_missing_partition_is_made(db: Database) -> None:
    """A statement whose line finds no partition makes it and goes on: nothing is lost, nothing is written twice."""
    app = Presentations(db)
    without_partitions(db)
    with pytest.raises(psycopg.errors.CheckViolation):
        queries.users.create_user(db, user=NewUser(name="Ada"))
    user = app.users.create_user(app.db, user=NewUser(name="Ada"))
    assert [line.row_id for line in app.history.list_audit_lines(db)] == [user.user_id]
    assert len(app.users.list_users(db)) == 1


def test_a_missing_partition_inside_a_transaction(db: Database) -> None:
    """Inside a transaction the partition is made with it, and what came before stays."""
    app = Presentations(db)
    without_partitions(db)
    with db.transaction() as conn:
        conn.execute("insert into users (name) values ('Bea')")
        app.users.create_user(conn, user=NewUser(name="Ada"))
    assert [user.name for user in app.users.list_users(db)] == ["Ada", "Bea"]


def test_a_missing_partition_for_a_role_without_rights(db: Database) -> None:
    """Who acts for an owner owns no table; the partition is made by the application beside it."""
    app = Presentations(db)
    user = new_user(db)
    without_partitions(db)
    mine = app.acting_for(user.user_id)
    assert mine.users.update_user(mine.db, user_id=user.user_id, changes=UserChanges(name="Ada L."))
    assert [line.action for line in mine.history.list_audit_lines(mine.db)] == ["update"]


def test_logs_are_kept_for_two_years(db: Database) -> None:
    """keep_logs makes three months ahead, drops what is older than two years with exactly its rows, and says so."""
    app = Presentations(db)
    months = [datetime(2023, 12, 31, 23, 59, tzinfo=UTC), datetime(2024, 2, 29, 12, tzinfo=UTC), NOW]
    lines = [
        PastStatusChange(
            job_id=number,
            owner_id=1,
            old_status=JobStatus.ASSEMBLING_VIDEO,
            new_status=JobStatus.COMPLETED,
            changed_at=when,
            created_at=when,
        )
        for number, when in enumerate(months, 1)
    ]
    assert app.import_status_changes(lines) == 3
    names = [partition.name for partition in list_partitions(db, LOGS[0])]
    assert names[:2] == ["job_status_changes_2023_12", "job_status_changes_2024_02"]
    assert len(names) == 6
    changes, audit = app.keep_logs()
    assert [partition.name for partition in changes.dropped] == names[:2]
    assert (changes.made, audit.made, audit.dropped) == ((), (), ())
    assert [len(queries.history.list_status_changes(db, job_id=number)) for number in (1, 2, 3)] == [0, 0, 1]


def test_a_months_changes_touch_one_partition(db: Database) -> None:
    """A query with a time looks into the partitions from there on only."""
    with db.connection() as conn:
        plan = conn.execute(
            "explain select change_id from job_status_changes "
            "where job_id = 1 and created_at >= %s and created_at < %s",
            [NOW, NOW + timedelta(seconds=1)],
        ).fetchall()
    assert str(plan).count(" on job_status_changes_2") == 1


# Slow statements.


def test_a_slow_statement_is_logged_by_its_name(db: Database, caplog: pytest.LogCaptureFixture) -> None:
    """A call that takes its time is one warning with name and seconds, and no value; a quick one is none."""
    user = new_user(db)
    locked = threading.Event()

    def hold() -> None:
        with db.connection() as conn:
            conn.execute("select from users where user_id = %s for update", [user.user_id])
            locked.set()
            time.sleep(0.3)

    with (
        Database.connect(db.settings.replace(slow_after=0.2)) as watched,
        caplog.at_level(logging.WARNING, "sqlkit.queries"),
        ThreadPoolExecutor(1) as pool,
    ):
        app = Presentations(watched)
        app.users.get_user(watched, user_id=user.user_id)
        holding = pool.submit(hold)
        assert locked.wait(5)
        app.users.update_user(watched, user_id=user.user_id, changes=UserChanges(name="hidden"))
        holding.result()
    (message,) = caplog.messages
    assert "users.sql" in message
    assert "update_user: slow: 0." in message
    assert "hidden" not in message


def test_slow_is_a_second() -> None:
    """Without a word a statement is slow from one second on."""
    assert PresentationsSettings(url="postgresql://ada@localhost/videos").slow_after == 1.0
    assert PresentationsSettings(url="postgresql://ada@localhost/videos", slow_after=5).slow_after == 5


# Settings.


def test_the_figures_of_the_document() -> None:
    """Twenty connections, thirty more at need, each for an hour, ten seconds to connect, all in UTC."""
    settings = PresentationsSettings(url="postgresql://ada@localhost/videos")
    assert (settings.pool_min_size, settings.pool_max_size) == (20, 50)
    assert (settings.pool_timeout, settings.pool_max_lifetime, settings.connect_timeout) == (30, 3600, 10)
    assert (settings.application_name, settings.schema) == ("presentation-generator", "presentations")
    assert (settings.timezone, settings.debug) == ("UTC", False)


def test_the_names_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """POSTGRES_*, DATABASE_SSL and DATABASE_DEBUG are read as the document writes them."""
    given: dict[str, Any] = {"POSTGRES_USER": "ada", "POSTGRES_PASSWORD": "secret", "POSTGRES_HOST": "db"}
    given |= {"POSTGRES_PORT": "5433", "POSTGRES_DB": "videos", "DATABASE_SSL": "true", "DATABASE_DEBUG": "true"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = PresentationsSettings()
    assert settings.safe_dsn == "postgresql://ada:***@db:5433/videos?sslmode=require"
    assert settings.debug
    assert "secret" not in repr(settings)
