"""Who looked: what services tell of each access to a person's data, kept for the person to see.

Services announce their entries once these are sealed. An entry of an investigation is shown later, and never not: it says itself
from when on. What is shown of who looked is their office, or the name under which the person let them act; never more.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import strawberry
from sqlalchemy import ARRAY, Column, ColumnElement, Index, String
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col, select
from strawberry.types.unset import UNSET

from services.accounts import vocabulary
from services.accounts.models import ACCESS_LOG, DelegationRecord, Row, service
from services.accounts.vocabulary import Named, named
from services.kit.access_log import Act
from services.kit.audit.announced import AccessLogged
from services.kit.caller import Caller, Kind
from services.kit.columns import as_id, moment, now
from services.kit.database import Db
from services.kit.inputs import values
from services.kit.language import Words
from services.kit.pages import Connection, page
from services.kit.purposes import purposes
from services.kit.roles import APP, RETENTION
from services.kit.text import Text

strawberry.enum(
    Act,
    name="AccessAct",
    description="READ: they saw data. CHANGE: they changed it. REFUSED: they asked for it and were refused.",
)
_DID: Mapping[Act, Words] = {
    Act.READ: Words("{who} looked at {yours}", "{who} a consulté {yours}"),
    Act.CHANGE: Words("{who} changed {yours}", "{who} a modifié {yours}"),
    Act.REFUSED: Words("{who} asked for {yours} and was refused", "{who} a demandé {yours}, ce qui a été refusé"),
}
_SENTENCE = Words("{did}. Purpose: {purpose}.", "{did}. Fin : {purpose}.")
_DELEGATE = Words("{name}, whom you let act for you,", "{name}, qui agit en votre nom,")
_ASSISTANT = Words("An officer who assisted you", "La personne qui vous a aidé au comptoir ou au téléphone")
_SOMEBODY = Words("Somebody", "Quelqu’un")


class AccessRecord(Row, table=True):
    """An entry of a service's access log, as it was told. `id` is the entry's own."""

    __tablename__ = "known_access"
    __table_args__ = (
        Index("ix_known_access_subject", "subject", "at", "id"),
        Index("ix_known_access_business", "business", "at", "id", postgresql_where="business <> ''"),
        Index("ix_known_access_kept", "keep_until"),
        {"info": {APP: ("SELECT", "INSERT"), RETENTION: ("SELECT (id, keep_until)", "DELETE")}},
    )

    id: UUID = Field(primary_key=True)
    service: str
    at: datetime = moment()
    act: str
    actor: str
    role: str
    subject: str
    business: str
    category: str
    purpose: str
    authority: str
    kind: str
    operation: str
    recipients: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    case_number: str
    reason: str
    shown_after: datetime = moment()
    keep_until: date


service.copies.append("known_access")


@service.on(AccessLogged)
async def know_access(event: AccessLogged, db: Db) -> None:
    """Keep what was told, each entry once."""
    told = [{**entry.model_dump(), "service": event.service} for entry in event.entries]
    await db.execute(insert(AccessRecord).on_conflict_do_nothing(), told)


@service.object_type(personal=ACCESS_LOG)
@dataclass(kw_only=True)
class AccessEntry:
    """That somebody saw a person's data, changed it, or asked for it and was refused. `recipients` are the services that it was
    passed on to."""

    id: strawberry.ID
    at: datetime
    act: Act
    service: str
    recipients: list[str]
    record: strawberry.Private[AccessRecord]

    def office(self) -> Named | None:
        """In which office they did; null for who acts for the person."""
        found = vocabulary.offices().get(self.record.role)
        return named(self.record.role, found) if found and not self.record.kind else None

    def purpose(self) -> Named | None:
        """For which purpose; null for one that there is no longer."""
        found = purposes().get(self.record.purpose)
        return named(found.code, found.words) if found else None

    def category(self) -> Named | None:
        """What kind of data; null for one that there is no longer."""
        found = vocabulary.categories().get(self.record.category)
        return named(self.record.category, found) if found else None

    def business_number(self) -> strawberry.ID | None:
        """The business that the data are about; null where it is the person alone."""
        return strawberry.ID(self.record.business) if self.record.business else None

    def delegation_id(self) -> strawberry.ID | None:
        """The delegation on which it was done; null where there was none."""
        return strawberry.ID(self.record.authority) if self.record.kind == Kind.DELEGATION.value else None

    async def sentence(self, db: Db) -> Text:
        """The entry in a sentence, to the person whose data they are."""
        return Text.from_words(await said(db, self.record))


def entry_of(record: AccessRecord) -> AccessEntry:
    """An entry as the person sees it."""
    return AccessEntry(
        id=strawberry.ID(str(record.id)),
        at=record.at,
        act=Act(record.act),
        service=record.service,
        recipients=record.recipients,
        record=record,
    )


async def said(db: Db, record: AccessRecord) -> Words:
    """An entry in a sentence."""
    purpose, yours = purposes().get(record.purpose), vocabulary.yours().get(record.category)
    nothing = Words(record.category, record.category)
    did = _both(_DID[Act(record.act)], who=await _who(db, record), yours=yours or nothing)
    return _both(_SENTENCE, did=did, purpose=purpose.words if purpose else Words(record.purpose, record.purpose))


def _both(sentence: Words, **parts: Words) -> Words:
    """A sentence whose parts are in both languages too."""
    return Words(
        sentence.en.format(**{name: part.en for name, part in parts.items()}),
        sentence.fr.format(**{name: part.fr for name, part in parts.items()}),
    )


async def _who(db: Db, record: AccessRecord) -> Words:
    if record.kind == Kind.ASSISTED.value:
        return _ASSISTANT
    if record.kind == Kind.DELEGATION.value:
        given = await _delegation(db, record)
        return _DELEGATE.filled(name=given.accepted_as) if given else _SOMEBODY
    return vocabulary.offices().get(record.role, _SOMEBODY)


async def _delegation(db: Db, record: AccessRecord) -> DelegationRecord | None:
    identifier = as_id(record.authority) if record.kind == Kind.DELEGATION.value else None
    return await db.one(DelegationRecord, identifier) if identifier else None


@strawberry.input(
    description="Which entries are asked for: those of which all holds that is said. `since` is included, `until` is not."
)
class AccessFilter:
    service: str | None = UNSET
    purpose: str | None = UNSET
    category: str | None = UNSET
    act: Act | None = UNSET
    since: datetime | None = UNSET
    until: datetime | None = UNSET

    def conditions(self) -> Iterator[ColumnElement[bool]]:
        """What the rows of such entries are like."""
        given = {name: value for name, value in values(self).items() if value is not None}
        for name in ("service", "purpose", "category"):
            if name in given:
                yield col(getattr(AccessRecord, name)) == given[name]
        if "act" in given:
            yield col(AccessRecord.act) == given["act"].value
        if "since" in given:
            yield col(AccessRecord.at) >= given["since"]
        if "until" in given:
            yield col(AccessRecord.at) < given["until"]


async def entries(
    db: Db, about: ColumnElement[bool], where: AccessFilter | None, first: int | None, after: str | None
) -> Connection[AccessEntry]:
    """A page of the entries about somebody that may be shown by now, the newest first."""
    shown = select(AccessRecord).where(
        about, col(AccessRecord.shown_after) <= now(), *(where.conditions() if where else ())
    )
    order = [col(AccessRecord.at), col(AccessRecord.id)]
    return await page(db, shown, order=order, first=first, after=after, as_node=entry_of, descending=True)


async def shown_to(db: Db, caller: Caller, entry_id: str) -> AccessRecord | None:
    """An entry about the caller that may be shown by now, or None."""
    identifier = as_id(entry_id)
    record = await db.one(AccessRecord, UUID(identifier)) if identifier else None
    mine = record is not None and caller.owns(record.subject) and record.shown_after <= now()
    return record if mine else None
