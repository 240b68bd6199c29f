"""The name check at 100,000 held names: the whole path through the service's view, on a real database."""

import asyncio
import random
import statistics
import time

import pytest
from sqlalchemy import text

from services.business_registration.models import NameRecord
from services.business_registration.names.keys import keys_of
from services.business_registration.names.rules import rules
from services.business_registration.service import service
from services.kit import database
from services.kit.database import Db
from services.kit.testing.client import Client
from services.kit.testing.database import copied, template

HELD = 100_000
ASKED = 400
GIVEN = [
    "amber",
    "arbour",
    "aurora",
    "basalt",
    "beaver",
    "birch",
    "bluff",
    "boreal",
    "brook",
    "canoe",
    "cascade",
    "cedar",
    "clover",
    "compass",
    "copper",
    "coral",
    "crane",
    "dune",
    "eagle",
    "ember",
    "falcon",
    "fern",
    "finch",
    "fjord",
    "garnet",
    "glacier",
    "granite",
    "harbour",
    "harvest",
    "hawk",
    "heron",
    "hudson",
    "huron",
    "iris",
    "island",
    "ivory",
    "jade",
    "jasper",
    "juniper",
    "kestrel",
    "kiln",
    "lake",
    "lantern",
    "larch",
    "lark",
    "laurel",
    "loon",
    "lotus",
    "lunar",
    "magnolia",
    "maple",
    "marble",
    "meadow",
    "mill",
    "mist",
    "moose",
    "moss",
    "nickel",
    "northern",
    "oak",
    "olive",
    "onyx",
    "opal",
    "orchard",
    "orion",
    "osprey",
    "otter",
    "owl",
    "pearl",
    "pebble",
    "pine",
    "pioneer",
    "polar",
    "poplar",
    "prairie",
    "quartz",
    "quill",
    "raven",
    "redwood",
    "reed",
    "ridge",
    "river",
    "robin",
    "rosewood",
    "saffron",
    "sage",
    "salmon",
    "sapphire",
    "shield",
    "sierra",
    "silver",
    "spruce",
    "star",
    "stone",
    "summit",
    "sun",
    "swan",
    "tamarack",
    "thistle",
    "timber",
    "topaz",
    "trillium",
    "tundra",
    "valley",
    "violet",
    "walnut",
    "wharf",
    "willow",
    "wolf",
    "wren",
    "zephyr",
    "gagnon",
    "tremblay",
    "roy",
    "singh",
    "nguyen",
    "macdonald",
    "o'brien",
    "smith",
    "martin",
    "lee",
    "patel",
    "kowalski",
    "rossi",
    "silva",
    "haddad",
    "schmidt",
]
TRADES = [
    "Bakery",
    "Plumbing",
    "Carpentry",
    "Construction",
    "Consulting",
    "Landscaping",
    "Clothing",
    "Automotive",
    "Software",
    "Transport",
    "Cleaning",
    "Salon",
    "Clinic",
    "Properties",
    "Trading",
    "Group",
    "Enterprises",
    "Books",
    "Pottery",
    "Boulangerie",
    "Restaurant",
    "Services",
    "Menuiserie",
    "Conseil",
]
ENDINGS = ("Inc.", "Ltd.", "Corp.", "Limited")


def invented(chance: random.Random) -> str:
    """A plausible name: one to three words of a pool of 120, often with an invented one, a trade, an ending."""
    words = [chance.choice(GIVEN).title() for _ in range(chance.choice((1, 2, 2, 3)))]
    if chance.random() < 0.5:
        words.append("".join(chance.choice("bcdfglmnprstv") + chance.choice("aeiou") for _ in range(3)).title())
    return " ".join([*words, chance.choice(TRADES), chance.choice(ENDINGS)])


async def fill(db: Db, chance: random.Random) -> None:
    await db.execute(text("DROP INDEX uq_blocking_name"))  # invented names may repeat
    await db.execute(
        text(
            "INSERT INTO business (business_number, legal_name, legal_type, sector, status, registered_at, registered_by,"
            " street, city, postal_code) VALUES ('700000013', 'x', 'NAMED_CORPORATION', '72', 'ACTIVE', now(), 'x', 'x',"
            " 'x', 'K1A 0B1')"
        )
    )
    rows: list[dict[str, object]] = []
    for _ in range(HELD):
        name = invented(chance)
        keys = keys_of(name)
        rows.append(
            {
                "name": name,
                "identical_key": keys.identical_key,
                "words": list(keys.words),
                "rule_version": rules().version,
                "phonetic": list(keys.phonetic),
                "stems": list(keys.stems),
                "legal_type": "NAMED_CORPORATION",
                "blocks": True,
                "business_number": "700000013",
            }
        )
        if len(rows) == 2000:  # a transaction must not idle while keys are made
            await db.execute(NameRecord.__table__.insert(), rows)  # type: ignore[attr-defined]
            rows.clear()


async def measured(postgres_url: str) -> list[float]:
    chance = random.Random(7)
    async with copied(postgres_url, await template(postgres_url, service.name), "names") as url:
        held = database.connect(url, "bench")
        try:
            async with held.transaction() as db:
                await fill(db, chance)
            async with held.engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                await connection.execute(text("VACUUM ANALYZE held_name"))
            client = Client(service, held)
            ask = """query ($n: String!) { nameCheck(name: $n, legalType: NAMED_CORPORATION) { outcome evidence { name } } }"""
            times, outcomes = [], []
            for _ in range(ASKED):
                name = invented(chance)
                began = time.perf_counter()
                answer = await client.run(ask, variables={"n": name})
                times.append((time.perf_counter() - began) * 1000)
                outcomes.append(answer.data["nameCheck"]["outcome"])
        finally:
            await held.close()
    print(f"\noutcomes: { {o: outcomes.count(o) for o in set(outcomes)} }")
    return times


@pytest.mark.bench
class TestNameCheck:
    def test_at_a_hundred_thousand_names(self, postgres_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        with capsys.disabled():
            times = asyncio.run(measured(postgres_url))
            p95 = statistics.quantiles(times, n=20)[-1]
            print(
                f"name check among {HELD} names: median {statistics.median(times):.1f} ms, p95 {p95:.1f} ms (promised 50)"
            )
        assert p95 <= 50
