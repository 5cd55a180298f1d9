"""``sqlkit health`` and the cache in Redis: told where it is named, and no matter for the status."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sqlkit.cli.app import app
from tests.redis_server import RedisServer, free_port


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, where nothing names a Redis."""
    for name in ("REDIS_URL", "REDIS_HOST", "REDIS_PORT", "REDIS_DB", "DATABASE_REPLICAS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_no_cache_is_named(dsn: str) -> None:
    """Where no Redis is named none is told of."""
    assert "cache" not in CliRunner().invoke(app, ["health", "--dsn", dsn]).stdout
    assert json.loads(CliRunner().invoke(app, ["health", "--dsn", dsn, "--json"]).stdout)["caches"] == []


def test_cache_that_answers(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that answers is told of."""
    redis = RedisServer(tmp_path)
    redis.start()
    try:
        monkeypatch.setenv("REDIS_URL", redis.url)
        done = CliRunner().invoke(app, ["health", "--dsn", dsn])
    finally:
        redis.kill()
    assert done.exit_code == 0
    assert done.stdout.endswith("\ncache redis: answers\n")


def test_cache_that_does_not_answer(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Redis that is away is told of without its password; calls go to the database, so the status is 0."""
    port = free_port()
    monkeypatch.setenv("REDIS_URL", f"redis://:secret@127.0.0.1:{port}/0?password=secret")
    done = CliRunner().invoke(app, ["health", "--dsn", dsn, "--within", "1"])
    assert done.exit_code == 0
    said = done.stdout.splitlines()[-1]
    assert said.startswith(f"cache redis: redis://***@127.0.0.1:{port}/0: ConnectionError")
    assert "start it, or mend REDIS_URL" in said
    assert "secret" not in done.output


@pytest.mark.parametrize(
    ("name", "value", "reason"), [("REDIS_PORT", "many", "REDIS_PORT"), ("REDIS_DB", "-1", "REDIS_DB")]
)
def test_cache_that_cannot_be(dsn: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str) -> None:
    """What cannot name a Redis is told with the setting that is wrong."""
    monkeypatch.setenv("REDIS_HOST", "127.0.0.1")
    monkeypatch.setenv(name, value)
    done = CliRunner().invoke(app, ["health", "--dsn", dsn])
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1].startswith(f"cache redis: {reason}: ")


def test_cache_without_its_extra(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where redis-py is not installed, that is what is told."""
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setitem(sys.modules, "redis", None)
    done = CliRunner().invoke(app, ["health", "--dsn", dsn])
    assert done.exit_code == 0
    assert "pip install 'sqlkit[redis]'" in done.stdout
