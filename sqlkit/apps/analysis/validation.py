"""Whether data from outside can be written, and what of it is to be written: cleaned, or with what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from sqlkit.apps.analysis.models import Email, NewAnalysis, Username

__all__ = ["Validation", "validate_analysis_data", "validate_user_data"]


class Validation(TypedDict):
    """``data`` is what can be written, cleaned; where it is not valid it is empty, and ``errors`` says why.

    An error names its field and never shows a value.
    """

    valid: bool
    data: dict[str, Any]
    errors: list[str]


class UserData(BaseModel):
    """What people say of themselves; a password is none of it."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    username: Username
    email: Email


class AnalysisData(NewAnalysis):
    """An analysis, with blanks around its texts taken away."""

    model_config = ConfigDict(str_strip_whitespace=True)


def validate_user_data(data: Mapping[str, JsonValue]) -> Validation:
    """Say whether a username and an email can be a user's; blanks around them are taken away."""
    return _validated(UserData, data)


def validate_analysis_data(data: Mapping[str, Any]) -> Validation:
    """Say whether data can be an analysis: ``user_id``, ``title``; ``status``, ``parameters``, ``result`` at will."""
    return _validated(AnalysisData, data)


def _validated(model: type[BaseModel], data: Mapping[str, Any]) -> Validation:
    try:
        return {"valid": True, "data": model.model_validate(dict(data)).model_dump(), "errors": []}
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        reasons = {str(one["loc"][0]): one["msg"].removeprefix("Value error, ") for one in reversed(found)}
        errors = [f"{field}: {reason[:1].lower()}{reason[1:]}" for field, reason in reversed(reasons.items())]
        return {"valid": False, "data": {}, "errors": errors}
