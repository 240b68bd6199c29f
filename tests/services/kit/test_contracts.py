"""The contracts of events: one promise per type, which every consumer's model must fit."""

from typing import Any

import jsonschema
import pytest

from services.kit.broker import OF_AUDITS
from services.kit.contracts import OF_THE_GATEWAY, EventsDisagree, asyncapi, event_schemas
from services.kit.database import Db
from services.kit.events import Event
from services.kit.service import Service

KIND = "lake.froze.v1"


class Froze(Event, type=KIND, subject="lake"):
    """A lake froze."""

    lake: str
    thickness_cm: int
    note: str | None = None


def emitting(name: str = "lakes", event: type[Event] = Froze) -> Service:
    service = Service(name)
    service.emits(event)
    return service


def hearing(event: type[Event], name: str = "roads") -> Service:
    service = Service(name)

    @service.on(event)
    async def hear(happened: Any, db: Db) -> None: ...

    return service


class TestEventSchemas:
    def test_are_those_of_the_emitting_services(self) -> None:
        schemas = event_schemas([emitting()])
        assert set(schemas) == {KIND, *OF_AUDITS}
        jsonschema.Draft202012Validator.check_schema(schemas[KIND])
        assert set(schemas[KIND]["properties"]) == {"lake", "thicknessCm", "note"}

    def test_allow_a_consumer_to_read_less(self) -> None:
        class Read(Event, type=KIND, subject="lake"):
            lake: str
            colour: str | None = None

        assert event_schemas([hearing(Read), emitting()]) == event_schemas([emitting()])

    def test_come_from_the_consumer_for_what_comes_from_outside(self) -> None:
        assert set(event_schemas([hearing(Froze)])) == {KIND, *OF_AUDITS}

    def test_are_the_same_text_every_time(self) -> None:
        assert str(event_schemas([emitting()])) == str(event_schemas([emitting()]))


class TestADisagreement:
    def test_names_the_field_that_is_not_promised(self) -> None:
        class Read(Event, type=KIND, subject="lake"):
            lake: str
            colour: str

        with pytest.raises(EventsDisagree, match=r"roads reads lake\.froze\.v1, which lakes emits: the field colour"):
            event_schemas([emitting(), hearing(Read)])

    def test_names_the_field_of_another_type(self) -> None:
        class Read(Event, type=KIND, subject="lake"):
            lake: str
            thickness_cm: str

        with pytest.raises(EventsDisagree, match="thicknessCm is promised as integer, not string"):
            event_schemas([emitting(), hearing(Read)])

    def test_names_the_field_that_may_be_absent(self) -> None:
        class Read(Event, type=KIND, subject="lake"):
            lake: str
            note: str

        with pytest.raises(EventsDisagree, match="note"):
            event_schemas([emitting(), hearing(Read)])

    def test_of_two_owners_is_refused(self) -> None:
        with pytest.raises(EventsDisagree, match="one owner"):
            event_schemas([emitting(), emitting("rivers")])


class TestTheAsyncApiDocument:
    def test_says_who_sends_and_who_receives(self) -> None:
        document = asyncapi([emitting(), hearing(Froze)])
        assert document["asyncapi"].startswith("3.")
        assert document["channels"][KIND]["address"] == f"events.{KIND}"
        actions = {name: o["action"] for name, o in document["operations"].items() if name.endswith(KIND)}
        assert actions == {f"lakes.send.{KIND}": "send", f"roads.receive.{KIND}": "receive"}

    def test_says_that_every_service_tells_of_its_audit_and_keeps_the_heads_of_others(self) -> None:
        operations = asyncapi([emitting(), hearing(Froze)])["operations"]
        assert {name for name in operations if name.endswith(tuple(OF_AUDITS))} == {
            f"{service}.{act}"
            for service in ("lakes", "roads")
            for act in ("send.access.logged.v1", "send.audit.head.v1", "receive.audit.head.v1")
        }

    def test_says_what_the_gateway_sends_to_all(self) -> None:
        kind = "session.ended.v1"
        document = asyncapi([emitting(), hearing(Froze)], OF_THE_GATEWAY)
        acts = {name for name in document["operations"] if name.endswith(kind)}
        assert acts == {
            *(f"{name}.receive.{kind}" for name in ("gateway", "lakes", "roads")),
            f"gateway.send.{kind}",
        }
        assert document["components"]["messages"][kind]["payload"]["properties"]["type"] == {"const": kind}

    def test_refers_to_nothing_that_it_does_not_hold(self) -> None:
        document = asyncapi([emitting(), hearing(Froze)])

        def references(value: Any) -> list[str]:
            if isinstance(value, dict):
                own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
                return own + [found for item in value.values() for found in references(item)]
            return [found for item in value for found in references(item)] if isinstance(value, list) else []

        for reference in references(document):
            if reference.startswith("#/"):
                found: Any = document
                for part in reference.removeprefix("#/").split("/"):
                    found = found[part]
                assert found
