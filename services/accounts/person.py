"""A person as they see themselves: `me`. Others find nobody here."""

from dataclasses import dataclass

import strawberry
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from services.accounts import vocabulary
from services.accounts.channels import Channel, channel_of
from services.accounts.consents import Consent, consent_of
from services.accounts.delegations import Delegation, concerning, delegation_of
from services.accounts.inquiries import AccessInquiry, InquiryRecord, inquiries
from services.accounts.looking import AccessEntry, AccessFilter, AccessRecord, entries
from services.accounts.models import (
    ACCESS_LOG,
    CONTACT,
    MANAGE,
    READ,
    REPRESENTATION,
    ChannelRecord,
    ConsentRecord,
    DelegationRecord,
    Profile,
    service,
)
from services.accounts.vocabulary import Named, named
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import now
from services.kit.database import Db
from services.kit.inputs import Input
from services.kit.language import Language, request_language
from services.kit.pages import Connection, page
from services.kit.service import field


@service.entity(key="id", scope=READ, personal=CONTACT)
@dataclass(kw_only=True)
class Person:
    """Somebody with an account. It is there for themselves, and for whoever acts for them with that right."""

    id: strawberry.ID

    @classmethod
    async def find(cls, caller: Caller, log: AccessLog, id: str) -> "Person | None":
        """The person, if it is the caller; None for everybody else, whether they exist or not."""
        if not caller.owns(id):
            return None
        log.note(id, CONTACT)
        return cls(id=strawberry.ID(id))

    async def language(self, db: Db) -> Language:
        """In which language we write to them: the one they chose, else the request’s."""
        profile = await db.one(Profile, self.id)
        return profile.language if profile else request_language.get()

    async def channels(self, db: Db, log: AccessLog) -> list[Channel]:
        """The addresses by which they can be reached, oldest first."""
        held = await db.where(ChannelRecord, subject=self.id)
        return [channel_of(record, log) for record in sorted(held, key=lambda record: record.added_at)]

    @field(personal=REPRESENTATION)
    async def delegations(
        self, db: Db, caller: Caller, log: AccessLog, first: int | None = None, after: str | None = None
    ) -> Connection[Delegation]:
        """What they let others do, what others let them do, and what was passed on from it, the newest first."""
        log.note_own(REPRESENTATION)
        order = [col(DelegationRecord.offered_at), col(DelegationRecord.id)]
        theirs = select(DelegationRecord).where(concerning(caller))
        return await page(db, theirs, order=order, first=first, after=after, as_node=delegation_of, descending=True)

    @field(personal=REPRESENTATION)
    async def consents(
        self, db: Db, caller: Caller, log: AccessLog, first: int | None = None, after: str | None = None
    ) -> Connection[Consent]:
        """What they let offices see, the newest first."""
        log.note_own(REPRESENTATION)
        order = [col(ConsentRecord.begins), col(ConsentRecord.id)]
        theirs = select(ConsentRecord).where(ConsentRecord.subject == self.id)
        return await page(db, theirs, order=order, first=first, after=after, as_node=consent_of, descending=True)

    @field(scope=MANAGE, personal=ACCESS_LOG)
    async def access_log(
        self,
        db: Db,
        caller: Caller,
        log: AccessLog,
        first: int | None = None,
        after: str | None = None,
        where: AccessFilter | None = None,
    ) -> Connection[AccessEntry]:
        """Who looked at data about them, changed them, or was refused, the newest first. An investigation is shown once the law
        lets it be."""
        caller.require_oneself()
        log.note_own(ACCESS_LOG)
        return await entries(db, col(AccessRecord.subject) == self.id, where, first, after)

    @field(scope=MANAGE, personal=ACCESS_LOG)
    async def access_inquiries(
        self, db: Db, caller: Caller, log: AccessLog, first: int | None = None, after: str | None = None
    ) -> Connection[AccessInquiry]:
        """What they asked about such entries, the newest first."""
        caller.require_oneself()
        log.note_own(ACCESS_LOG)
        theirs = select(InquiryRecord).where(InquiryRecord.asked_by == self.id)
        return await inquiries(db, theirs, first, after)

    def delegable_scopes(self) -> list[Named]:
        """What they can let others do."""
        return [named(scope, words) for scope, words in vocabulary.delegable().items()]


class SetLanguageInput(Input):
    """In which language we shall write."""

    language: Language


@service.query(scope=READ)
async def me(caller: Caller, log: AccessLog) -> Person | None:
    """Whoever asks, or the person they act for."""
    return await Person.find(caller, log, caller.subject)


@service.mutation(scope=MANAGE)
async def set_language(db: Db, caller: Caller, log: AccessLog, input: SetLanguageInput) -> Person:
    """Choose the language in which we write to you."""
    caller.require_oneself()
    said = {"language": input.language, "changed_at": now()}
    chosen = insert(Profile).values(subject=caller.subject, **said)
    await db.execute(chosen.on_conflict_do_update(index_elements=["subject"], set_=said))
    log.note_own(CONTACT)
    return Person(id=strawberry.ID(caller.subject))
