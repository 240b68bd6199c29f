"""The programs' answers: once, in any order, repeated or late."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.services.business_registration.conftest import Deliver, Owner

PROGRESS = """query ($id: ID!) { application(id: $id) { status history { status }
    programs { program state accountNumber reason { en fr } service { code } } } }"""


def decision(asked: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A program's approval of what it was asked, with changes."""
    return {
        "requestId": asked["requestId"],
        "applicationId": asked["applicationId"],
        "program": asked["program"],
        "outcome": "APPROVED",
        "accountNumber": "A-1",
        "decidedAt": datetime.now(UTC).isoformat(),
        **changes,
    }


REFUSAL = {
    "outcome": "REFUSED",
    "accountNumber": None,
    "reasonCode": "ACCOUNT_IN_ARREARS",
    "reason": {"en": "An account is in arrears.", "fr": "Un compte est en souffrance."},
}


class TestDecisions:
    @pytest.fixture
    async def asked(self, owner: Owner) -> list[dict[str, Any]]:
        await owner.register()
        return [data for _, data in await owner.client.events("program.requested.v1")]

    async def _progress(self, owner: Owner, asked: list[dict[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = (await owner.ask(PROGRESS, id=asked[0]["applicationId"]))["application"]
        return found

    async def test_the_last_approval_completes_the_application(
        self, owner: Owner, asked: list[dict[str, Any]], deliver: Deliver
    ) -> None:
        for one in asked[:-1]:
            await deliver(decision(one))
        assert (await self._progress(owner, asked))["status"] == "SUBMITTED"
        await deliver(decision(asked[-1]))
        progress = await self._progress(owner, asked)
        assert progress["status"] == "COMPLETED"
        assert [entry["status"] for entry in progress["history"]] == ["DRAFT", "SUBMITTED", "COMPLETED"]
        assert {p["accountNumber"] for p in progress["programs"]} == {"A-1"}

    async def test_one_refusal_leaves_it_partly_completed_with_the_reason_in_both_languages(
        self, owner: Owner, asked: list[dict[str, Any]], deliver: Deliver
    ) -> None:
        await deliver(decision(asked[0], **REFUSAL))
        for one in reversed(asked[1:]):
            await deliver(decision(one))
        progress = await self._progress(owner, asked)
        assert progress["status"] == "PARTLY_COMPLETED"
        (refused,) = [p for p in progress["programs"] if p["state"] == "REFUSED"]
        assert refused["reason"] == REFUSAL["reason"]

    async def test_a_first_answer_stands(self, owner: Owner, asked: list[dict[str, Any]], deliver: Deliver) -> None:
        await deliver(decision(asked[0]))
        before = len(await owner.client.events("application.status_changed.v1"))
        await deliver(decision(asked[0], **REFUSAL))
        states = [p["state"] for p in (await self._progress(owner, asked))["programs"]]
        assert states.count("APPROVED") == 1
        assert "REFUSED" not in states
        assert len(await owner.client.events("application.status_changed.v1")) == before

    async def test_an_answer_to_nothing_asked_changes_nothing(
        self, owner: Owner, asked: list[dict[str, Any]], deliver: Deliver
    ) -> None:
        await deliver(decision(asked[0], requestId="00000000-0000-4000-8000-000000000000"))
        assert {p["state"] for p in (await self._progress(owner, asked))["programs"]} == {"REQUESTED"}

    async def test_each_program_points_to_its_service_in_the_catalogue(
        self, owner: Owner, asked: list[dict[str, Any]]
    ) -> None:
        codes = [p["service"]["code"] for p in (await self._progress(owner, asked))["programs"]]
        assert codes == [
            "business-name-registration",
            "employer-health-tax",
            "retail-sales-tax-permit",
            "workers-compensation",
        ]
