"""A revocation is true when it is answered: no answer with the data leaves an owner afterwards, whatever froze or was cut off.

Delegations are offered, accepted, used and revoked through the front door; the reply is there when its HTTP answer has been read.
Two gateways, all services, two more instances of two services and one of accounts: one is stopped by SIGSTOP and goes on, one is
cut off from NATS. Between each gateway and its owners of data stands a recorder, which notes for which grant an answer with data
has passed.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from clusters import signin
from clusters.local.observe import is_ready
from clusters.local.processes import end, free_port, spawn
from clusters.local.state import State, running
from clusters.topology import BY_NAME, Part, environment
from services.kit.lease import elapsed
from tests.journeys.hostile import OPERATIONS
from tests.services.kit.conftest import until
from tests.stack.recording import Link, Seen

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("province")]
GRANTS, WORKERS, AT_ONCE = 100, 4, 10
REGISTER = "business_registration"
SCOPES = ["account:read", "business:read", "inspection:read"]
# Each owner's part of the answer has `edges`, by which the recorder knows it.
BUSINESSES = (
    "myBusinesses(first: 1) { edges { node { businessNumber inspections(first: 1) { edges { node { number } } } } } }"
)
QUERY = f"{{ me {{ delegations(first: 1) {{ edges {{ node {{ id }} }} }} }} {BUSINESSES} }}"
WITHOUT_ACCOUNTS = f"{{ {BUSINESSES} }}"
ADDRESS = {"street": "1 King Street", "city": "Toronto", "postalCode": "M5V 2T6"}
DRAFT = (
    """mutation ($input: DraftApplicationInput!) { draftApplication(input: $input) { ... on Application { id } } }"""
)
SUBMIT = """mutation ($input: SubmitApplicationInput!) { submitApplication(input: $input) { __typename } }"""


@dataclass
class Scene:
    """Two gateways, and the processes that stand behind them."""

    seen: Seen
    doors: list[str]
    frozen: int  # the process that is stopped at times
    accounts: int  # one of the processes that answer leases
    nats: Link  # by which one instance reaches NATS
    tokens: Mapping[str, str]
    http: httpx.AsyncClient

    async def asks(self, door: str, who: str, authority: str = "self", query: str = QUERY, **variables: Any) -> Any:
        headers = {"authorization": f"Bearer {self.tokens[who]}", "onedoor-authority": authority}
        sent = {"query": OPERATIONS.get(query, query), "variables": variables}
        return (await self.http.post(door, json=sent, headers=headers)).json()

    async def does(self, door: str, who: str, mutation: str, **given: Any) -> Any:
        """What a mutation made, which must not be refused."""
        answer = await self.asks(door, who, query=mutation, input=given)
        ((made),) = answer["data"].values()
        assert made["__typename"] != "Refused", made
        return made

    async def delegated(self, door: str) -> str:
        """The authority of a delegation that the owner has offered and the citizen accepted."""
        ends = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        said = {"offeredAs": "Olive Baker", "scopes": SCOPES, "ends": ends, "idempotencyKey": str(uuid4())}
        offer = await self.does(door, "owner", "Delegate", **said)
        taken = {"code": offer["invitationCode"], "acceptedAs": "Ana Counter", "idempotencyKey": str(uuid4())}
        accepted: str = (await self.does(door, "citizen", "AcceptDelegation", **taken))["id"]
        return accepted

    async def revoke(self, door: str, grant: str) -> float:
        """End a delegation. Returns the seconds until the reply."""
        began = elapsed()
        ended = await self.does(door, "owner", "Revoke", delegationId=grant)
        took = elapsed() - began
        assert ended["state"] == "REVOKED"
        await asyncio.sleep(0)  # what has come before the reply and is not read yet came before it
        await asyncio.sleep(0)
        self.seen.revoked[grant] = elapsed()
        return took


def codes(answer: Any) -> set[str]:
    return {error["extensions"]["code"] for error in answer.get("errors", ())}


def shows(answer: Any) -> bool:
    """Whether all owners that were asked have told it."""
    data = answer.get("data") or {}
    edges = (data.get("myBusinesses") or {}).get("edges") or []
    return bool(edges) and edges[0]["node"]["inspections"] is not None and data.get("me", edges) is not None


@pytest.fixture
async def scene(open_province: State, tmp_path: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        yield await _scene(open_province, tmp_path, stack)


async def _scene(province: State, folder: Path, stack: AsyncExitStack) -> Scene:
    env, seen = province.environment, Seen()
    addresses = {part.name: part.address for part in province.parts}
    credentials = Path(env["SIGNING_KEYS"]).parents[1]
    cut = await stack.enter_async_context(Link(addresses["nats"]))

    def start(part: Part, port: int, label: str, **more: str) -> int:
        def where(name: str) -> str:
            return f"127.0.0.1:{port}" if name == part.name else addresses[name]

        told = environment(part, where, mode="local", host="127.0.0.1", credentials=credentials)
        module = ["gateway"] if part.name == "gateway" else ["services.kit.serve", part.name]
        process = spawn([sys.executable, "-m", *module], folder / f"{label}.log", env={**os.environ, **told, **more})
        stack.callback(end, process, signal.SIGKILL, patience_s=20)
        return process.pid

    async def owner(name: str, label: str, **more: str) -> tuple[int, dict[str, str], str]:
        """One more instance, behind a recorder: its process, how a gateway finds it, and its own address."""
        port = free_port()
        link = await stack.enter_async_context(Link(f"127.0.0.1:{port}", seen.at(label)))
        found = {BY_NAME[name].subgraph_variable: f"http://{link.address}/graphql"}
        return start(BY_NAME[name], port, label, **found, **more), found, f"127.0.0.1:{port}"

    _, one, a = await owner(REGISTER, "registration")
    frozen, two, b = await owner(REGISTER, "registration, frozen")
    _, three, c = await owner("inspections", "inspections")
    _, four, d = await owner("inspections", "inspections, cut off", NATS_URL=f"nats://{cut.address}")
    accounts, both, e = await owner("accounts", "accounts")
    ports = [free_port(), free_port()]
    for port, found in zip(ports, (one | three | both, two | four | both), strict=True):
        start(BY_NAME["gateway"], port, f"gateway-{port}", **found)

    async def ready() -> bool:
        places = [a, b, c, d, e, *(f"127.0.0.1:{port}" for port in ports)]
        return all([await asyncio.to_thread(is_ready, place) for place in places])

    await until(ready, 120)
    issuer = env["ISSUER_URL"]
    tokens = {
        name: await asyncio.to_thread(signin.access_token, issuer, name, f"{name}-onedoor")
        for name in ("owner", "citizen")
    }
    http = await stack.enter_async_context(httpx.AsyncClient(timeout=40, trust_env=False))
    doors = [f"http://127.0.0.1:{port}/graphql" for port in ports]
    made = Scene(seen, doors, frozen, accounts, cut, tokens, http)
    await _with_a_business(made)
    return made


async def _with_a_business(scene: Scene) -> None:
    given = {
        "legalType": "NUMBERED_CORPORATION",
        "sector": "72",
        "address": ADDRESS,
        "idempotencyKey": str(time.time()),
    }
    drafted = await scene.asks(scene.doors[0], "owner", query=DRAFT, input=given)
    filed = {"applicationId": drafted["data"]["draftApplication"]["id"], "idempotencyKey": given["idempotencyKey"]}
    assert not codes(await scene.asks(scene.doors[0], "owner", query=SUBMIT, input=filed))

    async def known() -> bool:
        return all([shows(await scene.asks(door, "owner")) for door in scene.doors])

    await until(known, 60)


async def usable(scene: Scene, grant: str) -> None:
    """Wait until a grant is had through both gateways."""

    async def had() -> bool:
        return all([shows(await scene.asks(door, "citizen", grant)) for door in scene.doors])

    await until(had, 60)


@asynccontextmanager
async def load(scene: Scene, grants: list[str]) -> AsyncIterator[None]:
    """People act on the grants, all the time, by both gateways."""
    chance = random.Random(7)

    async def one(door: str) -> None:
        while True:
            await scene.asks(door, "citizen", chance.choice(grants))

    workers = [asyncio.create_task(one(scene.doors[n % 2])) for n in range(WORKERS)]
    try:
        yield
        failed = [worker for worker in workers if worker.done()]
        assert not failed, [worker.exception() for worker in failed]
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


class TestAHundredRevocations:
    async def test_are_each_true_when_they_are_answered(self, scene: Scene, record_property: Any) -> None:
        grants: list[str] = []
        while len(grants) <= GRANTS:
            grants += await asyncio.gather(*(scene.delegated(scene.doors[n % 2]) for n in range(AT_ONCE)))
        revoked, kept = grants[:GRANTS], grants[GRANTS]
        await usable(scene, kept)
        times: list[float] = []
        async with load(scene, grants):
            await asyncio.sleep(1)
            for n, grant in enumerate(revoked):
                if n in (10, 40):
                    os.kill(scene.frozen, signal.SIGSTOP)
                if n in (30, 60):
                    os.kill(scene.frozen, signal.SIGCONT)
                if n == 50:
                    scene.nats.cut()
                if n == 90:
                    scene.nats.mend()
                times.append(await scene.revoke(scene.doors[n % 2], grant))
            await asyncio.sleep(2)
            before = scene.seen.reads.copy()
            await usable(scene, kept)
        assert scene.seen.late == []
        assert len(scene.seen.revoked) == GRANTS
        assert before.keys() == {
            "registration",
            "registration, frozen",
            "inspections",
            "inspections, cut off",
            "accounts",
        }
        assert max(times) < 8
        times.sort()
        told = {"median_s": times[50], "p90_s": times[90], "longest_s": times[-1], "reads": sum(before.values())}
        record_property("revocations", told)
        print(told)


class TestWithoutAccounts:
    async def test_people_act_for_themselves_and_nobody_for_others(self, scene: Scene, open_province: State) -> None:
        grant = await scene.delegated(scene.doors[0])
        await usable(scene, grant)
        for pids in ([_pid_now(open_province, "accounts"), scene.accounts], [_pid_now(open_province, "nats")]):
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            try:
                for door in scene.doors:

                    async def refused(door: str = door) -> bool:
                        answer = await scene.asks(door, "citizen", grant, WITHOUT_ACCOUNTS)
                        return codes(answer) == {"AUTHORITY_UNAVAILABLE"}

                    await until(refused, 20)
                    assert shows(await scene.asks(door, "owner", query=WITHOUT_ACCOUNTS))
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
            await usable(scene, grant)


def _pid_now(province: State, name: str) -> int:
    """The process of a part, which others may have had started again since the province was opened."""
    log = next(part.log for part in province.parts if part.name == name)
    assert log is not None
    now = running(Path(log).parents[1])
    assert now is not None
    pid = next(part.pid for part in now.parts if part.name == name)
    assert pid is not None
    return pid
