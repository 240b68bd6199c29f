"""Tries a cell of the table of rights: a role, with a real token, asks for a real object of its own, of somebody else, of nobody.

What comes back is told in the table's words. An object that is answered as absent must be answered word for word, and with the
same statements, as one that does not exist; whoever does not get what they asked for must have changed nothing.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from clusters.access import access
from clusters.rights import (
    ABSENT,
    ALLOWED,
    ASSISTING,
    AUTHORITY_REFUSED,
    CODE_REQUIRED,
    NOBODY,
    NOT_COVERING,
    STATUTORY,
    UNAUTHENTICATED,
    Row,
    roles,
)
from services.kit.testing import tokens
from services.kit.testing.client import Answer, Client
from services.kit.testing.database import RolledBack
from services.kit.testing.grants import assisted, delegation, keep

Json = dict[str, Any]
STRANGER = "somebody-else"  # whose objects are foreign to all
MISSING = "missing"  # whose objects are not there
OTHER_GROUPS = (
    ("/justice/attorney-general",),
    ("/business-economic-development",),
    (),
)  # of another ministry, or of none
CASE = f'{STATUTORY}; case="HPPA-2026/0117"; reason="Complaint about vermin"'


ASSISTED = "assisted"  # the session in which an officer assists somebody else
DELEGATED, ELSEWHERE = "delegated", "delegated-elsewhere"  # grants by which everybody may act for somebody else
Things = Mapping[str, Any]  # one person's objects: the kind, and by what it is asked for


@dataclass(frozen=True)
class Case:
    """How a row is tried. `variables` are those that ask for somebody's things; `sees` is whether an answer's data shows them;
    `prepare` brings them into the state that the operation needs, for a caller's subject. `purpose` is named by whoever acts for
    themselves, where it is not the usual one of their role."""

    text: str
    variables: Callable[[Things], Json] = lambda things: {}
    sees: Callable[[Any, Things], bool] = lambda data, things: shown(data)
    prepare: Callable[[AsyncConnection, Things, str], Awaitable[object]] | None = None
    purpose: str | None = None

    def purposed(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers with the case's purpose, where they name none and nobody else's authority."""
        named = {} if self.purpose is None or "onedoor-authority" in headers else {"onedoor-purpose": self.purpose}
        return {**named, **headers}


def people() -> tuple[str, ...]:
    """Who owns things: somebody in each role, and somebody else."""
    return (*access().roles, STRANGER)


def shown(data: Any) -> bool:
    """Whether anything but a refusal, nothing or an empty list is in an answer."""
    if isinstance(data, dict):
        return data.get("__typename") != "Refused" and any(shown(value) for value in data.values())
    if isinstance(data, list):
        return any(map(shown, data))
    return data is not None


def entity(type_name: str, selection: str, **key: Callable[[Things], Any]) -> Case:
    """The case of a type, or of a field of it, that another service asks for by its key."""
    asked = "query ($r: [_Any!]!) { _entities(representations: $r) { ... on " + type_name + " { " + selection + " } } }"
    return Case(asked, lambda things: {"r": [{"__typename": type_name, **{n: of(things) for n, of in key.items()}}]})


def token_of(role: str, groups: tuple[str, ...] | None = None) -> str:
    """A token of a role, as the issuer gives it to who has just shown a second factor: to a colleague of the demo user, unless
    other groups are given. A new one each time: on a busy machine the cells of a service take longer than a token lives."""
    colleague = next(user for user in access().users.values() if user.role == role)
    given: Json = {"realm_access": {"roles": [role]}, "acr": "2", "auth_time": int(time.time())}
    named = list(colleague.groups if groups is None else groups) or None
    return tokens.token(*access().roles[role], username=role, **given, aud=list(access().audiences), groups=named)


@dataclass
class World:
    """One service, a database of it, and everybody's things in it by person."""

    client: Client
    things: Mapping[str, Things]
    refused_before = frozenset[str]()  # how who acts on a grant may be refused before its owner sees the grant

    @property
    def database(self) -> RolledBack:
        assert isinstance(self.client.database, RolledBack)
        return self.client.database

    async def asks(self, role: str, case: Case, things: Things, **headers: str) -> Answer:
        """The answer to a role that asks for somebody's things; what it did is rolled back."""
        sent = {"content-type": "application/json", **case.purposed(headers)}
        if role != NOBODY:
            sent.setdefault("authorization", f"Bearer {token_of(role)}")
        body = orjson.dumps({"query": case.text, "variables": case.variables(things)})
        answer = await self.client.post(body, sent, listens_s=10)
        return first_event(answer) if "stream" in answer.body else answer

    async def mark(self) -> str:
        """What stands in all tables of the service, as one value. Who is refused has left an entry, and what seals it."""
        tables = """SELECT quote_ident(tablename) FROM pg_tables
            WHERE schemaname = 'public' AND tablename NOT IN ('access_entry', 'audit_unsealed')"""
        names = (await self.database.connection.execute(text(tables))).scalars()
        rows = " UNION ALL ".join(f"SELECT md5(t::text) AS r FROM {name} t" for name in names)
        held = f"SELECT md5(string_agg(r, '' ORDER BY r)) FROM ({rows}) AS held"
        found: str = (await self.database.connection.execute(text(held))).scalar_one()
        return found


@dataclass(frozen=True)
class Seen:
    """What one try showed: an outcome in the table's words, and what would betray that something is there."""

    outcome: str
    told: str
    statements: int
    changed: bool


async def look(world: World, role: str, case: Case, things: Things, **headers: str) -> Seen:
    """Try, tell what came of it, and undo it."""
    undo = await world.database.connection.begin_nested()
    try:
        if case.prepare is not None:
            await case.prepare(world.database.connection, things, tokens.subject_of(role))
        writes = case.text.lstrip().startswith("mutation")
        before = await world.mark() if writes else ""
        with world.client.statements() as sent:
            answer = await world.asks(role, case, things, **headers)
        changed = writes and await world.mark() != before
    finally:
        await undo.rollback()
    return Seen(_outcome(answer, case, things), _told(answer, things), sent.count, changed)


def _outcome(answer: Answer, case: Case, things: Things) -> str:
    data = answer.data
    if answer.codes:
        return "/".join(sorted(set(answer.codes)))
    if case.sees(data, things):
        return ALLOWED
    refused = next((value for value in (data or {}).values() if isinstance(value, dict) and "code" in value), None)
    return refused["code"] if refused else ABSENT


def first_event(answer: Answer) -> Answer:
    """Of a stream, what its first event answers; no data where there is none."""
    events = [line[6:] for line in answer.body["stream"].splitlines() if line.startswith("data: ")]
    return Answer(answer.status, orjson.loads(events[0]) if events else {"data": None})


def _told(answer: Answer, things: Things) -> str:
    """An answer without the ids that were asked for and without the number of its request."""
    told = orjson.dumps(
        [answer.status, answer.data, [{**e, "extensions": e["extensions"]["code"]} for e in answer.errors]]
    )
    plain = told.decode()
    for thing in things.values():
        plain = plain.replace(str(thing), "ID")
    return plain


def chosen(row: Row, relation: str) -> tuple[str, ...]:
    """A role for each outcome that a row has in a relation: the first."""
    firsts = {row.outcome(relation, role): role for role in reversed(roles())}
    return tuple(firsts.values())


async def differences(world: World, row: Row, case: Case, *, every: bool) -> list[str]:
    """The cells of a row that are not as the table says, one sentence each; empty when all are. Of `every` role, or of one for
    each outcome."""
    found = []
    for relation in row.outcomes or ("any",):
        for role in roles() if every else chosen(row, relation):
            owner = role if relation == "own" and role != NOBODY else STRANGER
            things = world.things[owner]
            seen = await look(world, role, case, things)
            problems = await _problems(world, role, case, things, seen, row.outcome(relation, role))
            found += [f"{row} × {role} × {relation}: {problem}" for problem in problems]
            if relation == "foreign" and role in (*row.outcomes["foreign"], *chosen(row, relation)):
                claimed = await look(world, role, case, things, **{"onedoor-authority": "grant-1"})
                refused = {UNAUTHENTICATED} if role == NOBODY else {"AUTHORITY_REFUSED", *world.refused_before}
                if claimed.outcome not in refused:
                    found.append(f"{row} × {role} × a grant that is not there: {claimed.outcome}")
            if relation == "foreign" and every:
                found += await _under_a_statute(world, row, case, role, seen)
            if row.other_ministry and owner == STRANGER and role != NOBODY:
                found += await _of_another_ministry(world, row, case, role)
    if row.outcomes:
        for role in roles() if every else (NOBODY, "citizen", "inspector"):
            found += await _delegated(world, row, case, role)
        for role in roles() if every else (ASSISTING, "citizen"):
            found += await _assisted(world, row, case, role)
    return found


async def _under_a_statute(world: World, row: Row, case: Case, role: str, usual: Seen) -> list[str]:
    """What is not as it should be where somebody else's is asked for in an investigation, with and without its case; `usual` is
    what came without."""
    things, wanted = world.things[STRANGER], row.under_a_statute(role)
    wanted = usual.outcome if wanted == ABSENT else wanted
    told = {CASE: wanted, STATUTORY: "CASE_REQUIRED" if (wanted, role) == (ALLOWED, "inspector") else wanted}
    found = []
    for purpose, outcome in told.items():
        seen = await look(world, role, case, things, **{"onedoor-purpose": purpose})
        # Of a list that holds others' data beside, who does not investigate gets nothing, and is told why.
        nothing = outcome == ABSENT and seen.outcome == NOT_COVERING
        if seen.outcome != outcome and not nothing:
            found.append(f"{row} × {role} × {purpose}: {seen.outcome}, not {outcome}: {seen.told[:300]}")
        if seen.changed and outcome != ALLOWED:
            found.append(f"{row} × {role} × {purpose}: something was changed all the same")
    return found


async def _of_another_ministry(world: World, row: Row, case: Case, role: str) -> list[str]:
    """What is not as it should be where whoever asks works for another ministry than the thing's, or for none."""
    things, wanted, found = world.things[STRANGER], row.of_another_ministry(role), []
    for groups in OTHER_GROUPS:
        seen = await look(world, role, case, things, authorization=f"Bearer {token_of(role, groups)}")
        problems = await _problems(world, role, case, things, seen, wanted)
        found += [f"{row} × {role} × of {groups}: {problem}" for problem in problems]
    return found


async def _delegated(world: World, row: Row, case: Case, role: str) -> list[str]:
    """The cell of a role that acts on somebody else's delegation; and that one for another business gives nothing of this."""
    things, wanted, found = world.things[STRANGER], row.on_a_delegation(role), []
    seen = await look(world, role, case, things, **{"onedoor-authority": DELEGATED})
    problems = await _problems(world, role, case, things, seen, wanted, hides=False)
    found += [f"{row} × {role} × delegated: {problem}" for problem in problems]
    if wanted == ALLOWED and "own" in row.outcomes:
        elsewhere = await look(world, role, case, things, **{"onedoor-authority": ELSEWHERE})
        if elsewhere.outcome == ALLOWED or elsewhere.changed:
            found.append(f"{row} × {role} × delegated for another business: {elsewhere.told[:300]}")
    return found


async def _assisted(world: World, row: Row, case: Case, role: str) -> list[str]:
    """The cell of a role in the session in which an officer assists somebody else."""
    things, wanted = world.things[STRANGER], row.in_an_assisted_session(role)
    seen = await look(world, role, case, things, **{"onedoor-authority": ASSISTED})
    if wanted == AUTHORITY_REFUSED and seen.outcome in world.refused_before:
        return []
    problems = await _problems(world, role, case, things, seen, wanted, hides=False)
    return [f"{row} × {role} × assisted: {problem}" for problem in problems]


async def delegate(world: World) -> None:
    """Somebody else lets everybody act for them: in all that can be delegated, and again for one business that is not theirs. An
    officer assists them."""
    for name, business in ((DELEGATED, ""), (ELSEWHERE, "799999994")):
        given = delegation(STRANGER, *people(), id=name, business=business, scopes=access().roles["citizen"])
        await keep(world.database, given)
    await keep(world.database, assisted(STRANGER, ASSISTING, id=ASSISTED, scopes=access().roles["citizen"]))


async def _problems(
    world: World, role: str, case: Case, things: Things, seen: Seen, wanted: str, *, hides: bool = True
) -> list[str]:
    changes = case.text.lstrip().startswith("mutation")
    absent = world.things[MISSING]
    if (
        hides
        and wanted == ABSENT
        and things is world.things[STRANGER]
        and case.variables(things) != case.variables(absent)
    ):
        missing = await look(world, role, case, absent)
        expected, given = (missing.told, missing.statements), (seen.told, seen.statements)
        problems = [] if given == expected else [f"{given}, but of what is not there {expected}"]
    else:
        problems = [] if seen.outcome == wanted else [f"{seen.outcome}, not {wanted}: {seen.told[:300]}"]
    if seen.changed and wanted not in (ALLOWED, CODE_REQUIRED):  # for a code the act is proposed to who sends it
        problems.append("something was changed all the same")
    if changes and wanted == ALLOWED and not seen.changed:
        problems.append("nothing was changed, so nothing was tried")
    return problems
