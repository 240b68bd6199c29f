"""A person's own account: who they are, and in which language we write to them."""

from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.services.accounts.conftest import Somebody

ME = "{ me { id language } }"
SET = """mutation ($to: Language!) { setLanguage(input: { language: $to }) { __typename
    ... on Person { id language } ... on Refused { code } } }"""


class TestMe:
    async def test_is_whoever_asks(self, somebody: Somebody) -> None:
        assert (await somebody.ask(ME))["me"] == {"id": tokens.subject_of("owner"), "language": "EN"}

    async def test_is_nobody_without_a_token(self, client: Client) -> None:
        assert (await client.run(ME)).codes == ["UNAUTHENTICATED"]

    async def test_is_written_to_in_the_language_of_the_request_until_one_is_chosen(self, somebody: Somebody) -> None:
        assert (await somebody.ask(ME, language="fr"))["me"]["language"] == "FR"

    async def test_is_written_to_in_the_language_chosen_last(self, somebody: Somebody) -> None:
        await somebody.ask(SET, to="EN")
        assert (await somebody.ask(SET, to="FR"))["setLanguage"]["language"] == "FR"
        assert (await somebody.ask(ME))["me"]["language"] == "FR"

    async def test_chooses_for_nobody_else(self, client: Client) -> None:
        await Somebody(client, "baker").ask(SET, to="FR")
        assert (await Somebody(client, "owner").ask(ME))["me"]["language"] == "EN"


class TestAPerson:
    async def test_is_found_by_themselves_alone(self, client: Client) -> None:
        mine, theirs = ({"__typename": "Person", "id": tokens.subject_of(name)} for name in ("owner", "baker"))
        answer = await client.entities(
            "... on Person { language }", mine, theirs, scopes=("account:read",), username="owner"
        )
        assert answer.data["_entities"] == [{"language": "EN"}, None]
