"""Docstrings from SQL comments: a sentence in the imperative first, then the rest, in lines of the width."""

from __future__ import annotations

import re
import textwrap

__all__ = ["docstring", "method_sentences"]

#: Verbs with which people begin such comments; pydocstyle's rule D401 wants them in the imperative.
_VERBS = """
    accept activate add adjust aggregate allow append apply approve archive assign attach ban block book borrow bump buy
    calculate cancel change charge check claim clean clear close collect combine complete compute confirm connect
    convert copy count create deactivate decrease delete deliver detach determine disable discard dispatch divide drain
    drop edit elect empty enable end enqueue enrol ensure erase estimate expire export extend extract fetch fill filter
    find finish fix flag follow forget freeze gather get give grant group hide hire import increase increment insert
    invite join keep lend limit link list load lock log look make mark match merge move mute open order page pause pay
    pick pin place populate post prepare print promote provide publish purge put query raise read rebuild receive record
    refresh refund register reject release remove rename renew reopen replace requeue reserve reset resolve restore
    resume retire retrieve retry return reverse revoke rotate save search select sell send set share shift show skip
    sort start stop store submit subscribe sum suspend swap sync take tell test touch track transfer trim truncate turn
    unban unblock undo unlink unlist unlock unsubscribe update upsert use validate verify view withdraw write yield
"""
VERBS = frozenset(_VERBS.split())

#: Behind these a word in -s is a noun: "counts of songs".
_PREPOSITIONS = """
    about above across after against and are as at before below beside between by during except for from in is like near
    not of on or over per since than that through to under until which who whose with within without
"""
_BEHIND_NOUNS = frozenset(_PREPOSITIONS.split())

#: Before these stands a verb ("charter a bus"), unless it is a word that never is one ("not a song").
_ARTICLES = frozenset(("a", "an"))
_NO_BARE_VERB = ("s", "ly", "ing", "ed")
_NEVER_VERBS = """
    all almost both but does each either every exactly first half has here how if is it its just last many never no now
    nearly once one only or other quite rather same so some such their then there these this those until was were what
    whatever when whenever where wherever whether which whichever why yet
"""
_NO_VERBS = _BEHIND_NOUNS | frozenset(_NEVER_VERBS.split())


def _third_person(verb: str) -> str:
    if verb.endswith(("s", "sh", "ch", "x", "z")):
        return f"{verb}es"
    return f"{verb[:-1]}ies" if verb[-1] == "y" and verb[-2] not in "aeiou" else f"{verb}s"


_THIRD_PERSONS = {_third_person(verb): verb for verb in VERBS}


def method_sentences(doc: str, name: str, lead: str) -> tuple[str, str]:
    """Return the first sentence and the rest of a method's docstring, from the comment of its statement.

    ``lead`` goes before a comment that begins with no verb: "Return" makes "one song." "Return one song.", "Copy" makes
    it "Copy: one song."
    """
    first, rest = _split(doc)
    if not first:
        return f"Run the statement ``{name}``.", rest
    return _imperative(first, lead), rest


def _imperative(sentence: str, lead: str) -> str:
    word, _, behind = sentence.partition(" ")
    bare = re.sub(r"\W", "", word).lower()
    follower = re.sub(r"\W", "", behind.split(" ")[0]).lower() if behind else ""
    if bare in VERBS and bare == word.lower().rstrip(".") and follower not in _BEHIND_NOUNS:
        return word[:1].upper() + sentence[1:]
    if follower in _ARTICLES and bare == word.lower() and bare not in _NO_VERBS and not bare.endswith(_NO_BARE_VERB):
        return word[:1].upper() + sentence[1:]
    verb = _THIRD_PERSONS.get(bare)
    if verb and bare == word.lower().rstrip(".") and follower not in _BEHIND_NOUNS:
        return verb.capitalize() + sentence[len(bare) :]
    plain = word[:1].lower() + sentence[1:] if word[1:] == word[1:].lower() and word != "I" else sentence
    return f"{lead} {plain}" if lead == "Return" else f"{lead}: {plain}"


def _split(doc: str) -> tuple[str, str]:
    """Return the first sentence of a text, on one line and with its full stop, and the text behind it."""
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", doc.strip()) if part.strip()]
    if not paragraphs:
        return "", ""
    found = re.match(r"(.+?[.!?])(?=\s+[A-Z`\"'(\d]|$)", paragraphs[0])
    first = found[1] if found else paragraphs[0]
    behind = paragraphs[0][len(first) :].strip()
    first = first.rstrip(" :;,")
    first = first if first.endswith((".", "!", "?")) else f"{first}."
    return first.rstrip("?!.") + "." if first.endswith(("?", "!")) else first, "\n\n".join(
        part for part in [behind, *paragraphs[1:]] if part
    )


def docstring(first: str, rest: str, indent: str, width: int, fallback: str) -> list[str]:
    """Return the lines of a docstring; ``fallback`` is the first sentence where the wanted one is too long."""
    raw = "r" if "\\" in first + rest else ""
    first, rest = _quotable(first), _quotable(rest)
    room = width - len(indent) - len(raw) - 3
    if len(first) > room - 3:
        shorter, behind = _shortened(first, room)
        first, rest = (shorter, f"{behind} {rest}".strip()) if shorter else (fallback, f"{first}\n\n{rest}".strip())
    if not rest and len(first) <= room - 3:
        return [f'{indent}{raw}"""{first}"""']
    lines = [f'{indent}{raw}"""{first}', ""]
    for paragraph in rest.split("\n\n"):
        if lines[-1]:
            lines.append("")
        lines += textwrap.wrap(
            paragraph,
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [*lines, f'{indent}"""']


def _shortened(first: str, room: int) -> tuple[str, str]:
    """Cut a sentence at its last semicolon or colon that leaves it short enough, else at such a comma."""
    for signs in ("[;:] ", ", (?!or |and )"):
        places = [found.start() for found in re.finditer(signs, first) if found.start() < room - 1]
        if places:
            break
    else:
        return "", ""
    behind = first[places[-1] + 2 :]
    return f"{first[: places[-1]]}.", behind[:1].upper() + behind[1:]


def _quotable(text: str) -> str:
    """Return a text that can stand between triple quotes."""
    text = text.replace('"""', "'''")
    if text.endswith('"'):
        text += " "
    return text + " " if text.endswith("\\") else text
