"""What is to be written: classes, methods and the names that they use, as data.

A type in an annotation stands as ``⟦module.name⟧`` until the module is written, for only then is it known whether a
field or a method of the same name would hide it. A class of the module itself has no module: ``⟦.Song⟧``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = [
    "TYPE",
    "UNCHANGED",
    "Alias",
    "ClassPlan",
    "EnumPlan",
    "FieldPlan",
    "MethodPlan",
    "ModulePlan",
    "ParameterPlan",
    "named",
    "quoted",
]

TYPE = re.compile(r"⟦([\w.]*)\.(\w+)⟧")


def named(name: str, module: str = "") -> str:
    """Return the placeholder of a type."""
    return f"⟦{module}.{name}⟧"


#: The default of what is written only where it is given.
UNCHANGED = named("UNCHANGED", "sqlkit.patches")


def quoted(text: str) -> str:
    """Return a text as Python code, in the quotes that ruff's formatter gives it."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + "".join(f"\\{each}" if each == quote else repr(each)[1:-1] for each in text) + quote


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """A field of a class: ``default`` and the values of ``demands`` are Python text, ``alias`` is the column's name."""

    name: str
    annotation: str
    default: str | None = None
    demands: tuple[tuple[str, str], ...] = ()
    alias: str | None = None

    def texts(self) -> tuple[str, ...]:
        """Return all Python text of the field."""
        return (self.annotation, self.default or "", *(value for _, value in self.demands))


@dataclass(slots=True)
class ClassPlan:
    """A model: of rows, or of what comes in (``strict``); as a dataclass where a field hides a method of BaseModel."""

    name: str
    doc: str
    fields: tuple[FieldPlan, ...]
    strict: bool = False
    dataclass: bool = False


@dataclass(frozen=True, slots=True)
class EnumPlan:
    """A StrEnum: its members' names with their values."""

    name: str
    doc: str
    members: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Alias:
    """A name for the texts that a column may have."""

    name: str
    doc: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParameterPlan:
    """A parameter of a method: ``default`` is Python text."""

    name: str
    annotation: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class MethodPlan:
    """A method; ``items`` is the parameter of a batch, ``lead`` what a docstring begins with that has no verb."""

    name: str
    comment: str
    lead: str
    parameters: tuple[ParameterPlan, ...]
    items: ParameterPlan | None
    returns: str
    stream: bool = False

    def texts(self) -> tuple[str, ...]:
        """Return all annotations and defaults of the method."""
        parameters = (*self.parameters, *((self.items,) if self.items else ()))
        return (self.returns, *(part.annotation for part in parameters), *(part.default or "" for part in parameters))


@dataclass(slots=True)
class ModulePlan:
    """A module: what is written in this order."""

    aliases: list[Alias] = field(default_factory=list)
    enums: list[EnumPlan] = field(default_factory=list)
    classes: list[ClassPlan] = field(default_factory=list)
    methods: list[MethodPlan] = field(default_factory=list)

    def used(self) -> set[str]:
        """Return the module's own names that its methods ask for, directly or through a field of a class."""
        fields = {each.name: [text for part in each.fields for text in part.texts()] for each in self.classes}
        found: set[str] = set()
        waiting = [text for method in self.methods for text in method.texts()]
        while waiting:
            for module, name in TYPE.findall(waiting.pop()):
                if not module and name not in found:
                    found.add(name)
                    waiting += fields.get(name, [])
        return found

    def prune(self) -> None:
        """Leave out what no method asks for."""
        used = self.used()
        self.aliases = [each for each in self.aliases if each.name in used]
        self.enums = [each for each in self.enums if each.name in used]
        self.classes = [each for each in self.classes if each.name in used]
