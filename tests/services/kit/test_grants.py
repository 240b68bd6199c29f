"""Acting on a grant: for whom, with which rights, and until when."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import strawberry
from sqlalchemy import text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel, col, select

from services.kit import faults, grants
from services.kit.access_log import AccessLog
from services.kit.caller import Caller, Kind, citizens_scopes
from services.kit.database import Database, Db
from services.kit.events import Event
from services.kit.faults import Faulted
from services.kit.feed import Feed
from services.kit.grants import Grant
from services.kit.inputs import Input
from services.kit.lease import Lease
from services.kit.ownership import owned
from services.kit.service import Service
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from services.kit.testing.grants import assisted, delegation, keep
from tests.services.kit.conftest import Json, create, stuck_statements, until, url_of

READ, WRITE = "business:read", "business:register"
PAGES = "{ myPages { id body } }"
WRITE_PAGE = """mutation ($input: WritePageInput!) { writePage(input: $input) { __typename
    ... on Page { id body } ... on Refused { code } } }"""
WATCH = "subscription { pageWritten { body } }"
PURPOSES = ("representation", "licensing")
service = Service("diaries")


class Pace:
    """When resolvers go on: at once, unless a test clears it."""

    go: asyncio.Event


class Row(SQLModel, registry=registry()):
    """The base of this service's table."""


@service.entity(key="id", scope=READ)
class Page(Row, table=True):
    """A page of somebody's diary, about one business or none."""

    id: str = Field(primary_key=True)
    writer: str = Field(exclude=True)
    business: str | None = Field(default=None, exclude=True)
    body: str


class PageWritten(Event, type="page.written.v1", subject="id"):
    """A page was written."""

    id: str


class WritePageInput(Input):
    """What to write."""

    body: str
    idempotency_key: strawberry.ID


async def _mine(db: Db, caller: Caller, log: AccessLog) -> list[Page]:
    found = await db.all(select(Page).where(owned(caller, col(Page.writer), col(Page.business))).order_by(Page.id))
    if found:
        log.note(caller.subject, "application")
    await Pace.go.wait()
    return found


@service.query(scope=READ)
async def my_pages(db: Db, caller: Caller, log: AccessLog) -> list[Page]:
    """The caller's pages."""
    return await _mine(db, caller, log)


@service.query(scope="business:read-all")
async def pages(db: Db, log: AccessLog) -> list[Page]:
    """Everybody's pages, for offices."""
    found = await db.all(select(Page).order_by(Page.id))
    for page in found:
        log.note(page.writer, "inspections")
    await Pace.go.wait()
    return found


@service.mutation(scope=WRITE)
async def write_page(db: Db, caller: Caller, log: AccessLog, input: WritePageInput) -> Page:
    """Write a page."""
    caller.require_unlimited()
    page = Page(id=f"{input.body}-{caller.actor}", writer=caller.subject, body=input.body)
    db.add(page)
    log.note(caller.subject, "application")
    await Pace.go.wait()
    return page


@service.subscription(scope=READ)
async def page_written(db: Db, caller: Caller, log: AccessLog, feed: Feed) -> AsyncIterator[Page]:
    """The caller's last page, and each that follows."""
    async with feed.following(PageWritten, "p") as changes:
        while pages := await _mine(db, caller, log):
            yield pages[-1]
            await anext(changes)


@pytest.fixture(autouse=True)
def at_once() -> None:
    """Nothing waits, unless a test says so."""
    Pace.go = asyncio.Event()
    Pace.go.set()


@pytest.fixture
async def client(db: Database) -> Client:
    """The service with a page of Ann's, one of hers about a business, and one of Bob's."""
    await create(url_of(db), Row.metadata)
    async with db.transaction() as inside:
        ann, bob = map(tokens.subject_of, ("ann", "bob"))
        inside.add(
            Page(id="1", writer=ann, body="Dear diary"),
            Page(id="2", writer=ann, business="700000015", body="Of flour"),
            Page(id="3", writer=bob, body="Rain"),
        )
    return Client(service, db)


async def asks(client: Client, authority: str, query: str = PAGES, username: str = "clerk", **options: Any) -> Answer:
    """A clerk, whose token says nothing of Ann."""
    claims = {"realm_access": {"roles": ["inspector"]}}
    return await client.run(query, READ, WRITE, username=username, authority=authority, claims=claims, **options)


async def entries(db: Database) -> list[Json]:
    async with db.transaction() as inside:
        found = await inside.execute(text("SELECT actor, act, subject FROM access_entry ORDER BY id"))
        return [dict(row) for row in found.mappings()]


def written(body: str, key: str = "1") -> Json:
    return {"input": {"body": body, "idempotencyKey": key}}


NOW = datetime.now
UNFIT: dict[str, Any] = {
    "ended": lambda: {"active": False},
    "not yet begun": lambda: {"begins": NOW(UTC) + timedelta(minutes=1)},
    "run out": lambda: {"ends": NOW(UTC)},
    "for other people": lambda: {"actors": (tokens.subject_of("dan"),)},
    "for another purpose": lambda: {"purposes": ("licensing",)},
    "a consent": lambda: {"kind": Kind.CONSENT},
}


class TestActingForSomebodyElse:
    async def test_shows_what_is_theirs_and_leaves_an_entry(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk"))
        answer = await asks(client, authority)
        assert [page["id"] for page in answer.data["myPages"]] == ["1", "2"]
        clerk, ann = map(tokens.subject_of, ("clerk", "ann"))
        assert await entries(client.database) == [{"actor": clerk, "act": "READ", "subject": ann}]

    async def test_costs_one_statement_and_acting_for_oneself_none(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk"))
        with client.statements() as sent:
            await asks(client, authority)
        assert len([text for text in sent.texts if "FROM grants" in text]) == 1
        with client.statements() as sent:
            assert (await asks(client, "self", username="ann")).data["myPages"]
        assert sent.count == 1
        assert len(await entries(client.database)) == 1

    @pytest.mark.parametrize("why", UNFIT)
    async def test_is_refused_in_the_same_words_on_a_grant_that_is(self, client: Client, why: str) -> None:
        authority = await keep(client.database, delegation("ann", "clerk", **UNFIT[why]()))
        refused, unknown = await asks(client, authority), await asks(client, "grant-of-nobody")
        assert (refused.status, refused.codes, refused.data) == (403, ["AUTHORITY_REFUSED"], None)
        assert refused.errors[0]["message"] == unknown.errors[0]["message"]
        assert await entries(client.database) == []

    async def test_may_be_for_a_purpose_that_the_grant_names(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk", purposes=PURPOSES))
        assert (await asks(client, authority, purpose="representation")).data["myPages"]
        assert (await asks(client, authority, purpose="research")).codes == ["AUTHORITY_REFUSED"]
        assert (await asks(client, authority, purpose="licensing")).codes == ["PURPOSE_NOT_COVERING"]

    async def test_lets_nobody_act_who_has_not_signed_in(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk"))
        assert (await client.run(PAGES, authority=authority)).codes == ["UNAUTHENTICATED"]

    async def test_has_the_scopes_of_the_grant_and_not_those_of_the_token(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk", scopes=(READ,)))
        assert (await asks(client, authority, WRITE_PAGE, variables=written("Sun"))).codes == ["FORBIDDEN"]

    @pytest.mark.parametrize(
        "grant", [delegation("ann", "clerk"), assisted("ann", "clerk")], ids=["delegated", "assisted"]
    )
    def test_works_for_no_ministry(self, grant: Grant) -> None:
        clerk = Caller(tokens.subject_of("clerk"), ministries=frozenset({"labour"}))
        assert grant.used_by(clerk).ministries == frozenset()

    def test_never_has_an_offices_scopes_or_roles(self) -> None:
        grant = delegation("ann", "clerk", scopes=(READ, "business:read-all"))
        caller = grant.used_by(Caller("clerk", frozenset({"business:read-all"}), frozenset({"inspector"})))
        assert (caller.scopes, caller.roles) == (frozenset({READ}), frozenset({"citizen"}))
        assert (caller.subject, caller.actor) == (tokens.subject_of("ann"), "clerk")
        assert citizens_scopes() >= {READ, WRITE}
        assert "business:read-all" not in citizens_scopes()

    async def test_within_one_business_shows_and_does_nothing_of_others(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk", business="700000015"))
        assert [page["id"] for page in (await asks(client, authority)).data["myPages"]] == ["2"]
        assert (await asks(client, authority, WRITE_PAGE, variables=written("Sun"))).codes == ["AUTHORITY_REFUSED"]

    async def test_shares_idempotency_keys_with_nobody(self, client: Client) -> None:
        held = [await keep(client.database, delegation("ann", "clerk")) for _ in "ab"]
        asked = [asks(client, g, WRITE_PAGE, variables=written(f"Sun {i}")) for i, g in enumerate((*held, "self"))]
        found = [(await each).data["writePage"]["body"] for each in asked]
        assert found == ["Sun 0", "Sun 1", "Sun 2"]


class TestAGrantThatEndsMeanwhile:
    async def test_lets_no_answer_leave(self, client: Client) -> None:
        grant = delegation("ann", "clerk")
        authority = await keep(client.database, grant)
        Pace.go.clear()
        asking = asyncio.create_task(asks(client, authority))
        await until(lambda: reading(client))
        client.lease.revised(authority)
        Pace.go.set()
        answer = await asking
        assert (answer.codes, answer.data) == (["AUTHORITY_REFUSED"], None)

    async def test_ends_after_what_is_being_done_or_before_it(self, client: Client) -> None:
        grant = delegation("ann", "clerk")
        authority = await keep(client.database, grant)
        Pace.go.clear()
        writing = asyncio.create_task(asks(client, authority, WRITE_PAGE, variables=written("Sun")))
        await until(lambda: reading(client))
        ending = asyncio.create_task(keep(client.database, ended(grant)))
        await until(lambda: stuck_statements(client.database))
        assert not ending.done()
        Pace.go.set()
        assert (await writing).data["writePage"]["body"] == "Sun"
        await ending
        assert (await asks(client, authority)).codes == ["AUTHORITY_REFUSED"]

    async def test_undoes_what_was_not_committed(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk"))
        Pace.go.clear()
        writing = asyncio.create_task(asks(client, authority, WRITE_PAGE, variables=written("Sun")))
        await until(lambda: reading(client))
        client.lease.revised(authority)
        Pace.go.set()
        assert (await writing).codes == ["AUTHORITY_REFUSED"]
        assert len((await asks(client, "self", username="ann")).data["myPages"]) == 2

    async def test_ends_subscriptions(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk"))
        following = asyncio.create_task(asks(client, authority, WATCH))
        await until(lambda: entries(client.database))
        client.lease.revised(authority)
        stream = (await following).body["stream"]
        assert "Of flour" in stream
        assert stream.index("AUTHORITY_REFUSED") < stream.index("event: complete")


class TestALeaseThatHasRunOut:
    async def test_refuses_all_who_act_for_others_and_nobody_else(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk"))
        client.lease.clock = lambda: float("inf")
        for named in (authority, "grant-of-nobody"):
            answer = await asks(client, named)
            assert (answer.status, answer.codes) == (424, ["AUTHORITY_UNAVAILABLE"])
        assert (await asks(client, "self", username="ann")).data["myPages"]

    async def test_lets_no_answer_leave(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk"))
        Pace.go.clear()
        asking = asyncio.create_task(asks(client, authority))
        await until(lambda: reading(client))
        client.lease.clock = lambda: float("inf")
        Pace.go.set()
        assert (await asking).codes == ["AUTHORITY_UNAVAILABLE"]

    async def test_ends_a_subscription_at_its_next_event(self, client: Client) -> None:
        authority = await keep(client.database, delegation("ann", "clerk"))
        following = asyncio.create_task(asks(client, authority, WATCH))
        await until(lambda: entries(client.database))
        client.lease.clock = lambda: float("inf")
        client.feed.publish(PageWritten(id="p"))
        stream = (await following).body["stream"]
        assert (stream.count("Of flour"), stream.count("AUTHORITY_UNAVAILABLE")) == (1, 1)


def consent(person: str, **changes: Any) -> Grant:
    """That a person lets counters see what inspections found, to be advised."""
    usual = {"kind": Kind.CONSENT, "actors": ("role:counter_officer",), "scopes": (), "purposes": ("business-advice",)}
    return delegation(person, **{**usual, "categories": ("inspections",), **changes})


class TestConsent:
    async def advises(self, client: Client, office: str = "counter_officer") -> Answer:
        claims = {"realm_access": {"roles": [office]}}
        asked = "{ pages { id } }"
        return await client.run(
            asked, READ, "business:read-all", username="clerk", purpose="business-advice", claims=claims
        )

    async def test_lets_an_office_see_what_it_is_for_and_leaves_entries(self, client: Client) -> None:
        for person in ("ann", "bob"):
            await keep(client.database, consent(person))
        assert len((await self.advises(client)).data["pages"]) == 3
        assert len(await entries(client.database)) == 2

    @pytest.mark.parametrize(
        "lacks",
        [
            None,
            {"active": False},
            {"ends": datetime(2020, 1, 1, tzinfo=UTC)},
            {"begins": datetime(2100, 1, 1, tzinfo=UTC), "ends": datetime(2101, 1, 1, tzinfo=UTC)},
            {"actors": ("role:ministry_administrator",)},
            {"actors": (tokens.subject_of("clerk"),)},
            {"purposes": ("oversight",)},
            {"categories": ("contact",)},
            {"kind": Kind.DELEGATION},
        ],
        ids=[
            "none",
            "ended",
            "run out",
            "not yet",
            "other office",
            "a person",
            "other purpose",
            "other data",
            "delegation",
        ],
    )
    async def test_is_needed_of_each_person(self, client: Client, lacks: Json | None) -> None:
        await keep(client.database, consent("ann"))
        if lacks is not None:
            await keep(client.database, consent("bob", **lacks))
        answer = await self.advises(client)
        assert (answer.codes, answer.data) == (["CONSENT_REQUIRED"], None)
        assert {entry["act"] for entry in await entries(client.database)} == {"REFUSED"}

    async def test_that_is_revoked_meanwhile_lets_no_answer_leave(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for person in ("ann", "bob"):
            await keep(client.database, consent(person))
        writes = AccessLog.write

        async def revoked(log: AccessLog, *given: Any) -> None:
            client.lease.revised(grants.consents_of(tokens.subject_of("bob")))
            await writes(log, *given)

        monkeypatch.setattr(AccessLog, "write", revoked)
        assert (await self.advises(client)).codes == ["CONSENT_REQUIRED"]

    async def test_cannot_be_known_without_a_lease(self, client: Client) -> None:
        for person in ("ann", "bob"):
            await keep(client.database, consent(person))
        client.lease.clock = lambda: float("inf")
        assert (await self.advises(client)).codes == ["AUTHORITY_UNAVAILABLE"]


class TestALease:
    async def test_runs_as_long_as_it_was_extended_and_at_first_not_at_all(self) -> None:
        now = [0.0]
        lease = Lease(lambda: now[0])
        assert not lease.runs
        lease.extend(5.0)
        lease.extend(3.0)
        now[0] = 4.9
        assert lease.runs
        now[0] = 5.0
        assert not lease.runs

    async def test_is_relied_on_until_the_grant_runs_out_or_becomes_another(self) -> None:
        lease = Lease(lambda: 0.0)
        lease.extend(1.0)
        one, other = lease.rely("a"), lease.rely("b")
        lease.revised("a")
        other.require()
        other.ends = 0.0
        for reliance in (one, other):
            with pytest.raises(Faulted) as refused:
                reliance.require()
            assert refused.value.fault is faults.AUTHORITY_REFUSED


class TestKeepingARevision:
    async def test_never_brings_back_an_older_one(self, client: Client) -> None:
        newer = delegation("ann", "clerk", rev=2, active=False)
        older = delegation("ann", "clerk", id=newer.id)
        for revision in (older, newer, older):
            await keep(client.database, revision)
        assert (await asks(client, newer.id)).codes == ["AUTHORITY_REFUSED"]


def ended(grant: Grant) -> Grant:
    return delegation("ann", "clerk", id=grant.id, rev=grant.rev + 1, active=False)


async def reading(client: Client) -> bool:
    """Whether something is being done in a transaction that waits for the test."""
    async with client.database.transaction() as db:
        idle = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'"
        )
        return bool((await db.execute(text(idle))).scalar_one())
