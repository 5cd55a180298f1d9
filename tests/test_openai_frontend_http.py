"""openai_frontend over HTTP, under uvicorn: logins, keys, calls that are noted, and a page true to the models."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import pytest

from sqlkit.apps import openai_frontend as frontend
from sqlkit.apps.openai_frontend.http import create_app
from sqlkit.apps.openai_frontend.http.callers import sealed
from sqlkit.apps.openai_frontend.settings import OpenaiFrontendSettings
from sqlkit.security import Cipher
from tests.serving import served

PASSWORD = "correct horse battery staple"
SECRET = Cipher.new_key()
PROMPT = {"model": "small", "messages": [{"role": "user", "content": "How are you today?"}]}

pytestmark = pytest.mark.usefixtures("cheap_passwords")


@pytest.fixture
def client(frontend_dsn: str) -> Iterator[httpx.Client]:
    """Give a client of the application."""
    app = create_app(OpenaiFrontendSettings(url=frontend_dsn, pool_min_size=1), secret=SECRET)
    with served(app) as found:
        yield found


def bearer(token: str) -> dict[str, str]:
    """Return the headers of a request with a token or a key."""
    return {"Authorization": f"Bearer {token}"}


def joined(client: httpx.Client, username: str = "ella") -> dict[str, Any]:
    """Register and log in; return the tokens."""
    account = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
    assert client.post("/users", json=account).status_code == 201
    answer = client.post("/login", json={"username": username, "password": PASSWORD})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def key_of(client: httpx.Client, headers: dict[str, str], **facts: Any) -> dict[str, Any]:
    """Issue a key."""
    answer = client.post("/keys", json={"name": "build server", **facts}, headers=headers)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def eventually(client: httpx.Client, path: str, headers: dict[str, str], wanted: Any) -> Any:
    """Ask until the answer satisfies; what is noted after an answer takes a moment."""
    deadline = time.monotonic() + 5
    while not wanted(found := client.get(path, headers=headers).json()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def test_a_database_that_is_empty(dsn: str) -> None:
    """The application brings its database to the newest schema when it starts."""
    with served(create_app(OpenaiFrontendSettings(url=dsn, pool_min_size=1))) as client:
        assert joined(client)["token_type"] == "bearer"


def test_log_in_refresh_and_log_out(client: httpx.Client) -> None:
    """A login gives an access token, a refresh token the next ones; used twice it ends the whole login."""
    tokens = joined(client)
    me = client.get("/me", headers=bearer(tokens["access_token"]))
    assert set(me.json()) == set(frontend.User.model_fields)
    following = client.post("/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    assert client.get("/me", headers=bearer(following["access_token"])).json() == me.json()
    again = client.post("/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert (again.status_code, "used before" in again.json()["detail"]) == (401, True)
    assert client.post("/refresh", json={"refresh_token": following["refresh_token"]}).status_code == 401
    fresh = client.post("/login", json={"username": "ella", "password": PASSWORD}).json()
    assert client.post("/logout", json={"refresh_token": fresh["refresh_token"]}).status_code == 204
    assert client.post("/refresh", json={"refresh_token": fresh["refresh_token"]}).status_code == 401


def test_a_token_used_at_once(client: httpx.Client) -> None:
    """Of requests that bring one refresh token at once exactly one gets the next."""
    given = {"refresh_token": joined(client)["refresh_token"]}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post("/refresh", json=given).status_code, range(8)))
    assert sorted(answers) == [200] + [401] * 7


def test_what_is_refused(client: httpx.Client) -> None:
    """No token, a wrong one, one that is over, a wrong password and a taken name have their statuses."""
    tokens = joined(client)
    cipher = Cipher(SECRET)
    over = str(cipher.encrypt('{"user_id": 1, "until": 1}'))
    for token in ("sk_nonsense", "nonsense", over, sealed(Cipher(Cipher.new_key()), 1), sealed(cipher, 2**40)):
        answer = client.get("/me", headers=bearer(token))
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer"), token
    assert client.get("/me").status_code == 401
    assert client.post("/login", json={"username": "ella", "password": "another one"}).status_code == 401
    taken = client.post("/users", json={"username": "ella", "email": "x@y", "password": PASSWORD})
    assert (taken.status_code, taken.json()["constraint"]) == (409, "users_username_key")
    for path in ("/usage/users", "/logs"):
        assert client.get(path, headers=bearer(tokens["access_token"])).status_code == 403


NO_INPUT: list[tuple[str, Any]] = [
    ("/users", {"username": "", "email": "a@b", "password": PASSWORD}),
    ("/users", {"username": "a\0", "email": "a@b", "password": PASSWORD}),
    ("/users", {"username": "a", "email": "nobody", "password": PASSWORD}),
    ("/users", {"username": "a", "email": "a@b", "password": PASSWORD, "role": "admin"}),
    ("/login", {"username": "a\0", "password": PASSWORD}),
    ("/keys", {"name": ""}),
    ("/keys", {"name": "n", "scopes": [""]}),
    ("/keys", {"name": "n", "expires_at": "2005-12-04T00:00:00Z"}),
    ("/keys", {"name": "n", "expires_at": "2099-12-04T00:00:00"}),
    ("/keys", {"name": "n", "user_id": 1}),
    ("/v1/chat/completions", {"model": "small", "messages": []}),
]


def test_input_that_is_no_input(client: httpx.Client) -> None:
    """What the models refuse is unprocessable."""
    headers = bearer(joined(client)["access_token"])
    for path, body in NO_INPUT:
        assert client.post(path, json=body, headers=headers).status_code == 422, (path, body)


def test_keys(client: httpx.Client) -> None:
    """A key is shown once, listed without itself, changed and revoked by its owner alone, and makes no others."""
    headers, others = bearer(joined(client)["access_token"]), bearer(joined(client, "other")["access_token"])
    issued = key_of(client, headers, scopes=["chat"])
    row = frontend.ApiKey.model_validate(issued["api_key"])
    assert client.get("/me", headers=bearer(issued["key"])).json()["username"] == "ella"
    listed = client.get("/keys", headers=headers)
    assert [key["api_key_id"] for key in listed.json()["items"]] == [row.api_key_id]
    assert issued["key"] not in listed.text
    assert client.post("/keys", json={"name": "n"}, headers=bearer(issued["key"])).status_code == 403
    path = f"/keys/{row.api_key_id}"
    assert client.get("/keys", headers=others).json()["items"] == []
    assert client.delete(path, headers=others).status_code == 404
    assert client.patch(path, json={"name": "laptop"}, headers=headers).json()["name"] == "laptop"
    assert client.delete(path, headers=headers).json()["revoked_at"] is not None
    again = client.patch(path, json={"is_active": True}, headers=headers)
    assert (again.status_code, again.json()["constraint"]) == (422, "api_keys_revoked_at_is_active_check")
    assert client.get("/me", headers=bearer(issued["key"])).status_code == 401


def test_pages_of_keys(client: httpx.Client) -> None:
    """The pages of the keys give each once; a token of another list is refused."""
    headers = bearer(joined(client)["access_token"])
    for number in range(5):
        key_of(client, headers, name=f"key {number}")
    first = client.get("/keys", params={"limit": 3}, headers=headers).json()
    rest = client.get("/keys", params={"limit": 3, "after": first["next"]}, headers=headers).json()
    assert [key["name"] for key in first["items"] + rest["items"]] == [f"key {number}" for number in range(5)]
    assert rest["next"] is None
    assert client.get("/keys", params={"after": "nonsense"}, headers=headers).status_code == 400


def test_calls_are_noted(client: httpx.Client) -> None:
    """Concurrent calls with a key are each answered and noted, with their tokens and their cost."""
    headers = bearer(joined(client)["access_token"])
    key = bearer(key_of(client, headers, scopes=["chat"])["key"])

    def call(number: int) -> int:
        body = PROMPT | {"model": "large" if number % 4 == 0 else "small"}
        answer = client.post("/v1/chat/completions", json=body, headers=key)
        assert answer.json()["prompt_tokens"] == 4
        return answer.status_code

    with ThreadPoolExecutor(10) as pool:
        assert list(pool.map(call, range(40))) == [200] * 40
    total = eventually(client, "/usage", headers, lambda found: found["calls"] == 40)
    assert (total["calls"], total["total_tokens"]) == (40, 40 * 8)
    models = client.get("/usage/models", headers=headers).json()
    assert [(row["model"], row["calls"], Decimal(row["cost"])) for row in models] == [
        ("large", 10, Decimal("0.0008")),
        ("small", 30, Decimal("0.00012")),
    ]
    assert len(client.get("/usage/days", headers=headers).json()) >= 2
    assert client.get("/usage", headers=bearer(joined(client, "other")["access_token"])).json()["calls"] == 0


def test_calls_that_are_refused(client: httpx.Client) -> None:
    """A key without the scope may not chat, and a model that is not there is not found; neither is noted."""
    headers = bearer(joined(client)["access_token"])
    key = bearer(key_of(client, headers, scopes=["embeddings"])["key"])
    assert client.post("/v1/chat/completions", json=PROMPT, headers=key).status_code == 403
    assert client.post("/v1/chat/completions", json=PROMPT | {"model": "none"}, headers=headers).status_code == 404
    assert client.get("/usage", headers=headers).json()["calls"] == 0


def test_logs_and_usage_for_administrators(client: httpx.Client, frontend_dsn: str) -> None:
    """What the application logs is in the database; administrators read it, and what everybody used."""
    headers = bearer(joined(client)["access_token"])
    assert client.post("/v1/chat/completions", json=PROMPT, headers=headers).status_code == 200
    with psycopg.connect(frontend_dsn) as conn:
        conn.execute("update users set role = 'admin'")
    page = eventually(client, "/logs?logger=openai_frontend", headers, lambda found: found["items"])
    line = frontend.LogLine.model_validate(page["items"][0])
    assert (line.message, line.level) == ("small: 8 tokens", frontend.LogLevel.INFO)
    assert line.context["user_id"] == 1
    (used,) = client.get("/usage/users", headers=headers).json()
    assert used["calls"] == 1
    assert client.get("/logs", params={"at_least": "error"}, headers=headers).json()["items"] == []
    assert client.get("/logs", params={"since": "2026-01-01T00:00:00"}, headers=headers).status_code == 422


def test_the_log_is_given_back(frontend_dsn: str) -> None:
    """An application that has ended leaves no handler behind, and what it logged last is in the database."""
    log = logging.getLogger("openai_frontend")
    with served(create_app(OpenaiFrontendSettings(url=frontend_dsn, pool_min_size=1))):
        log.info("the last words")
    assert not [handler for handler in log.handlers if isinstance(handler, frontend.DatabaseLogHandler)]
    with psycopg.connect(frontend_dsn) as conn:
        assert conn.execute("select message from logs").fetchall() == [("the last words",)]


def test_openapi_is_true_to_the_models(client: httpx.Client) -> None:
    """The page describes each row with the very fields of its model, and no hash is in it."""
    page = client.get("/openapi.json").json()
    schemas = page["components"]["schemas"]
    rows = (frontend.User, frontend.ApiKey, frontend.LogLine, frontend.TotalUsage, frontend.UsageOfDay)
    for model in (*rows, frontend.UsageOfModel, frontend.UsageOfUser):
        described = schemas[model.__name__]
        assert set(described["properties"]) == set(model.model_fields)
        assert set(described["required"]) == set(model.model_fields)
    assert schemas["LogLevel"]["enum"] == [level.value for level in frontend.LogLevel]
    assert "required" not in schemas["ApiKeyChanges"]
    assert "hash" not in str(page)
    answer = page["paths"]["/keys"]["post"]["responses"]["201"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/IssuedKey"}


def test_health(client: httpx.Client) -> None:
    """The application says that it is healthy, and the figures of its pool."""
    assert client.get("/health").json()["healthy"] is True
    assert client.get("/status").json()["max_size"] == 30
