"""Idempotency keys: the same request twice acts once, whatever the timing."""

import asyncio
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from services.kit import idempotency, sweeping
from services.kit.database import Database
from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.services.kit.conftest import ISSUE, count, issue, running, until
from tests.services.sample_service.service import service

KEY = "0f1e"
GIVEN = {"lake": "Lake Erie", "businessNumber": "123456789", "idempotencyKey": KEY}


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

    async def test_by_whoever_may_not_see_what_comes_of_it_does_nothing_either_time(self, client: Client) -> None:
        asked = [await client.run(ISSUE, "water:issue", variables={"input": GIVEN}) for _ in "ab"]
        assert [answer.codes for answer in asked] == [["FORBIDDEN"]] * 2
        assert await count(client.database, "waterpermit") == 0

    async def test_that_waits_too_long_for_the_first_may_come_again(self, client: Client) -> None:
        db = client.database
        async with db.transaction() as first:
            await first.execute(
                text(
                    "INSERT INTO idempotency_key (caller, mutation, key, input_hash) VALUES (:caller, 'issue_permit', :key, '')"
                ),
                {"caller": tokens.subject_of("citizen"), "key": KEY},
            )
            token = tokens.token("water:issue", "water:read", audience=client.audience)
            headers = {"content-type": "application/json", "authorization": f"Bearer {token}"}
            body = orjson.dumps({"query": ISSUE, "variables": {"input": GIVEN}})
            answer = await client.post(body, headers, listens_s=30)  # longer than a lock is waited for
        assert answer.codes == ["SERVICE_UNAVAILABLE"]


class TestARefusedRequest:
    async def test_leaves_its_key_free(self, client: Client) -> None:
        assert (await issue(client, idempotencyKey=KEY, lake="Lake Closed"))["code"] == "LAKE_CLOSED"
        assert (await issue(client, idempotencyKey=KEY))["__typename"] == "WaterPermit"


class TestARequestThatDies:
    async def test_in_its_middle_leaves_nothing_and_its_key_free(self, client: Client) -> None:
        """The process, or its connection, ends after the key is claimed and before the commit."""
        db = client.database
        async with db.transaction() as other:
            await other.execute(text("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE"))
            dying = asyncio.create_task(client.run(ISSUE, "water:issue", "water:read", variables={"input": GIVEN}))
            await until(lambda: ended(db, "wait_event_type = 'Lock'"))
            answer = await asyncio.wait_for(dying, 5)
        assert answer.codes == ["SERVICE_UNAVAILABLE"]
        assert (await count(db, "waterpermit"), await count(db, "idempotency_key")) == (0, 0)
        assert (await issue(client, **GIVEN))["__typename"] == "WaterPermit"

    async def test_while_another_waits_for_it_leaves_the_act_to_the_other(self, client: Client) -> None:
        db = client.database
        async with db.transaction() as other:
            await other.execute(text("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE"))
            asked = [
                asyncio.create_task(client.run(ISSUE, "water:issue", "water:read", variables={"input": GIVEN}))
                for _ in "ab"
            ]
            await until(lambda: waiting(db, 2))
            assert await ended(db, "wait_event_type = 'Lock' AND query LIKE 'INSERT INTO outbox%'")
        answers = [await asyncio.wait_for(one, 5) for one in asked]
        assert sorted(answer.codes for answer in answers) == [[], ["SERVICE_UNAVAILABLE"]]
        assert await count(db, "waterpermit") == 1

    async def test_after_its_commit_is_answered_when_it_is_repeated(self, client: Client) -> None:
        """The answer was lost: the deadline, or the caller's connection, ended first."""
        first = await issue(client, **GIVEN)
        again = Client(service, client.database)  # another process
        assert await issue(again, **GIVEN) == first
        assert await count(client.database, "outbox") == 1


async def waiting(db: Database, expected: int) -> bool:
    async with db.transaction() as inside:
        found = await inside.execute(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
        return bool(found.scalar_one() >= expected)


async def ended(db: Database, where: str) -> bool:
    """Whether a connection of this database was found and ended, as a crash of its process would."""
    mine = f"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND {where}"
    async with db.transaction() as inside:
        return bool((await inside.execute(text(f"SELECT pg_terminate_backend(pid) FROM ({mine}) AS found"))).all())


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

    async def test_that_grows_old_while_the_service_runs_is_swept_too(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sweeping, "SWEPT_EVERY_S", 0.01)

        async def left(expected: int) -> bool:
            return await count(client.database, "idempotency_key") == expected

        async with running(sweeping.sweep(client.database)):
            await issue(client, idempotencyKey="old")
            await issue(client, idempotencyKey="young")
            async with client.database.transaction() as db:
                aged = "UPDATE idempotency_key SET created_at = now() - interval '31 days' WHERE key = 'old'"
                await db.execute(text(aged))
            await until(lambda: left(1))
