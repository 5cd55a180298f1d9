"""Soleil over HTTP, under uvicorn: songs, bands, many callers at once, and an OpenAPI page true to the models."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any
from uuid import uuid4

import httpx
import pytest
from fastapi import Depends, Header, HTTPException
from pydantic import BaseModel

from sqlkit.apps import soleil
from sqlkit.apps.soleil.http import Membership, create_app
from sqlkit.apps.soleil.settings import SoleilSettings
from tests.serving import served

ELLA = {"email": "ella@example.org", "google_id": "google-ella", "display_name": "Ella"}
SECTIONS = [{"label": "A", "repeats": 1, "chords": "Dm7,G7|Cmaj7", "endings": ["C6"]}]


def settings(dsn: str) -> SoleilSettings:
    """Return settings with a pool that many callers share."""
    return SoleilSettings(url=dsn, pool_min_size=1, pool_max_size=4)


@pytest.fixture
def client(soleil_dsn: str) -> Iterator[httpx.Client]:
    """Give a client of the application."""
    with served(create_app(settings(soleil_dsn))) as found:
        yield found


def created(client: httpx.Client, path: str, body: Any) -> Any:
    """Post a body and return the answer's."""
    answer = client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def joined(client: httpx.Client, name: str = "ella") -> str:
    """Create a user; return the path of their account."""
    new = {"email": f"{name}@example.org", "google_id": f"google-{name}", "display_name": name.title()}
    return f"/users/{created(client, '/users', new)['user_id']}"


def test_users(client: httpx.Client) -> None:
    """A user is created, found by three keys, changed and deleted."""
    made = created(client, "/users", ELLA)
    assert soleil.User.model_validate(made).email == "ella@example.org"
    path = f"/users/{made['user_id']}"
    assert client.get(path).json() == made
    assert client.get("/users/by-email", params={"email": ELLA["email"]}).json() == made
    assert client.get("/users/by-google-id", params={"google_id": ELLA["google_id"]}).json() == made
    changed = client.patch(path, json={"display_name": "E."}).json()
    assert (changed["display_name"], changed["email"]) == ("E.", ELLA["email"])
    replaced = client.put(f"{path}/profile", json={"instrument": "voice"}).json()
    assert replaced["profile_data"] == {"instrument": "voice"}
    assert client.delete(path).status_code == 204
    for missing in (path, "/users/by-email?email=ella@example.org", "/users/by-google-id?google_id=google-ella"):
        assert client.get(missing).status_code == 404


def test_who_has_songs_is_not_deleted_by_accident(client: httpx.Client) -> None:
    """A user with songs is deleted only if their songs are to go too, and then both do."""
    me = joined(client)
    song = created(client, f"{me}/songs", {"title": "Dinah"})
    refused = client.delete(me)
    assert (refused.status_code, refused.json()["constraint"]) == (409, "songs_user_id_fkey")
    assert client.delete(me, params={"with_repertoire": True}).status_code == 204
    assert client.get(f"/songs/{song['song_id']}").status_code == 404
    assert client.delete(me, params={"with_repertoire": True}).status_code == 404


def test_songs(client: httpx.Client) -> None:
    """A song is created with its chart, read, changed in what is given, cleared by null, and deleted."""
    me = joined(client)
    facts = {"title": "Dinah", "artist": "Akst", "tempo": 170, "chart": {"sections": SECTIONS}, "chart_types": ["bass"]}
    made = created(client, f"{me}/songs", facts)
    path = f"/songs/{made['song_id']}"
    assert "chart" not in made
    assert client.get(path).json() == {**made, "chart": {"sections": SECTIONS}}
    changed = client.patch(path, json={"tempo": None, "key": "Ab major"}).json()
    assert (changed["tempo"], changed["key"], changed["artist"]) == (None, "Ab major", "Akst")
    assert client.delete(path).status_code == 204
    assert [client.request(method, path).status_code for method in ("get", "delete")] == [404, 404]
    assert client.patch(path, json={"key": "C"}).status_code == 404


def test_bulk_creation(client: httpx.Client) -> None:
    """Songs come in by the hundred, all or none."""
    me = joined(client)
    new = [{"title": f"T{n:03}", "artist": f"A{n % 3}", "genre": "Blues"} for n in range(300)]
    assert created(client, f"{me}/songs/bulk", new) == {"songs": 300}
    refused = client.post(f"{me}/songs/bulk", json=[{"title": "X", "drive_file_id": "same"}] * 2)
    assert (refused.status_code, refused.json()["constraint"]) == (409, "songs_drive_file_id_key")
    assert client.get(f"{me}/statistics").json() == {"total_songs": 300, "unique_artists": 3, "unique_genres": 1}
    assert client.delete(f"{me}/repertoire").json() == {"songs": 300}


@pytest.mark.parametrize("order", ["title", "newest"])
def test_pages(client: httpx.Client, order: str) -> None:
    """The pages of a list give each song once, whatever comes in meanwhile; the token of another order is refused."""
    me = joined(client)
    created(client, f"{me}/songs/bulk", [{"title": f"M{n}", "tempo": 100 + n} for n in range(7)])
    titles: list[str] = []
    after: str | None = None
    for number in range(3):
        asked = {"limit": "3", "order": order} | ({"after": after} if after else {})
        page = client.get(f"{me}/songs", params=asked).json()
        titles += [song["title"] for song in page["items"]]
        if number == 0:
            other = {"title": "newest", "newest": "title"}[order]
            crossed = client.get(f"{me}/songs", params={"after": page["next"], "order": other})
            assert crossed.status_code == 400
            created(client, f"{me}/songs", {"title": {"title": "A0", "newest": "Z9"}[order]})
        after = page["next"]
    assert sorted(titles) == [f"M{n}" for n in range(7)]
    assert after is None


def test_filters(client: httpx.Client) -> None:
    """Filters narrow a list, half a range of tempos too."""
    me = joined(client)
    for title, tempo, key in (("Avalon", 220, "F"), ("Dinah", 170, "Ab"), ("Swanee", None, "F")):
        created(client, f"{me}/songs", {"title": title, "tempo": tempo, "key": key})

    def titles(**asked: Any) -> list[str]:
        return [song["title"] for song in client.get(f"{me}/songs", params=asked).json()["items"]]

    assert titles() == ["Avalon", "Dinah", "Swanee"]
    assert titles(slowest=200) == ["Avalon"]
    assert titles(fastest=200) == ["Dinah"]
    assert titles(key="F") == ["Avalon", "Swanee"]
    assert titles(key="F", slowest=20) == ["Avalon"]


def test_search(client: httpx.Client) -> None:
    """A misspelt title is found, and % and _ are letters."""
    me = joined(client)
    for title in ("Autumn Leaves", "100% Dundee", "snake_case"):
        created(client, f"{me}/songs", {"title": title})

    def found(term: str) -> list[str]:
        return [song["title"] for song in client.get(f"{me}/songs/search", params={"term": term}).json()]

    assert found("autum leafs") == ["Autumn Leaves"]
    assert found("%") == ["100% Dundee"]
    assert found("_") == ["snake_case"]


def test_pages_of_bands(client: httpx.Client) -> None:
    """Bands come in pages by name, each once."""
    names = [f"Band {number}" for number in range(5)]
    for name in reversed(names):
        created(client, "/bands", {"name": name})
    first = client.get("/bands", params={"limit": 3}).json()
    second = client.get("/bands", params={"limit": 3, "after": first["next"]}).json()
    assert [band["name"] for band in first["items"] + second["items"]] == names
    assert second["next"] is None


def test_a_repertoire_and_its_counts(client: httpx.Client) -> None:
    """A user comes with all songs; keys, rhythms and bands are counted and listed."""
    me = joined(client)
    for title, key in (("Dinah", "Ab"), ("Avalon", "F"), ("Swanee", "F")):
        created(client, f"{me}/songs", {"title": title, "key": key, "rhythm": "Swing", "tempo": 200})
    whole = soleil.UserWithRepertoire.model_validate(client.get(f"{me}/repertoire").json())
    assert [song.title for song in whole.repertoire] == ["Avalon", "Dinah", "Swanee"]
    assert client.get(f"{me}/keys").json() == [{"key": "F", "songs": 2}, {"key": "Ab", "songs": 1}]
    assert client.get(f"{me}/rhythms").json() == [{"rhythm": "Swing", "songs": 3, "slowest": 200, "fastest": 200}]
    assert client.get(f"{me}/bands").json() == []


def test_bands(client: httpx.Client) -> None:
    """A band with its members and their users is built, read whole, changed and taken down."""
    people = [joined(client, name) for name in ("zoe", "abe")]
    band = f"/bands/{created(client, '/bands', {'name': 'Aces'})['band_id']}"
    created(client, band + people[0].replace("users", "members"), {"role": "leader"})
    member = band + people[1].replace("users", "members")
    created(client, member, {})
    whole = soleil.BandWithMembers.model_validate(client.get(band).json())
    assert [(one.user.display_name, one.role.value) for one in whole.members] == [("Zoe", "leader"), ("Abe", "member")]
    assert client.get("/bands").json() == {"items": [client.get(band).json()], "next": None}
    assert [one["name"] for one in client.get(f"{people[1]}/bands").json()] == ["Aces"]
    again = client.post(member, json={})
    assert (again.status_code, again.json()["constraint"]) == (409, "band_members_pkey")
    assert client.patch(member, json={"role": "guest"}).json()["role"] == "guest"
    assert client.delete(member).status_code == 204
    assert client.delete(member).status_code == 404
    assert client.patch(band, json={"name": "Kings"}).json()["name"] == "Kings"
    assert client.delete(band).status_code == 204
    assert client.get(band).status_code == 404


def test_times(client: httpx.Client) -> None:
    """A time is kept as the moment that it is; one without a zone is UTC's."""
    band = f"/bands/{created(client, '/bands', {'name': 'Aces'})['band_id']}"
    member = band + joined(client).replace("users", "members")
    new = created(client, member, {"joined_at": "2026-07-01T00:30:00+02:00"})
    assert new["joined_at"] == "2026-06-30T22:30:00Z"
    changed = client.patch(member, json={"joined_at": "2026-07-01T00:30:00"}).json()
    assert changed["joined_at"] == "2026-07-01T00:30:00Z"


NO_INPUT: list[tuple[str, str, str]] = [
    ("POST", "/users", '{"email": "nobody", "google_id": "g", "display_name": "N"}'),
    ("POST", "/users", '{"email": "a\\u0000@b", "google_id": "g", "display_name": "N"}'),
    ("POST", "/users", '{"email": "a@b", "google_id": "g", "display_name": "N", "user_id": 1}'),
    ("PATCH", "{me}", '{"email": null}'),
    ("PATCH", "{me}", '{"nickname": "E"}'),
    ("PUT", "{me}/profile", '{"a": {"b": "\\u0000"}}'),
    ("PUT", "{me}/profile", '{"a": [NaN]}'),
    ("PUT", "{me}/profile", '{"a": "\\ud800"}'),
    ("PUT", "{me}/profile", "[]"),
    ("POST", "{me}/songs", '{"title": ""}'),
    ("POST", "{me}/songs", '{"title": "D\\u0000"}'),
    ("POST", "{me}/songs", '{"title": "D", "tempo": 19}'),
    ("POST", "{me}/songs", '{"title": "D", "chart": {"sections": [{"chords": "\\u0000"}]}}'),
    ("POST", "{me}/songs", '{"title": "D", "chart_types": ["kazoo"]}'),
    ("POST", "{me}/songs", '{"title": "' + 501 * "x" + '"}'),
    ("POST", "{me}/songs/bulk", "[]"),
    ("GET", "{me}/songs?order=artist", ""),
    ("GET", "{me}/songs?genre=%00", ""),
    ("GET", "{me}/songs/search?term=%00", ""),
    ("GET", "{me}/songs/search?term=", ""),
    ("GET", "/songs/1", ""),
    ("POST", "/bands/{id}/members/{id}", '{"joined_at": "9999-12-31T23:59:59-01:00"}'),
    ("PATCH", "/bands/{id}/members/{id}", '{"joined_at": "0001-01-01T00:00:00+01:00"}'),
]


def test_input_that_is_no_input(client: httpx.Client) -> None:
    """What the models refuse is unprocessable: nothing reaches the database that it would refuse."""
    me = joined(client)
    for method, path, body in NO_INPUT:
        headers = {"Content-Type": "application/json"}
        answer = client.request(method, path.format(me=me, id=uuid4()), content=body, headers=headers)
        assert answer.status_code == 422, (method, path, body, answer.text)


def test_what_the_database_refuses(client: httpx.Client) -> None:
    """A taken key and a user who is not there are conflicts by the constraint's name."""
    created(client, "/users", ELLA)
    taken = client.post("/users", json={**ELLA, "google_id": "another"})
    assert (taken.status_code, taken.json()["constraint"]) == (409, "users_email_key")
    nobody = client.post(f"/users/{uuid4()}/songs", json={"title": "D"})
    assert (nobody.status_code, nobody.json()["constraint"]) == (409, "songs_user_id_fkey")


def test_many_at_once(client: httpx.Client) -> None:
    """Twenty callers at once over four connections each see their own songs alone."""

    def visit(number: int) -> list[str]:
        me = joined(client, f"user{number}")
        for title in ("B", "A"):
            created(client, f"{me}/songs", {"title": f"{title} of {number}"})
        return [song["title"] for song in client.get(f"{me}/songs").json()["items"]]

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(visit, range(20))) == [[f"A of {n}", f"B of {n}"] for n in range(20)]
    assert client.get("/status").json()["checked_out"] == 0


def test_one_address_at_once(client: httpx.Client) -> None:
    """Of ten callers who take one address at once one has it."""
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: client.post("/users", json=ELLA).status_code, range(10)))
    assert sorted(answers) == [201] + [409] * 9


def test_dependencies_stand_before_every_route(soleil_dsn: str) -> None:
    """What create_app is given decides who comes in; health is for everybody."""

    def known(key: Annotated[str | None, Header()] = None) -> None:
        if key != "open sesame":
            raise HTTPException(401, "who are you?")

    with served(create_app(settings(soleil_dsn), dependencies=[Depends(known)])) as client:
        assert client.get("/bands").status_code == 401
        assert client.post("/users", json=ELLA).status_code == 401
        assert client.get("/bands", headers={"key": "open sesame"}).json()["items"] == []
        assert client.get("/health").json()["healthy"] is True


def test_the_application_runs_under_its_role(soleil_dsn: str) -> None:
    """All that the application does it may do as soleil_app, which may change no table."""
    with served(create_app(settings(f"{soleil_dsn}%20-crole%3Dsoleil_app"))) as client:
        me = joined(client)
        song = created(client, f"{me}/songs", {"title": "Autumn Leaves"})
        created(client, f"{me}/songs/bulk", [{"title": "Dinah"}])
        assert client.get(f"{me}/songs/search", params={"term": "autum leafs"}).json() == [song]
        assert client.patch(f"/songs/{song['song_id']}", json={"key": "G"}).status_code == 200
        band = f"/bands/{created(client, '/bands', {'name': 'Aces'})['band_id']}"
        created(client, band + me.replace("users", "members"), {})
        assert len(client.get(band).json()["members"]) == 1
        assert len(client.get(f"{me}/repertoire").json()["repertoire"]) == 2
        assert client.delete(band).status_code == 204
        assert client.delete(me, params={"with_repertoire": True}).status_code == 204


def test_openapi_is_true_to_the_models(client: httpx.Client) -> None:
    """The page describes rows, inputs and changes with the very fields of their models, and no default of a change."""
    page = client.get("/openapi.json").json()
    schemas = page["components"]["schemas"]
    rows: list[type[BaseModel]] = [soleil.User, soleil.Song, soleil.ChartedSong, soleil.UserWithRepertoire]
    rows += [soleil.Band, soleil.BandWithMembers, soleil.Member, soleil.MemberWithUser, soleil.RepertoireStats]
    for model in rows:
        assert set(schemas[model.__name__]["properties"]) == set(model.model_fields), model
        assert set(schemas[model.__name__]["required"]) == set(model.model_fields), model
    inputs: list[type[BaseModel]] = [soleil.NewUser, soleil.SongFacts, soleil.NewBand, Membership]
    for model in inputs:
        assert set(schemas[model.__name__]["properties"]) == set(model.model_fields), model
        required = {name for name, field in model.model_fields.items() if field.is_required()}
        assert set(schemas[model.__name__].get("required", ())) == required, model
    for changes in (soleil.UserChanges, soleil.SongChanges, soleil.BandChanges, soleil.MemberChanges):
        described = schemas[changes.__name__]
        assert set(described["properties"]) == set(changes.model_fields)
        assert "required" not in described
        assert not any("default" in field for field in described["properties"].values())
    assert schemas["SongFacts"]["properties"]["tempo"]["anyOf"][0] == {"type": "integer", "minimum": 20, "maximum": 400}
    assert schemas["ChartType"]["enum"] == [kind.value for kind in soleil.ChartType]
    answered = page["paths"]["/bands/{band_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert answered == {"$ref": "#/components/schemas/BandWithMembers"}


def test_every_route_is_called(client: httpx.Client) -> None:
    """No route of the page answers a proper request with an error of the server's."""
    me = joined(client)
    ids = {"user_id": me.split("/")[-1], "song_id": str(uuid4()), "band_id": str(uuid4())}
    page = client.get("/openapi.json").json()
    called = 0
    for path, methods in page["paths"].items():
        for method in methods:
            answer = client.request(method, path.format(**ids), json={})
            assert answer.status_code < 500, (method, path, answer.text)
            called += 1
    assert called > 25
