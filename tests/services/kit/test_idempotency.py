"""Idempotency keys: the same request twice acts once, whatever the timing."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from services.kit import idempotency
from services.kit.testing.client import Client
from tests.services.kit.conftest import ISSUE, count, issue

KEY = "0f1e"


class TestARepeatedRequest:
    async def test_is_answered_like_the_first_and_acts_once(self, client: Client) -> None:
        first, second = await issue(client, idempotencyKey=KEY), await issue(client, idempotencyKey=KEY)
        assert first == second
        assert first["__typename"] == "WaterPermit"
        assert (await count(client.database, "waterpermit"), await count(client.database, "outbox")) == (1, 1)

    async def test_at_the_same_moment_acts_once(self, client: Client) -> None:
        answers = await asyncio.gather(*(issue(client, idempotencyKey=KEY) for _ in range(8)))
        assert len({answer["number"] for answer in answers}) == 1
        assert await count(client.database, "waterpermit") == 1

    async def test_with_other_input_is_refused(self, client: Client) -> None:
        await issue(client, idempotencyKey=KEY)
        refused = await issue(client, idempotencyKey=KEY, lake="Lake Erie")
        assert (refused["code"], refused["field"]) == ("IDEMPOTENCY_KEY_REUSED", "idempotencyKey")
        assert await count(client.database, "waterpermit") == 1

    async def test_with_other_input_at_the_same_moment_is_refused(self, client: Client) -> None:
        lakes = ["Lake Erie", "Lake Huron"]
        answers = await asyncio.gather(*(issue(client, idempotencyKey=KEY, lake=lake) for lake in lakes))
        assert {answer["__typename"] for answer in answers} == {"WaterPermit", "Refused"}
        assert await count(client.database, "waterpermit") == 1

    async def test_of_another_caller_is_another_request(self, client: Client) -> None:
        variables = {"input": {"lake": "Lake Erie", "businessNumber": "123456789", "idempotencyKey": KEY}}
        for username in ("citizen", "owner"):
            answer = await client.run(ISSUE, "water:issue", "water:read", username=username, variables=variables)
            assert answer.data["issuePermit"]["__typename"] == "WaterPermit"
        assert await count(client.database, "waterpermit") == 2


class TestARefusedRequest:
    async def test_leaves_its_key_free(self, client: Client) -> None:
        assert (await issue(client, idempotencyKey=KEY, lake="Lake Closed"))["code"] == "LAKE_CLOSED"
        assert (await issue(client, idempotencyKey=KEY))["__typename"] == "WaterPermit"


class TestAKey:
    @pytest.mark.parametrize("key", ["", "k" * 201, "k" * 10_000, "a\x00"])
    async def test_of_no_form_is_refused(self, client: Client, key: str) -> None:
        refused = await issue(client, idempotencyKey=key)
        assert (refused["code"], refused["field"]) == ("INVALID_INPUT", "idempotencyKey")
        assert await count(client.database, "idempotency_key") == 0

    @pytest.mark.parametrize("key", ["k" * 200, "😀", 7])
    async def test_of_an_odd_form_is_taken(self, client: Client, key: Any) -> None:
        first = await issue(client, idempotencyKey=key)
        assert await issue(client, idempotencyKey=key) == first

    async def test_is_forgotten_after_thirty_days(self, client: Client) -> None:
        first = await issue(client, idempotencyKey=KEY)
        kept = await issue(client, idempotencyKey="young")
        async with client.database.transaction() as db:
            aged = "UPDATE idempotency_key SET created_at = now() - interval '31 days' WHERE key = :key"
            await db.execute(text(aged), {"key": KEY})
        assert (await issue(client, idempotencyKey=KEY))["number"] != first["number"]
        assert await issue(client, idempotencyKey="young") == kept

    async def test_that_is_old_is_swept(self, client: Client) -> None:
        for key in ("old", "young"):
            await issue(client, idempotencyKey=key)
        async with client.database.transaction() as db:
            await db.execute(text("UPDATE idempotency_key SET created_at = now() - interval '31 days' WHERE key='old'"))
        async with client.database.transaction() as db:
            assert await idempotency.forget(db) == 1
        assert await count(client.database, "idempotency_key") == 1
