"""What voxstitch does beyond single statements: imports at once, logins, cached users, the pool, settings."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import bcrypt
import psycopg
import pytest
from psycopg import errors

from sqlkit import ConfigurationError, Database, PoolExhausted
from sqlkit.apps import MIGRATIONS, openai_frontend, voxstitch
from sqlkit.apps.voxstitch import Platform
from sqlkit.apps.voxstitch.settings import VoxstitchSettings
from sqlkit.database import View
from sqlkit.migrate import migrate

HASH = "$argon2id$v=19$not-a-real-one"
PASSWORD = "correct horse battery staple"

pytestmark = pytest.mark.usefixtures("cheap_passwords")


@pytest.fixture
def db(voxstitch_dsn: str) -> Iterator[Database]:
    """Give a Database with voxstitch's tables, for a test that commits."""
    with Database.connect(voxstitch_dsn, pool_max_size=10) as database:
        yield database


def user_of(db: View, **facts: Any) -> voxstitch.User:
    """Create a user."""
    return voxstitch.users.create_user(db, user=voxstitch.NewUser(email="a@b", hashed_password=HASH, **facts))


def chat_of(user_id: int, title: str = "T") -> voxstitch.NewChat:
    """Return a chat to create."""
    return voxstitch.NewChat(user_id=user_id, title=title, platform=Platform.OTHER, content={"text": title})


# Imports


def test_fifty_imports_at_once(db: Database) -> None:
    """Of 50 concurrent imports of one user with 2 left exactly 2 succeed; the others say so, and nothing is lost."""
    user = user_of(db, remaining_imports=2)
    together = threading.Barrier(50)

    def attempt(number: int) -> voxstitch.Chat | voxstitch.NoImportsLeft:
        together.wait()
        try:
            return voxstitch.import_chat(db, chat=chat_of(user.user_id, f"T{number}"))
        except voxstitch.NoImportsLeft as refused:
            return refused

    with ThreadPoolExecutor(50) as pool:
        results = list(pool.map(attempt, range(50)))
    imported = {result.chat_id for result in results if isinstance(result, voxstitch.Chat)}
    assert len(imported) == 2
    assert {chat.chat_id for chat in voxstitch.chats.list_chats(db)} == imported
    assert voxstitch.users.get_remaining_imports(db, user_id=user.user_id) == 0


def test_import_with_none_left(db: Database) -> None:
    """At none left the error says whose, and the transaction that it is in goes on."""
    user = user_of(db, remaining_imports=0)
    with db.transaction() as conn:
        with pytest.raises(voxstitch.NoImportsLeft, match="not enough imports left for a chat") as refused:
            voxstitch.import_chat(conn, chat=chat_of(user.user_id))
        voxstitch.users.add_imports(conn, user_id=user.user_id, imports=1)
        voxstitch.import_chat(conn, chat=chat_of(user.user_id))
    assert (refused.value.user_id, refused.value.wanted) == (user.user_id, 1)


def test_an_import_that_fails_costs_nothing(db: Database) -> None:
    """A chat that the database refuses leaves the user their import."""
    user = user_of(db)
    bad = chat_of(user.user_id).model_copy(update={"title": ""})
    with pytest.raises(errors.CheckViolation):
        voxstitch.import_chat(db, chat=bad)
    assert voxstitch.users.get_remaining_imports(db, user_id=user.user_id) == 2


def test_batches_at_once(db: Database) -> None:
    """Of 10 concurrent batches of 3 with 7 imports left 2 are imported whole, the others not at all."""
    user = user_of(db, remaining_imports=7)
    batch = [voxstitch.ImportedChat(title=f"T{n}", platform=Platform.OTHER, content={}) for n in range(3)]

    def attempt(_: int) -> int:
        try:
            return len(voxstitch.import_chats(db, user_id=user.user_id, chats=iter(batch)))
        except voxstitch.NoImportsLeft as refused:
            return -refused.wanted

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(attempt, range(10))) == [-3] * 8 + [3, 3]
    assert len(voxstitch.chats.list_chats(db)) == 6
    assert voxstitch.users.get_remaining_imports(db, user_id=user.user_id) == 1


# Logins


def test_log_in_and_out(db: Database) -> None:
    """Who registers logs in with any capitalisation, is known by the token, and no longer after logging out."""
    user = voxstitch.register(db, email="Ella@example.org", password=PASSWORD)
    login = voxstitch.log_in(db, email="ella@EXAMPLE.org", password=PASSWORD, lifetime=timedelta(minutes=5))
    found = voxstitch.who_is(db, login.token)
    assert found is not None
    assert found.user == user
    assert found.expires_at - found.created_at == timedelta(minutes=5)
    assert voxstitch.log_out(db, login.token)
    assert not voxstitch.log_out(db, login.token)
    assert voxstitch.who_is(db, login.token) is None


def test_secrets_stand_nowhere(db: Database) -> None:
    """The database has neither password nor token, and no repr shows the token."""
    voxstitch.register(db, email="a@b", password=PASSWORD)
    login = voxstitch.log_in(db, email="a@b", password=PASSWORD)
    with db.connection() as conn:
        stored = conn.execute("select users::text || login_sessions::text from users, login_sessions").fetchone()
    assert stored is not None
    assert "$argon2id$" in stored[0]
    token = login.token.get_secret_value()
    assert PASSWORD not in stored[0]
    assert token not in stored[0]
    assert token not in repr(login)
    assert len(token) >= 43  # 256 bits


@pytest.mark.parametrize(("email", "password"), [("a@b", "wrong"), ("nobody@b", PASSWORD), ("idle@b", PASSWORD)])
def test_logins_that_are_refused(db: Database, email: str, password: str) -> None:
    """A wrong password, an unknown address and an account that is not active are refused in the same words."""
    voxstitch.register(db, email="a@b", password=PASSWORD)
    idle = voxstitch.register(db, email="idle@b", password=PASSWORD)
    voxstitch.users.update_user(db, user_id=idle.user_id, changes=voxstitch.UserChanges(is_active=False))
    with pytest.raises(voxstitch.LoginRefused, match=r"^voxstitch: the email or the password is wrong$"):
        voxstitch.log_in(db, email=email, password=password)
    with db.connection() as conn:
        assert conn.execute("select count(*) from login_sessions").fetchone() == (0,)


def test_old_hashes_are_replaced(db: Database) -> None:
    """A bcrypt hash is verified still, and is argon2id's after the login."""
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=4)).decode()
    voxstitch.users.create_user(db, user=voxstitch.NewUser(email="a@b", hashed_password=old))
    voxstitch.log_in(db, email="a@b", password=PASSWORD)
    credentials = voxstitch.users.get_credentials(db, email="a@b")
    assert credentials is not None
    assert credentials.hashed_password.startswith("$argon2id$")
    voxstitch.log_in(db, email="a@b", password=PASSWORD)


def test_change_password(db: Database) -> None:
    """After another password the old one and all tokens are good for nothing."""
    user = voxstitch.register(db, email="a@b", password="old")
    login = voxstitch.log_in(db, email="a@b", password="old")
    changed = voxstitch.change_password(db, user_id=user.user_id, password=PASSWORD)
    assert changed is not None
    assert changed.updated_at > user.updated_at
    assert voxstitch.who_is(db, login.token) is None
    with pytest.raises(voxstitch.LoginRefused):
        voxstitch.log_in(db, email="a@b", password="old")
    assert voxstitch.log_in(db, email="a@b", password=PASSWORD)


def test_cleanups_at_once(db: Database) -> None:
    """Several cleanings at once delete each expired session once, and none waits for another."""
    user = user_of(db)
    with db.connection() as conn:
        conn.execute(
            "insert into login_sessions (user_id, token_hash, created_at, expires_at) "
            "select %s, sha256(n::text::bytea), now() - interval '2 days', now() - interval '1 day' "
            "from generate_series(1, 200) as n",
            [user.user_id],
        )
    with ThreadPoolExecutor(8) as pool:
        removed = list(pool.map(lambda _: voxstitch.login_sessions.cleanup_expired_sessions(db), range(8)))
    assert sum(removed) == 200


# Cached users


def test_users_are_cached(db: Database) -> None:
    """The second look-up asks no database; a user who does not exist is asked for each time."""
    cached = voxstitch.CachedUsers()
    user = user_of(db)
    assert cached.get_user(db, user_id=user.user_id) == user
    with db.connection() as conn:
        conn.execute("update users set remaining_imports = 0")
    assert cached.get_user(db, user_id=user.user_id) == user
    cached.forget(user.user_id)
    found = cached.get_user(db, user_id=user.user_id)
    assert found is not None
    assert found.remaining_imports == 0
    assert cached.get_user(db, user_id=user.user_id + 1) is None


def test_a_change_is_seen_at_once(db: Database) -> None:
    """Who changes or removes a user through the cache finds no old one in it."""
    cached = voxstitch.CachedUsers()
    user = user_of(db)
    cached.get_user(db, user_id=user.user_id)
    changed = cached.update_user(db, user_id=user.user_id, changes=voxstitch.UserChanges(is_active=False))
    assert cached.get_user(db, user_id=user.user_id) == changed
    assert cached.remove_user(db, user_id=user.user_id) == changed
    assert cached.get_user(db, user_id=user.user_id) is None


def test_a_cached_user_expires() -> None:
    """A user is kept for so long and no longer."""
    recent = voxstitch.RecentUsers(seconds=0.05)
    recent.keep(nobody(1), recent.mark(1))
    assert recent.find(1) == nobody(1)
    time.sleep(0.06)
    assert recent.find(1) is None


def test_a_cache_keeps_so_many() -> None:
    """The user that was not asked for the longest goes first."""
    recent = voxstitch.RecentUsers(size=2)
    for user_id in (1, 2):
        recent.keep(nobody(user_id), recent.mark(user_id))
    assert recent.find(1)
    recent.keep(nobody(3), recent.mark(3))
    assert [bool(recent.find(user_id)) for user_id in (1, 2, 3)] == [True, False, True]


def test_what_was_read_before_a_change_is_not_kept() -> None:
    """A reader who selected before a change was committed does not fill the cache with the old user after it."""
    recent = voxstitch.RecentUsers(size=2)
    version = recent.mark(1)
    recent.forget(1)
    recent.keep(nobody(1), version)
    assert recent.find(1) is None
    for user_id in (2, 3, 4):  # so many that the change of the first is no longer remembered
        recent.forget(user_id)
    recent.keep(nobody(1), version)
    assert recent.find(1) is None
    recent.keep(nobody(1), recent.mark(1))
    assert recent.find(1)


def test_whoever_changes_a_cached_user_changes_a_copy() -> None:
    """A caller who writes to a user writes to nobody else's."""
    recent = voxstitch.RecentUsers()
    recent.keep(nobody(1), recent.mark(1))
    found = recent.find(1)
    assert found is not None
    found.is_active = True
    assert recent.find(1) == nobody(1)


def test_a_change_by_another_process_is_seen(db: Database) -> None:
    """A cache that hears of commits has a user for as long as nobody changes them; what is rolled back is no change."""
    user = user_of(db)
    with voxstitch.CachedUsers.opened(db) as cached:
        for commit in (False, True):
            assert cached.get_user(db, user_id=user.user_id) == user
            with psycopg.connect(db.settings.dsn()) as conn:
                conn.execute("update users set remaining_imports = 1 where user_id = %s", [user.user_id])
                conn.execute("insert into cache_tags (tag) values (%s)", [f"user:{user.user_id}"])
                conn.execute("select pg_notify('sqlkit_cache', %s)", [f"user:{user.user_id}"])
                if not commit:
                    conn.rollback()
        deadline = time.monotonic() + 2
        while (found := cached.get_user(db, user_id=user.user_id)) == user:
            assert time.monotonic() < deadline
        assert found is not None
        assert found.remaining_imports == 1
        statistics = cached.statistics()
        assert statistics is not None
        assert (statistics.hears, statistics.hits > 0) == (True, True)


def test_whoever_changes_a_user_sees_it_at_once(db: Database) -> None:
    """With such a cache a change through it is seen by the next look-up, here and in another cache of the process."""
    user = user_of(db)
    with voxstitch.CachedUsers.opened(db) as cached, voxstitch.CachedUsers.opened(db) as other:
        for number in range(20):
            for each in (cached, other):
                assert each.get_user(db, user_id=user.user_id)
            with cached.changing(db, user.user_id) as conn:
                conn.execute("update users set remaining_imports = %s", [number])
            for each in (cached, other):
                found = each.get_user(db, user_id=user.user_id)
                assert found is not None
                assert found.remaining_imports == number


def nobody(user_id: int) -> voxstitch.User:
    """Return a user that is in no database."""
    return voxstitch.User.model_validate(
        {
            "user_id": user_id,
            "email": None,
            "is_active": False,
            "is_guest": True,
            "remaining_imports": 0,
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z",
        }
    )


# The pool and the settings


def test_configure_pool(db: Database) -> None:
    """Sizes, wait and lifetime change while a connection is out, which stays good."""
    with db.connection() as conn:
        voxstitch.configure_pool(db, pool_size=1, max_overflow=0, pool_timeout=0.2, pool_recycle=60)
        started = time.monotonic()
        with ThreadPoolExecutor(1) as pool, pytest.raises(PoolExhausted, match=r"no connection within 0\.2 s"):
            pool.submit(voxstitch.users.count_users, db).result()
        assert time.monotonic() - started < 5
        assert conn.execute("select 1").fetchone() == (1,)
    status = db.status()
    assert (status.min_size, status.max_size) == (1, 1)
    assert (db.settings.pool_timeout, db.settings.pool_max_lifetime) == (0.2, 60)
    voxstitch.configure_pool(db)
    assert (db.status().min_size, db.status().max_size) == (5, 15)
    assert (db.settings.pool_timeout, db.settings.pool_max_lifetime) == (30, 1800)


def test_a_shorter_lifetime_holds_for_open_connections(db: Database) -> None:
    """A connection that is older than the new lifetime is replaced when it comes back."""
    with db.connection() as conn:
        before = conn.info.backend_pid
        time.sleep(0.15)
        voxstitch.configure_pool(db, pool_size=1, max_overflow=0, pool_recycle=0.1)
    with db.connection() as conn:
        assert conn.info.backend_pid != before


def test_impossible_pools_are_refused(db: Database) -> None:
    """A wait of nothing is refused by name, and nothing changes."""
    with pytest.raises(ConfigurationError, match="pool_timeout"):
        voxstitch.configure_pool(db, pool_size=2, max_overflow=0, pool_timeout=0)
    assert db.status().max_size == 10


def test_settings_are_those_of_the_document() -> None:
    """Five connections, ten more at need, thirty seconds to wait, renewed every half hour."""
    settings = VoxstitchSettings(url="postgresql://ella@localhost/voxstitch")
    assert (settings.pool_min_size, settings.pool_max_size) == (5, 15)
    assert (settings.pool_timeout, settings.pool_max_lifetime) == (30, 1800)
    assert (settings.schema, settings.application_name, settings.timezone) == ("voxstitch", "voxstitch", "UTC")


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of the environment change the defaults, as they did."""
    for name, value in {
        "DATABASE_URL": "postgresql://user:password@localhost:5432/voxstitch",
        "POOL_SIZE": "2",
        "POOL_MAX_OVERFLOW": "3",
        "POOL_TIMEOUT": "4",
        "POOL_RECYCLE": "5",
        "DATABASE_ECHO": "true",
        "DATABASE_SSL": "true",
    }.items():
        monkeypatch.setenv(name, value)
    settings = VoxstitchSettings()
    assert (settings.pool_min_size, settings.pool_max_size) == (2, 5)
    assert (settings.pool_timeout, settings.pool_max_lifetime) == (4, 5)
    assert (settings.debug, settings.sslmode) == (True, "require")


def test_connections_say_who_they_are(voxstitch_dsn: str) -> None:
    """A connection is voxstitch's by name, in UTC, with its schema first in the path."""
    with Database.connect(VoxstitchSettings(url=voxstitch_dsn, pool_min_size=1)) as db, db.connection() as conn:
        row = conn.execute(
            "select current_setting('application_name'), current_setting('timezone'), current_schema()"
        ).fetchone()
    assert row == ("voxstitch", "UTC", "voxstitch")


def test_one_application_in_twenty_schemas(dsn: str) -> None:
    """The same statements serve a schema for each of twenty tenants over one pool; nobody sees another's rows."""
    schemas = [f"tenant_{number}" for number in range(20)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda schema: migrate(dsn, MIGRATIONS / "voxstitch", schema=schema), schemas))
    with Database.connect(dsn, pool_max_size=4) as db:

        def visit(schema: str) -> list[str]:
            tenant = db.bound(schema=schema)
            user = voxstitch.users.create_user(tenant, user=voxstitch.NewUser(is_guest=True))
            voxstitch.import_chat(tenant, chat=chat_of(user.user_id, f"Of {schema}"))
            return [chat.title for chat in voxstitch.chats.search_chats(tenant, term="of")]

        with ThreadPoolExecutor(8) as pool:
            for round_ in (1, 2):
                assert list(pool.map(visit, schemas)) == [[f"Of {schema}"] * round_ for schema in schemas]


def test_two_applications_in_one_database(dsn: str) -> None:
    """Another application stands beside in a schema of its own, with tables of the same names and other columns."""
    assert openai_frontend.init_database(dsn)
    migrate(dsn, MIGRATIONS / "voxstitch", schema="voxstitch")
    with Database.connect(dsn) as db:
        mine, theirs = db.bound(schema="voxstitch"), db.bound(schema="openai_frontend")
        new = openai_frontend.NewUser(username="ella", email="a@b", hashed_password=HASH)
        openai_frontend.users.create_user(theirs, user=new)
        user_of(mine)
        assert voxstitch.users.count_users(mine) == 1
        assert [user.username for user in openai_frontend.users.list_users(theirs)] == ["ella"]
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            voxstitch.chats.create_chat(mine, chat=chat_of(10**6))
