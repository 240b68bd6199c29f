"""The security audit: kept once, sealed, never changed, read by auditors for the purpose of oversight."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.watch import Watch
from services.accounts.security import KEPT_DAYS, Observed, SecurityObserved, observed
from services.accounts.service import service
from services.kit.audit.exporting import export
from services.kit.audit.sealer import Sealer
from services.kit.audit.verifying import Verification
from services.kit.events import check
from services.kit.testing import tokens
from services.kit.testing.client import Client

AT = datetime(2026, 6, 1, tzinfo=UTC)
ASKED = """query ($actor: String, $kind: String, $since: DateTime, $first: Int, $after: String) {
    securityEvents(actor: $actor, kind: $kind, since: $since, first: $first, after: $after) {
        edges { node { source kind actor operation count lastAt } } pageInfo { hasNextPage endCursor } } }"""


def seen(id: str, kind: str = "FORBIDDEN", actor: str = "", minute: int = 0) -> Observed:
    at = AT + timedelta(minutes=minute)
    return Observed(
        id=id, at=AT, last_at=at, kind=kind, actor=actor, client="", operation="ab" * 32, detail="", count=3
    )


async def keep(client: Client, *events: Observed) -> None:
    async with client.database.transaction() as db:
        await observed(SecurityObserved(observer="gateway-1", source="gateway", events=list(events)), db)


async def auditor(client: Client, **variables: Any) -> Any:
    answer = await client.run(
        ASKED,
        "audit:read",
        username="auditor",
        variables=variables,
        claims={"realm_access": {"roles": ["auditor"]}},
        purpose="oversight",
    )
    assert not answer.errors, answer.body
    return answer.data["securityEvents"]


class TestSecurityEvents:
    async def test_are_kept_once_however_often_they_are_told(self, client: Client) -> None:
        await keep(client, seen("1"), seen("2"))
        await keep(client, seen("2"), seen("3"))
        assert len((await auditor(client))["edges"]) == 3

    async def test_are_shown_the_latest_first_by_pages_and_as_asked(self, client: Client) -> None:
        ann = tokens.subject_of("ann")
        await keep(client, seen("1"), seen("2", "RATE_LIMITED", ann, 1), seen("3", actor=ann, minute=2))
        page = await auditor(client, first=2)
        assert [edge["node"]["kind"] for edge in page["edges"]] == ["FORBIDDEN", "RATE_LIMITED"]
        assert page["edges"][0]["node"] == {
            "source": "gateway",
            "kind": "FORBIDDEN",
            "actor": ann,
            "operation": "ab" * 32,
            "count": 3,
            "lastAt": "2026-06-01T00:02:00+00:00",
        }
        rest = await auditor(client, first=2, after=page["pageInfo"]["endCursor"])
        assert ([edge["node"]["actor"] for edge in rest["edges"]], rest["pageInfo"]["hasNextPage"]) == ([""], False)
        assert len((await auditor(client, actor=ann, kind="RATE_LIMITED"))["edges"]) == 1
        assert len((await auditor(client, since="2026-06-01T00:01:30Z"))["edges"]) == 1

    async def test_that_were_looked_at_leave_an_entry_for_whom_they_are_about(self, client: Client) -> None:
        ann = tokens.subject_of("ann")
        await keep(client, seen("1", actor=ann), seen("2"))
        await auditor(client)
        async with client.database.transaction() as db:
            found = await db.execute(text("SELECT subject, category, purpose FROM access_entry"))
            assert [tuple(row) for row in found] == [(ann, "sign-in", "oversight")]

    async def test_are_never_changed_and_go_only_when_their_time_is_over(self, client: Client) -> None:
        await keep(client, seen("1"))
        for change in ("UPDATE security_event SET actor = 'x'", "DELETE FROM security_event"):
            with pytest.raises(DBAPIError, match="permission denied"):
                async with client.database.transaction() as db:
                    await db.execute(text(change))

    async def test_are_sealed_in_the_chain_of_their_service(self, shared: Client) -> None:
        await keep(shared, seen("1"), seen("2"))
        assert await Sealer(shared.database, "accounts", service.sealed).seal_some() == 2
        file = io.BytesIO()
        await export(shared.database.engine, "accounts", service.sealed, file)
        report = Verification().of(file.getvalue().splitlines())
        assert (report.finding, report.seals) == (None, 2)
        async with shared.database.transaction() as db:
            until = (await db.execute(text("SELECT min(keep_until) FROM audit_seal"))).scalar_one()
            assert (await db.execute(text("SELECT count(*) FROM outbox"))).scalar_one() == 0  # told to nobody
        assert until == (AT + timedelta(days=KEPT_DAYS)).date()

    async def test_come_from_the_gateway_as_their_contract_says(self, client: Client) -> None:
        sent: list[dict[str, Any]] = []

        async def publish(envelope: dict[str, Any]) -> None:
            sent.append(envelope)

        watch = Watch()
        watch.note(["RATE_LIMITED", "SUBGRAPH_ERROR"], "a-person", "cd" * 32)
        await watch.tell(publish)
        check(SecurityObserved, sent[0])
        async with client.database.transaction() as db:
            await observed(SecurityObserved.model_validate(sent[0]["data"]), db)
        (edge,) = (await auditor(client))["edges"]
        assert (edge["node"]["kind"], edge["node"]["actor"]) == ("RATE_LIMITED", "a-person")
