"""Analysis over HTTP, under uvicorn: accounts, analyses, tools, the log, many at once, and a true OpenAPI page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from pydantic import BaseModel

from sqlkit import Database
from sqlkit.apps.analysis import models
from sqlkit.apps.analysis.events import SYSTEM_LOGS
from sqlkit.apps.analysis.http import create_app
from sqlkit.apps.analysis.settings import AnalysisSettings
from sqlkit.operations.partitions import list_partitions
from sqlkit.pages import OffsetPage, Page
from sqlkit.testing import TestServer, dropped_afterwards
from tests.serving import served
from tests.test_presentations_http import asked, own_schema, resolved

pytestmark = pytest.mark.usefixtures("cheap_passwords")


@pytest.fixture
def client(analysis_dsn: str) -> Iterator[httpx.Client]:
    """Give a client of the application on a database of its own, which runs under uvicorn."""
    settings = AnalysisSettings(url=analysis_dsn, pool_min_size=1, pool_max_size=8)
    with served(create_app(settings)) as client:
        yield client


def sign_up(client: httpx.Client, name: str = "ada") -> str:
    """Create a user; return their id."""
    body = {"username": name, "email": f"{name}@example.org", "password": "correct horse"}
    user_id: str = asked(client.post("/users", json=body), 201)["user_id"]
    return user_id


def test_an_analysis_from_its_creation_to_its_end(client: httpx.Client) -> None:
    """An analysis is created, gets files and a result, is listed and deleted with its files."""
    user = sign_up(client)
    new = {"user_id": user, "title": "Means", "parameters": {"columns": ["a", "b"]}}
    analysis = models.Analysis.model_validate(asked(client.post("/analyses", json=new), 201))
    assert (analysis.status, analysis.result) == (models.WorkStatus.PENDING, None)
    path = f"/analyses/{analysis.analysis_id}"
    for number in range(3):
        body = {"file_name": f"{number}.csv", "file_type": "csv", "size_bytes": 7, "storage_path": f"/{number}"}
        asked(client.post(f"{path}/files", json=body), 201)
    page = OffsetPage[models.AnalysisFile].model_validate(asked(client.get(f"{path}/files", params={"skip": 1})))
    assert ([file.file_name for file in page.items], page.total) == (["1.csv", "2.csv"], 3)
    changed = asked(client.patch(path, json={"status": "completed", "result": {"mean": 1.5}}))
    assert (changed["status"], changed["result"], changed["title"]) == ("completed", {"mean": 1.5}, "Means")
    assert asked(client.get(path)) == changed
    assert client.delete(f"/users/{user}").status_code == 409
    assert client.delete(path).status_code == 204
    asked(client.get(path), 404)
    assert asked(client.get("/stats"))["analysis_files"] == 0
    assert client.delete(f"/users/{user}").status_code == 204
    assert client.delete(f"/users/{user}").status_code == 404


def test_logging_in(client: httpx.Client) -> None:
    """Who has a password gets in by name or address; each attempt is a line of the log, written afterwards."""
    user = sign_up(client)
    for login in ("ada", "ada@example.org"):
        response = client.post("/login", json={"login": login, "password": "correct horse"})
        assert asked(response)["user_id"] == user
        assert "hash" not in response.text
    asked(client.post("/login", json={"login": "ada", "password": "wrong"}), 401)
    deadline = time.monotonic() + 5
    while len(lines := asked(client.get("/logs", params={"service": "accounts"}))["items"]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert {line["message"] for line in lines} >= {"a login"}


def test_tools(client: httpx.Client) -> None:
    """A tool is created, changed and listed by its type."""
    user = sign_up(client)
    new = {"user_id": user, "tool_type": "chart", "prompt": "draw"}
    tool = asked(client.post("/tools", json=new), 201)
    path = f"/tools/{tool['tool_id']}"
    assert asked(client.patch(path, json={"status": "running"}))["prompt"] == "draw"
    assert asked(client.patch(path, json={"output": ["a"]}))["output"] == ["a"]
    assert len(asked(client.get("/tools", params={"tool_type": "chart", "status": "running"}))["items"]) == 1
    assert asked(client.get("/tools", params={"tool_type": "table"}))["items"] == []
    asked(client.patch(f"/tools/{uuid4()}", json={"status": "running"}), 404)


def test_pages(client: httpx.Client) -> None:
    """Pages of analyses follow each other by their tokens in each order; a token of another order is refused."""
    user = sign_up(client)
    titles = [f"T{number}" for number in (3, 1, 2, 1, 5)]
    for title in titles:
        asked(client.post("/analyses", json={"user_id": user, "title": title}), 201)
    for order, wanted in (("newest", titles[::-1]), ("oldest", titles), ("title", sorted(titles))):
        seen, token = [], None
        while True:
            params: dict[str, Any] = {"limit": 2, "order": order, "user_id": user} | ({"after": token} if token else {})
            page = Page[models.Analysis].model_validate(asked(client.get("/analyses", params=params)))
            seen += [analysis.title for analysis in page.items]
            if (token := page.next) is None:
                break
        assert seen == wanted
    token = asked(client.get("/analyses", params={"limit": 1}))["next"]
    asked(client.get("/analyses", params={"limit": 1, "order": "title", "after": token}), 400)


def test_the_log(client: httpx.Client) -> None:
    """Lines are written and read by service and levels."""
    for level in ("info", "error", "critical"):
        asked(client.post("/logs", json={"service": "api", "level": level, "message": level}), 201)
    found = asked(client.get("/logs", params={"service": "api", "level": ["error", "critical"], "order": "oldest"}))
    assert [line["message"] for line in found["items"]] == ["error", "critical"]
    asked(client.post("/logs", json={"service": "api", "level": "loud", "message": "m"}), 422)
    assert asked(client.post("/cleanup", params={"days": 30}))["system_logs"] == 0


@pytest.fixture(scope="module")
def refusing(server: TestServer, analysis_template: str) -> Iterator[httpx.Client]:
    """Give a client of an application for requests that change nothing."""
    with dropped_afterwards(server, analysis_template, "refusing") as name:
        settings = AnalysisSettings(url=server.dsn_for(name, "analysis"), pool_min_size=1, pool_max_size=2)
        with served(create_app(settings)) as client:
            yield client


SOMEBODY = "00000000-0000-4000-8000-000000000000"
FILE = {"file_name": "a", "file_type": "b", "size_bytes": 1, "storage_path": "c"}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/users", {"username": "a b", "email": "a@b", "password": "correct horse"}, 422),
        ("/users", {"username": "a\0b", "email": "a@b", "password": "correct horse"}, 422),
        ("/users", {"username": "ada", "email": "a@b", "password": "short"}, 422),
        ("/users", {"username": "ada", "email": "a@b", "password": "correct horse", "is_active": False}, 422),
        ("/login", {"login": "a\0b", "password": "x"}, 422),
        ("/analyses", {"user_id": SOMEBODY, "title": "T"}, 409),
        ("/analyses", {"user_id": "1", "title": "T"}, 422),
        ("/analyses", {"user_id": SOMEBODY, "title": ""}, 422),
        ("/analyses", {"user_id": SOMEBODY, "title": "T", "parameters": [1]}, 422),
        ("/analyses", {"user_id": SOMEBODY, "title": "T", "parameters": {"a": "b\0"}}, 422),
        ("/analyses", {"user_id": SOMEBODY, "title": "T", "result": "text"}, 422),
        ("/analyses", {"user_id": SOMEBODY, "title": "T", "parameters": {"n": float("nan")}}, 422),
        ("/analyses", {"user_id": SOMEBODY, "title": "T", "result": ["\ud800"]}, 422),
        (
            f"/analyses/{SOMEBODY}/files",
            {"file_name": "a", "file_type": "b", "size_bytes": 1, "storage_path": "c"},
            404,
        ),
        (
            f"/analyses/{SOMEBODY}/files",
            {"file_name": "a", "file_type": "b", "size_bytes": 0, "storage_path": "c"},
            422,
        ),
        ("/tools", {"user_id": SOMEBODY, "tool_type": "chart", "prompt": ""}, 422),
        ("/logs", {"service": "", "message": "m"}, 422),
        ("/logs", {"service": "a", "message": "m", "created_at": "1970-01-01T00:00:00Z"}, 422),
    ],
)
def test_bad_input_is_refused(refusing: httpx.Client, path: str, body: dict[str, Any], status: int) -> None:
    """What cannot be is refused with its status, and never with an error of the server's."""
    response = refusing.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text


def test_many_at_once(client: httpx.Client) -> None:
    """32 callers sign up with 16 names, create and read at once: each name is given once, and nothing is lost."""

    def work(number: int) -> int:
        name = f"user-{number % 16}"
        body = {"username": name, "email": f"{name}@example.org", "password": "correct horse"}
        response = client.post("/users", json=body)
        if response.status_code == 409:
            assert response.json()["constraint"] == "users_username_key"
            return 0
        user = asked(response, 201)["user_id"]
        for title in ("A", "B", "C"):
            asked(client.post("/analyses", json={"user_id": user, "title": title}), 201)
        return len(asked(client.get("/analyses", params={"user_id": user}))["items"])

    with ThreadPoolExecutor(32) as pool:
        made = list(pool.map(work, range(32)))
    assert sorted(made) == [0] * 16 + [3] * 16
    assert asked(client.get("/stats"))["data_analyses"] == 48


def test_health_and_partitions(client: httpx.Client, analysis_dsn: str) -> None:
    """The application says that its database answers and is whole; at its start it made a week of partitions."""
    assert asked(client.get("/health"))["healthy"] is True
    assert asked(client.get("/database-health")) == {"status": "healthy", "reasons": []}
    with Database.connect(analysis_dsn, pool_max_size=1) as db:
        assert len(list_partitions(db, SYSTEM_LOGS)) == 8


#: The answer of each route, and the model of its body.
ANSWERS: dict[tuple[str, str], type[BaseModel]] = {
    ("post", "/users"): models.User,
    ("get", "/users"): Page[models.User],
    ("post", "/analyses"): models.Analysis,
    ("patch", "/analyses/{analysis_id}"): models.Analysis,
    ("get", "/analyses/{analysis_id}/files"): OffsetPage[models.AnalysisFile],
    ("post", "/tools"): models.Tool,
    ("get", "/logs"): Page[models.SystemLog],
    ("get", "/stats"): models.DatabaseStats,
}
BODIES: dict[tuple[str, str], type[BaseModel]] = {
    ("post", "/analyses"): models.NewAnalysis,
    ("patch", "/analyses/{analysis_id}"): models.AnalysisChanges,
    ("post", "/tools"): models.NewTool,
    ("patch", "/tools/{tool_id}"): models.ToolChanges,
    ("post", "/logs"): models.LogFacts,
}


def test_the_openapi_page_is_true_to_the_models(client: httpx.Client) -> None:
    """What the page says of answers and bodies is what the models say of themselves."""
    page = asked(client.get("/openapi.json"))
    components = page["components"]["schemas"]
    for (method, path), model in ANSWERS.items():
        responses = page["paths"][path][method]["responses"]
        answer = next(responses[status] for status in ("200", "201") if status in responses)
        schema = answer["content"]["application/json"]["schema"]
        assert resolved(schema, components) == own_schema(model, "serialization"), path
    for (method, path), model in BODIES.items():
        schema = page["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        assert resolved(schema, components) == own_schema(model, "validation"), path
