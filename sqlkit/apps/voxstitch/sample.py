"""Users and chats to show and to load with: invented, plausible, and the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from sqlkit.apps.voxstitch.models import ImportedChat, Platform

__all__ = ["SAMPLE_DOMAIN", "sample_chats", "sample_emails"]

#: Where the invented people have their addresses.
SAMPLE_DOMAIN = "voxstitch.example"

NAMES = ("ada", "bruno", "chidi", "dana", "elif", "farid", "greta", "hana", "ivo", "jonas", "kofi", "lena")
PLATFORMS = (Platform.CHATGPT, Platform.CLAUDE, Platform.GEMINI, Platform.WHATSAPP, Platform.SLACK)
WEIGHTS = (8, 6, 3, 2, 1)

#: What people talk about, what they ask, and what they are answered.
TOPICS: dict[str, tuple[tuple[str, str], ...]] = {
    "Weekend in Lisbon": (
        ("Where can I hear fado without a tourist menu?", "In Alfama, behind the cathedral; go after ten."),
        ("And sardines?", "In June on any corner; the rest of the year better grilled squid."),
        ("How do I get to Sintra?", "By train from Rossio, every half hour."),
    ),
    "Sourdough that does not rise": (
        ("My sourdough stays flat. What am I doing wrong?", "How warm is your kitchen, and how old is the starter?"),
        ("Nineteen degrees, a week.", "Give both more time: a warmer place, and two feedings a day."),
        ("Can I freeze the starter?", "You can; dry it rather, it wakes up faster."),
    ),
    "A deadlock in the night": (
        ("Two jobs update the same rows and one is killed.", "They lock them in different orders: sort by key first."),
        ("Would a longer timeout help?", "No, a deadlock waits for ever; that is why the server ends it."),
        ("So what do I retry?", "The whole transaction, after a short random pause."),
    ),
    "Birthday for a seven-year-old": (
        ("Eight children, two hours, and rain is forecast.", "A treasure hunt indoors: clues in every room."),
        ("What treasure?", "Something to share, a cake with a map on it."),
    ),
    "Learning the trombone at forty": (
        ("Is it too late to learn the trombone?", "No, but tell your neighbours first."),
        ("How long should I practise?", "Twenty minutes every day, more than two hours on Sundays."),
        ("My lips hurt.", "Then stop for today; long tones tomorrow."),
    ),
    "Visa for a conference": (
        ("Do I need a visa for three days?", "It depends on your passport; the embassy's page has the list."),
        ("The conference wants a letter.", "Ask the organisers; they write dozens of them."),
    ),
}


def sample_emails(count: int) -> list[str]:
    """Return so many addresses."""
    return [f"{NAMES[number % len(NAMES)]}{number // len(NAMES) or ''}@{SAMPLE_DOMAIN}" for number in range(count)]


def sample_chats(count: int, seed: int = 0) -> Iterator[ImportedChat]:
    """Yield so many chats as their platforms would export them."""
    chosen = random.Random(seed)  # noqa: S311  to be the same each time
    for _ in range(count):
        topic = chosen.choice(tuple(TOPICS))
        platform = chosen.choices(PLATFORMS, WEIGHTS)[0]
        yield ImportedChat(title=topic, platform=platform, content=_content(chosen, topic))


def _content(chosen: random.Random, topic: str) -> dict[str, JsonValue]:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=chosen.randrange(400_000))
    said: list[JsonValue] = []
    for question, answer in TOPICS[topic][: chosen.randint(1, 3)]:
        for role, text in (("user", question), ("assistant", answer)):
            said.append({"role": role, "text": text, "at": at.isoformat()})
            at += timedelta(seconds=chosen.randint(5, 300))
    return {"format": 1, "messages": said}
