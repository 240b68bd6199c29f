"""Policies: what each says of whom and when; and that a service asks them wherever it answers, before it does anything."""

import time
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import strawberry

from services.kit import faults
from services.kit.caller import ANONYMOUS, Caller
from services.kit.database import Database, Db
from services.kit.inputs import Input
from services.kit.policies import NO_GUARD, Guard, judged
from services.kit.service import Service, external, field
from services.kit.testing.client import Client

NOW = 1_800_000_000.0
done: list[str] = []

service = Service("vaults")


@service.entity(key="id", policy="second_factor")
class Vault:
    """A vault that only who has shown a second factor may see."""

    id: strawberry.ID

    @classmethod
    async def find(cls, id: str) -> "Vault":
        done.append("found")
        return cls(id=strawberry.ID(id))  # type: ignore[call-arg] # Strawberry makes it a dataclass


@service.extends(key="businessNumber", scope="vault:read")
class Business:
    """Somebody else's business, with what is kept of it here."""

    business_number: strawberry.ID
    seal: str | None = external(policy="second_factor")

    @field(policy="second_factor")
    async def combination(self) -> str:
        """How it is opened."""
        done.append("told")
        return "1234"

    @field(requires="seal")
    async def stamp(self) -> str:
        """Made of the seal, and so for those only who may see that."""
        return f"*{self.seal}*"

    async def colour(self) -> str:
        """Of its door."""
        return "grey"


class Open(Input):
    """Which one."""

    id: strawberry.ID


@service.query(policy="second_factor")
async def hidden() -> str:
    """Something."""
    done.append("read")
    return "something"


@service.query()
async def vault(id: strawberry.ID) -> Vault | None:
    """A vault; it says nothing of a policy, its type does."""
    return await Vault.find(id)


@service.mutation(scope="vault:open", policy="second_factor")
async def open_vault(db: Db, input: Open) -> Vault:
    """Open one."""
    done.append("opened")
    return Vault(id=input.id)  # type: ignore[call-arg] # likewise


@service.subscription(policy="second_factor")
async def opened() -> AsyncIterator[str]:
    """When one is."""
    done.append("followed")
    yield "now"


ASKED = {
    "a query": "{ hidden }",
    "what returns a type that has one": '{ vault(id: "a") { __typename } }',
    "a mutation": 'mutation { openVault(input: {id: "a"}) { __typename } }',
    "a subscription": "subscription { opened }",
}
VAULT = ("... on Vault { id }", {"__typename": "Vault", "id": "a"})
COMBINATION = ("... on Business { combination }", {"__typename": "Business", "businessNumber": "1", "seal": "x"})
STAMP = ("... on Business { stamp }", COMBINATION[1])
ENTITIES = {"an entity": VAULT, "a field": COMBINATION, "what requires such a field": STAMP}
SCOPES = ("vault:open", "vault:read")


@pytest.fixture
def client(db: Database) -> Client:
    done.clear()
    return Client(service, db)


def just_now(**changes: Any) -> dict[str, Any]:
    return {"acr": "2", "auth_time": int(time.time()), **changes}


class TestTheSecondFactor:
    @pytest.mark.parametrize(
        ("ago_s", "assurance", "enough"),
        [(0, "2", True), (330, "2", True), (331, "2", False), (0, "1", False), (0, "", False), (0, "3", False)],
    )
    def test_counts_for_five_minutes_and_the_leeway(self, ago_s: int, assurance: str, enough: bool) -> None:
        caller = Caller("ann", assurance=assurance, authenticated_at=NOW - ago_s)
        problem = judged("second_factor", caller, NOW)
        assert (problem is None) is enough
        assert problem is None or problem.fault is faults.STEP_UP_REQUIRED

    def test_is_none_where_the_token_does_not_say_when(self) -> None:
        assert judged("second_factor", Caller("ann", assurance="2"), NOW) is not None

    def test_what_is_missing_is_told_as_the_standard_has_it(self) -> None:
        extensions = faults.as_error(faults.STEP_UP_REQUIRED, "id")["extensions"]
        assert (extensions["acrValues"], extensions["maxAge"]) == ("2", 300)


class TestAJudgement:
    def test_of_who_is_not_signed_in_asks_to_sign_in_first(self) -> None:
        told = judged("second_factor", ANONYMOUS, NOW)
        assert told is not None
        assert told.fault is faults.UNAUTHENTICATED

    def test_by_a_policy_that_nobody_knows_is_no(self) -> None:
        told = judged("third_factor", Caller("ann", assurance="2", authenticated_at=NOW), NOW)
        assert told is not None
        assert told.fault is faults.FORBIDDEN
        assert "third_factor" in told.words.en


class TestAGuard:
    def test_asks_for_all_that_its_parts_ask_for_once(self) -> None:
        both = Guard.of("b:b", "second_factor") + Guard.of("a:a") + NO_GUARD + Guard.of("b:b")
        assert both == Guard(("a:a", "b:b"), ("second_factor",))

    def test_with_a_policy_that_is_not_there_is_refused_when_it_is_declared(self) -> None:
        with pytest.raises(TypeError, match="second_factor"):
            service.query(policy="second-factor")

    def test_tells_of_a_scope_before_a_policy(self) -> None:
        with pytest.raises(faults.Faulted, match="FORBIDDEN"):
            Guard.of("a:a", "second_factor").require(Caller("ann"))


class TestTheSchema:
    def test_says_what_is_asked_for(self) -> None:
        sdl = service.sdl()
        policy = '@policy(policies: [["second_factor"]])'
        assert f"hidden: String {policy}" in sdl
        assert f"vault(id: ID!): Vault {policy}" in sdl
        assert f'): OpenVaultResult @requiresScopes(scopes: [["vault:open"]]) {policy}' in sdl
        assert f'type Vault @key(fields: "id", resolvable: true) {policy}' in sdl
        for name in ("combination: String", "stamp: String"):
            assert f'{name} @requiresScopes(scopes: [["vault:read"]]) {policy}' in sdl
        assert 'colour: String @requiresScopes(scopes: [["vault:read"]])\n' in sdl


class TestAService:
    @pytest.mark.parametrize("text", ASKED.values(), ids=ASKED)
    @pytest.mark.parametrize(
        ("scopes", "claims", "code"),
        [
            ((), None, "UNAUTHENTICATED"),
            (SCOPES, {}, "STEP_UP_REQUIRED"),
            (SCOPES, just_now(acr="1"), "STEP_UP_REQUIRED"),
            (SCOPES, just_now(auth_time=int(time.time()) - 400), "STEP_UP_REQUIRED"),
        ],
    )
    async def test_does_nothing_for_who_has_not_shown_a_second_factor(
        self, client: Client, text: str, scopes: tuple[str, ...], claims: dict[str, Any] | None, code: str
    ) -> None:
        answer = await client.run(text, *scopes, claims=claims)
        assert f'"code":"{code}"' in orjson.dumps(answer.body).decode().replace('\\"', '"')
        assert done == []

    @pytest.mark.parametrize("text", ASKED.values(), ids=ASKED)
    async def test_answers_who_has(self, client: Client, text: str) -> None:
        answer = await client.run(text, *SCOPES, claims=just_now())
        assert "errors" not in orjson.dumps(answer.body).decode()
        assert len(done) == 1

    @pytest.mark.parametrize(("selection", "reference"), ENTITIES.values(), ids=ENTITIES)
    async def test_asks_likewise_in_entities(self, client: Client, selection: str, reference: dict[str, str]) -> None:
        refused = await client.entities(selection, reference, scopes=SCOPES)
        assert refused.codes == ["STEP_UP_REQUIRED"]
        assert done == []
        told = await client.entities(selection, reference, scopes=SCOPES, claims=just_now())
        assert told.errors == []
        assert None not in (told.data["_entities"][0] or {"": None}).values()

    async def test_tells_both_languages_what_to_do(self, client: Client) -> None:
        (error,) = (await client.run("{ hidden }", *SCOPES, language="fr")).errors
        assert error["message"].startswith("Confirmez votre identité")
        assert error["extensions"]["text"]["en"].startswith("Confirm that it is you")
        assert (error["extensions"]["acrValues"], error["extensions"]["maxAge"]) == ("2", 300)
