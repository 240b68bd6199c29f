"""Whose a business is: its new owner's, however late, often or early the registry's word arrives."""

from datetime import UTC, datetime
from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from services.inspections.known_business import KnownBusiness
from services.inspections.service import service
from services.kit.inbox import Worker, take
from services.kit.testing import tokens
from tests.services.inspections.conftest import BUSINESS, Cast, Json, registered

PARTY, REGISTERED = "business.party.changed.v1", "business.registered.v1"
PAGE = "{ inspections { edges { node { number } } } }"


def changed(to: str = "citizen", day: int = 1, **changes: Any) -> Json:
    """The data of business.party.changed.v1, as the registry sends it."""
    said = registered()
    return {
        **{name: said[name] for name in ("businessNumber", "legalName", "sector", "registeredAt")},
        "formerOwner": tokens.subject_of("owner"),
        "owner": tokens.subject_of(to),
        "changedAt": f"2026-04-{day:02}T15:00:00Z",
        **changes,
    }


async def hears(cast: Cast, kind: str, data: Json) -> None:
    handler = service.handlers[kind]
    async with cast.client.database.transaction() as db:
        await handler.function(handler.event.model_validate(data), db)


async def owner(cast: Cast) -> str:
    async with cast.client.database.transaction() as db:
        known = await db.one(KnownBusiness, BUSINESS)
    assert known is not None
    return known.registered_by


class TestABusinessThatChangedHands:
    async def test_shows_its_inspections_to_its_new_owner_and_to_the_former_no_more(self, cast: Cast) -> None:
        inspection = await cast.first_inspection()
        await hears(cast, PARTY, changed())
        for person, seen in ((cast.citizen, 1), (cast.owner, 0)):
            assert len((await person.ask(PAGE))["inspections"]["edges"]) == seen
            assert (await person.reads(inspection["number"]) is not None) is bool(seen)
            answer = await person.entities("complianceProfile { standing }", BUSINESS)
            assert answer.codes == ([] if seen else ["FORBIDDEN"])

    async def test_is_not_inspected_by_its_new_owner(self, cast: Cast) -> None:
        inspection = await cast.first_inspection()
        await hears(cast, PARTY, changed("inspector"))
        refused = await cast.inspector.does("startInspection", number=inspection["number"], version=1)
        assert refused["code"] == "OWN_BUSINESS"

    @pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
    async def test_is_whose_the_latest_change_says_in_whatever_order_it_is_heard(
        self, cast: Cast, order: tuple[int, ...]
    ) -> None:
        """Each twice. Its first inspection is scheduled once, by its registration, also where that comes last."""
        said = ((REGISTERED, registered()), (PARTY, changed("citizen")), (PARTY, changed("colleague", day=2)))
        for position in (*order, *order):
            await hears(cast, *said[position])
        assert await owner(cast) == tokens.subject_of("colleague")
        assert len(await cast.client.events("inspection.scheduled.v1")) == 1

    async def test_is_handled_by_the_worker_before_its_registration_has_arrived(self, shared: Cast) -> None:
        database = shared.client.database
        worker = Worker(database, service.handlers)
        for position, (kind, data) in ((2, (PARTY, changed())), (1, (REGISTERED, registered()))):
            envelope = {
                "specversion": "1.0",
                "id": str(uuid4()),
                "source": "/services/business_registration",
                "type": kind,
                "subject": BUSINESS,
                "time": datetime.now(UTC).isoformat(),
                "data": data,
            }
            assert await take(database, service.handlers[kind].event, envelope, position)
            assert await worker.handle_one()
        assert await owner(shared) == tokens.subject_of("citizen")
        assert len(await shared.client.events("inspection.scheduled.v1")) == 1
