"""The directory's operations: everything is public but what follows from a business's address."""

from collections.abc import Sequence

from sqlalchemy import text

from services.information_referral.service import service
from services.kit.testing.client import Client
from tests.rights.trying import MISSING, Case, World, entity


def found(field: str, selection: str) -> Case:
    return Case(f"query ($id: ID!) {{ {field}(id: $id) {{ {selection} }} }}", lambda things: {"id": things[field]})


CASES = {
    "service": found("service", "status"),
    "organization": found("organization", "id"),
    "location": found("location", "locationType"),
    "findServices": Case("{ findServices(first: 1) { edges { node { id } } } }"),
    "Service.email": entity("Service", "email", id=lambda things: things["service"]),
    "Organization.email": entity("Organization", "email", id=lambda things: things["organization"]),
    "Phone.number": entity("Service", "phones { number }", id=lambda things: things["service"]),
    "Business.helpNearby": entity(
        "Business",
        "helpNearby { distanceM }",
        businessNumber=lambda things: "700000015",
        address=lambda things: {"postalCode": "M5V 2T6"},
    ),
}


async def world(client: Client, persons: Sequence[str]) -> World:
    """The directory as it opens, with an address and a line for what has none."""
    async with client.database.transaction() as db:
        for seed in service.seeds:
            await seed(db)
        await db.execute(text("UPDATE service SET email = 'help@example.ca'"))
        await db.execute(text("UPDATE organization SET email = 'office@example.ca'"))
        ids = "(SELECT service_id FROM phone WHERE service_id IS NOT NULL LIMIT 1)"
        others = "(SELECT id FROM organization LIMIT 1), (SELECT id FROM location LIMIT 1)"
        row = (await db.execute(text(f"SELECT {ids}::text, {others}"))).one()
    there = dict(zip(("service", "organization", "location"), map(str, row), strict=True))
    return World(client, dict.fromkeys(persons, there) | {MISSING: {}})
