"""Each query of openai_frontend, in both colours, on a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors
from pydantic import ValidationError

import sqlkit
from sqlkit.apps import SQL
from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend import LogLevel, Role, asynchronous, queries
from sqlkit.operations import is_missing_partition, make_partitions
from tests.both_colours import Api, assert_colours_agree, opened, untested

TOPICS = ("users", "refresh_tokens", "api_keys", "logs", "usage")
HASH = "$argon2id$v=19$not-a-real-one"
NOBODY = 2**62
HOUR = timedelta(hours=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(params=["sync", "async"])
def api(request: pytest.FixtureRequest, frontend_shared_dsn: str) -> Iterator[Api]:
    """Give openai_frontend's queries on a connection in a transaction that is rolled back."""
    yield from opened(request.param, frontend_shared_dsn, queries, asynchronous, TOPICS)


def user_of(api: Api, name: str = "ella", **facts: Any) -> frontend.User:
    """Create a user."""
    new = frontend.NewUser(username=name, email=f"{name}@example.org", hashed_password=HASH, **facts)
    created: frontend.User = api.users.create_user(user=new)
    return created


# Users


def test_create_user(api: Api) -> None:
    """A created user comes back with their id, active, without the hash of the password."""
    user = user_of(api, role=Role.ADMIN)
    assert (user.username, user.email, user.role, user.is_active) == ("ella", "ella@example.org", Role.ADMIN, True)
    assert user.created_at == user.updated_at
    assert HASH not in repr(user)


@pytest.mark.parametrize(("field", "constraint"), [("username", "users_username_key"), ("email", "users_email_key")])
def test_create_user_twice(api: Api, field: str, constraint: str) -> None:
    """A taken username or email is refused by the constraint's name."""
    user = user_of(api)
    fresh = {"username": "new", "email": "new@x", "hashed_password": HASH}
    with pytest.raises(errors.UniqueViolation) as refused:
        api.users.create_user(user=frontend.NewUser(**fresh | {field: getattr(user, field)}))
    assert refused.value.diag.constraint_name == constraint


def test_get_user(api: Api) -> None:
    """One user is found by each of their keys, and nobody by a key that nobody has."""
    user = user_of(api)
    user_of(api, "other")
    assert api.users.get_user(user_id=user.user_id) == user
    assert api.users.get_user_by_username(username="ella") == user
    assert api.users.get_user_by_email(email="ella@example.org") == user
    assert api.users.get_credentials(username="ella").model_dump() == {
        "user_id": user.user_id,
        "hashed_password": HASH,
        "is_active": True,
    }
    assert api.users.get_user(user_id=NOBODY) is None
    assert api.users.get_user_by_username(username="Ella") is None
    assert api.users.get_user_by_email(email="nobody@x") is None
    assert api.users.get_credentials(username="nobody") is None


def test_list_users(api: Api) -> None:
    """Pages of users, by skip and by keyset, narrowed by role and by whether they are active."""
    made = [user_of(api, f"u{n}", role=Role.SERVICE if n == 3 else Role.USER) for n in range(5)]
    assert api.users.list_users() == made
    assert api.users.list_users(limit=2, skip=2) == made[2:4]
    assert api.users.list_users(limit=9, after=made[2].user_id) == made[3:]
    assert api.users.list_users(role=Role.SERVICE) == [made[3]]
    idle = api.users.update_user(user_id=made[0].user_id, changes=frontend.UserChanges(is_active=False))
    assert api.users.list_users(is_active=False) == [idle]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"username": "new"},
        {"email": "new@x"},
        {"role": Role.ADMIN},
        {"is_active": False},
        {"username": "new", "email": "new@x", "role": Role.SERVICE, "is_active": False},
    ],
)
def test_update_user(api: Api, changes: dict[str, Any]) -> None:
    """The fields that are given are written, all others stay, and nobody else changes."""
    user, other = user_of(api), user_of(api, "other")
    updated = api.users.update_user(user_id=user.user_id, changes=frontend.UserChanges(**changes))
    assert updated == user.model_copy(update=changes)
    assert api.users.get_user(user_id=user.user_id) == updated
    assert api.users.get_user(user_id=other.user_id) == other


def test_update_password(api: Api) -> None:
    """Another hash is written as any other field is."""
    user = user_of(api)
    api.users.update_user(user_id=user.user_id, changes=frontend.UserChanges(hashed_password="$new"))
    assert api.users.get_credentials(username="ella").hashed_password == "$new"


def test_updates_and_removals_of_nobody(api: Api) -> None:
    """What does not exist is neither updated nor removed: None."""
    assert api.users.update_user(user_id=NOBODY, changes=frontend.UserChanges(is_active=False)) is None
    assert api.users.remove_user(user_id=NOBODY) is None
    assert api.api_keys.update_api_key(api_key_id=NOBODY, changes=frontend.ApiKeyChanges(name="n")) is None
    assert api.api_keys.revoke_api_key(api_key_id=NOBODY) is None
    assert api.api_keys.remove_api_key(api_key_id=NOBODY) is None


def test_remove_user(api: Api) -> None:
    """A removed user comes back a last time, and their tokens are gone, replaced ones too."""
    user = user_of(api)
    issue(api, user, 1)
    api.refresh_tokens.replace_token(token_hash=digest(1), next_hash=digest(2), lifetime=HOUR)
    assert api.users.remove_user(user_id=user.user_id) == user
    assert api.execute("select count(*) from refresh_tokens") == [(0,)]


def test_remove_user_who_has_keys(api: Api) -> None:
    """A user who has API keys is not removed by accident."""
    user = user_of(api)
    key_of(api, user)
    with pytest.raises(errors.ForeignKeyViolation):
        api.users.remove_user(user_id=user.user_id)


# Refresh tokens


def digest(number: int) -> bytes:
    """Return a digest."""
    return bytes([number]) * 32


def issue(api: Api, user: frontend.User, number: int) -> frontend.RefreshToken:
    """Issue a token."""
    new = frontend.NewRefreshToken(user_id=user.user_id, token_hash=digest(number), lifetime=HOUR)
    issued: frontend.RefreshToken = api.refresh_tokens.issue_token(token=new)
    return issued


def test_issue_and_get_token(api: Api) -> None:
    """A token begins a family of its own, and lasts as long as was said."""
    user = user_of(api)
    one, two = issue(api, user, 1), issue(api, user, 2)
    assert one.expires_at - one.issued_at == HOUR
    assert one.family != two.family
    assert (one.revoked_at, one.replaced_by) == (None, None)
    assert api.refresh_tokens.get_token(token_hash=digest(1)) == one
    assert api.refresh_tokens.get_token(token_hash=digest(9)) is None
    assert api.refresh_tokens.list_tokens(user_id=user.user_id) == [two, one]


def test_replace_token(api: Api) -> None:
    """The next token is of the same family and user; the one before is revoked, and says by which it was replaced."""
    user = user_of(api)
    first = issue(api, user, 1)
    assert api.refresh_tokens.lock_family(token_hash=digest(1)) == [first.family]
    second = api.refresh_tokens.replace_token(token_hash=digest(1), next_hash=digest(2), lifetime=2 * HOUR)
    assert (second.user_id, second.family) == (user.user_id, first.family)
    assert second.expires_at - second.issued_at == 2 * HOUR
    given = api.refresh_tokens.get_token(token_hash=digest(1))
    assert (given.replaced_by, given.revoked_at is None) == (second.refresh_token_id, False)
    assert api.refresh_tokens.list_tokens(user_id=user.user_id) == [second]
    assert api.refresh_tokens.lock_family(token_hash=digest(1)) == [first.family] * 2
    assert api.refresh_tokens.lock_family(token_hash=digest(9)) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        "update refresh_tokens set revoked_at = now()",
        "update refresh_tokens set issued_at = now() - interval '2 h', expires_at = now() - interval '1 h'",
        "update users set is_active = false",
        "delete from refresh_tokens",
    ],
)
def test_tokens_that_are_not_replaced(api: Api, spoilt: str) -> None:
    """A token that is revoked, expired, of an idle user or unknown is not replaced, and nothing is issued."""
    issue(api, user_of(api), 1)
    api.execute(spoilt)
    assert api.refresh_tokens.replace_token(token_hash=digest(1), next_hash=digest(2), lifetime=HOUR) is None
    assert api.refresh_tokens.get_token(token_hash=digest(2)) is None


def test_revoke(api: Api) -> None:
    """A family, or all of a user's tokens, are revoked once; others stay good."""
    user, other = user_of(api), user_of(api, "other")
    first = issue(api, user, 1)
    issue(api, user, 2)
    kept = issue(api, other, 3)
    assert api.refresh_tokens.revoke_family(family=first.family) == 1
    assert api.refresh_tokens.revoke_family(family=first.family) == 0
    assert api.refresh_tokens.revoke_tokens_of_user(user_id=user.user_id) == 1
    assert api.refresh_tokens.list_tokens(user_id=user.user_id) == []
    assert api.refresh_tokens.list_tokens(user_id=other.user_id) == [kept]


def test_cleanup_expired_tokens(api: Api) -> None:
    """Expired tokens are deleted, also one that a good one replaced; those that last stay."""
    user = user_of(api)
    issue(api, user, 1)
    api.refresh_tokens.replace_token(token_hash=digest(1), next_hash=digest(2), lifetime=HOUR)
    api.execute(
        "update refresh_tokens set issued_at = now() - interval '2 h', expires_at = now() - interval '1 h' "
        "where token_hash = %s",
        digest(2),
    )
    assert api.refresh_tokens.cleanup_expired_tokens() == 1
    assert api.refresh_tokens.cleanup_expired_tokens() == 0
    assert api.refresh_tokens.get_token(token_hash=digest(1)).replaced_by is None


# API keys


def key_of(api: Api, user: frontend.User, number: int = 1, **facts: Any) -> frontend.ApiKey:
    """Create a key."""
    known: dict[str, Any] = {"user_id": user.user_id, "name": f"key {number}", "scopes": ["chat"]}
    secret = frontend.KeyDigest(key_prefix="sk_abcd", key_hash=digest(number))
    created: frontend.ApiKey = api.api_keys.create_api_key(key=frontend.NewApiKey(**known | facts), digest=secret)
    return created


def test_create_and_get_api_key(api: Api) -> None:
    """A created key comes back with all but itself, active, never used."""
    user = user_of(api)
    later = TODAY + timedelta(days=30)
    key = key_of(api, user, expires_at=later)
    assert (key.name, key.key_prefix, key.scopes, key.is_active) == ("key 1", "sk_abcd", ["chat"], True)
    assert (key.expires_at, key.last_used_at, key.revoked_at) == (later, None, None)
    assert api.api_keys.get_api_key(api_key_id=key.api_key_id) == key
    assert api.api_keys.get_api_key(api_key_id=NOBODY) is None


def test_create_api_key_of_nobody(api: Api) -> None:
    """A key needs a user who exists."""
    with pytest.raises(errors.ForeignKeyViolation):
        key_of(api, user_of(api), user_id=NOBODY)


def test_verify_api_key(api: Api) -> None:
    """A good key says whose it is and what it may do, and its use is noted."""
    user = user_of(api, role=Role.SERVICE)
    key = key_of(api, user)
    found = api.api_keys.verify_api_key(key_hash=digest(1))
    assert found.model_dump() == {
        "api_key_id": key.api_key_id,
        "user_id": user.user_id,
        "name": "key 1",
        "scopes": ["chat"],
        "role": Role.SERVICE,
    }
    assert api.api_keys.get_api_key(api_key_id=key.api_key_id).last_used_at is not None
    assert api.api_keys.verify_api_key(key_hash=digest(2)) is None


@pytest.mark.parametrize(("ago", "noted"), [("59 seconds", False), ("61 seconds", True)])
def test_use_is_noted_once_a_minute(api: Api, ago: str, noted: bool) -> None:
    """A use within a minute of the last note writes nothing."""
    key = key_of(api, user_of(api))
    api.execute("update api_keys set last_used_at = now() - %s::interval", ago)
    (before,) = api.execute("select ctid, last_used_at from api_keys")
    assert api.api_keys.verify_api_key(key_hash=digest(1)).api_key_id == key.api_key_id
    (after,) = api.execute("select ctid, last_used_at from api_keys")
    assert (before != after) is noted


@pytest.mark.parametrize(
    "spoilt",
    [
        "update api_keys set is_active = false",
        "update api_keys set is_active = false, revoked_at = now()",
        "update api_keys set created_at = now() - interval '2 h', expires_at = now() - interval '1 h'",
        "update users set is_active = false",
        "delete from api_keys",
    ],
)
def test_keys_that_are_not_good(api: Api, spoilt: str) -> None:
    """A key that is idle, revoked, expired, of an idle user or unknown is not verified, and no use is noted."""
    key_of(api, user_of(api))
    api.execute(spoilt)
    assert api.api_keys.verify_api_key(key_hash=digest(1)) is None
    assert api.execute("select 1 from api_keys where last_used_at is not null") == []


def test_list_api_keys(api: Api) -> None:
    """Pages of keys, of a user or of all, by skip and by keyset."""
    user, other = user_of(api), user_of(api, "other")
    made = [key_of(api, user, n) for n in range(3)]
    foreign = key_of(api, other, 9)
    assert api.api_keys.list_api_keys() == [*made, foreign]
    assert api.api_keys.list_api_keys(user_id=user.user_id, limit=2) == made[:2]
    assert api.api_keys.list_api_keys(user_id=user.user_id, limit=2, skip=2) == made[2:]
    assert api.api_keys.list_api_keys(user_id=user.user_id, after=made[0].api_key_id) == made[1:]
    revoked = api.api_keys.revoke_api_key(api_key_id=made[0].api_key_id)
    assert api.api_keys.list_api_keys(is_active=False) == [revoked]


@pytest.mark.parametrize(
    "changes", [{}, {"name": "new"}, {"scopes": []}, {"is_active": False}, {"expires_at": None}, {"scopes": ["a", "b"]}]
)
def test_update_api_key(api: Api, changes: dict[str, Any]) -> None:
    """The fields that are given are written, None clears, all others stay."""
    key = key_of(api, user_of(api), expires_at=TODAY + timedelta(days=30))
    updated = api.api_keys.update_api_key(api_key_id=key.api_key_id, changes=frontend.ApiKeyChanges(**changes))
    assert updated == key.model_copy(update=changes)


def test_revoke_api_key(api: Api) -> None:
    """A revoked key is good no more, keeps the time at which it was revoked, and is never active again."""
    key = key_of(api, user_of(api))
    revoked = api.api_keys.revoke_api_key(api_key_id=key.api_key_id)
    assert (revoked.is_active, revoked.revoked_at is None) == (False, False)
    assert api.api_keys.verify_api_key(key_hash=digest(1)) is None
    api.execute("update api_keys set revoked_at = now() - interval '1 d'")
    (then,) = api.execute("select revoked_at from api_keys")
    assert (api.api_keys.revoke_api_key(api_key_id=key.api_key_id).revoked_at,) == then
    with pytest.raises(errors.CheckViolation) as refused:
        api.api_keys.update_api_key(api_key_id=key.api_key_id, changes=frontend.ApiKeyChanges(is_active=True))
    assert refused.value.diag.constraint_name == "api_keys_revoked_at_is_active_check"


def test_remove_api_key(api: Api) -> None:
    """A removed key comes back a last time."""
    key = key_of(api, user_of(api))
    assert api.api_keys.remove_api_key(api_key_id=key.api_key_id) == key
    assert api.api_keys.get_api_key(api_key_id=key.api_key_id) is None


# Logs


def line_of(
    message: str = "hello", minutes: float = 0, level: LogLevel = LogLevel.INFO, **facts: Any
) -> frontend.NewLogLine:
    """Return a line of today, so many minutes after midnight."""
    known: dict[str, Any] = {
        "level": level,
        "logger": "app",
        "message": message,
        "created_at": TODAY + timedelta(minutes=minutes),
    }
    return frontend.NewLogLine(**known | facts)


SINCE, UNTIL = TODAY, TODAY + timedelta(days=1)


def test_write_log(api: Api) -> None:
    """A written line comes back as it was given, with its context."""
    line = line_of("é\n'%", context={"a": [1, None, {"b": "c"}]}, level=LogLevel.CRITICAL)
    written = api.logs.write_log(line=line)
    assert written.model_dump(exclude={"log_id"}) == line.model_dump()
    assert api.logs.list_logs(since=SINCE, until=UNTIL) == [written]


def test_write_log_without_a_partition(api: Api) -> None:
    """A line of a month without a partition is refused in a way that tells it from a CHECK."""
    with pytest.raises(errors.CheckViolation) as refused:
        api.logs.write_log(line=line_of(created_at=datetime(2005, 12, 4, tzinfo=UTC)))
    assert is_missing_partition(refused.value, frontend.LOGS)


def test_copy_logs(api: Api) -> None:
    """A copy says how many lines went in, and they are there, the newest first."""
    lines = [line_of(f"m{n}", n, context={"n": n}) for n in range(3)]
    assert api.logs.copy_logs(lines) == 3
    assert api.logs.copy_logs([]) == 0
    found = api.logs.list_logs(since=SINCE, until=UNTIL)
    assert [line.model_dump(exclude={"log_id"}) for line in found] == [line.model_dump() for line in lines[::-1]]


def test_list_logs(api: Api) -> None:
    """Lines are narrowed by time, level, logger and text, and paged by keyset, also where times are equal."""
    levels = list(LogLevel)
    api.logs.copy_logs([line_of(f"Message {n}", n // 2, levels[n], logger=f"app.{n % 2}") for n in range(5)])
    whole = api.logs.list_logs(since=SINCE, until=UNTIL)
    assert len(whole) == 5
    page = api.logs.list_logs(since=SINCE, until=UNTIL, limit=2)
    rest = api.logs.list_logs(since=SINCE, until=UNTIL, limit=9, after=page[-1])
    assert page + rest == whole
    grave = api.logs.list_logs(since=SINCE, until=UNTIL, at_least=LogLevel.ERROR)
    assert [line.level for line in grave] == [LogLevel.CRITICAL, LogLevel.ERROR]
    assert len(api.logs.list_logs(since=SINCE, until=UNTIL, logger="app.1")) == 2
    assert len(api.logs.list_logs(since=SINCE, until=UNTIL, containing="MESSAGE 3")) == 1
    assert api.logs.list_logs(since=SINCE, until=UNTIL, containing="%") == []
    first_minute = api.logs.list_logs(since=SINCE, until=SINCE + timedelta(minutes=1))
    assert first_minute == whole[-2:]


def test_count_logs(api: Api) -> None:
    """Lines are counted by level, the gravest first, and by day of UTC and logger."""
    half_past = TODAY + timedelta(hours=23, minutes=30)
    api.logs.copy_logs([line_of(), line_of(level=LogLevel.ERROR), line_of(logger="b", created_at=half_past)])
    counted = api.logs.count_logs_by_level(since=SINCE, until=UNTIL)
    assert [(count.level, count.lines) for count in counted] == [(LogLevel.ERROR, 1), (LogLevel.INFO, 2)]
    api.execute("set local timezone = 'Asia/Tokyo'")
    days = api.logs.count_logs_by_day(since=SINCE, until=UNTIL)
    assert [(count.day, count.logger, count.lines) for count in days] == [
        (TODAY.date(), "app", 2),
        (TODAY.date(), "b", 1),
    ]


# Usage


def call_of(minutes: float = 0, **facts: Any) -> frontend.NewUsage:
    """Return a call of today, so many minutes after midnight."""
    known: dict[str, Any] = {
        "user_id": 1,
        "endpoint": "/v1/chat/completions",
        "model": "small",
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "cost": Decimal("0.0123456789"),
        "status_code": 200,
        "latency_ms": 120,
        "created_at": TODAY + timedelta(minutes=minutes),
    }
    return frontend.NewUsage(**known | facts)


def test_record_usage(api: Api) -> None:
    """A noted call comes back as it was given, with the sum of its tokens, and its cost to the last digit."""
    call = call_of(api_key_id=7)
    noted = api.usage.record_usage(call=call)
    assert noted.model_dump(exclude={"usage_id", "total_tokens"}) == call.model_dump()
    assert (noted.total_tokens, noted.cost) == (15, Decimal("0.0123456789"))
    assert api.usage.list_usage(since=SINCE, until=UNTIL) == [noted]


def test_record_usage_without_a_partition(api: Api) -> None:
    """A call of a month without a partition is refused in a way that tells it from a CHECK."""
    with pytest.raises(errors.CheckViolation) as refused:
        api.usage.record_usage(call=call_of(created_at=datetime(2005, 12, 4, tzinfo=UTC)))
    assert is_missing_partition(refused.value, frontend.USAGE)


def test_copy_and_list_usage(api: Api) -> None:
    """Calls are copied in, narrowed by user, key and model, and paged by keyset."""
    calls = [call_of(n // 2, user_id=n % 2, api_key_id=n or None, model=f"m{n % 3}") for n in range(6)]
    assert api.usage.copy_usage(calls) == 6
    whole = api.usage.list_usage(since=SINCE, until=UNTIL)
    assert len(whole) == 6
    page = api.usage.list_usage(since=SINCE, until=UNTIL, limit=3)
    assert page + api.usage.list_usage(since=SINCE, until=UNTIL, after=page[-1]) == whole
    assert {call.user_id for call in api.usage.list_usage(since=SINCE, until=UNTIL, user_id=1)} == {1}
    assert len(api.usage.list_usage(since=SINCE, until=UNTIL, api_key_id=4)) == 1
    assert len(api.usage.list_usage(since=SINCE, until=UNTIL, model="m0")) == 2
    assert len(api.usage.list_usage(since=SINCE, until=SINCE + timedelta(minutes=1))) == 2


def test_usage_summed_up(api: Api) -> None:
    """Calls, tokens and money are summed by day and model, by model, by user, and together."""
    api.usage.copy_usage(
        [
            call_of(cost=Decimal("0.1")),
            call_of(cost=Decimal("0.2"), user_id=2),
            call_of(model="large", prompt_tokens=100, cost=Decimal(3), created_at=TODAY + timedelta(hours=23)),
        ]
    )
    span: dict[str, Any] = {"since": SINCE, "until": UNTIL}
    api.execute("set local timezone = 'Asia/Tokyo'")
    days = [(row.day, row.model, row.calls, row.total_tokens, row.cost) for row in api.usage.usage_per_day(**span)]
    today: date = TODAY.date()
    assert days == [(today, "large", 1, 105, Decimal(3)), (today, "small", 2, 30, Decimal("0.3"))]
    models = [(row.model, row.prompt_tokens, row.completion_tokens) for row in api.usage.usage_per_model(**span)]
    assert models == [("large", 100, 5), ("small", 20, 10)]
    assert [(row.user_id, row.cost) for row in api.usage.usage_per_user(**span)] == [
        (1, Decimal("3.1")),
        (2, Decimal("0.2")),
    ]
    assert [row.user_id for row in api.usage.usage_per_user(**span, limit=1)] == [1]
    assert [row.user_id for row in api.usage.usage_per_user(**span, model="small")] == [2, 1]
    assert [row.model for row in api.usage.usage_per_model(**span, user_id=2)] == ["small"]
    assert len(api.usage.usage_per_day(**span, user_id=2)) == 1
    assert api.usage.get_total_usage(**span).cost == Decimal("3.3")
    assert api.usage.get_total_usage(**span, user_id=2).calls == 1


def test_no_usage(api: Api) -> None:
    """Where there is no use the sums are zeros and the lists are empty."""
    span: dict[str, Any] = {"since": SINCE, "until": UNTIL}
    total = api.usage.get_total_usage(**span, api_key_id=NOBODY)
    assert total.model_dump() == dict.fromkeys(total.model_dump(), 0)
    assert api.usage.usage_per_day(**span) == []


PRUNED = [
    ("usage", "usage_per_day"),
    ("usage", "usage_per_model"),
    ("usage", "usage_per_user"),
    ("usage", "get_total_usage"),
    ("usage", "list_usage"),
    ("logs", "list_logs"),
    ("logs", "count_logs_by_level"),
    ("logs", "count_logs_by_day"),
]


@pytest.mark.parametrize(("topic", "query"), PRUNED)
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_only_the_partitions_that_are_needed(frontend_shared_dsn: str, topic: str, query: str, mode: str) -> None:
    """A query over two days reads one partition of twenty-four, whether the server plans for the values or not."""
    statement = next(one for one in sqlkit.read_statements(SQL / f"openai_frontend/{topic}.sql") if one.name == query)
    text = re.sub(r"\n[^\n]*--\? optional", "", statement.text)
    text = text.replace(":since", "$1").replace(":until", "$2").replace(":limit", "10")
    with psycopg.connect(frontend_shared_dsn) as conn:
        table = frontend.USAGE if topic == "usage" else frontend.LOGS
        make_partitions(conn, table, [datetime(2026 + n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(24)])
        conn.execute(f"set local plan_cache_mode = {mode}")
        conn.execute(f"prepare pruned (timestamptz, timestamptz) as {text}")
        plan = "\n".join(
            line
            for (line,) in conn.execute(
                "explain (analyze, costs off, timing off) execute pruned ('2027-03-05', '2027-03-07')"
            )
        )
        conn.rollback()
    read = set(re.findall(rf"(?:on|using \w+ on) ({topic}_\d\d\d\d_\d\d)\b(?![^\n]*never executed)", plan))
    assert read == {f"{topic}_2027_03"}, plan


@pytest.mark.parametrize(("model", "field"), [(frontend.UserChanges, "email"), (frontend.ApiKeyChanges, "scopes")])
def test_none_where_a_column_takes_none(model: Any, field: str) -> None:
    """A change to None of a column that takes no NULL is refused before it is sent."""
    with pytest.raises(ValidationError):
        model(**{field: None})


@pytest.mark.parametrize("topic", TOPICS)
def test_colours_agree(topic: str) -> None:
    """Both colours have the same queries with the same parameters, rows and docstrings, for every statement."""
    assert_colours_agree(queries, asynchronous, topic, SQL / f"openai_frontend/{topic}.sql")


@pytest.mark.parametrize("topic", TOPICS)
def test_every_query_is_tested_here(topic: str) -> None:
    """No statement of openai_frontend is without a call in this file."""
    assert untested(SQL / f"openai_frontend/{topic}.sql", "test_openai_frontend_queries.py") == set()


def test_names_of_the_old_functions() -> None:
    """Each new name in the table of openai_frontend's docstring is there."""
    words = re.findall(rf"\b(?:{'|'.join(TOPICS)})\.\w+", frontend.__doc__ or "")
    assert len(set(words)) >= 4
    for word in words:
        topic, query = word.split(".")
        assert callable(getattr(getattr(frontend, topic), query)), word
