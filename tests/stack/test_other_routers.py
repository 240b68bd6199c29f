"""Another router in our gateway's place: the same operations, services and tokens, the same data, and errors at the same places.

Hive Gateway comes from npm. `HIVE_ROUTER` names the binary of Hive Router, which is then held to the same. Apollo Router and
Cosmo do not run here: what reads the supergraph and the subgraphs for them does.
"""

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGTERM
from typing import Any

import httpx
import pytest
from graphql import parse

from clusters import node, signin
from clusters.access import access
from clusters.journeys import trust
from clusters.journeys.business import journey
from clusters.journeys.door import Door
from clusters.local.letters import Letter
from clusters.local.observe import is_ready
from clusters.local.processes import end, free_port, spawn, wait_until
from clusters.local.state import State
from clusters.privacy import purposes_in
from clusters.topology import SERVICES, SUPERGRAPH
from gateway.engine.planner import plan_operation
from gateway.engine.supergraph import load_supergraph
from services.kit.purposes import purposes
from tests.bench.gateways.contestants import NODE_MAJOR, PEERS, Command, elsewhere, hive, hive_router, running
from tests.journeys.hostile import OPERATIONS, fitting, operation_of, variable_types

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
Json = dict[str, Any]
BINARY = os.environ.get("HIVE_ROUTER")
NAMES = ("Hive Gateway", *(("Hive Router",) if BINARY else ()))
USERS = (None, "owner", "citizen", "inspector", "reviewer", "administrator")
MUTATIONS = {name for name, text in OPERATIONS.items() if operation_of(text).operation.value == "mutation"}
# Deeds of registration and inspections; those on accounts are of the journey of trust.
DEEDS = {
    *("DraftApplication", "SubmitApplication"),
    *(name for name in MUTATIONS if name.startswith("Inspections")),
}
ASKED = [name for name, text in OPERATIONS.items() if operation_of(text).operation.value != "subscription"]
PUBLIC = {
    *("CheckName", "Clusters", "FindServices", "HelpNear", "InspectionsChecklists", "InspectionsPremises"),
    "ServiceStandards",
}
SETTING = {"SetLanguage": {"language": "EN"}}  # may be done again and again
OF_ONE_WALK = {
    *("id", "businessNumber", "accountNumber", "number", "name", "legalName", "normalised"),
    *("submittedAt", "registeredAt", "startedAt", "closedAt", "at"),
}
DUTIES = ["INTRODUCED_SELF_AND_MINISTRY", "STATED_AUTHORITY", "EXPLAINED_PROCESS", "LEFT_CONTACT_NUMBER"]


@pytest.fixture(scope="module")
def routers(open_province: State, proxy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The address of our gateway, named "ours", and of each other router, whose calls a proxy signs."""
    env = open_province.environment
    supergraph = tmp_path_factory.mktemp("routers") / "supergraph.graphql"
    behind = elsewhere(SUPERGRAPH.read_text(encoding="utf-8"), lambda name: f"{proxy}/{name}")
    supergraph.write_text(behind, encoding="utf-8")
    commands: dict[str, Command] = {"Hive Gateway": hive()}
    if BINARY:
        commands["Hive Router"] = hive_router(BINARY)
    with running(commands, supergraph) as found:
        yield {"ours": env["GATEWAY_URL"], **{one.name: one.url for one in found}}


@pytest.fixture(scope="module")
def proxy(open_province: State, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where calls are signed."""
    port, log = free_port(), tmp_path_factory.mktemp("proxy") / "proxy.log"
    env = {**os.environ, **open_province.environment}
    process = spawn([sys.executable, "-m", "clusters", "sign-proxy", "--port", str(port)], log, env=env)
    try:
        wait_until(lambda: is_ready(f"127.0.0.1:{port}"), process, "sign-proxy", log, patience_s=60)
        yield f"http://127.0.0.1:{port}"
    finally:
        end(process, SIGTERM, 10)


class Asking:
    """Asks any of the routers as any of the users."""

    def __init__(self, env: dict[str, str], addresses: dict[str, str], http: httpx.Client) -> None:
        self.env, self.addresses, self.http = env, addresses, http
        self._tokens: dict[str, str] = {}

    def token(self, user: str) -> str:
        if user not in self._tokens:
            self._tokens[user] = signin.access_token(self.env["ISSUER_URL"], user, f"{user}-onedoor")
        return self._tokens[user]

    def ask(self, router: str, operation: str, variables: Json, user: str | None, language: str = "fr") -> Json:
        headers = {"accept": "application/json", "accept-language": language}
        if user is not None:
            headers["authorization"] = f"Bearer {self.token(user)}"
            role = access().users[user].role  # whose purpose our gateway finds by itself
            carried = (purposes()[code] for code in purposes_in(OPERATIONS[operation]))
            headers["onedoor-purpose"] = next((p.code for p in carried if p.is_for([role], "")), "")
        body = {"operationName": operation, "query": OPERATIONS[operation], "variables": variables}
        answer: Json = self.http.post(self.addresses[router], json=body, headers=headers).json()
        return answer


@pytest.fixture(scope="module")
def asking(open_province: State, routers: dict[str, str]) -> Iterator[Asking]:
    with httpx.Client(timeout=30) as http:
        yield Asking(open_province.environment, routers, http)


@pytest.fixture(scope="module")
def known(asking: Asking) -> Json:
    """Values that name something that is there. A mutation with them is refused, so that it can be sent again and again."""
    held = asking.ask("ours", "MyBusinesses", {"first": 1}, "owner")["data"]["myBusinesses"]["edges"][0]["node"]
    seen = asking.ask("ours", "Inspections", {"first": 1}, "inspector")["data"]["inspections"]["edges"][0]["node"]
    return {
        **dict.fromkeys(("after", "openAt", "age", "status", "mine", "language", "inspector")),
        "name": "Harbour Lamps",
        "businessNumber": held["businessNumber"],
        "number": seen["number"],
        "version": 1_000,
        "postalCode": "M5V 2T6",
        "street": "",
        "city": "Toronto",
        "sector": "72",
        "code": "business-registration",
        "text": "housing",
        "first": 3,
        "withinM": 20_000,
        "idempotencyKey": "k" * 20,
        "legalType": "NAMED_CORPORATION",
        "checklist": "food-premises",
    }


@pytest.fixture(scope="module")
def walks(asking: Asking) -> "dict[str, Walk]":
    return {router: Walk(asking, router) for router in ("ours", *NAMES)}


def given(operation: str, known: Json) -> Json:
    """Variables that fit an operation."""
    known = known | SETTING.get(operation, {})
    types = variable_types(OPERATIONS[operation])
    return {name: fitting(type_, known, name) for name, type_ in types.items()}


def told(answer: Json) -> tuple[Any, list[tuple[str, str, str]]]:
    """An answer's data, and of each error its place, code and message; but for the purposes that would do: only our gateway says
    who gets fields through @requires."""
    errors = [
        (json.dumps(e.get("path")), e.get("extensions", {}).get("code", ""), e["message"])
        for e in answer.get("errors") or ()
    ]
    return answer.get("data"), sorted(
        (at, code, "" if code == "PURPOSE_REQUIRED" else said) for at, code, said in errors
    )


@pytest.mark.parametrize("router", NAMES)
class TestSameAnswers:
    @pytest.mark.parametrize("operation", ASKED)
    def test_each_operation_answers_each_user_alike(
        self, asking: Asking, known: Json, router: str, operation: str
    ) -> None:
        for user in USERS:
            mine, theirs = (told(asking.ask(who, operation, given(operation, known), user)) for who in ("ours", router))
            assert theirs == mine, user
            if (
                operation in MUTATIONS - SETTING.keys()
            ):  # else the second router would be asked something else than the first
                assert all(done is None or done["__typename"] == "Refused" for done in mine[0].values())

    def test_a_token_that_is_none_opens_nothing(self, asking: Asking, router: str) -> None:
        """Services look at it themselves, whoever passes it on."""
        for operation in ("MyBusinesses", "Inspections"):
            headers = {"accept": "application/json", "authorization": f"Bearer {asking.token('inspector')[:-10]}"}
            answer = asking.http.post(asking.addresses[router], json={"query": OPERATIONS[operation]}, headers=headers)
            assert not any((answer.json().get("data") or {}).values())
            assert answer.json()["errors"]

    def test_every_refusal_and_every_datum_is_seen_by_somebody(self, asking: Asking, known: Json, router: str) -> None:
        """What is compared holds something: all operations bring data but those that the journeys ask and those by which a
        business changes hands, which take a second factor or an offer's code; all that are not public are refused to somebody."""
        brought, refused = set(), set()
        for operation in ASKED:
            for user in USERS:
                data, errors = told(asking.ask(router, operation, given(operation, known), user))
                brought |= {operation} if data and any(data.values()) else set()
                refused |= {operation} if errors else set()
        journeys = {"ApplicationProgress", "ConfirmAct", "Invitation", "OpenAssistedSession"}
        assert set(ASKED) - brought == journeys | {"AcceptTransfer", "OfferTransfer", "TransferOffered"}
        assert set(ASKED) - refused == PUBLIC


class Walk:
    """A business owner's journey and an inspection's life through one router: every mutation, and what is seen of them."""

    def __init__(self, asking: Asking, router: str) -> None:
        self._asking, self._router = asking, router
        self.steps: list[tuple[str, Json]] = []
        walked = list(journey(Door(asking.addresses[router], asking.http), asking.token))
        self.steps += [(step.code, step.answer) for step in walked[1:]]  # the first tells of all that others did
        by_code = dict(self.steps)
        self.application: str = by_code["register"]["id"]
        self.business: str = by_code["register"]["business"]["businessNumber"]
        self.inspection: str = self._inspected()

    def _inspected(self) -> str:
        found = self._asking.ask(self._router, "InspectionsOfBusiness", {"businessNumber": self.business}, "inspector")
        (edge,) = found["data"]["business"]["inspections"]["edges"]
        first: Json = edge["node"]
        self._does("InspectionsStart", "inspector", number=first["number"])
        finding = {"item": "FP-08", "comment": "Too warm", "correctBy": first["scheduledFor"]}
        self._does("InspectionsRecord", "inspector", number=first["number"], findings=[finding], firstContact=DUTIES)
        self._does("InspectionsReview", "reviewer", number=first["number"], decision="APPROVED")
        self._does("InspectionsConfirmCorrection", "inspector", number=first["number"], item="FP-08")
        self._does("InspectionsClose", "reviewer", number=first["number"])
        again = {"businessNumber": self.business, "checklist": "food-premises", "reason": "FOLLOW_UP"}
        again |= {"scheduledFor": first["scheduledFor"], "idempotencyKey": secrets.token_hex(16)}
        second = self._does("InspectionsSchedule", "inspector", None, **again)
        self._does("InspectionsCancel", "inspector", number=second["number"], reason="Moved away")
        return str(first["number"])

    def _does(self, operation: str, user: str, version: int | None = 0, **change: object) -> Json:
        """A mutation of an inspection at the version that it is at."""
        if version is not None:
            change["version"] = self._version(str(change["number"]))
        answer = self._asking.ask(self._router, operation, {"input": change}, user)
        (done,) = answer["data"].values()
        assert done["__typename"] == "Inspection", answer
        self.steps.append((operation, answer))
        return dict(done)

    def _version(self, number: str) -> int:
        seen = self._asking.ask(self._router, "InspectionsDetails", {"number": number}, "inspector")
        return int(seen["data"]["inspection"]["version"])


def masked(value: Any, key: str = "") -> Any:
    """An answer without what differs from one walk to the next: identifiers, invented names, moments."""
    if isinstance(value, dict):
        return {name: masked(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, key) for inner in value]
    return "..." if isinstance(value, str) and key in OF_ONE_WALK else value


@pytest.mark.parametrize("router", NAMES)
class TestSameDeeds:
    """Each router registers a business of its own and inspects it; what differs by nature is masked."""

    def test_a_journey_and_an_inspections_life_go_alike(
        self, asking: Asking, walks: dict[str, Walk], router: str
    ) -> None:
        mine, theirs = walks["ours"], walks[router]
        done = {operation for operation, _ in theirs.steps} | {"DraftApplication", "SubmitApplication"}
        assert done >= DEEDS
        for step, other in zip(mine.steps, theirs.steps, strict=True):
            assert masked(list(other)) == masked(list(step))

    def test_what_was_done_is_seen_alike(self, asking: Asking, walks: dict[str, Walk], router: str) -> None:
        for walk in walks.values():
            for user in USERS:
                for operation, variables in (
                    ("ApplicationProgress", {"id": walk.application}),
                    ("BusinessOverview", {"businessNumber": walk.business}),
                    ("InspectionsOfBusiness", {"businessNumber": walk.business}),
                    ("InspectionsDetails", {"number": walk.inspection}),
                ):
                    mine, theirs = (told(asking.ask(who, operation, variables, user, "en")) for who in ("ours", router))
                    assert theirs == mine, (operation, user)


@pytest.mark.parametrize("router", NAMES)
class TestTrust:
    def test_the_journey_of_trust_is_walked_through_each(
        self, asking: Asking, letters: Callable[[], list[Letter]], router: str
    ) -> None:
        """Grants, codes, purposes and entries are the owners': with another router they hold as with ours."""
        door = Door(asking.addresses[router], asking.http)
        steps = trust.journey(door, asking.token, lambda: [one.text for one in letters()])
        assert [step.code for step in steps][-1] == "answered"


class TestTheContracts:
    """Read by the libraries of routers that are not run here."""

    def test_apollo_plans_every_operation_on_the_supergraph_as_its_router_does(self) -> None:
        """With as many fetches as we make, or more."""
        runtime = node.find(NODE_MAJOR)
        runtime.install(PEERS)
        folder = SUPERGRAPH.parent / "operations"
        files = [str(folder / f"{name}.graphql") for name in OPERATIONS]
        planned = json.loads(_output(runtime, PEERS / "apollo-plans.mjs", str(SUPERGRAPH), *files))
        supergraph = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8"))
        for file, (name, text) in zip(files, OPERATIONS.items(), strict=True):
            plan = plan_operation(supergraph, parse(text), operation_of(text), {})
            assert 1 <= len(plan.fetches) <= planned[file], name

    def test_cosmo_composes_the_subgraphs(self, tmp_path: Path) -> None:
        """All but @policy, which it does not know: owners ask for it in any case (`docs/scaling.md`)."""
        runtime = node.find()
        here = Path(__file__).parent / "node"
        runtime.install(here)
        for file in sorted((SUPERGRAPH.parent / "subgraphs").glob("*.graphql")):
            (tmp_path / file.name).write_text(re.sub(r' @policy\(policies: \[\["\w+"\]\]\)', "", file.read_text()))
        subgraphs = [str(file) for file in sorted(tmp_path.glob("*.graphql"))]
        assert "@policy(" not in "".join(Path(file).read_text() for file in subgraphs)
        told = json.loads(_output(runtime, here / "compose-by-cosmo.mjs", *subgraphs))
        assert told == {"errors": [], "warnings": []}
        assert len(subgraphs) == len(SERVICES)


def _output(runtime: node.Node, *command: str | Path) -> str:
    done = subprocess.run([*runtime.node, *command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
