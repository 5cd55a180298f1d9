"""What a database has, compared with what each migration makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from sqlkit.migrate.adopt_catalogue import Catalogue, Facets, Thing
from sqlkit.migrate.adopt_scratch import Made

__all__ = ["Comparison", "Difference", "State", "compare"]

#: What is known by what it says: another name is the same thing under another name.
NAMELESS = ("constraint", "index")
#: What a database may have more of without being another one.
MORE_IS_FINE = ("grant", "comment")
WIDEST = 160  # characters of a definition that a difference shows

#: What a thing was before the first migration (-1) and after each (its index) that changed it; None: not there.
History: TypeAlias = list[tuple[int, Facets | None]]


class State(Enum):
    """What there is of a migration."""

    APPLIED = "is applied already"
    ADOPTED = "is there"
    PENDING = "is not there: sqlkit migrate applies it"
    DIFFERENT = "differs"
    UNSEEN = "makes nothing that can be compared (rows, or nothing at all): sqlkit migrate applies it"


DONE = (State.APPLIED, State.ADOPTED)


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs, in words: of a ``table``, or of the schema (``""``).

    ``migration_id`` is the migration that makes it otherwise; None for what no migration makes.
    """

    table: str
    text: str
    migration_id: str | None

    def __str__(self) -> str:
        """Say it on one line: the table, what differs, and the migration that makes it otherwise."""
        place = f"{self.table}: " if self.table else ""
        return f"{place}{self.text}{f' ({self.migration_id})' if self.migration_id else ''}"


@dataclass(slots=True)
class Comparison:
    """All that was found.

    ``renamed``: things with the name that they have and the one that they should have. ``unique_indexes``: constraints
    for which there is a unique index alone, its name, and that of the constraint.
    """

    states: dict[str, State]
    differences: list[Difference] = field(default_factory=list)
    renamed: list[tuple[Thing, str, str]] = field(default_factory=list)
    unique_indexes: list[tuple[Thing, str, str]] = field(default_factory=list)


def compare(
    before: Catalogue, made: Sequence[Made], actual: Catalogue, marked: set[str], *, exists: bool, stray: set[Thing]
) -> Comparison:
    """Compare what migrations make with what is there.

    ``exists``: the schema does. ``stray``: tables and types that are not where the migrations make them.
    """
    found = histories(before, made)
    judged = [
        State.APPLIED if step.migration.migration_id in marked else judge(index, found, actual, stray)
        for index, step in enumerate(made)
    ]
    states: dict[str, State] = {}
    for index, (step, state) in enumerate(zip(made, judged, strict=True)):
        told = state or infer(index, step, found, judged, list(states.values()), exists=exists)
        states[step.migration.migration_id] = told
    comparison = Comparison(states)
    left = extras(found, actual)
    for thing, history in found.items():
        tell(thing, history, actual, left, comparison)
    for thing in left:
        text = f"{named(thing, actual[thing])} is there, and no migration makes it"
        comparison.differences.append(Difference(thing.table, text, None))
    comparison.differences.sort(key=lambda difference: difference.table)
    return comparison


def judge(index: int, found: dict[Thing, History], actual: Catalogue, stray: set[Thing]) -> State | None:
    """Say what there is of a migration that is not marked; None where nothing of it could be seen."""
    things = changed_by(index, found)
    seen = [is_there(thing, found[thing], index, actual) for thing in things]
    if False not in seen:
        if not any(seen):
            return None
        return State.ADOPTED if stray.isdisjoint(things + tables_of(things)) else State.DIFFERENT
    stranger = any(reached(thing, found[thing], actual.get(thing)) is None for thing in things)
    return State.DIFFERENT if any(seen) or stranger else State.PENDING


def infer(
    index: int,
    step: Made,
    found: dict[Thing, History],
    judged: Sequence[State | None],
    earlier: Sequence[State],
    *,
    exists: bool,
) -> State:
    """Say of a migration of which nothing could be seen what the others make likely."""
    things = changed_by(index, found)
    makers = {changed for thing in things for changed, _ in found[thing] if 0 <= changed < index}
    if not things:
        # That something else has made what it makes (an extension) says little, but behind all that is before it.
        done = exists and all(state in DONE for state in earlier)
        return State.ADOPTED if done and not step.unseen else State.UNSEEN
    if makers:  # it drops what they made
        return State.ADOPTED if all(earlier[maker] in DONE for maker in makers) else State.PENDING
    # What it makes, another drops again.
    return State.ADOPTED if any(state in DONE for state in judged) else State.PENDING


def changed_by(index: int, found: dict[Thing, History]) -> list[Thing]:
    """Return the things that a migration changes."""
    return [thing for thing, history in found.items() if any(changed == index for changed, _ in history)]


def histories(before: Catalogue, made: Sequence[Made]) -> dict[Thing, History]:
    """Return the history of each thing that migrations change."""
    found: dict[Thing, History] = {}
    for thing in dict.fromkeys([*before, *(thing for step in made for thing in step.catalogue)]):
        history: History = [(-1, before.get(thing))]
        for index, step in enumerate(made):
            facets = step.catalogue.get(thing)
            if facets != history[-1][1]:
                history.append((index, facets))
        if len(history) > 1:
            found[thing] = history
    return found


def reached(thing: Thing, history: History, actual: Facets | None) -> int | None:
    """Return the index of the migration whose effect on a thing is the last to be seen (-1: none's).

    None when the thing is like nothing that the migrations make.
    """
    for index, facets in reversed(history):
        if facets == actual:
            return index
    if thing.kind in NAMELESS and actual is not None:
        return next((index for index, facets in reversed(history) if facets is not None), None)
    return None


def tables_of(things: list[Thing]) -> list[Thing]:
    """Return the tables that things belong to."""
    return [Thing(thing.table, "table", "") for thing in things]


def is_there(thing: Thing, history: History, index: int, actual: Catalogue) -> bool | None:
    """Say whether the effect of a migration on a thing is there; None where nothing tells.

    Nothing tells that a thing was dropped, from one that never was.
    """
    last = reached(thing, history, actual.get(thing))
    if last is None or last < index:
        return False
    return None if thing not in actual and history[0][1] is None else True


def extras(found: dict[Thing, History], actual: Catalogue) -> list[Thing]:
    """Return what the migrations' tables have that no migration makes."""
    tables = {thing.table for thing in found if thing.kind == "table"}
    return [
        thing for thing in actual if thing.table in tables and thing not in found and thing.kind not in MORE_IS_FINE
    ]


def tell(thing: Thing, history: History, actual: Catalogue, left: list[Thing], comparison: Comparison) -> None:
    """Tell how a thing differs from what the migrations make that are there, at least in part.

    ``left`` is what no migration makes; what is taken for this thing is taken out of it.
    """
    names = list(comparison.states)
    waiting = (State.PENDING, State.UNSEEN)
    done = [(index, facets) for index, facets in history if index < 0 or comparison.states[names[index]] not in waiting]
    index, expected = done[-1]
    there = actual.get(thing)
    table = Thing(thing.table, "table", "")
    if index < 0 or expected == there or (thing.table and thing != table and table not in actual):
        return
    if thing.kind in NAMELESS and expected is not None and there is not None:
        comparison.renamed.append((thing, there["name"], expected["name"]))
    text = wording(thing, expected, there)
    if there is None and expected is not None and thing.kind in NAMELESS:
        text = like_it(thing, expected["name"], actual, left, comparison) or text
    comparison.differences.append(Difference(thing.table, text, names[index]))


def like_it(thing: Thing, name: str, actual: Catalogue, left: list[Thing], comparison: Comparison) -> str | None:
    """Say what is there instead of a constraint or an index: one of its name, or a unique index of its columns."""
    for other in left:
        if other.table != thing.table or other.kind not in NAMELESS:
            continue
        other_name = actual[other]["name"]
        if other.kind == thing.kind and other_name == name:
            left.remove(other)
            return f"{thing.kind} {name} says {short(other.name)}, not {short(thing.name)}"
        unique = thing.kind == "constraint" and thing.name.startswith("UNIQUE (")
        if unique and other.kind == "index" and other.name == f"unique btree {thing.name.removeprefix('UNIQUE ')}":
            left.remove(other)
            comparison.unique_indexes.append((thing, other_name, name))
            return f"constraint {name}: {short(thing.name)} is a unique index ({other_name}) and no constraint"
    return None


def wording(thing: Thing, expected: Facets | None, actual: Facets | None) -> str:
    """Say how a thing differs from what the migrations make."""
    if expected is None:
        return f"{named(thing, actual)} is still there, which the migrations drop"
    if actual is None:
        return f"{named(thing, expected)} is not there"
    if thing.kind in NAMELESS:
        return f"{thing.kind} {short(thing.name)} is named {actual['name']}, not {expected['name']}"
    said = [difference(key, actual[key], expected[key]) for key in expected if actual.get(key) != expected[key]]
    return f"{' '.join(filter(None, (thing.kind, thing.name)))}: {'; '.join(said)}"


def named(thing: Thing, facets: Facets | None) -> str:
    """Return a thing's name with the most important of what is known of it."""
    if thing.kind in NAMELESS and facets is not None:
        return f"{thing.kind} {facets['name']}: {short(thing.name)}"
    if thing.kind == "column" and facets is not None:
        return f"column {thing.name} ({facets['type']})"
    return " ".join(filter(None, ("the table" if thing.kind == "table" else thing.kind, thing.name)))


def difference(key: str, actual: str, expected: str) -> str:
    """Say how one fact differs."""
    if key == "nullability":
        return "may not be null, but should be allowed to" if actual == "not null" else "may be null, but should not"
    verb = "says" if key == "definition" else f"{key} is"
    return f"{verb} {short(actual)}, not {short(expected)}"


def short(text: str) -> str:
    """Return a text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= WIDEST else f"{line[:WIDEST]} ..."
