"""Single flight: of those who want one thing at the same time one gets it, and the others wait for that."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future
from copy import deepcopy
from typing import Any, Generic, Literal, NamedTuple, TypeVar

__all__ = ["AsyncFlights", "Flights", "Outcome"]

W = TypeVar("W")


class Outcome(NamedTuple):
    """How a flight ended: with a value, an error, or nothing, when its leader was interrupted."""

    end: Literal["value", "error", "nothing"]
    what: Any = None


NOTHING = Outcome("nothing")


class Flight(Generic[W]):
    """What is under way, and how many wait for it beside the one who does it."""

    def __init__(self, outcome: W) -> None:
        self.outcome = outcome
        self.waiting = 0


class Flights:
    """What is under way, by a key, among threads."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight[Future[Outcome]]] = {}
        self._lock = threading.Lock()

    def run(self, key: Hashable, work: Callable[[], Any]) -> Outcome:
        """Do the work, or wait for whoever does it; raises what it raised. Nothing is for the caller to try again."""
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Flight(Future())
            else:
                flight.waiting += 1
        if not leads:
            return _landed(flight.outcome.result())
        outcome = NOTHING
        try:
            outcome = Outcome("value", work())
            return outcome
        except Exception as error:
            outcome = Outcome("error", error)
            raise
        finally:
            with self._lock:
                del self._flights[key]
            flight.outcome.set_result(_shared(outcome, flight.waiting))


class AsyncFlights:
    """What is under way, by a key, among the tasks of each loop."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight[asyncio.Future[Outcome]]] = {}

    async def run(self, key: Hashable, work: Callable[[], Awaitable[Any]]) -> Outcome:
        """Do the work, or wait for whoever does it; otherwise as ``Flights.run``."""
        loop = asyncio.get_running_loop()
        own = (id(loop), key)
        flight = self._flights.get(own)
        if flight is not None:
            flight.waiting += 1
            return _landed(await asyncio.shield(flight.outcome))
        flight = self._flights[own] = Flight(loop.create_future())
        outcome = NOTHING
        try:
            outcome = Outcome("value", await work())
            return outcome
        except Exception as error:
            outcome = Outcome("error", error)
            raise
        finally:
            del self._flights[own]
            flight.outcome.set_result(_shared(outcome, flight.waiting))


def _shared(outcome: Outcome, waiting: int) -> Outcome:
    """Return an outcome for those who wait, whose value nobody changes meanwhile."""
    return Outcome("value", deepcopy(outcome.what)) if waiting and outcome.end == "value" else outcome


def _landed(outcome: Outcome) -> Outcome:
    """Return how another's flight ended, or raise it; each has a value of its own."""
    if outcome.end == "error":
        raise outcome.what
    return outcome if outcome.end == "nothing" else Outcome("value", deepcopy(outcome.what))
