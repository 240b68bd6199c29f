"""The catalogue's operations: reading is public, publishing is for ministry administrators."""

from collections.abc import Sequence

from sqlalchemy import text

from services.catalogue.service import service
from services.kit.testing.client import Client
from tests.rights.trying import MISSING, Case, World

CASES = {
    "clusters": Case("{ clusters { code } }"),
    "cluster": Case('{ cluster(code: "human-services") { code } }'),
    "ministry": Case('{ ministry(code: "consumer-commercial-relations") { code } }'),
    "governmentService": Case('{ governmentService(code: "business-name-registration") { code } }'),
    "publishMeasure": Case(
        """mutation ($input: PublishMeasureInput!) { publishMeasure(input: $input) { __typename
            ... on ServiceStandard { target } ... on Refused { code field message { en fr } } } }""",
        lambda things: {
            "input": {
                "standardCode": things["standard"],
                "month": "2026-01-01",
                "value": 2.5,
                "volume": 10,
                "idempotencyKey": "k",
            }
        },
    ),
}


async def world(client: Client, persons: Sequence[str]) -> World:
    """The catalogue as its cluster files say, and a standard of the ministry for which the demo's administrator works."""
    async with client.database.transaction() as db:
        for seed in service.seeds:
            await seed(db)
        plain = text("""SELECT s.code FROM servicestandard s JOIN governmentservice g ON g.code = s.service_code
            WHERE s.lines = '[]'::jsonb AND g.ministry_code = 'labour' ORDER BY s.code LIMIT 1""")
        code = (await db.execute(plain)).scalar_one()
    there = {"standard": code}
    return World(client, dict.fromkeys(persons, there) | {MISSING: {"standard": "none"}})
