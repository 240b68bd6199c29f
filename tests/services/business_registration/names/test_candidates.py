"""Which held names are compared: the likeliest first, whatever number of others shares a word."""

from datetime import timedelta
from uuid import uuid4

from services.business_registration.models import LegalType
from services.business_registration.names.candidates import MOST, candidates
from services.business_registration.names.decision import NameOutcome, decide
from services.business_registration.naming import records
from services.kit.columns import now
from services.kit.testing.client import Client

ASKED = "Beaver Granite Ember Laluli Menuiserie Ltd."
ALIKE = "Beaver Amber Menuiserie Corp."  # one word shared, one that sounds alike, and the trade


async def held(client: Client, *names: str) -> None:
    async with client.database.transaction() as db:
        for name in names:
            holder = {"reservation": uuid4(), "reserved_by": "x", "reserved_until": now() + timedelta(days=1)}
            for record in records(name, "NAMED_CORPORATION", **holder):
                db.add(record)


class TestTheLikeliest:
    async def test_is_found_among_many_that_share_one_word(self, client: Client) -> None:
        letters = "bcdfghjklmnpqrstvwxz"
        await held(client, *(f"Beaver {a}o{b}u Books Corp." for a in letters for b in letters), ALIKE)
        async with client.database.transaction() as db:
            found = await candidates(db, ASKED)
        assert len(found) == MOST
        assert found[0].name == ALIKE
        assert decide(ASKED, LegalType.NAMED_CORPORATION, found).outcome is NameOutcome.SIMILAR

    async def test_is_found_for_either_form_of_a_name_one_of_which_says_nothing(self, client: Client) -> None:
        await held(client, ALIKE)
        async with client.database.transaction() as db:
            for asked in (f"{ALIKE} / !!!", "!!! / Beaver Amber", "!!!", "", " / "):
                found = [holder.name for holder in await candidates(db, asked)]
                assert found == ([ALIKE] if "Beaver" in asked else [])
