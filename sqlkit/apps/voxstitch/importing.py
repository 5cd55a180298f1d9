"""Imports, which a user has so many of."""

from __future__ import annotations

from collections.abc import Iterable

from sqlkit import Executor
from sqlkit.apps.voxstitch.errors import NoImportsLeft
from sqlkit.apps.voxstitch.models import Chat, ChatHeading, ImportedChat, NewChat
from sqlkit.apps.voxstitch.queries import chats as library

__all__ = ["import_chat", "import_chats"]


def import_chat(db: Executor, *, chat: NewChat) -> Chat:
    """Import a chat for one of its user's remaining imports, in one statement; NoImportsLeft if none is left."""
    imported = library.import_chat(db, chat=chat)
    if imported is None:
        raise NoImportsLeft(chat.user_id, 1)
    return imported


def import_chats(db: Executor, *, user_id: int, chats: Iterable[ImportedChat]) -> list[ChatHeading]:
    """Import chats for as many of a user's remaining imports, all or none; return their headings in this order.

    NoImportsLeft if fewer are left than there are chats.
    """
    batch = list(chats)
    imported = library.import_chats(db, user_id=user_id, chats=batch)
    if len(imported) < len(batch):
        raise NoImportsLeft(user_id, len(batch))
    return imported
