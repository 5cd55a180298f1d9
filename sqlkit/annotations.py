"""The annotations that sqlkit adds to Python's: ``Affected``, ``One``, ``UNSET``, ranges and multiranges."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeAlias, TypeVar, get_args

from psycopg.types.multirange import Multirange
from psycopg.types.range import Range

if TYPE_CHECKING:  # who makes a schema has imported pydantic, and for anybody else it would be slow to import
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["UNSET", "Affected", "One", "PgMultirange", "PgRange", "Unset"]

T = TypeVar("T")


class Affected(int):
    """The number of rows that a statement affected; as a return annotation it asks for that number."""

    __slots__ = ()
    __module__ = "sqlkit"

    def __repr__(self) -> str:
        return f"Affected({int(self)})"


class Unset(Enum):
    """The type of ``UNSET``, for annotations: ``genre: str | None | Unset = UNSET``."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


#: Not given, where None is itself a value: the default of an optional parameter that can be set to NULL.
UNSET: Final[Literal[Unset.UNSET]] = Unset.UNSET


class OneMarker:
    """Marks an annotation as exactly one value."""

    def __repr__(self) -> str:
        return "One"


#: Exactly one value of a type that would read otherwise: ``One[list[str]]`` is one array, not rows.
One: TypeAlias = Annotated[T, OneMarker()]


class RangeOf:
    """Lets pydantic take psycopg's ``Range[T]`` and check its bounds as T."""

    def __repr__(self) -> str:
        return "PgRange"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Take a Range whose bounds are each None or a T."""
        from pydantic_core import PydanticCustomError, core_schema

        bound = _bound_schema(source, handler)

        def check(value: Any, validate: Any) -> Range[Any]:
            if not isinstance(value, Range):
                raise PydanticCustomError("range_type", "Input should be a range")
            if value.isempty:
                return value
            lower, upper = (None if end is None else validate(end) for end in (value.lower, value.upper))
            return Range(lower, upper, value.bounds)

        return core_schema.no_info_wrap_validator_function(
            check, bound, serialization=core_schema.plain_serializer_function_ser_schema(_range_document)
        )


class MultirangeOf:
    """Lets pydantic take psycopg's ``Multirange[T]`` and check its bounds as T."""

    def __repr__(self) -> str:
        return "PgMultirange"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Take a Multirange of ranges, each checked as ``PgRange[T]`` is."""
        from pydantic_core import PydanticCustomError, core_schema

        element = RangeOf().__get_pydantic_core_schema__(source, handler)

        def check(value: Any, validate: Any) -> Multirange[Any]:
            if not isinstance(value, Multirange):
                raise PydanticCustomError("multirange_type", "Input should be a multirange")
            return Multirange([validate(part) for part in value])

        return core_schema.no_info_wrap_validator_function(
            check,
            element,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: [_range_document(part) for part in value]
            ),
        )


def _bound_schema(source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
    arguments = get_args(source)
    return handler.generate_schema(arguments[0] if arguments else Any)


def _range_document(value: Range[Any]) -> dict[str, Any]:
    if value.isempty:
        return {"empty": True}
    return {"lower": value.lower, "upper": value.upper, "bounds": value.bounds}


#: A range column: ``PgRange[int]``, ``PgRange[date]``, ``PgRange[datetime]``, ``PgRange[Decimal]``.
PgRange: TypeAlias = Annotated[Range[T], RangeOf()]

#: A multirange column: ``PgMultirange[int]`` and so on.
PgMultirange: TypeAlias = Annotated[Multirange[T], MultirangeOf()]
