"""Each query of voxstitch, in both colours, on a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from psycopg import errors
from pydantic import ValidationError

from sqlkit import Database
from sqlkit.apps import SQL, voxstitch
from sqlkit.apps.voxstitch import Platform, asynchronous, queries
from tests.both_colours import Api, assert_colours_agree, opened, untested

TOPICS = ("users", "chats", "login_sessions")
HASH = "$argon2id$v=19$not-a-real-one"
NOBODY = 2**62


@pytest.fixture(params=["sync", "async"])
def api(request: pytest.FixtureRequest, voxstitch_shared_dsn: str) -> Iterator[Api]:
    """Give voxstitch's queries on a connection in a transaction that is rolled back."""
    yield from opened(request.param, voxstitch_shared_dsn, queries, asynchronous, TOPICS)


def user_of(api: Api, name: str = "ella", **facts: Any) -> voxstitch.User:
    """Create a user."""
    new = voxstitch.NewUser(email=f"{name}@example.org", hashed_password=HASH, **facts)
    created: voxstitch.User = api.users.create_user(user=new)
    return created


def chat_of(
    user: voxstitch.User, title: str = "Lisbon", content: Any = None, platform: Platform = Platform.CLAUDE
) -> voxstitch.NewChat:
    """Return a chat to create."""
    said: Any = {"messages": [{"role": "user", "text": "Where is fado sung?"}]} if content is None else content
    return voxstitch.NewChat(user_id=user.user_id, title=title, platform=platform, content=said)


# Users


def test_create_user(api: Api) -> None:
    """A created user comes back with their id, active, with two imports, and without the hash of the password."""
    user = user_of(api)
    assert (user.email, user.is_active, user.is_guest, user.remaining_imports) == ("ella@example.org", True, False, 2)
    assert user.created_at == user.updated_at
    assert HASH not in repr(user)


def test_create_guest(api: Api) -> None:
    """A guest needs neither an address nor a password, and any number of imports may be given."""
    guest = api.users.create_user(user=voxstitch.NewUser(is_guest=True, remaining_imports=1))
    assert (guest.email, guest.is_guest, guest.remaining_imports) == (None, True, 1)


@pytest.mark.parametrize("email", ["ella@example.org", "ELLA@Example.org"])
def test_create_user_twice(api: Api, email: str) -> None:
    """An address that is taken, however capitalised, is refused by the index's name."""
    user_of(api)
    with pytest.raises(errors.UniqueViolation) as refused:
        api.users.create_user(user=voxstitch.NewUser(email=email, hashed_password=HASH))
    assert refused.value.diag.constraint_name == "users_email_key"


def test_get_user(api: Api) -> None:
    """One user is found by their id and by their address, however it is capitalised; nobody by what nobody has."""
    user = user_of(api)
    user_of(api, "other")
    assert api.users.get_user(user_id=user.user_id) == user
    assert api.users.get_user_by_email(email="Ella@EXAMPLE.org") == user
    assert api.users.get_user(user_id=NOBODY) is None
    assert api.users.get_user_by_email(email="nobody@example.org") is None


def test_get_some_columns(api: Api) -> None:
    """A look-up that wants only some columns reads only these."""
    user = user_of(api)
    chat = api.chats.create_chat(chat=chat_of(user))
    assert api.users.get_remaining_imports(user_id=user.user_id) == 2
    assert api.users.get_remaining_imports(user_id=NOBODY) is None
    credentials = api.users.get_credentials(email="ELLA@example.org")
    assert credentials.model_dump() == {"user_id": user.user_id, "hashed_password": HASH, "is_active": True}
    heading = api.chats.get_chat_heading(chat_id=chat.chat_id)
    assert heading.model_dump() == chat.model_dump(exclude={"content"})


def test_credentials_of_who_has_none(api: Api) -> None:
    """A guest without a password and nobody at all have nothing to log in with."""
    api.users.create_user(user=voxstitch.NewUser(email="guest@example.org", is_guest=True))
    assert api.users.get_credentials(email="guest@example.org") is None
    assert api.users.get_credentials(email="nobody@example.org") is None


def test_list_users_by_skip_and_limit(api: Api) -> None:
    """Pages by skip and limit give each user once, by id."""
    made = [user_of(api, f"u{n}") for n in range(5)]
    pages = [api.users.list_users(skip=skip, limit=2) for skip in (0, 2, 4, 6)]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert [user for page in pages for user in page] == made
    assert api.users.count_users() == 5


def test_list_users_by_keyset(api: Api) -> None:
    """Pages behind the last id give each user once, also when somebody of an earlier page goes meanwhile."""
    made = [user_of(api, f"u{n}") for n in range(5)]
    first = api.users.list_users(limit=2)
    api.users.remove_user(user_id=made[0].user_id)
    rest = api.users.list_users(limit=10, after=first[-1].user_id)
    assert first + rest == made


def test_list_users_narrowed(api: Api) -> None:
    """Users are listed by whether they are active and whether they are guests."""
    user, other = user_of(api), user_of(api, "other")
    guest = api.users.create_user(user=voxstitch.NewUser(is_guest=True))
    idle = api.users.update_user(user_id=other.user_id, changes=voxstitch.UserChanges(is_active=False))
    assert api.users.list_users(is_active=True) == [user, guest]
    assert api.users.list_users(is_active=False) == [idle]
    assert api.users.list_users(is_guest=True) == [guest]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"email": "New@x"},
        {"is_active": False},
        {"is_guest": True},
        {"remaining_imports": 0},
        {"email": "new@x", "is_active": False, "is_guest": True, "remaining_imports": 7},
    ],
)
def test_update_user(api: Api, changes: dict[str, Any]) -> None:
    """The fields that are given are written, all others stay, and nobody else changes."""
    user, other = user_of(api), user_of(api, "other")
    updated = api.users.update_user(user_id=user.user_id, changes=voxstitch.UserChanges(**changes))
    assert updated == user.model_copy(update=changes)
    assert api.users.get_user(user_id=user.user_id) == updated
    assert api.users.get_user(user_id=other.user_id) == other


def test_guest_becomes_a_user(api: Api) -> None:
    """A guest gets an account by an address and a password, and keeps what they imported."""
    guest = api.users.create_user(user=voxstitch.NewUser(is_guest=True))
    changes = voxstitch.UserChanges(email="g@example.org", hashed_password=HASH, is_guest=False)
    assert not api.users.update_user(user_id=guest.user_id, changes=changes).is_guest
    assert api.users.get_credentials(email="g@example.org").user_id == guest.user_id


def test_guest_becomes_no_user_without_a_password(api: Api) -> None:
    """Half an account is refused by the database, by the constraint's name."""
    guest = api.users.create_user(user=voxstitch.NewUser(is_guest=True))
    with pytest.raises(errors.CheckViolation) as refused:
        api.users.update_user(user_id=guest.user_id, changes=voxstitch.UserChanges(is_guest=False))
    assert refused.value.diag.constraint_name == "users_is_guest_email_hashed_password_check"


def test_updates_and_removals_of_nobody(api: Api) -> None:
    """What does not exist is neither updated nor removed: None."""
    assert api.users.update_user(user_id=NOBODY, changes=voxstitch.UserChanges(is_active=False)) is None
    assert api.users.change_password(user_id=NOBODY, hashed_password=HASH) is None
    assert api.users.add_imports(user_id=NOBODY, imports=1) is None
    assert api.users.remove_user(user_id=NOBODY) is None
    assert api.users.remove_user_with_chats(user_id=NOBODY) is None
    assert api.chats.update_chat(chat_id=NOBODY, changes=voxstitch.ChatChanges(title="T")) is None
    assert api.chats.remove_chat(chat_id=NOBODY) is None


def test_add_imports(api: Api) -> None:
    """Imports are given and taken; less than none is refused by the constraint's name."""
    user = user_of(api)
    assert api.users.add_imports(user_id=user.user_id, imports=3) == 5
    assert api.users.add_imports(user_id=user.user_id, imports=-5) == 0
    with pytest.raises(errors.CheckViolation) as refused:
        api.users.add_imports(user_id=user.user_id, imports=-1)
    assert refused.value.diag.constraint_name == "users_remaining_imports_check"


def test_remove_user(api: Api) -> None:
    """A removed user comes back a last time, and their sessions are gone with them."""
    user = user_of(api)
    api.login_sessions.open_session(opening=opening_of(user))
    assert api.users.remove_user(user_id=user.user_id) == user
    assert api.users.get_user(user_id=user.user_id) is None
    assert api.execute("select count(*) from login_sessions") == [(0,)]


def test_remove_user_who_has_chats(api: Api) -> None:
    """A user who has chats is not removed by accident."""
    user = user_of(api)
    api.chats.create_chat(chat=chat_of(user))
    with pytest.raises(errors.ForeignKeyViolation):
        api.users.remove_user(user_id=user.user_id)


def test_remove_user_with_chats(api: Api) -> None:
    """A user is removed with all their chats in one statement; others keep theirs."""
    user, other = user_of(api), user_of(api, "other")
    api.chats.create_chats([chat_of(user), chat_of(user), chat_of(other)])
    assert api.users.remove_user_with_chats(user_id=user.user_id) == user
    assert [chat.user_id for chat in api.chats.list_chats()] == [other.user_id]


def test_get_user_with_chats(api: Api) -> None:
    """A user comes with all their chats, the newest first, equal to those that are read one by one."""
    user, other = user_of(api), user_of(api, "other")
    chats = [api.chats.create_chat(chat=chat_of(user, title)) for title in ("One", "Two")]
    api.chats.create_chat(chat=chat_of(other))
    found = api.users.get_user_with_chats(user_id=user.user_id)
    assert found.chats == chats[::-1]
    assert found.model_dump(exclude={"chats"}) == user.model_dump()


def test_get_user_without_chats(api: Api) -> None:
    """A user without chats has an empty list; who does not exist is None."""
    assert api.users.get_user_with_chats(user_id=user_of(api).user_id).chats == []
    assert api.users.get_user_with_chats(user_id=NOBODY) is None


# Chats


CONTENTS: list[Any] = [{}, [], {"a": [1, 2.5, None, True, {"b": "c"}]}, [["nested"]], {"é": "日本語 \\u0000 'quoted'"}]


@pytest.mark.parametrize("content", CONTENTS)
def test_create_chat(api: Api, content: Any) -> None:
    """A created chat comes back as it was given, and is found with and without its user."""
    user = user_of(api)
    chat = api.chats.create_chat(chat=chat_of(user, content=content, platform=Platform.SLACK))
    assert (chat.user_id, chat.title, chat.platform) == (user.user_id, "Lisbon", Platform.SLACK)
    assert chat.content == content
    assert api.chats.get_chat(chat_id=chat.chat_id) == chat
    found = api.chats.get_chat_with_user(chat_id=chat.chat_id)
    assert found.user == user
    assert found.model_dump(exclude={"user"}) == chat.model_dump()


def test_create_chat_of_nobody(api: Api) -> None:
    """A chat needs a user who exists."""
    with pytest.raises(errors.ForeignKeyViolation):
        api.chats.create_chat(chat=chat_of(user_of(api).model_copy(update={"user_id": NOBODY})))


def test_get_chat_that_is_not_there(api: Api) -> None:
    """A chat that does not exist is None."""
    assert api.chats.get_chat(chat_id=NOBODY) is None
    assert api.chats.get_chat_heading(chat_id=NOBODY) is None
    assert api.chats.get_chat_with_user(chat_id=NOBODY) is None


def test_import_chat(api: Api) -> None:
    """An import takes one of the user's; at none left it gives None and writes nothing."""
    user = user_of(api)
    chats = [api.chats.import_chat(chat=chat_of(user, title)) for title in ("One", "Two", "Three")]
    assert [chat and chat.title for chat in chats] == ["One", "Two", None]
    assert api.users.get_remaining_imports(user_id=user.user_id) == 0
    assert [chat.title for chat in api.chats.list_chats()] == ["Two", "One"]
    assert api.chats.get_chat(chat_id=chats[0].chat_id) == chats[0]


def test_import_chat_of_nobody(api: Api) -> None:
    """Nobody has no imports."""
    nobody = user_of(api).model_copy(update={"user_id": NOBODY})
    assert api.chats.import_chat(chat=chat_of(nobody)) is None


def test_import_chats(api: Api) -> None:
    """A batch takes as many imports as it has chats and gives them back in order, or takes none at all."""
    user = user_of(api, remaining_imports=4)
    new = [
        voxstitch.ImportedChat(title=f"T{n}", platform=Platform.CLAUDE, content={"n": n, "é": "日本"}) for n in range(3)
    ]
    imported = api.chats.import_chats(user_id=user.user_id, chats=new)
    assert [chat.title for chat in imported] == ["T0", "T1", "T2"]
    assert [chat.content for chat in api.chats.stream_chats(user_id=user.user_id)] == [chat.content for chat in new]
    assert api.chats.import_chats(user_id=user.user_id, chats=new) == []
    assert api.chats.import_chats(user_id=user.user_id, chats=[]) == []
    assert api.users.get_remaining_imports(user_id=user.user_id) == 1


def test_create_chats_in_a_batch(api: Api) -> None:
    """A batch gives its chats back in the order given, and takes no imports."""
    user = user_of(api)
    made = api.chats.create_chats([chat_of(user, f"T{n}") for n in range(3)])
    assert [chat.title for chat in made] == ["T0", "T1", "T2"]
    assert [api.chats.get_chat_heading(chat_id=chat.chat_id) for chat in made] == made
    assert api.users.get_remaining_imports(user_id=user.user_id) == 2


def test_copy_chats(api: Api) -> None:
    """A copy says how many chats went in, and they are there with their content."""
    user = user_of(api)
    assert api.chats.copy_chats([chat_of(user, content=content) for content in CONTENTS]) == len(CONTENTS)
    assert [chat.content for chat in api.chats.stream_chats(user_id=user.user_id)] == CONTENTS


def test_list_chats(api: Api) -> None:
    """Pages of chats, by skip and by keyset, of a user, of a platform or of all, the newest first."""
    user, other = user_of(api), user_of(api, "other")
    platforms = [Platform.CLAUDE, Platform.SLACK, Platform.CLAUDE, Platform.CLAUDE]
    made = api.chats.create_chats([chat_of(user, f"T{n}", platform=one) for n, one in enumerate(platforms)])
    foreign = api.chats.create_chats([chat_of(other)])
    newest = made[::-1]
    assert api.chats.list_chats() == foreign + newest
    assert api.chats.list_chats(user_id=user.user_id, limit=2) == newest[:2]
    assert api.chats.list_chats(user_id=user.user_id, limit=2, skip=2) == newest[2:]
    assert api.chats.list_chats(user_id=user.user_id, limit=9, after=newest[1].chat_id) == newest[2:]
    assert api.chats.list_chats(user_id=user.user_id, platform=Platform.SLACK) == [made[1]]


def test_list_chats_by_platform(api: Api) -> None:
    """The chats of a platform come with their content, whoever's they are, in pages."""
    user, other = user_of(api), user_of(api, "other")
    made = [api.chats.create_chat(chat=chat_of(one)) for one in (user, other, user)]
    api.chats.create_chat(chat=chat_of(user, platform=Platform.SLACK))
    newest = made[::-1]
    assert api.chats.list_chats_by_platform(platform=Platform.CLAUDE) == newest
    assert api.chats.list_chats_by_platform(platform=Platform.CLAUDE, limit=1, skip=1) == newest[1:2]
    assert api.chats.list_chats_by_platform(platform=Platform.CLAUDE, after=newest[0].chat_id) == newest[1:]


def test_count_chats_by_platform(api: Api) -> None:
    """Platforms are counted, the most frequent first, of one user or of all."""
    user, other = user_of(api), user_of(api, "other")
    api.chats.create_chats([chat_of(user), chat_of(other), chat_of(user, platform=Platform.SLACK)])
    counted = [(count.platform, count.chats) for count in api.chats.count_chats_by_platform()]
    assert counted == [(Platform.CLAUDE, 2), (Platform.SLACK, 1)]
    mine = [(count.platform, count.chats) for count in api.chats.count_chats_by_platform(user_id=other.user_id)]
    assert mine == [(Platform.CLAUDE, 1)]


@pytest.mark.parametrize(
    ("term", "titles"),
    [
        ("fado", ["Music", "Lisbon"]),
        ("FADO sung", ["Lisbon"]),
        ("fado -where", ["Music"]),
        ('"is fado"', ["Lisbon"]),
        ('"fado is"', []),
        ("sardines or alfama", ["Lisbon", "Food"]),
        ("lisbon", ["Lisbon"]),
        ("deep", ["Music"]),
        ("role", []),
        ("100%", ["Food"]),
        ("", []),
        ("'; drop table chats; --", []),
    ],
)
def test_search_chats(api: Api, term: str, titles: list[str]) -> None:
    """The words of a term are found in titles and in any text of the content, not in its keys; the best match first."""
    user = user_of(api)
    lisbon = [{"role": "user", "text": "Where is fado sung?"}, {"role": "assistant", "text": "In Alfama, Alfama!"}]
    api.chats.create_chats(
        [
            chat_of(user, "Lisbon", {"messages": lisbon}),
            chat_of(user, "Music", {"a": [{"b": ["fado, fado", {"c": "deep"}]}], "fado": 1}),
            chat_of(user, "Food", ["grilled sardines, 100% fresh"]),
        ]
    )
    found = api.chats.search_chats(term=term, user_id=user.user_id)
    assert [chat.title for chat in found] == titles
    assert [chat.rank for chat in found] == sorted((chat.rank for chat in found), reverse=True)


def test_search_chats_narrowed(api: Api) -> None:
    """A search keeps to a user and to a platform, and to so many."""
    user, other = user_of(api), user_of(api, "other")
    api.chats.create_chats([chat_of(user), chat_of(other), chat_of(user, platform=Platform.SLACK)])
    assert len(api.chats.search_chats(term="fado")) == 3
    assert len(api.chats.search_chats(term="fado", limit=2)) == 2
    assert [chat.user_id for chat in api.chats.search_chats(term="fado", user_id=other.user_id)] == [other.user_id]
    (found,) = api.chats.search_chats(term="fado", platform=Platform.SLACK)
    assert found.platform is Platform.SLACK


def test_a_chat_longer_than_a_tsvector(api: Api) -> None:
    """A chat with more words than the index can hold is imported all the same, and found by its beginning."""
    user = user_of(api)
    words = [f"word{n:07}" for n in range(120_000)]
    chat = api.chats.create_chat(chat=chat_of(user, "Long", {"text": " ".join(["fado", *words])}))
    assert [found.chat_id for found in api.chats.search_chats(term="fado long")] == [chat.chat_id]
    assert len(api.chats.get_chat(chat_id=chat.chat_id).content["text"]) > 1_300_000


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"title": "New"},
        {"platform": Platform.OTHER},
        {"content": ["new"]},
        {"title": "New", "platform": Platform.GEMINI, "content": {}},
    ],
)
def test_update_chat(api: Api, changes: dict[str, Any]) -> None:
    """The fields that are given are written, all others stay, and no other chat changes."""
    user = user_of(api)
    chat, other = (api.chats.create_chat(chat=chat_of(user)) for _ in range(2))
    updated = api.chats.update_chat(chat_id=chat.chat_id, changes=voxstitch.ChatChanges(**changes))
    assert updated == chat.model_copy(update=changes)
    assert api.chats.get_chat(chat_id=chat.chat_id) == updated
    assert api.chats.get_chat(chat_id=other.chat_id) == other


def test_remove_chat(api: Api) -> None:
    """A removed chat comes back a last time; the import that it took does not."""
    user = user_of(api)
    chat = api.chats.import_chat(chat=chat_of(user))
    assert api.chats.remove_chat(chat_id=chat.chat_id) == chat
    assert api.chats.get_chat(chat_id=chat.chat_id) is None
    assert api.users.get_remaining_imports(user_id=user.user_id) == 1


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (voxstitch.UserChanges, "email"),
        (voxstitch.UserChanges, "remaining_imports"),
        (voxstitch.ChatChanges, "title"),
        (voxstitch.ChatChanges, "content"),
    ],
)
def test_none_where_a_column_takes_none(model: Any, field: str) -> None:
    """A change to None is refused before it is sent."""
    with pytest.raises(ValidationError):
        model(**{field: None})


# Login sessions


def opening_of(user: voxstitch.User, token: int = 1, **lifetime: float) -> voxstitch.NewLoginSession:
    """Return a session to open."""
    lasting = timedelta(**lifetime) if lifetime else timedelta(hours=1)
    return voxstitch.NewLoginSession(user_id=user.user_id, token_hash=bytes([token]) * 32, lifetime=lasting)


def test_open_and_get_session(api: Api) -> None:
    """An open session is found by its token's hash, with its user; it lasts as long as was said."""
    user = user_of(api)
    session = api.login_sessions.open_session(opening=opening_of(user, minutes=90))
    assert session.expires_at - session.created_at == timedelta(minutes=90)
    found = api.login_sessions.get_session(token_hash=b"\1" * 32)
    assert found.user == user
    assert found.model_dump(exclude={"user"}) == session.model_dump()
    assert api.login_sessions.get_session(token_hash=b"\2" * 32) is None


def test_open_session_with_a_token_that_is_there(api: Api) -> None:
    """Two sessions never share a token."""
    user = user_of(api)
    api.login_sessions.open_session(opening=opening_of(user))
    with pytest.raises(errors.UniqueViolation) as refused:
        api.login_sessions.open_session(opening=opening_of(user))
    assert refused.value.diag.constraint_name == "login_sessions_token_hash_key"


def expire(api: Api, session: voxstitch.LoginSession) -> None:
    """Let a session begin and end in the past."""
    api.execute(
        "update login_sessions set created_at = now() - interval '2 hours', expires_at = now() - interval '1 second' "
        "where session_id = %s",
        session.session_id,
    )


def test_expired_sessions(api: Api) -> None:
    """An expired session is not found, and is cleaned up; those that last stay."""
    user = user_of(api)
    sessions = [api.login_sessions.open_session(opening=opening_of(user, n)) for n in range(3)]
    for session in sessions[:2]:
        expire(api, session)
    assert api.login_sessions.get_session(token_hash=b"\0" * 32) is None
    assert api.login_sessions.list_sessions(user_id=user.user_id) == sessions[2:]
    assert api.login_sessions.cleanup_expired_sessions() == 2
    assert api.login_sessions.cleanup_expired_sessions() == 0
    assert api.execute("select session_id from login_sessions") == [(sessions[2].session_id,)]


def test_session_of_who_is_not_active(api: Api) -> None:
    """A session is good only while its user is active."""
    user = user_of(api)
    api.login_sessions.open_session(opening=opening_of(user))
    api.users.update_user(user_id=user.user_id, changes=voxstitch.UserChanges(is_active=False))
    assert api.login_sessions.get_session(token_hash=b"\1" * 32) is None


def test_close_session(api: Api) -> None:
    """A session is closed once, and comes back a last time."""
    user = user_of(api)
    session = api.login_sessions.open_session(opening=opening_of(user))
    assert api.login_sessions.close_session(token_hash=b"\1" * 32) == session
    assert api.login_sessions.close_session(token_hash=b"\1" * 32) is None


def test_close_sessions_of_user(api: Api) -> None:
    """All sessions of a user are closed, nobody else's."""
    user, other = user_of(api), user_of(api, "other")
    for token, whose in enumerate((user, user, other)):
        api.login_sessions.open_session(opening=opening_of(whose, token))
    assert api.login_sessions.close_sessions_of_user(user_id=user.user_id) == 2
    assert len(api.login_sessions.list_sessions(user_id=other.user_id)) == 1


def test_change_password(api: Api) -> None:
    """Another password closes all sessions of the user in the same statement, and nobody else's."""
    user, other = user_of(api), user_of(api, "other")
    for token, whose in enumerate((user, other)):
        api.login_sessions.open_session(opening=opening_of(whose, token))
    assert api.users.change_password(user_id=user.user_id, hashed_password="$new") == user
    assert api.users.get_credentials(email=user.email).hashed_password == "$new"
    assert api.login_sessions.list_sessions(user_id=user.user_id) == []
    assert len(api.login_sessions.list_sessions(user_id=other.user_id)) == 1


# All together


def test_updates_set_updated_at(voxstitch_dsn: str) -> None:
    """Every update writes the time of it; the time of creation stays."""
    with Database.connect(voxstitch_dsn) as db:
        new = voxstitch.NewUser(email="a@b", hashed_password=HASH, remaining_imports=9)
        user = voxstitch.users.create_user(db, user=new)
        chat = voxstitch.chats.create_chat(db, chat=chat_of(user))
        changed = voxstitch.chats.update_chat(db, chat_id=chat.chat_id, changes=voxstitch.ChatChanges())
        assert changed is not None
        assert changed.updated_at > chat.updated_at
        seen = user.updated_at
        for change in (
            lambda: voxstitch.users.update_user(db, user_id=user.user_id, changes=voxstitch.UserChanges()),
            lambda: voxstitch.users.change_password(db, user_id=user.user_id, hashed_password="$new"),
            lambda: voxstitch.users.add_imports(db, user_id=user.user_id, imports=1),
            lambda: voxstitch.chats.import_chat(db, chat=chat_of(user)),
            lambda: voxstitch.import_chats(db, user_id=user.user_id, chats=[chat_without_user()]),
        ):
            change()
            now = voxstitch.users.get_user(db, user_id=user.user_id)
            assert now is not None
            assert now.updated_at > seen
            assert now.created_at == user.created_at
            seen = now.updated_at


def chat_without_user() -> voxstitch.ImportedChat:
    """Return a chat to import, whoever's."""
    return voxstitch.ImportedChat(title="T", platform=Platform.OTHER, content={})


@pytest.mark.parametrize("query", ["create_chats", "copy_chats"])
def test_bulk_creation_is_all_or_nothing(voxstitch_dsn: str, query: str) -> None:
    """One chat that is refused takes the whole batch with it."""
    with Database.connect(voxstitch_dsn) as db:
        user = voxstitch.users.create_user(db, user=voxstitch.NewUser(is_guest=True))
        nobody = user.model_copy(update={"user_id": NOBODY})
        with pytest.raises(errors.ForeignKeyViolation):
            getattr(voxstitch.chats, query)(db, [chat_of(user), chat_of(nobody)])
        assert voxstitch.chats.list_chats(db) == []


@pytest.mark.parametrize("topic", TOPICS)
def test_colours_agree(topic: str) -> None:
    """Both colours have the same queries with the same parameters, rows and docstrings, for every statement."""
    assert_colours_agree(queries, asynchronous, topic, SQL / f"voxstitch/{topic}.sql")


@pytest.mark.parametrize("topic", TOPICS)
def test_every_query_is_tested_here(topic: str) -> None:
    """No statement of voxstitch is without a call in this file."""
    assert untested(SQL / f"voxstitch/{topic}.sql", "test_voxstitch_queries.py") == set()


def test_names_of_the_old_functions() -> None:
    """Each new name in the table of voxstitch's docstring is there."""
    words = re.findall(rf"\b(?:{'|'.join(TOPICS)})\.\w+", voxstitch.__doc__ or "")
    assert len(set(words)) >= 12
    for word in words:
        topic, query = word.split(".")
        assert callable(getattr(getattr(voxstitch, topic), query))
