"""Presentations over HTTP, under uvicorn: owners, jobs, workers, many at once, and an OpenAPI page that is true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from sqlkit.apps.presentations import models, records
from sqlkit.apps.presentations.http import create_app
from sqlkit.apps.presentations.settings import PresentationsSettings
from sqlkit.pages import Page
from sqlkit.testing import TestServer, dropped_afterwards
from tests.serving import served

pytestmark = pytest.mark.usefixtures("cheap_passwords")


@pytest.fixture
def app(presentations_dsn: str) -> FastAPI:
    """Give the application on a database of its own."""
    return create_app(PresentationsSettings(url=presentations_dsn, pool_min_size=1, pool_max_size=8))


@pytest.fixture
def client(app: FastAPI) -> Iterator[httpx.Client]:
    """Give a client of the application, which runs under uvicorn."""
    with served(app) as client:
        yield client


@pytest.fixture(scope="module")
def refusing(server: TestServer, presentations_template: str) -> Iterator[httpx.Client]:
    """Give a client of an application with one user and their voice, for requests that change nothing."""
    with dropped_afterwards(server, presentations_template, "refusing") as name:
        settings = PresentationsSettings(url=server.dsn_for(name, "presentations"), pool_min_size=1, pool_max_size=2)
        with served(create_app(settings)) as client:
            settle(client)
            yield client


def asked(response: httpx.Response, status: int = 200) -> Any:
    """Return what an answer brings, which has the wanted status."""
    assert response.status_code == status, response.text
    return response.json()


def settle(client: httpx.Client, name: str = "Ada") -> tuple[int, int]:
    """Create a user with a voice; return the ids of both."""
    user = asked(client.post("/users", json={"name": name, "email": f"{name}@example.org"}), 201)
    voice = {"name": "calm", "s3_path": f"/{name}.wav", "duration_seconds": 12.5}
    made = asked(client.post(f"/users/{user['user_id']}/voices", json=voice), 201)
    return user["user_id"], made["voice_clone_id"]


def submit(client: httpx.Client, owner: int, voice: int, number: int = 0) -> dict[str, Any]:
    """Submit a job."""
    job = {"voice_clone_id": voice, "s3_pptx_path": f"/{number}.pptx", "slides_count": 3}
    found: dict[str, Any] = asked(client.post(f"/users/{owner}/jobs", json=job), 201)
    return found


def test_a_job_from_submission_to_its_video(client: httpx.Client) -> None:
    """A user, a voice, a job; a worker claims it, brings it to its end, and its history tells so."""
    owner, voice = settle(client)
    job = submit(client, owner, voice)
    assert job["status"] == "pending"
    (claimed,) = asked(client.post("/queue/claim", json={"worker": "w1", "limit": 5}))
    assert claimed["job_id"] == job["job_id"]
    path = f"/queue/{job['job_id']}"
    for status in ("synthesizing_audio", "assembling_video"):
        assert asked(client.post(f"{path}/advance", json={"status": status}))["status"] == status
    result = {"s3_video_path": "/a.mp4", "video_duration_seconds": 60, "file_size_bytes": 99}
    done = models.Job.model_validate(asked(client.post(f"{path}/complete", json=result)))
    assert (done.status, done.slides_count) == (models.JobStatus.COMPLETED, 3)
    assert models.Job.model_validate(asked(client.get(f"/users/{owner}/jobs/{job['job_id']}"))) == done
    history = asked(client.get(f"/users/{owner}/jobs/{job['job_id']}/history"))
    assert [line["new_status"] for line in history] == [status.value for status in models.JobStatus][:5]
    everything = models.UserWithVoicesAndJobs.model_validate(asked(client.get(f"/users/{owner}")))
    assert [one.job_id for one in everything.jobs] == [done.job_id]
    audit = asked(client.get(f"/users/{owner}/audit", params={"limit": 100}))
    assert {"w1"} < {line["actor"] for line in audit["items"]}
    assert asked(client.get("/metrics"))["completed_jobs"] == 1


def test_steps_that_do_not_follow(client: httpx.Client) -> None:
    """A step that does not follow is a conflict; what is not there is not found."""
    owner, voice = settle(client)
    job = submit(client, owner, voice)["job_id"]
    asked(client.post(f"/queue/{job}/advance", json={"status": "assembling_video"}), 409)
    asked(client.post(f"/queue/{job}/complete", json={"s3_video_path": "/a"}), 409)
    asked(client.post(f"/queue/{job}/fail", json={"error_message": "no"}), 409)
    asked(client.post(f"/users/{owner}/jobs/{job}/retry"), 409)
    assert asked(client.post(f"/users/{owner}/jobs/{job}/cancel"))["status"] == "cancelled"
    asked(client.post(f"/users/{owner}/jobs/{job}/cancel"), 409)
    asked(client.get(f"/users/{owner}/jobs/{job + 1}"), 404)
    asked(client.get("/users/999"), 404)
    asked(client.patch("/users/999", json={"name": "Nobody"}), 404)


def test_nobody_reaches_anothers_rows(client: httpx.Client) -> None:
    """Below one owner's path another's jobs and voices are not there."""
    vera, voice = settle(client, "Vera")
    stan, own = settle(client, "Stan")
    job = submit(client, vera, voice)["job_id"]
    asked(client.get(f"/users/{stan}/jobs/{job}"), 404)
    asked(client.post(f"/users/{stan}/jobs/{job}/cancel"), 409)
    asked(client.delete(f"/users/{stan}/voices/{voice}"), 404)
    asked(client.post(f"/users/{stan}/jobs", json={"voice_clone_id": voice, "s3_pptx_path": "/p"}), 409)
    assert asked(client.get(f"/users/{stan}/jobs"))["items"] == []
    assert asked(client.get(f"/users/{stan}/jobs/{job}/history")) == []
    assert [one["voice_clone_id"] for one in asked(client.get(f"/users/{stan}/voices"))["items"]] == [own]
    assert asked(client.get(f"/users/{vera}/jobs/{job}"))["status"] == "pending"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/users", {"name": "Ada", "email": "nobody"}, 422),
        ("/users", {"name": "x" * 256}, 422),
        ("/users", {"name": "A\0da"}, 422),
        ("/users", {"name": "Bea", "email": "Ada@example.org"}, 409),
        ("/users", {"name": "Bea", "admin": True}, 422),
        ("/users", {"name": "\ud800"}, 422),
        ("/users", {"name": "Bea", "\ud800": 1}, 422),
        ("/users/1/voices", {"name": "v", "s3_path": "/b.wav", "duration_seconds": float("nan")}, 422),
        ("/users/1/voices", {"name": "v", "s3_path": "calm.wav"}, 422),
        ("/users/1/voices", {"name": "v", "s3_path": "/Ada.wav"}, 409),
        ("/users/1/voices", {"name": "v", "s3_path": "/b.wav", "duration_seconds": 301}, 422),
        ("/users/1/voices", {"name": "v", "s3_path": "/b.wav", "file_size": 2**63}, 422),
        ("/users/99/voices", {"name": "v", "s3_path": "/b.wav"}, 409),
        ("/users/0/voices", {"name": "v", "s3_path": "/b.wav"}, 422),
        ("/users/1/jobs", {"voice_clone_id": 99, "s3_pptx_path": "/p"}, 409),
        ("/users/1/jobs", {"voice_clone_id": 2**63, "s3_pptx_path": "/p"}, 422),
        ("/users/1/jobs", {"voice_clone_id": 1, "s3_pptx_path": "/p", "slides_count": 0}, 422),
        ("/queue/claim", {"worker": "w", "limit": 0}, 422),
        ("/queue/1/advance", {"status": "completed"}, 422),
        ("/queue/1/complete", {"s3_video_path": "/v", "video_duration_seconds": -1}, 422),
        ("/login", {"email": "Ada@example.org", "password": "wrong"}, 401),
    ],
)
def test_bad_input_is_refused(refusing: httpx.Client, path: str, body: dict[str, Any], status: int) -> None:
    """What cannot be is refused with its status, and never with an error of the server's."""
    response = refusing.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert response.status_code == status, response.text


def test_a_refusal_does_not_quote(refusing: httpx.Client) -> None:
    """A refused request is told where and why, and not what it held."""
    response = refusing.post("/login", json={"email": 7, "password": "a secret", "extra": "a secret"})
    reasons = [(one["loc"], one["type"]) for one in asked(response, 422)["detail"]]
    assert reasons == [(["body", "email"], "string_type"), (["body", "extra"], "extra_forbidden")]
    assert "a secret" not in response.text


def test_pages(client: httpx.Client) -> None:
    """Pages of jobs follow each other by their tokens, in both orders; a token of another list is refused."""
    owner, voice = settle(client)
    jobs = [submit(client, owner, voice, number)["job_id"] for number in range(7)]
    for order, wanted in (("newest", jobs[::-1]), ("oldest", jobs)):
        seen, token = [], None
        while True:
            params = {"limit": "3", "order": order} | ({"after": token} if token else {})
            page = Page[models.Job].model_validate(asked(client.get(f"/users/{owner}/jobs", params=params)))
            seen += [job.job_id for job in page.items]
            token = page.next
            if token is None:
                break
        assert seen == wanted
    users = asked(client.get("/users", params={"limit": 1}))
    assert users["next"] is None
    token = asked(client.get(f"/users/{owner}/jobs", params={"limit": 1}))["next"]
    asked(client.get("/users", params={"after": token}), 400)
    asked(client.get(f"/users/{owner}/jobs", params={"after": "nonsense"}), 400)
    offset = asked(client.get("/jobs", params={"skip": 2, "limit": 2, "status": "pending"}))
    assert [job["job_id"] for job in offset["items"]] == jobs[::-1][2:4]
    assert offset["items"][0]["owner"]["user_id"] == owner


def test_a_password_lets_its_user_in(client: httpx.Client) -> None:
    """Who set a password gets in with it, and no answer shows its hash."""
    owner, _ = settle(client)
    assert client.put(f"/users/{owner}/password", json={"password": "correct horse"}).status_code == 204
    asked(client.put(f"/users/{owner}/password", json={"password": "short"}), 422)
    response = client.post("/login", json={"email": "Ada@example.org", "password": "correct horse"})
    assert models.User.model_validate(asked(response)).user_id == owner
    assert "argon2" not in response.text


def test_users_are_changed_and_leave(client: httpx.Client) -> None:
    """A change writes what is given; a user who leaves is no longer listed among the active."""
    owner, voice = settle(client)
    changed = asked(client.patch(f"/users/{owner}", json={"email": None}))
    assert (changed["name"], changed["email"]) == ("Ada", None)
    assert asked(client.delete(f"/users/{owner}/voices/{voice}"))["is_active"] is False
    assert asked(client.delete(f"/users/{owner}"))["is_active"] is False
    assert asked(client.get("/users", params={"is_active": True}))["items"] == []
    assert len(asked(client.get("/users", params={"order": "newest"}))["items"]) == 1


def test_search(client: httpx.Client) -> None:
    """Names are found by their words."""
    settle(client, "Grace")
    assert [one["kind"] for one in asked(client.get("/search", params={"term": "grace"}))] == ["user"]
    asked(client.get("/search", params={"term": ""}), 422)
    asked(client.get("/search", params={"term": "a\0b"}), 422)


def test_many_at_once(client: httpx.Client) -> None:
    """32 callers submit and claim at once, of several owners: each job goes to one worker."""
    owners = [settle(client, f"Owner{number}") for number in range(4)]

    def submit_some(number: int) -> list[int]:
        owner, voice = owners[number % 4]
        return [submit(client, owner, voice, number)["job_id"] for _ in range(5)]

    def claim_some(number: int) -> list[int]:
        claims = [client.post("/queue/claim", json={"worker": f"w{number}", "limit": 3}) for _ in range(5)]
        return [job["job_id"] for claim in claims for job in asked(claim)]

    with ThreadPoolExecutor(32) as pool:
        submitted = pool.map(submit_some, range(16))
        claimed = list(pool.map(claim_some, range(16)))
        wanted = [job for jobs in submitted for job in jobs]
    got = [job for jobs in claimed for job in jobs]
    got += claim_some(16) + claim_some(17)
    while more := claim_some(18):
        got += more
    assert len(wanted) == 80
    assert sorted(got) == sorted(wanted)


def test_health_and_status(client: httpx.Client) -> None:
    """The application says that its database answers, and what its pool holds."""
    assert asked(client.get("/health"))["healthy"] is True
    assert asked(client.get("/status"))["max_size"] == 8


#: The answer of each route, and the model of its body.
ANSWERS: dict[tuple[str, str], type[BaseModel]] = {
    ("post", "/users"): models.User,
    ("get", "/users/{owner_id}"): models.UserWithVoicesAndJobs,
    ("patch", "/users/{owner_id}"): models.User,
    ("post", "/users/{owner_id}/voices"): models.Voice,
    ("post", "/users/{owner_id}/jobs"): models.Job,
    ("get", "/users/{owner_id}/jobs"): Page[models.Job],
    ("get", "/users/{owner_id}/audit"): Page[records.AuditLine],
    ("post", "/queue/{job_id}/complete"): models.Job,
    ("get", "/metrics"): models.Metrics,
}
BODIES: dict[tuple[str, str], type[BaseModel]] = {
    ("post", "/users"): models.NewUser,
    ("patch", "/users/{owner_id}"): models.UserChanges,
    ("post", "/users/{owner_id}/voices"): models.VoiceOfOwner,
    ("post", "/users/{owner_id}/jobs"): models.JobOfOwner,
    ("post", "/queue/{job_id}/complete"): models.JobResult,
}


def resolved(schema: Any, components: dict[str, Any]) -> Any:
    """Write a schema without references."""
    if isinstance(schema, list):
        return [resolved(part, components) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if name := schema.get("$ref", "").rpartition("/")[2]:
        return name if name == "JsonValue" else resolved(components[name], components)
    return {
        key: resolved(part, components)
        for key, part in schema.items()
        if key != "$defs" and (key, part) != ("default", None)
    }


def own_schema(model: type[BaseModel], mode: Any) -> Any:
    """Return a model's own schema, without references."""
    schema = model.model_json_schema(mode=mode)
    return resolved(schema, schema.get("$defs", {}))


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
