"""Consents: a person lets offices see categories of their data, for a purpose that cannot do without it, until a day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import strawberry
from sqlmodel import col, select

from services.accounts import granting, letters, vocabulary
from services.accounts.models import MANAGE, READ, REPRESENTATION, ConsentRecord, service
from services.accounts.vocabulary import Named, named
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import as_id, now
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.language import Words
from services.kit.purposes import Purpose, purposes
from services.kit.refusals import Refusal
from services.kit.text import Text

LONGEST = timedelta(days=731)


class NoConsentAsked(
    Refusal,
    field="purpose",
    en="{purpose} is no purpose that asks for consent. You can choose from: {purposes}.",
    fr="{purpose} n’est pas une fin qui demande un consentement. Vous pouvez choisir parmi : {purposes}.",
):
    """What a law permits or forbids, consent does not change."""


class NotOfPurpose(
    Refusal,
    en="{given} is not part of this purpose. You can choose from: {possible}.",
    fr="{given} ne fait pas partie de cette fin. Vous pouvez choisir parmi : {possible}.",
):
    """An office or a category that the purpose does not name."""


class NoConsentPeriod(
    Refusal,
    field="ends",
    en="A consent ends in the future and within two years. Choose another day.",
    fr="Un consentement prend fin dans l’avenir et dans les deux ans. Choisissez un autre jour.",
):
    """What is given for ever is forgotten."""


class ConsentUnknown(
    Refusal,
    field="consentId",
    en="You have given no consent with this identifier. Look in your account.",
    fr="Vous n’avez donné aucun consentement portant cet identifiant. Consultez votre compte.",
):
    """The same answer whether it does not exist or is someone else’s."""


class ConsentOver(
    Refusal,
    field="consentId",
    en="This consent is revoked or has ended already. Nothing remains to be done.",
    fr="Ce consentement est déjà révoqué ou a pris fin. Il ne reste rien à faire.",
):
    """What is over stays so."""


@service.object_type()
@dataclass(kw_only=True)
class ConsentPurpose:
    """A purpose for which offices see people’s data only with their consent, and what it may be given for."""

    code: strawberry.ID
    name: Text
    basis: Text
    offices: list[str]
    categories: list[Named]


@service.entity(key="id", scope=READ, personal=REPRESENTATION)
@dataclass(kw_only=True)
class Consent:
    """That offices may see categories of a person’s data for a purpose, until it ends or is revoked."""

    id: strawberry.ID
    offices: list[str]
    begins: datetime
    ends: datetime
    revoked_at: datetime | None
    record: strawberry.Private[ConsentRecord]

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "Consent | None":
        """A consent of the caller’s own, or None."""
        identifier = as_id(id)
        record = await db.one(ConsentRecord, identifier) if identifier else None
        if record is None or not caller.owns(record.subject):
            return None
        log.note(record.subject, REPRESENTATION)
        return consent_of(record)

    def in_force(self) -> bool:
        """Whether offices may rely on it now."""
        return self.record.revoked_at is None and self.record.begins <= now() < self.record.ends

    def purpose(self) -> ConsentPurpose | None:
        """What it is for; null for a purpose that there is no longer."""
        found = purposes().get(self.record.purpose)
        return _shown(found) if found else None

    def categories(self) -> list[Named]:
        """What may be seen."""
        return _named(self.record.categories)


def consent_of(record: ConsentRecord) -> Consent:
    """A consent as its person sees it."""
    return Consent(
        id=strawberry.ID(record.id),
        offices=record.offices,
        begins=record.begins,
        ends=record.ends,
        revoked_at=record.revoked_at,
        record=record,
    )


def _named(codes: Iterable[str]) -> list[Named]:
    return [named(code, words) for code, words in vocabulary.categories().items() if code in codes]


def _shown(purpose: Purpose) -> ConsentPurpose:
    return ConsentPurpose(
        code=strawberry.ID(purpose.code),
        name=Text.from_words(purpose.words),
        basis=Text.from_words(purpose.basis),
        offices=sorted(purpose.roles),
        categories=_named(purpose.categories),
    )


class GiveConsentInput(Input):
    """What which offices may see of your data, for which purpose, until when. All of its offices where none is named."""

    purpose: strawberry.ID = rule(max_length=80)
    offices: list[str] = rule(default_factory=list, max_length=20)
    categories: list[str] = rule(min_length=1, max_length=50)
    ends: datetime
    idempotency_key: strawberry.ID


class RevokeConsentInput(Input):
    """The consent that shall end."""

    consent_id: strawberry.ID


@service.query()
def consent_purposes() -> list[ConsentPurpose]:
    """The purposes for which offices ask for people’s consent."""
    return [_shown(purpose) for purpose in purposes().values() if purpose.needs_consent]


def _wanted(caller: Caller, input: GiveConsentInput) -> ConsentRecord:
    """The consent as it would be. Raises NoConsentAsked, NotOfPurpose, NoConsentPeriod."""
    asking = {code: purpose for code, purpose in purposes().items() if purpose.needs_consent}
    purpose = asking.get(input.purpose)
    if purpose is None:
        raise NoConsentAsked(purpose=input.purpose, purposes=", ".join(asking))
    for field, given, possible in (
        ("offices", input.offices, purpose.roles),
        ("categories", input.categories, purpose.categories),
    ):
        if strange := sorted(set(given) - possible):
            raise NotOfPurpose(at=field, given=strange[0], possible=", ".join(sorted(possible)))
    moment = now()
    if not moment < input.ends <= moment + LONGEST:
        raise NoConsentPeriod
    return ConsentRecord(
        subject=caller.subject,
        purpose=purpose.code,
        offices=sorted(set(input.offices) or purpose.roles),
        categories=sorted(set(input.categories)),
        begins=moment,
        ends=input.ends,
    )


async def _consenting(caller: Caller, input: GiveConsentInput) -> Words:
    wanted = _wanted(caller, input)
    purpose = purposes()[wanted.purpose].words
    seen = [words for code, words in vocabulary.categories().items() if code in wanted.categories]
    offices, until = ", ".join(wanted.offices), letters.day(wanted.ends)
    return Words(
        f"Consent until {until} that these offices ({offices}) see, for “{purpose.en}”: "
        + "; ".join(words.en for words in seen),
        f"Consentir jusqu’au {until} à ce que ces services ({offices}) voient, pour «\u00a0{purpose.fr}\u00a0» : "
        + "; ".join(words.fr for words in seen),
    )


@service.mutation(scope=MANAGE, citizens_code=_consenting)
async def give_consent(db: Db, caller: Caller, log: AccessLog, input: GiveConsentInput) -> Consent:
    """Let offices see your data for a purpose. Refused: NO_CONSENT_ASKED, NOT_OF_PURPOSE, NO_CONSENT_PERIOD."""
    record = _wanted(caller, input)
    db.add(record)
    await db.flush()
    await granting.announce_consent(db, record)
    log.note_own(REPRESENTATION)
    return consent_of(record)


@service.mutation(scope=MANAGE)
async def revoke_consent(db: Db, caller: Caller, log: AccessLog, input: RevokeConsentInput) -> Consent:
    """End a consent of yours. Once this is answered, no office relies on it. Refused: CONSENT_UNKNOWN, CONSENT_OVER."""
    identifier = as_id(input.consent_id)
    mine = select(ConsentRecord).where(ConsentRecord.id == identifier, col(ConsentRecord.subject) == caller.subject)
    record = await db.first(mine.with_for_update()) if identifier else None
    if record is None:
        raise ConsentUnknown
    if record.revoked_at is not None or record.ends <= now():
        raise ConsentOver
    record.revoked_at = now()
    await db.flush()
    await granting.announce_consent(db, record)
    log.note_own(REPRESENTATION)
    return consent_of(record)
