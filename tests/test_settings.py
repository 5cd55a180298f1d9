"""Settings: where they come from, which wins, what is refused, and that the password never shows."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from sqlkit.errors import ConfigurationError
from sqlkit.settings import SecretDsn, Settings

SECRET = "s3cr3t/p@ss"
QUOTED = "s3cr3t%2Fp%40ss"


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty folder, without the settings of whoever runs the tests."""
    import os

    for name in list(os.environ):
        if name.startswith(("DATABASE_", "POSTGRES_", "POOL_", "SQLKIT_", "PG")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Where settings come from.


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("DATABASE_HOST", "db.example", "host", "db.example"),
        ("POSTGRES_HOST", "db.example", "host", "db.example"),
        ("POSTGRES_SERVER", "db.example", "host", "db.example"),
        ("SQLKIT_HOST", "db.example", "host", "db.example"),
        ("DATABASE_PORT", "6543", "port", 6543),
        ("POSTGRES_PORT", "6543", "port", 6543),
        ("DATABASE_USER", "me", "user", "me"),
        ("DATABASE_USERNAME", "me", "user", "me"),
        ("POSTGRES_USER", "me", "user", "me"),
        ("DATABASE_NAME", "shop", "name", "shop"),
        ("POSTGRES_DB", "shop", "name", "shop"),
        ("DATABASE_SCHEMA", "app", "schema", "app"),
        ("DATABASE_TABLE_PREFIX", "app", "schema", "app"),
        ("DATABASE_SSL", "true", "sslmode", "require"),
        ("DATABASE_SSL", "False", "sslmode", "disable"),
        ("DATABASE_SSL", "verify-full", "sslmode", "verify-full"),
        ("DATABASE_SSLMODE", "prefer", "sslmode", "prefer"),
        ("POOL_SIZE", "3", "pool_min_size", 3),
        ("DATABASE_POOL_SIZE", "3", "pool_min_size", 3),
        ("POOL_MAX_SIZE", "30", "pool_max_size", 30),
        ("POOL_TIMEOUT", "2.5", "pool_timeout", 2.5),
        ("POOL_RECYCLE", "1800", "pool_max_lifetime", 1800),
        ("DATABASE_STATEMENT_TIMEOUT", "5", "statement_timeout", 5),
        ("DATABASE_DEBUG", "true", "debug", True),
        ("DATABASE_ECHO", "1", "debug", True),
        ("SQLKIT_POOLER", "transaction", "pooler", "transaction"),
    ],
)
def test_environment(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, field: str, expected: object) -> None:
    """Each setting is read from its own variable and from those that people have already."""
    if field != "name":
        monkeypatch.setenv("DATABASE_NAME", "shop")
    monkeypatch.setenv(variable, value)
    assert getattr(Settings(), field) == expected


def test_precedence(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments win over the environment, that over .env, that over config.yml, that over the defaults."""
    (nowhere / "config.yml").write_text(
        "database: {name: d, host: file, schema: file, user: file, application_name: file}\nother: {theme: dark}\n"
    )
    (nowhere / ".env").write_text(
        "DATABASE_SCHEMA=env_file\nDATABASE_USER=env_file\nDATABASE_APPLICATION_NAME=env_file\n"
    )
    monkeypatch.setenv("DATABASE_USER", "environment")
    monkeypatch.setenv("DATABASE_APPLICATION_NAME", "environment")
    settings = Settings(application_name="argument")
    assert (settings.host, settings.schema, settings.user) == ("file", "env_file", "environment")
    assert (settings.application_name, settings.pool_timeout) == ("argument", 30)


def test_the_stronger_family_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """DATABASE_* wins over POSTGRES_*, which a container's own server may need."""
    for name, value in (("POSTGRES_DB", "postgres"), ("POSTGRES_PASSWORD", SECRET), ("DATABASE_NAME", "shop")):
        monkeypatch.setenv(name, value)
    assert Settings().name == "shop"
    assert SECRET not in repr(Settings())


def test_url_takes_the_place_of_all_parts_below_it(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL names a database as a whole: no user or password of a weaker source gets into it."""
    (nowhere / "config.yml").write_text(f"database: {{host: h, user: u, password: '{SECRET}', name: n, schema: app}}\n")
    monkeypatch.setenv("POSTGRES_PASSWORD", SECRET)
    monkeypatch.setenv("DATABASE_URL", "postgresql://other/shop")
    settings = Settings()
    assert (settings.host, settings.name, settings.user, settings.password) == ("other", "shop", None, None)
    assert settings.schema == "app"


def test_parts_complete_a_url(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password beside or above a URL completes it."""
    (nowhere / "config.yml").write_text("database: postgresql://me@host/shop\n")
    monkeypatch.setenv("DATABASE_PASSWORD", SECRET)
    assert Settings().dsn() == f"postgresql://me:{QUOTED}@host/shop"


def test_named_files_are_read(nowhere: Path) -> None:
    """config_file and env_file name other files."""
    (nowhere / "other.yml").write_text(
        "database:\n  host: localhost\n  username: me\n  database: shop\n  table_prefix: app\n"
    )
    (nowhere / "other.env").write_text("DATABASE_PASSWORD='a b'\n")
    settings = Settings(config_file="other.yml", env_file=nowhere / "other.env")
    assert (settings.user, settings.name, settings.schema) == ("me", "shop", "app")
    assert settings.dsn() == "postgresql://me:a%20b@localhost/shop"


def test_config_of_somebody_else_is_left_alone(nowhere: Path) -> None:
    """A config.yml without a section `database` is not ours."""
    (nowhere / "config.yml").write_text("theme: dark\n")
    assert Settings(name="d").name == "d"


def test_empty_variables_count_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable, as compose files leave them, is none."""
    monkeypatch.setenv("DATABASE_PORT", "")
    assert Settings(name="d").port is None


def test_applications_have_defaults_of_their_own() -> None:
    """A subclass changes defaults and adds settings; its variables have the field's name."""

    class Shop(Settings):
        schema: str | None = "shop"
        pool_min_size: int = 20
        redis_url: str | None = None

    settings = Shop(name="d", redis_url="redis://x")
    assert (settings.schema, settings.pool_min_size, settings.pool_max_size) == ("shop", 20, 20)
    assert settings.redis_url == "redis://x"


def test_sizes_of_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool size and an overflow give the largest size; a large smallest size raises the default largest."""
    monkeypatch.setenv("POOL_SIZE", "20")
    assert Settings(name="d").pool_max_size == 20
    monkeypatch.setenv("POOL_MAX_OVERFLOW", "5")
    settings = Settings(name="d")
    assert (settings.pool_min_size, settings.pool_max_size) == (20, 25)


# URLs.


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:1/d", {"user": "u", "password": "p", "host": "h", "port": "1", "dbname": "d"}),
        ("postgres://h/d", {"host": "h", "dbname": "d"}),
        ("postgresql+asyncpg://u@h/d?ssl=require", {"user": "u", "host": "h", "dbname": "d", "sslmode": "require"}),
        (
            "postgresql+psycopg2://u@h/d?sslmode=disable",
            {"user": "u", "host": "h", "dbname": "d", "sslmode": "disable"},
        ),
        ("postgresql:///d?host=/tmp/x&port=7", {"host": "/tmp/x", "port": "7", "dbname": "d"}),
        ("postgresql://%2Ftmp%2Fx/d", {"host": "/tmp/x", "dbname": "d"}),
        ("postgresql://[::1]:5/d", {"host": "::1", "port": "5", "dbname": "d"}),
        (
            "postgresql://a:1,b:2/d?target_session_attrs=read-write",
            {"host": "a,b", "port": "1,2", "dbname": "d", "target_session_attrs": "read-write"},
        ),
        ("host=h dbname=d password='a b'", {"host": "h", "dbname": "d", "password": "a b"}),
        ("postgresql://u:p%40%2F%3A%23%3F%25@h/d", {"user": "u", "password": "p@/:#?%", "host": "h", "dbname": "d"}),
    ],
)
def test_urls_mean_what_libpq_says(url: str, expected: dict[str, str]) -> None:
    """A URL comes out with the same meaning, SQLAlchemy's drivers dropped."""
    assert conninfo_to_dict(Settings(url=url).dsn()) == expected


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@given(user=texts, password=texts, name=texts, value=texts)
def test_parts_survive_the_url(user: str, password: str, name: str, value: str) -> None:
    """Whatever is in user, password, database and parameters, the DSN carries it unchanged, and the safe one not."""
    settings = Settings(host="h", user=user, password=password, name=name, parameters={"options": value})
    assert conninfo_to_dict(settings.dsn()) == {
        "host": "h", "user": user, "password": password, "dbname": name, "options": value
    }  # fmt: skip
    assert Settings(url=settings.dsn()).dsn() == settings.dsn()
    assert conninfo_to_dict(settings.safe_dsn)["password"] == "***"


@pytest.mark.parametrize("host", ["/tmp/with space", "/a,/b", "@abstract"])
def test_socket_directories_survive_the_url(host: str) -> None:
    """A socket's directory goes into the query, where every reader of URLs finds it."""
    assert conninfo_to_dict(Settings(host=host, port=7, name="d").dsn())["host"] == host


# What is refused.


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, r"no database is named; set DATABASE_URL"),
        ({"url": "postgresql://h"}, "no database is named"),
        ({"pool_sice": 3}, r"Settings\(pool_sice=\): no such setting; did you mean pool_size\?"),
        ({"name": "d", "port": "http"}, r"^Settings\(port=\): a port is a whole number from 1 to 65535"),
        ({"name": "d", "port": 0}, "a port is a whole number"),
        ({"name": "d", "port": 65536}, "a port is a whole number"),
        ({"name": "d", "sslmode": "strict"}, r"^Settings\(sslmode=\): should be 'disable'"),
        ({"name": "d", "sslrootcert": "missing.crt"}, r"Settings\(sslrootcert=\): no such file"),
        ({"name": "d", "pool_min_size": -1}, r"^Settings\(pool_min_size=\): should be greater than or equal to 0"),
        ({"name": "d", "pool_max_size": 0}, r"^Settings\(pool_max_size=\): should be greater than or equal to 1"),
        ({"name": "d", "pool_min_size": 5, "pool_max_size": 2}, "5 connections at least, but .*: 2 at most"),
        ({"name": "d", "pool_max_overflow": "many"}, "an overflow is a whole number"),
        ({"name": "d", "pool_max_overflow": 1, "pool_max_size": 2}, "give one of them"),
        ({"name": "d", "pool_timeout": 0}, r"^Settings\(pool_timeout=\): should be greater than 0"),
        ({"name": "d", "statement_timeout": "inf"}, r"^Settings\(statement_timeout=\): should be a finite number"),
        ({"name": "d", "pooler": "session"}, r"^Settings\(pooler=\): should be 'none' or 'transaction'"),
        ({"name": "a\0b"}, "a NUL character"),
        ({"name": ""}, "it is empty"),
        ({"url": "mysql://u@h/d"}, r"Settings\(url=\): not a PostgreSQL URL"),
        ({"url": "nonsense"}, "not a PostgreSQL URL"),
        ({"url": "postgresql://h:70000/d"}, "a port is a whole number"),
        ({"url": "postgresql://h/d?colour=blue"}, "knows no connection parameter 'colour'"),
        ({"url": "postgresql://h/d?application_name=%zz"}, "not a well-formed PostgreSQL URL"),
        (
            {"url": "postgresql://h/d", "host": "other"},
            r"Settings\(host=\) and Settings\(url=\) contradict each other: host",
        ),
        ({"name": "d", "application_name": "x" * 64}, r"^Settings\(application_name=\): string should have at most 63"),
    ],
)
def test_impossible_settings_are_named(values: dict[str, Any], says: str) -> None:
    """What cannot be is a ConfigurationError that says where it stands and what is wrong."""
    with pytest.raises(ConfigurationError, match=says):
        Settings(**values)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@h/d",
        "postgresql://u:s3cr3t@ss@h/d",
        "postgresql://u:12/s3cr3t@h/d",
        "postgresql://u:s3cr3t%@h/d",
        "postgresql://u:s3cr3t@h:port/d",
        "postgresql://u:s3cr3t@[h/d",
        "host=h password=s3cr3t' dbname",
        "s3cr3t",
    ],
)
def test_malformed_urls_are_refused_without_a_word_of_them(url: str) -> None:
    """A password that was not escaped never becomes a host name, nor is any of it quoted."""
    with pytest.raises(ConfigurationError) as caught:
        Settings(url=url)
    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("config.yml", "database: {pool_sice: 3}", r"config.yml: pool_sice: no such setting; did you mean pool_size\?"),
        ("config.yml", "database: {port: http}", r"^config.yml: port: a port is"),
        ("config.yml", "database: [1]", r"config.yml: no section 'database'"),
        ("config.yml", "database: {password: s3cr3t: x}", r"config.yml:1: not valid YAML"),
        (".env", "DATABASE_PORT=http", r"\.env: DATABASE_PORT: port: a port is"),
        (".env", "DATABASE_HOTS=h", r"\.env: DATABASE_HOTS: no such setting; did you mean DATABASE_HOST\?"),
    ],
)
def test_errors_name_the_file(nowhere: Path, file: str, text: str, says: str) -> None:
    """What is wrong in a file is named with the file."""
    (nowhere / file).write_text(text)
    with pytest.raises(ConfigurationError, match=says) as caught:
        Settings(name="d")
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("DATABASE_PORT", "http", "^DATABASE_PORT: port: a port is"),
        ("DATABASE_POOL_SICE", "3", "^DATABASE_POOL_SICE: no such setting; did you mean DATABASE_POOL_SIZE"),
        ("DATABASE_COLOUR_OF_THE_SKY", "blue", "^DATABASE_COLOUR_OF_THE_SKY: no such setting"),
        ("SQLKIT_APLICATION_NAME", "x", "^SQLKIT_APLICATION_NAME: no such setting; did you mean"),
        ("POOL_TIMEOUT", "-1", "^POOL_TIMEOUT: pool_timeout: should be greater than 0"),
    ],
)
def test_errors_name_the_variable(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str) -> None:
    """What is wrong in the environment is named with the variable."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=says):
        Settings(name="d")


@pytest.mark.parametrize(
    "name", ["SQLKIT_TEST_DSN", "DATABASE_REPLICA_URL", "DATABASE_URL_UNPOOLED", "POSTGRES_INITDB_ARGS"]
)
def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What belongs to the tools, to another database or to a container's server is no setting, and no mistake."""
    monkeypatch.setenv(name, "x")
    assert Settings(name="d").name == "d"


def test_contradictions_in_one_source_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL and a part beside it that says otherwise cannot both be meant."""
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:{QUOTED}@h/d")
    monkeypatch.setenv("DATABASE_PASSWORD", "other")
    with pytest.raises(ConfigurationError, match="DATABASE_PASSWORD and DATABASE_URL contradict each other: password"):
        Settings()


def test_argument_ends_contradictions_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a URL is passed, it does not matter what weaker sources say of the database."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d")
    monkeypatch.setenv("DATABASE_USER", "other")
    assert Settings(url="postgresql://me@here/shop").dsn() == "postgresql://me@here/shop"


def test_missing_named_file_is_an_error() -> None:
    """A file that was named must be there."""
    with pytest.raises(ConfigurationError, match=r"missing.yml: no such file"):
        Settings(config_file="missing.yml", name="d")
    with pytest.raises(ConfigurationError, match=r"missing.env: no such file"):
        Settings(env_file="missing.env", name="d")


# The password.


def test_password_never_shows(caplog: pytest.LogCaptureFixture) -> None:
    """Neither repr nor str, of the settings or of what they hold, in a log or an error, shows the password."""
    caplog.set_level(logging.DEBUG)
    settings = Settings(url=f"postgresql://u:{QUOTED}@h/d?sslpassword={QUOTED}")
    logging.getLogger("sqlkit").info("%r %s %r", settings, settings.safe_dsn, {"dsn": settings.dsn()})
    shown = f"{settings!r} {settings} {settings.safe_dsn} {settings.model_dump(exclude={'parameters'})} {caplog.text}"
    assert "s3cr3t" not in shown
    assert settings.safe_dsn == "postgresql://u:***@h/d"
    assert isinstance(settings.dsn(), SecretDsn)


def test_replace_checks_again() -> None:
    """A changed setting is checked like any other, and the rest stays."""
    settings = Settings(url=f"postgresql://u:{QUOTED}@h/d", schema="app")
    changed = settings.replace(pool_max_size=20)
    assert (changed.pool_max_size, changed.schema, changed.dsn()) == (20, "app", settings.dsn())
    with pytest.raises(ConfigurationError, match=r"Settings\(pool_max_size=\)"):
        settings.replace(pool_max_size="many")


def test_settings_are_frozen_and_can_be_pickled() -> None:
    """Settings do not change under a pool, and go to another process whole."""
    settings = Settings(url=f"postgresql://u:{QUOTED}@h/d")
    with pytest.raises(ValueError, match="frozen"):
        settings.host = "other"
    assert pickle.loads(pickle.dumps(settings)).dsn() == settings.dsn()


def test_settings_load_lazily() -> None:
    """Importing sqlkit does not import pydantic-settings."""
    import subprocess
    import sys

    code = "import sqlkit, sys; sys.exit('pydantic_settings' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Replicas.

PRIMARY = f"postgresql://app:{QUOTED}@db1:5433,db2/shop?sslmode=prefer&target_session_attrs=read-write"


@pytest.mark.parametrize(
    ("replica", "expected"),
    [
        ("postgresql://db3", {"host": "db3"}),
        ("postgresql://db3:6000/archive", {"host": "db3", "port": "6000", "dbname": "archive"}),
        ("postgresql://reader:r@db3", {"host": "db3", "user": "reader", "password": "r"}),
        ("host=db3 sslmode=disable", {"host": "db3", "sslmode": "disable"}),
        ("postgresql:///?host=/run/replica&port=5433", {"host": "/run/replica", "port": "5433"}),
    ],
)
def test_a_replica_inherits_what_it_does_not_say(replica: str, expected: dict[str, str]) -> None:
    """A replica's DSN completes itself from the primary's, but for what chooses among servers."""
    settings = Settings(url=PRIMARY, replicas=[replica], schema="shop", statement_timeout=3)
    (found,) = settings.of_replicas()
    inherited = {"user": "app", "password": SECRET, "dbname": "shop", "sslmode": "prefer"}
    assert conninfo_to_dict(found.dsn()) == inherited | expected
    assert (found.schema, found.statement_timeout, found.replicas) == ("shop", 3, ())


def test_replicas_of_the_environment_and_the_config_file(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several replicas stand in one variable with blanks between, or in a list of config.yml."""
    (nowhere / "config.yml").write_text("database:\n  url: postgresql://db1/shop\n  replicas: [host=db2, host=db3]\n")
    assert [one.host for one in Settings().of_replicas()] == ["db2", "db3"]
    monkeypatch.setenv("DATABASE_REPLICAS", " postgresql://db4\n postgresql://db5 ")
    assert [one.host for one in Settings().of_replicas()] == ["db4", "db5"]


def test_a_url_takes_the_place_of_replicas_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replicas of one database are not those of another."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://db1/shop")
    monkeypatch.setenv("DATABASE_REPLICAS", "postgresql://db2")
    assert len(Settings().replicas) == 1
    assert Settings(url="postgresql://elsewhere/shop").replicas == ()


@pytest.mark.parametrize(
    ("replicas", "says"),
    [
        (["postgresql://db2,db3"], r"Settings\(replicas=\): \[0\]: a replica is one server; write one DSN for each"),
        (["postgresql://db2", "mysql://db3"], r"Settings\(replicas=\): \[1\]: not a PostgreSQL URL"),
        ("db2", r"Settings\(replicas=\): \[0\]: not a PostgreSQL URL"),
        (
            [f"postgresql://app:{SECRET}@db2"],
            r"Settings\(replicas=\): \[0\]: an @ or / inside the user or the password",
        ),
        ([3], r"Settings\(replicas=\): \[0\]: not a PostgreSQL URL"),
        (3, r"Settings\(replicas=\): should be a valid tuple"),
    ],
)
def test_impossible_replicas_are_named(replicas: Any, says: str) -> None:
    """A DSN that is none, or of several servers, is refused by its number and never quoted."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        Settings(url="postgresql://db1/shop", replicas=replicas)
    assert SECRET not in str(caught.value)


def test_passwords_of_replicas_never_show() -> None:
    """The repr of settings shows no password of a replica."""
    settings = Settings(url="postgresql://db1/shop", replicas=[f"postgresql://app:{QUOTED}@db2"])
    assert QUOTED not in f"{settings!r} {settings} {settings.of_replicas()!r}"
    assert SECRET not in f"{settings!r} {settings.of_replicas()[0].safe_dsn}"


def test_a_url_of_several_hosts_needs_no_ports() -> None:
    """Where a port is missing it is the default one, for each host or for some."""
    settings = Settings(url="postgresql://db1,db2/shop")
    assert (settings.host, settings.port) == ("db1,db2", None)
    assert settings.safe_dsn == "postgresql://db1,db2/shop"
    found = conninfo_to_dict(Settings(url="postgresql://db1:5433,db2/shop").dsn())
    assert (found["host"], found["port"]) == ("db1,db2", "5433,")
