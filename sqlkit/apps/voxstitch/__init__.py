"""Voxstitch: chat imports. Users, the chats that they import, and who is logged in.

For threads; ``sqlkit.apps.voxstitch.asynchronous`` has the same queries for asyncio::

    from sqlkit import Database
    from sqlkit.apps import voxstitch
    from sqlkit.apps.voxstitch.settings import VoxstitchSettings

    with Database.connect(VoxstitchSettings()) as db:
        user = voxstitch.register(db, email="ella@example.org", password=password)
        new = voxstitch.NewChat(user_id=user.user_id, title="Lisbon", platform=Platform.CLAUDE, content=exported)
        chat = voxstitch.import_chat(db, chat=new)
        found = voxstitch.chats.search_chats(db, term="fado -tourists", user_id=user.user_id)

What its functions were called when they stood on an ORM:

================================== ==================================================================
old                                new
================================== ==================================================================
get_db                             Database.transaction, a query on a Database
get_db_session                     fastapi.transaction_of
configure_pool                     configure_pool
CRUDBase.get                       users.get_user, chats.get_chat
(selecting only some columns)      chats.get_chat_heading, users.get_remaining_imports
CRUDBase.get_multi                 users.list_users, chats.list_chats (skip, limit, or after)
CRUDBase.create                    users.create_user, chats.create_chat, import_chat
CRUDBase.update                    users.update_user, chats.update_chat (the fields that are set)
CRUDBase.remove                    users.remove_user, chats.remove_chat (the removed row)
optimize_query (joinedload)        users.get_user_with_chats, chats.get_chat_with_user
(bulk inserts)                     import_chats, chats.create_chats, chats.copy_chats
cleanup_expired_sessions           login_sessions.cleanup_expired_sessions
login                              log_in, log_out, who_is
(cache integration)                CachedUsers
User, Chat                         User, Chat (User.id is user_id, Chat.id is chat_id)
alembic upgrade head               sqlkit migrate
alembic downgrade -1               sqlkit migrate down
alembic current, alembic history   sqlkit migrate current, sqlkit migrate history
alembic revision                   sqlkit migrate new
================================== ==================================================================
"""

from __future__ import annotations

from sqlkit.apps.voxstitch.accounts import (
    LOGIN_LASTS,
    Login,
    change_password,
    log_in,
    log_out,
    register,
    who_is,
)
from sqlkit.apps.voxstitch.errors import LoginRefused, NoImportsLeft
from sqlkit.apps.voxstitch.importing import import_chat, import_chats
from sqlkit.apps.voxstitch.models import (
    Chat,
    ChatChanges,
    ChatHeading,
    ChatWithUser,
    Credentials,
    FoundChat,
    ImportedChat,
    LoginSession,
    LoginSessionWithUser,
    NewChat,
    NewLoginSession,
    NewUser,
    Platform,
    PlatformCount,
    User,
    UserChanges,
    UserWithChats,
)
from sqlkit.apps.voxstitch.pool import configure_pool
from sqlkit.apps.voxstitch.queries import (
    ChatQueries,
    LoginSessionQueries,
    UserQueries,
    chats,
    login_sessions,
    users,
)
from sqlkit.apps.voxstitch.recent import CachedUsers, RecentUsers, UserCache

__all__ = [
    "LOGIN_LASTS",
    "CachedUsers",
    "Chat",
    "ChatChanges",
    "ChatHeading",
    "ChatQueries",
    "ChatWithUser",
    "Credentials",
    "FoundChat",
    "ImportedChat",
    "Login",
    "LoginRefused",
    "LoginSession",
    "LoginSessionQueries",
    "LoginSessionWithUser",
    "NewChat",
    "NewLoginSession",
    "NewUser",
    "NoImportsLeft",
    "Platform",
    "PlatformCount",
    "RecentUsers",
    "User",
    "UserCache",
    "UserChanges",
    "UserQueries",
    "UserWithChats",
    "change_password",
    "chats",
    "configure_pool",
    "import_chat",
    "import_chats",
    "log_in",
    "log_out",
    "login_sessions",
    "register",
    "users",
    "who_is",
]
