"""The services that ship: a hundred, in both languages, stored once."""

import tomllib
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlmodel import col

from services.information_referral.models import Address, Location, Organization, Row, Service, missing_halves
from services.information_referral.places import Point, is_in_ontario, normal_postal_code
from services.information_referral.records import store
from services.information_referral.seeds import FILE, SOURCE, records, ship
from services.kit.testing.client import Client

DATA: dict[str, Any] = tomllib.loads(FILE.read_text(encoding="utf-8"))
ROWS: list[Row] = [row for record in records(DATA) for row in record.rows]


class TestShippedServices:
    def test_there_are_a_hundred(self) -> None:
        assert sum(isinstance(row, Service) for row in ROWS) >= 100

    def test_no_text_lacks_a_half(self) -> None:
        lacking = [(type(row).__name__, missing) for row in ROWS for missing in missing_halves(row)]
        assert lacking == []

    def test_french_is_not_a_copy_of_english(self) -> None:
        for row in ROWS:
            if isinstance(row, Service) and row.description is not None:
                assert row.description.en != row.description.fr

    def test_every_place_is_in_ontario_with_a_postal_code(self) -> None:
        places = [row for row in ROWS if isinstance(row, Location)]
        assert all(is_in_ontario(Point(p.latitude or 0, p.longitude or 0)) for p in places)
        assert all(normal_postal_code(row.postal_code) == row.postal_code for row in ROWS if isinstance(row, Address))

    def test_each_is_known_by_one_name(self) -> None:
        names = [row.name.en for row in ROWS if isinstance(row, Service)]
        assert len(names) == len(set(names))


class TestStoring:
    async def test_the_second_time_changes_nothing(self, client: Client) -> None:
        async with client.database.transaction() as db:
            done = await store(db, SOURCE, list(records(DATA)))
        assert (done.added, done.changed) == (0, 0)
        assert done.unchanged >= 100

    async def test_a_changed_text_changes_its_record_alone(self, client: Client) -> None:
        changed = tomllib.loads(FILE.read_text(encoding="utf-8"))
        entry = next(e for e in changed["services"] if e["code"] == "health811")
        entry["fr"]["description"] = "Une infirmière répond."
        entry["hours"] = "MO 08:00-12:00"
        began = datetime.now(UTC)
        async with client.database.transaction() as db:
            done = await store(db, SOURCE, list(records(changed)))
            fresh = await db.all(select(Service).where(col(Service.last_modified) >= began))
            total = (await db.execute(select(func.count()).select_from(Organization))).scalar_one()
        assert (done.added, done.changed) == (0, 1)
        assert [s.description.fr for s in fresh if s.description] == ["Une infirmière répond."]
        assert total == len({row.id for row in ROWS if isinstance(row, Organization)})

    async def test_what_is_shipped_no_more_is_found_no_more_until_it_comes_back(self, client: Client) -> None:
        fewer = {**DATA, "services": [entry for entry in DATA["services"] if entry["code"] != "health811"]}
        query = '{ findServices(text: "Health811") { edges { node { name { en } } } } }'
        seen = []
        for data in (DATA, fewer, DATA):
            async with client.database.transaction() as db:
                await ship(db, data)
            found = await client.run(query)
            seen.append("Health811" in [edge["node"]["name"]["en"] for edge in found.data["findServices"]["edges"]])
        assert seen == [True, False, True]
