"""Partial updates: a model writes the fields that were given to it and leaves the others alone.

::

    class SongChanges(Changes):
        title: Text = UNCHANGED
        key: str | None = UNCHANGED        # None clears it

    update songs
    set
        title = :changes.title,    --? optional
        key = :changes.key,        --? optional
        updated_at = now()
    where song_id = :song_id;

``songs.update(db, song_id=song_id, changes=changes)`` takes the model whole; where the statement has ``:title`` and
``:key``, ``songs.update(db, song_id=song_id, **set_fields(changes))`` does the same.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sqlkit.annotations import UNSET

__all__ = ["UNCHANGED", "Changes", "is_empty", "set_fields"]


def _without_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


#: The default of a field of changes: what is not given is not written. It does not stand in a JSON schema.
UNCHANGED: Any = Field(default=UNSET, json_schema_extra=_without_default)


class Changes(BaseModel):
    """The root of models of changes: a field that does not exist is an error, not a value that gets lost."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _leave_unset_away(cls, given: Any) -> Any:
        """Take a field that is given as UNSET as not given: an int field would read the enum's text into it."""
        if isinstance(given, dict):
            return {name: value for name, value in given.items() if value is not UNSET}
        return given


def set_fields(model: BaseModel) -> dict[str, Any]:
    """Return every field of a model: with its value where it was given, with UNSET where it was not."""
    given = model.model_fields_set
    return {name: getattr(model, name) if name in given else UNSET for name in type(model).model_fields}


def is_empty(model: BaseModel) -> bool:
    """Tell whether nothing was given, so that there is nothing to write."""
    return all(value is UNSET for value in set_fields(model).values())
