"""Voxstitch over HTTP, under uvicorn: accounts, logins, imports at once, and an OpenAPI page true to the models."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from sqlkit.apps import voxstitch
from sqlkit.apps.voxstitch.http import create_app
from sqlkit.apps.voxstitch.settings import VoxstitchSettings
from tests.serving import served

PASSWORD = "correct horse battery staple"
pytestmark = pytest.mark.usefixtures("cheap_passwords")

CHAT = {"title": "Lisbon", "platform": "claude", "content": {"messages": [{"text": "Where is fado sung?"}]}}


@pytest.fixture
def client(voxstitch_dsn: str) -> Iterator[httpx.Client]:
    """Give a client of the application."""
    with served(create_app(VoxstitchSettings(url=voxstitch_dsn, pool_min_size=1))) as found:
        yield found


def joined(client: httpx.Client, email: str = "ella@example.org") -> tuple[int, dict[str, str]]:
    """Register and log in; return the user's id and the headers of their requests."""
    assert client.post("/users", json={"email": email, "password": PASSWORD}).status_code == 201
    answer = client.post("/login", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 200
    return answer.json()["user_id"], {"Authorization": f"Bearer {answer.json()['token']}"}


def test_register_log_in_and_read(client: httpx.Client) -> None:
    """Who registers logs in, reads their account as the model has it, and no longer after logging out."""
    user_id, headers = joined(client)
    answer = client.get(f"/users/{user_id}", headers=headers)
    user = voxstitch.User.model_validate(answer.json())
    assert (user.email, user.remaining_imports) == ("ella@example.org", 2)
    assert set(answer.json()) == set(voxstitch.User.model_fields)
    assert client.post("/logout", headers=headers).status_code == 204
    assert client.get(f"/users/{user_id}", headers=headers).status_code == 401
    assert client.post("/logout", headers=headers).status_code == 401


def test_what_is_refused(client: httpx.Client) -> None:
    """A taken address is a conflict by the index's name, a wrong password and a missing token are unauthorized."""
    user_id, headers = joined(client)
    taken = client.post("/users", json={"email": "ELLA@example.org", "password": PASSWORD})
    assert (taken.status_code, taken.json()["constraint"]) == (409, "users_email_key")
    wrong = client.post("/login", json={"email": "ella@example.org", "password": "another one"})
    assert (wrong.status_code, wrong.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert client.get(f"/users/{user_id}").status_code == 401
    assert client.get(f"/users/{user_id + 1}", headers=headers).status_code == 403
    assert client.get("/users/0", headers=headers).status_code == 422
    assert client.get(f"/users/{2**70}", headers=headers).status_code == 422


NO_INPUT: list[tuple[str, Any]] = [
    ("/users", {"email": "nobody", "password": PASSWORD}),
    ("/users", {"email": "a\0@b", "password": PASSWORD}),
    ("/users", {"email": "a@b", "password": "short"}),
    ("/users", {"email": "a@b", "password": PASSWORD, "remaining_imports": 99}),
    ("/login", {"email": "a\0@b", "password": PASSWORD}),
    ("/chats", CHAT | {"platform": "icq"}),
    ("/chats", CHAT | {"title": ""}),
    ("/chats", CHAT | {"title": "a\0"}),
    ("/chats", CHAT | {"content": {"text": "a\0"}}),
    ("/chats", CHAT | {"user_id": 1}),
    ("/chats/batch", []),
]


def test_input_that_is_no_input(client: httpx.Client) -> None:
    """What the models refuse is unprocessable, and no answer quotes a password."""
    _, headers = joined(client)
    for path, body in NO_INPUT:
        answer = client.post(path, json=body, headers=headers)
        assert answer.status_code == 422, (path, body, answer.text)
        assert PASSWORD not in answer.text


def test_expired_sessions_are_cleaned_up_after_a_login(client: httpx.Client, voxstitch_dsn: str) -> None:
    """A login answers first and cleans up then, on a connection of its own."""
    joined(client)
    with psycopg.connect(voxstitch_dsn, autocommit=True) as conn:
        conn.execute(
            "update login_sessions set created_at = now() - interval '9 d', expires_at = now() - interval '1 s'"
        )
        assert client.post("/login", json={"email": "ella@example.org", "password": PASSWORD}).status_code == 200
        deadline = time.monotonic() + 5
        left = "select count(*) from login_sessions where expires_at <= now()"
        while conn.execute(left).fetchone() != (0,) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert conn.execute(left).fetchone() == (0,)


def test_chats(client: httpx.Client) -> None:
    """A chat is imported, listed, found, changed and removed, by its owner alone."""
    user_id, headers = joined(client)
    _, others = joined(client, "other@example.org")
    made = client.post("/chats", json=CHAT, headers=headers)
    assert made.status_code == 201
    chat = voxstitch.Chat.model_validate(made.json())
    assert (chat.user_id, chat.content) == (user_id, CHAT["content"])
    path = f"/chats/{chat.chat_id}"
    assert client.get(path, headers=headers).json() == made.json()
    (listed,) = client.get("/chats", headers=headers).json()["items"]
    assert "content" not in listed
    (found,) = client.get("/chats/search", params={"term": "fado"}, headers=headers).json()
    assert found["chat_id"] == chat.chat_id
    assert client.get("/chats/platforms", headers=headers).json() == [{"platform": "claude", "chats": 1}]
    for method in ("get", "delete"):
        assert client.request(method, path, headers=others).status_code == 404
    assert client.get("/chats", headers=others).json()["items"] == []
    changed = client.patch(path, json={"title": "Porto"}, headers=headers).json()
    assert (changed["title"], changed["content"]) == ("Porto", CHAT["content"])
    assert client.patch(path, json={"title": None}, headers=headers).status_code == 422
    assert client.delete(path, headers=headers).json() == changed
    assert client.get(path, headers=headers).status_code == 404


def test_imports_at_once(client: httpx.Client) -> None:
    """Of 20 concurrent imports of one user with 2 left exactly 2 are created, and the account says none is left."""
    user_id, headers = joined(client)
    assert client.get(f"/users/{user_id}", headers=headers).json()["remaining_imports"] == 2
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: client.post("/chats", json=CHAT, headers=headers).status_code, range(20)))
    assert sorted(answers) == [201] * 2 + [409] * 18
    assert client.get(f"/users/{user_id}", headers=headers).json()["remaining_imports"] == 0
    assert len(client.get("/chats", headers=headers).json()["items"]) == 2


def test_a_batch(client: httpx.Client) -> None:
    """A batch is imported whole or not at all."""
    _, headers = joined(client)
    refused = client.post("/chats/batch", json=[CHAT] * 3, headers=headers)
    assert (refused.status_code, refused.json()) == (409, {"detail": "not enough imports left"})
    made = client.post("/chats/batch", json=[CHAT, CHAT | {"title": "Porto"}], headers=headers)
    assert [chat["title"] for chat in made.json()] == ["Lisbon", "Porto"]


def test_pages(client: httpx.Client, voxstitch_dsn: str) -> None:
    """The pages of a list give each chat once, whatever comes in meanwhile; another list's token is refused."""
    user_id, headers = joined(client)
    with psycopg.connect(voxstitch_dsn) as conn:
        voxstitch.users.add_imports(conn, user_id=user_id, imports=100)
    client.post("/chats/batch", json=[CHAT | {"title": f"T{n}"} for n in range(7)], headers=headers)
    titles, after = [], None
    for _ in range(3):
        asked = {"limit": "3"} | ({"after": after} if after else {})
        page = client.get("/chats", params=asked, headers=headers).json()
        titles += [chat["title"] for chat in page["items"]]
        after = page["next"]
        client.post("/chats", json=CHAT, headers=headers)
    assert titles == [f"T{n}" for n in reversed(range(7))]
    assert after is None
    assert client.get("/chats", params={"after": "nonsense"}, headers=headers).status_code == 400


def test_guests(client: httpx.Client) -> None:
    """A guest imports without an account, twice."""
    guest = client.post("/guests").json()
    headers = {"Authorization": f"Bearer {guest['token']}"}
    assert client.get(f"/users/{guest['user_id']}", headers=headers).json()["is_guest"]
    answers = [client.post("/chats", json=CHAT, headers=headers).status_code for _ in range(3)]
    assert answers == [201, 201, 409]


def test_another_password(client: httpx.Client) -> None:
    """After another password the old logins are over and the new one is good."""
    user_id, headers = joined(client)
    new = {"password": "another one, longer"}
    assert client.put(f"/users/{user_id}/password", json=new, headers=headers).status_code == 204
    assert client.get(f"/users/{user_id}", headers=headers).status_code == 401
    assert client.post("/login", json={"email": "ella@example.org", **new}).status_code == 200


def test_closing_an_account(client: httpx.Client) -> None:
    """Who closes their account is gone with their chats and logins."""
    user_id, headers = joined(client)
    client.post("/chats", json=CHAT, headers=headers)
    removed = client.delete(f"/users/{user_id}", headers=headers)
    assert removed.json()["user_id"] == user_id
    assert client.get(f"/users/{user_id}", headers=headers).status_code == 401
    assert client.post("/login", json={"email": "ella@example.org", "password": PASSWORD}).status_code == 401


def test_many_users_at_once(client: httpx.Client) -> None:
    """Users who register, import and read at once see their own chats alone."""

    def visit(number: int) -> list[str]:
        _, headers = joined(client, f"user{number}@example.org")
        client.post("/chats", json=CHAT | {"title": f"Of {number}"}, headers=headers)
        return [chat["title"] for chat in client.get("/chats", headers=headers).json()["items"]]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(visit, range(12))) == [[f"Of {number}"] for number in range(12)]


def test_openapi_is_true_to_the_models(client: httpx.Client) -> None:
    """The page describes each row with the very fields of its model, and no hash and no request's user id is in it."""
    page = client.get("/openapi.json").json()
    schemas = page["components"]["schemas"]
    for model in (voxstitch.User, voxstitch.Chat, voxstitch.ChatHeading, voxstitch.FoundChat, voxstitch.PlatformCount):
        described = schemas[model.__name__]
        assert set(described["properties"]) == set(model.model_fields)
        assert set(described["required"]) == set(model.model_fields)
    assert set(schemas["ImportedChat"]["properties"]) == {"title", "platform", "content"}
    assert schemas["Platform"]["enum"] == [platform.value for platform in voxstitch.Platform]
    assert "required" not in schemas["ChatChanges"]
    assert "hash" not in str(page)
    described = page["paths"]["/users/{user_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert described == {"$ref": "#/components/schemas/User"}


def test_health(client: httpx.Client) -> None:
    """The application says that it is healthy, and the figures of its pool."""
    assert client.get("/health").json()["healthy"] is True
    assert client.get("/status").json()["max_size"] == 15


def test_metrics(voxstitch_dsn: str) -> None:
    """With metrics, Prometheus is told of the queries that requests ran, and of the cache; without there is none."""
    settings = VoxstitchSettings(url=voxstitch_dsn, pool_min_size=1)
    with served(create_app(settings, metrics=True)) as client:
        user_id, headers = joined(client)
        for _ in range(3):
            assert client.get(f"/users/{user_id}", headers=headers).status_code == 200
        text = client.get("/metrics").text
    families = {family.name: family.samples for family in text_string_to_metric_families(text)}
    counts = {
        sample.labels["query"]: sample.value
        for sample in families["sqlkit_query_duration_seconds"]
        if sample.name.endswith("_count")
    }
    assert counts["voxstitch.users.get_user"] >= 1
    hits = [sample.value for sample in families["sqlkit_cache_keys"] if sample.labels["result"] == "hits"]
    assert sum(hits) >= 2
    assert "ella@example.org" not in text
    with served(create_app(settings)) as client:
        assert client.get("/metrics").status_code == 404
