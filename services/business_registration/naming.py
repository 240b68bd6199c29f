"""Names: the public check, reservations, and the decision that a filing must pass. The rules themselves are in `names`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID, uuid4

import strawberry
from sqlalchemy import Select, delete, func, not_, or_
from sqlmodel import col, select

from services.business_registration import refusals
from services.business_registration.models import BusinessRecord, LegalType, NameRecord
from services.business_registration.names.candidates import candidates, live
from services.business_registration.names.decision import Decision, NameOutcome, decide
from services.business_registration.names.keys import keys_of
from services.business_registration.names.normalise import composed, forms, identical_key
from services.business_registration.names.rules import rules
from services.business_registration.ownership import APPLICATION, IDENTITY, REGISTER
from services.business_registration.subgraph import service
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import now
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.ownership import owned
from services.kit.personal import personal
from services.kit.rates import Rate
from services.kit.text import Text

strawberry.enum(NameOutcome, name="NameOutcome", description="What a name check found.")
RESERVED_FOR = timedelta(days=56)
MOST_RESERVATIONS = 5


@service.object_type()
@dataclass(kw_only=True)
class NameEvidence:
    """One reason of a decision: the rule, the name or word that it met, and how strongly (0 to 1)."""

    rule: str
    name: Annotated[str, personal(IDENTITY, public=True)]
    score: float
    explanation: Text


@service.object_type()
@dataclass(kw_only=True)
class NameDecision:
    """What the rules say of a name, with their version and evidence, so that it can be explained and repeated."""

    name: str
    legal_type: LegalType
    outcome: NameOutcome
    explanation: Text
    rule_version: str
    normalised: str
    evidence: list[NameEvidence]


@service.query(rate=Rate(times=60, seconds=60))
async def name_check(db: Db, name: str, legal_type: LegalType) -> NameDecision:
    """Whether a name is free, similar to others, identical to one that is held, restricted or malformed. Binds nobody."""
    return shown(decide(name, legal_type, await candidates(db, name)))


def shown(decision: Decision) -> NameDecision:
    """A decision as clients see it."""
    return NameDecision(
        name=decision.name,
        legal_type=decision.legal_type,
        outcome=decision.outcome,
        explanation=decision.explanation,
        rule_version=decision.rule_version,
        normalised=decision.normalised,
        evidence=[
            NameEvidence(rule=e.kind, name=e.name, score=e.score, explanation=e.explanation) for e in decision.evidence
        ],
    )


def require_form(name: str, legal_type: LegalType) -> None:
    """Raises NameMalformed for a name that no register could hold, before anything is looked up."""
    decision = decide(name, legal_type, ())
    if decision.outcome is NameOutcome.MALFORMED:
        _refuse(decision, name)


async def settle(db: Db, holder: str, name: str, legal_type: LegalType, *, acknowledged: bool) -> Decision:
    """The decision under which a name may be held, after which nobody else can come between until the transaction ends.

    The holder's own reservation is used up. Raises NameTaken, NameRestricted, NameMalformed, and SimilarNames unless
    they were acknowledged.
    """
    keys = sorted({identical_key(form) for form in forms(composed(name))})
    for key in keys:  # in one order, so that two names of two forms cannot wait for one another
        await db.alone(key)
    same = col(NameRecord.identical_key).in_(keys)
    own = col(NameRecord.reserved_by) == holder
    await db.execute(delete(NameRecord).where(same, or_(not_(live()), own)))
    decision = decide(name, legal_type, await candidates(db, name))
    if decision.outcome is NameOutcome.AVAILABLE or (decision.outcome is NameOutcome.SIMILAR and acknowledged):
        return decision
    _refuse(decision, name)
    raise AssertionError(decision.outcome)


def _refuse(decision: Decision, name: str) -> None:
    held = decision.evidence[0].name if decision.evidence else ""
    said = {"explanation_en": decision.explanation.en, "explanation_fr": decision.explanation.fr}
    match decision.outcome:
        case NameOutcome.IDENTICAL:
            raise refusals.NameTaken(name=name, held=held)
        case NameOutcome.RESTRICTED:
            raise refusals.NameRestricted(name=name, **said)
        case NameOutcome.MALFORMED:
            raise refusals.NameMalformed(**said)
        case NameOutcome.SIMILAR:
            raise refusals.SimilarNames(name=name, held=held)


def records(name: str, legal_type: str, **holder: Any) -> list[NameRecord]:
    """The rows that hold a name, one for each of its forms; `holder` are the columns that say who holds it."""
    blocks = LegalType(legal_type).corporation or holder.get("reserved_by") is not None
    each = {keys.identical_key: keys for keys in map(keys_of, forms(name))}
    return [
        NameRecord(
            name=name,
            identical_key=keys.identical_key,
            words=list(keys.words),
            phonetic=list(keys.phonetic),
            stems=list(keys.stems),
            legal_type=legal_type,
            blocks=blocks,
            rule_version=rules().version,
            **holder,
        )
        for keys in each.values()
    ]


def hold(db: Db, business: BusinessRecord) -> None:
    """Enter a business's name on the register. A sole proprietorship's or partnership's name blocks no other."""
    for record in records(business.legal_name, business.legal_type, business_number=business.business_number):
        db.add(record)


class ReserveNameInput(Input):
    """A name to hold for 56 days."""

    name: str = rule(max_length=500)
    legal_type: LegalType
    acknowledge_similar_names: bool = False
    idempotency_key: strawberry.ID


@service.entity(key="id", scope=REGISTER, personal=APPLICATION)
@dataclass(kw_only=True)
class NameReservation:
    """A name that its holder alone may register until a moment."""

    id: strawberry.ID
    name: str
    legal_type: LegalType
    reserved_until: datetime

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "NameReservation | None":
        """The caller's live reservation with an identifier, or None."""
        live = select(NameRecord).where(NameRecord.reservation == _uuid(id), col(NameRecord.reserved_until) > now())
        record = await db.first(live)
        if record is None:
            return None
        holder = record.reserved_by or ""
        if not caller.owns(holder):
            log.refuse(holder, APPLICATION)
            return None
        log.note(holder, APPLICATION)
        return _reservation(record)


def _live(caller: Caller) -> Select[tuple[NameRecord]]:
    """The names that the caller holds now; they are of no business yet."""
    mine = owned(caller, col(NameRecord.reserved_by))
    return select(NameRecord).where(mine, col(NameRecord.reserved_until) > now())


def _uuid(identifier: str) -> UUID | None:
    try:
        return UUID(identifier)
    except ValueError:
        return None


def _reservation(record: NameRecord) -> NameReservation:
    assert record.reserved_until is not None  # noqa: S101 - a reservation has an end, says the table
    return NameReservation(
        id=strawberry.ID(str(record.reservation)),
        name=record.name,
        legal_type=LegalType(record.legal_type),
        reserved_until=record.reserved_until,
    )


@service.mutation(scope=REGISTER, rate=Rate(times=20, seconds=3_600))
async def reserve_name(db: Db, caller: Caller, log: AccessLog, input: ReserveNameInput) -> NameReservation:
    """Hold a name for 56 days: nobody else can register an identical one meanwhile."""
    caller.require_unlimited()
    log.note_own(APPLICATION)
    await settle(db, caller.subject, input.name, input.legal_type, acknowledged=input.acknowledge_similar_names)
    mine = _live(caller).with_only_columns(func.count(col(NameRecord.reservation).distinct()))
    if (await db.execute(mine)).scalar_one() >= MOST_RESERVATIONS:
        raise refusals.TooManyReservations(most=MOST_RESERVATIONS)
    held = records(
        composed(input.name),
        input.legal_type.value,
        reservation=uuid4(),
        reserved_by=caller.subject,
        reserved_until=now() + RESERVED_FOR,
    )
    for record in held:
        db.add(record)
    log.note_own(APPLICATION)
    return _reservation(held[0])


@service.query(scope=REGISTER, personal=APPLICATION)
async def my_reservations(db: Db, caller: Caller, log: AccessLog) -> list[NameReservation]:
    """The caller's live reservations."""
    held = await db.all(_live(caller).order_by(col(NameRecord.id).desc()))
    each = {record.reservation: record for record in held}
    log.note_each(APPLICATION, ((caller.subject, "") for _ in each))
    return [_reservation(record) for record in reversed(each.values())]
