"""Events: a type, a subject, a contract, an envelope; committed in the outbox with their change."""

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from opentelemetry.sdk.trace import TracerProvider
from pydantic import Field

from services.kit.database import Database
from services.kit.events import ContractBroken, Event, check, envelope, outbox_row
from services.kit.testing.client import Client
from tests.services.kit.conftest import count, issue


class LakeFroze(Event, type="lake.froze.v1", subject="lake_code"):
    """A lake froze."""

    lake_code: str = Field(min_length=2)
    froze_at: datetime
    thickness_cm: int | None = None


class LakeThawed(Event, type="lake.thawed.v1", subject="lake"):
    """A lake is open water again."""

    lake: str


def frozen(**changes: Any) -> LakeFroze:
    return LakeFroze(**{"lake_code": "erie", "froze_at": datetime(2026, 1, 2, 3, tzinfo=UTC), **changes})


class TestAnEvent:
    def test_says_its_data_in_camel_case_json(self) -> None:
        assert frozen().data() == {"lakeCode": "erie", "frozeAt": "2026-01-02T03:00:00Z", "thicknessCm": None}

    def test_has_its_subject_from_a_field(self) -> None:
        assert frozen().subject == "erie"

    def test_has_a_schema_named_by_its_type(self) -> None:
        schema = LakeFroze.schema_()
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$id"] == "lake.froze.v1.json"
        assert set(schema["properties"]) == {"lakeCode", "frozeAt", "thicknessCm"}

    def test_ignores_fields_that_came_later(self) -> None:
        assert LakeFroze.model_validate({**frozen().data(), "depth": 3}) == frozen()

    def test_cannot_change(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            setattr(frozen(), "lake_code", "huron")  # noqa: B010 - mypy knows it too

    def test_must_name_a_subject_that_it_has(self) -> None:
        with pytest.raises(TypeError, match="'nowhere' is none of its fields"):

            class Lost(Event, type="lost.v1", subject="nowhere"):
                number: str


class TestTheOutbox:
    def test_takes_no_event_that_breaks_its_contract(self) -> None:
        with pytest.raises(ContractBroken) as told:
            outbox_row(LakeFroze.model_construct(lake_code="x", froze_at=datetime.now(UTC)))
        assert str(told.value) == "$.data.lakeCode breaks minLength: 2 of contracts/events/lake.froze.v1.json"

    @pytest.mark.parametrize("subject", ["", "  ", "\n"])
    async def test_takes_no_event_about_nothing(self, db: Database, subject: str) -> None:
        with pytest.raises(ContractBroken, match=r"\$\.subject breaks pattern"):
            async with db.transaction() as inside:
                inside.emit(LakeThawed(lake=subject))
        assert await count(db, "outbox") == 0

    async def test_holds_what_a_mutation_announced(self, client: Client) -> None:
        number = (await issue(client))["number"]
        ((kind, data),) = await client.events()
        assert (kind, data["number"]) == ("permit.issued.v1", number)

    async def test_holds_the_trace_of_who_announced(self, db: Database) -> None:
        with TracerProvider().get_tracer("test").start_as_current_span("asks") as span:
            row = outbox_row(frozen())
        assert format(span.get_span_context().trace_id, "032x") in row.trace["traceparent"]


class TestTheEnvelope:
    def test_is_a_cloud_event(self) -> None:
        row = outbox_row(frozen(thickness_cm=12))
        held = envelope(row, "lakes")
        assert held["specversion"] == "1.0"
        assert (held["id"], held["source"]) == (str(row.id), "/services/lakes")
        assert (held["type"], held["subject"]) == ("lake.froze.v1", "erie")
        assert held["datacontenttype"] == "application/json"
        assert held["data"]["thicknessCm"] == 12
        assert datetime.fromisoformat(held["time"]).tzinfo is not None
        check(LakeFroze, held)  # as its consumers will
