"""Where each parameter stands: in unmarked lines, in optional regions, in the lines of a choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlkit.lexer import Kind, Token
from sqlkit.sqlfile.markers import Marked
from sqlkit.sqlfile.references import Reference, reference_of, refuse

__all__ = ["Region", "Uses", "read_uses"]

_PARAMETER, _POSITIONAL, _OTHER, _COLON = Kind.PARAMETER, Kind.POSITIONAL, Kind.OTHER, Kind.COLON


@dataclass(frozen=True, slots=True)
class Region:
    """An optional line or block, which stands only while all of its references are given.

    ``references`` are all in it, ``line`` is the line of its marker. Where lines in it belong to a choice,
    ``chosen`` has what they add when their key and label are passed, and ``always`` what its other lines ask
    for.
    """

    references: tuple[Reference, ...]
    line: int
    always: tuple[Reference, ...]
    chosen: Mapping[tuple[str, str], tuple[Reference, ...]]

    def under(self, labels: Mapping[str, str]) -> tuple[Reference, ...]:
        """Return what must be given for the region to stand when these labels are chosen."""
        if not self.chosen:
            return self.references
        needed = dict.fromkeys(self.always)
        for choice, references in self.chosen.items():
            if labels[choice[0]] == choice[1]:
                needed |= dict.fromkeys(references)
        return tuple(needed)


@dataclass(slots=True)
class Uses:
    """The references of a statement by the kind of line that they stand in, each in order of appearance.

    ``places`` has every one with its token; the values of ``unmarked`` are the token of the first appearance.
    """

    places: list[tuple[Token, Reference]] = field(default_factory=list)
    unmarked: dict[Reference, Token] = field(default_factory=dict)
    chosen: dict[tuple[str, str], dict[Reference, None]] = field(default_factory=dict)
    regions: list[Region] = field(default_factory=list)


def read_uses(marked: Marked) -> Uses:
    """Sort the references of a statement by their lines.

    Raises SqlFileError for a name that Python cannot have or that is a choice's key too, for an optional
    region without a parameter, and for an optional parameter in an unmarked line.
    """
    uses = Uses()
    asked = [_Asked() for _ in marked.regions]
    for item in marked.items:
        kind = item[0]
        if kind is _POSITIONAL or kind is _OTHER or kind is _COLON:
            refuse(marked.source, item)
        elif kind is _PARAMETER:
            _sort(marked, uses, asked, item, reference_of(marked.source, item))
        elif asked and (condition := marked.condition(item)).region is not None:
            asked[condition.region].standing.add(condition.choice)
    _check_keys(marked, uses)
    uses.regions = [_region(marked, uses, index, each) for index, each in enumerate(asked)]
    return uses


@dataclass(slots=True)
class _Asked:
    """What one region asks for, and under which choices (None: under any) a line of it stands."""

    places: list[tuple[Token, Reference]] = field(default_factory=list)
    chosen: dict[tuple[str, str] | None, dict[Reference, None]] = field(default_factory=dict)
    standing: set[tuple[str, str] | None] = field(default_factory=set)


def _sort(marked: Marked, uses: Uses, asked: list[_Asked], item: Token, reference: Reference) -> None:
    uses.places.append((item, reference))
    condition = marked.condition(item)
    if condition.region is not None:
        region = asked[condition.region]
        region.places.append((item, reference))
        region.chosen.setdefault(condition.choice, {})[reference] = None
        region.standing.add(condition.choice)
    elif condition.choice is None:
        uses.unmarked.setdefault(reference, item)
    else:
        uses.chosen.setdefault(condition.choice, {})[reference] = None


def _check_keys(marked: Marked, uses: Uses) -> None:
    names = {reference.name for _, reference in uses.places} if marked.keys else ()
    for key, place in marked.keys.items():
        if key in names:
            raise marked.source.error(place, f"{key} is a parameter of the statement; choose another key")


def _region(marked: Marked, uses: Uses, index: int, asked: _Asked) -> Region:
    for item, reference in asked.places:
        if reference in uses.unmarked:
            line = marked.source.line(uses.unmarked[reference].start)
            reason = f":{reference} is optional here and stands in line {line} too, which is unmarked"
            raise marked.source.error(item.start, f"{reason}; an optional parameter stands in marked lines only")
    always = tuple(asked.chosen.get(None, ()))
    if not always:
        _check_asks(marked, marked.regions[index], asked)
    every = tuple(dict.fromkeys(reference for _, reference in asked.places))
    chosen = {choice: tuple(references) for choice, references in asked.chosen.items() if choice}
    return Region(every, marked.source.line(marked.regions[index]), always, chosen)


def _check_asks(marked: Marked, place: int, asked: _Asked) -> None:
    """Raise SqlFileError unless a region asks for something wherever a line of it stands."""
    silent = next((choice for choice in asked.standing if choice and choice not in asked.chosen), None)
    plain = None in asked.standing and not any(
        all((key, label) in asked.chosen for label in labels) for key, labels in marked.choices.items()
    )
    if plain or silent or not asked.standing:
        under = f" under {': '.join(silent)}" if silent else ""
        reason = f"an optional line or block without a parameter{under}; nothing would say when it stands"
        raise marked.source.error(place, reason)
