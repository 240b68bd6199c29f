"""What the door tells the security audit: refusals, added up, bounded, again until they are told, and nothing about anybody."""

from typing import Any

import pytest

from gateway import watch
from gateway.documents import hash_of
from gateway.watch import MOST_MESSAGES, Watch
from services.kit import faults
from tests.gateway.conftest import Json, Wired, http, playing


class Told:
    """Where events go: they are kept, or refused as by a server that is away."""

    def __init__(self) -> None:
        self.events: list[Json] = []
        self.away = False

    async def publish(self, envelope: Json) -> None:
        if self.away:
            raise OSError("away")
        self.events += envelope["data"]["events"]

    def facts(self, *names: str) -> list[tuple[Any, ...]]:
        return [tuple(event[name] for name in names) for event in self.events]


@pytest.fixture
def told() -> Told:
    return Told()


class TestRefusals:
    async def test_alike_are_told_once_with_their_number_and_time(self, told: Told) -> None:
        moment = iter((1.0, 2.0, 3.0, 4.0, 5.0))
        seen = Watch(lambda: next(moment))
        for actor in ("ann", "ann", "bob"):
            seen.note(["FORBIDDEN"], actor, "op")
        await seen.tell(told.publish)
        assert told.facts("kind", "actor", "operation", "count") == [
            ("FORBIDDEN", "ann", "op", 2),
            ("FORBIDDEN", "bob", "op", 1),
        ]
        assert told.facts("at", "lastAt")[0] == ("1970-01-01T00:00:01+00:00", "1970-01-01T00:00:02+00:00")
        await seen.tell(told.publish)
        assert len(told.events) == 2

    async def test_are_those_that_keep_somebody_from_something(self, told: Told) -> None:
        seen = Watch()
        seen.note(["INTERNAL_FAULT", "SUBGRAPH_ERROR", "BAD_USER_INPUT", "CLIENT_LEFT"], "ann", "op")
        await seen.tell(told.publish)
        assert told.events == []

    async def test_of_ever_new_callers_are_bounded_and_still_counted(
        self, told: Told, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "MOST", 3)
        seen = Watch()
        for number in range(10):
            seen.note(["RATE_LIMITED"], f"person-{number}", "op")
        await seen.tell(told.publish)
        assert told.facts("actor", "count") == [("person-0", 1), ("person-1", 1), ("person-2", 1), ("", 7)]

    async def test_that_nobody_takes_wait_and_are_told_when_somebody_does(self, told: Told) -> None:
        seen = Watch()
        told.away = True
        for _ in range(3 * MOST_MESSAGES):
            seen.note(["FORBIDDEN"], "ann", "op")
            with pytest.raises(OSError, match="away"):
                await seen.tell(told.publish)
        assert len(seen._untold) == MOST_MESSAGES
        told.away = False
        await seen.tell(told.publish)
        await seen.tell(told.publish)
        assert sum(event["count"] for event in told.events) == 3 * MOST_MESSAGES
        assert len({event["id"] for event in told.events}) == len(told.events)

    async def test_of_many_kinds_are_told_a_hundred_a_message(self, told: Told) -> None:
        sizes: list[int] = []

        async def publish(envelope: Json) -> None:
            sizes.append(len(envelope["data"]["events"]))

        seen = Watch()
        for number in range(250):
            seen.note(["FORBIDDEN"], str(number), "op")
        await seen.tell(publish)
        assert sizes == [100, 100, 50]

    def test_have_codes_that_there_are(self) -> None:
        known = {fault.code for fault in vars(faults).values() if isinstance(fault, faults.Fault)}
        from gateway import faults as own

        known |= {fault.code for fault in vars(own).values() if isinstance(fault, faults.Fault)}
        assert watch.WATCHED - known <= {"CONSENT_REQUIRED"}


class TestTheDoor:
    async def test_tells_the_code_and_the_operation_of_a_refusal(self, wired: Wired, told: Told) -> None:
        wired.gateway.pipeline._watch = seen = Watch()
        asked = "{ best { text } }"
        await wired.door.post("{ nothing }")  # a mistake, not a refusal
        wired.opinions.play = playing(http(b'{"errors":[{"message":"no","extensions":{"code":"FORBIDDEN"}}]}'))
        await wired.door.post(asked)
        await seen.tell(told.publish)
        assert told.facts("kind", "actor", "operation", "detail") == [("FORBIDDEN", "", hash_of(asked), "")]
