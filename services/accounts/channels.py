"""Channels: the addresses by which a person can be reached, each shown to be theirs by a code."""

from dataclasses import dataclass
from datetime import datetime

import strawberry
from email_validator import EmailNotValidError, validate_email
from pydantic import field_validator
from sqlmodel import select

from services.accounts import codes, letters, mailing
from services.accounts.models import CONTACT, MANAGE, READ, ChannelRecord, service
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import as_id, now
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.rates import Rate
from services.kit.refusals import Refusal

MOST = 5
SENT, TRIED = Rate(times=5, seconds=600), Rate(times=10, seconds=600)


class NoAddress(
    Refusal,
    field="address",
    en="{address} is no e-mail address that we can write to. Look for a mistyped letter.",
    fr="{address} n’est pas une adresse électronique où nous pouvons écrire. Cherchez une faute de frappe.",
):
    """Source: RFC 5321 and 5322, as the library email-validator reads them; addresses that need SMTPUTF8 are not taken."""


class ChannelKnown(
    Refusal,
    field="address",
    en="This address is among your channels already. Verify it, or remove it first.",
    fr="Cette adresse est déjà parmi vos moyens de contact. Vérifiez-la, ou retirez-la d’abord.",
):
    """Once per person; two people may share an address."""


class TooManyChannels(
    Refusal,
    en="You have {most} channels, the most that one person may have. Remove one first.",
    fr="Vous avez {most} moyens de contact, le maximum par personne. Retirez-en un d’abord.",
):
    """Verified or not."""


class ChannelUnknown(
    Refusal,
    field="channelId",
    en="You have no channel with this identifier. Look in your account.",
    fr="Vous n’avez aucun moyen de contact portant cet identifiant. Consultez votre compte.",
):
    """The same answer whether it does not exist or is someone else’s."""


class ChannelVerified(
    Refusal,
    field="channelId",
    en="This channel is verified already. Nothing remains to be done.",
    fr="Ce moyen de contact est déjà vérifié. Il ne reste rien à faire.",
):
    """A code would show nothing more."""


@service.entity(key="id", scope=READ, personal=CONTACT)
@dataclass(kw_only=True)
class Channel:
    """An e-mail address by which a person can be reached. We write to it once it is verified, and never before but for that."""

    id: strawberry.ID
    address: str
    added_at: datetime
    verified_at: datetime | None

    @classmethod
    async def find(cls, db: Db, caller: Caller, log: AccessLog, id: str) -> "Channel | None":
        """A channel of the caller's own, or None."""
        identifier = as_id(id)
        held = await db.one(ChannelRecord, identifier) if identifier else None
        if held is None or not caller.owns(held.subject):
            return None
        return channel_of(held, log)


def channel_of(record: ChannelRecord, log: AccessLog) -> Channel:
    """A channel as its person sees it, which is noted."""
    log.note(record.subject, CONTACT)
    return Channel(
        id=strawberry.ID(record.id), address=record.address, added_at=record.added_at, verified_at=record.verified_at
    )


async def _own(db: Db, caller: Caller, channel_id: str) -> ChannelRecord:
    """The caller's channel, locked until the transaction ends. Raises ChannelUnknown."""
    identifier = as_id(channel_id)
    mine = select(ChannelRecord).where(ChannelRecord.id == identifier, ChannelRecord.subject == caller.subject)
    held: ChannelRecord | None = await db.first(mine.with_for_update()) if identifier else None
    if held is None:
        raise ChannelUnknown
    return held


def address_of(text: str, at: str = "address") -> str:
    """An e-mail address in its usual form. Raises NoAddress for the field `at`."""
    try:
        found = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        raise NoAddress(at=at, address=text[:80]) from None
    if found.ascii_email is None:
        raise NoAddress(at=at, address=text[:80])
    return found.ascii_email


class AddChannelInput(Input):
    """An address that is yours."""

    address: str = rule(max_length=254)
    idempotency_key: strawberry.ID

    @field_validator("address")
    @classmethod
    def written_to(cls, value: str) -> str:
        """The address in its usual form. Raises NoAddress."""
        return address_of(value)


class VerifyChannelInput(Input):
    """The code that came to the address."""

    channel_id: strawberry.ID
    code: str = rule(min_length=1, max_length=40)


class SendChannelCodeInput(Input):
    """The channel to send a code to."""

    channel_id: strawberry.ID


class RemoveChannelInput(Input):
    """The channel to remove."""

    channel_id: strawberry.ID


def _act(channel: ChannelRecord) -> str:
    return f"verify channel {channel.id}"


async def _send_code(db: Db, channel: ChannelRecord) -> None:
    code = await codes.issue(db, channel.subject, _act(channel))
    letter = letters.verify_channel(code, int(codes.LIFE.total_seconds() // 60))
    language = await mailing.language_of(db, channel.subject)
    await mailing.post(db, letter, f"{_act(channel)} {now().isoformat()}", channel.address, language, codes.LIFE)


@service.mutation(scope=MANAGE, rate=SENT)
async def add_channel(db: Db, caller: Caller, log: AccessLog, input: AddChannelInput) -> Channel:
    """Add an address and have a code sent to it. Refused: NO_ADDRESS, CHANNEL_KNOWN, TOO_MANY_CHANNELS, TOO_MANY_CODES."""
    caller.require_oneself()
    await db.alone(f"channels {caller.subject}")
    held = await db.where(ChannelRecord, subject=caller.subject)
    if input.address.lower() in {channel.address.lower() for channel in held}:
        raise ChannelKnown
    if len(held) >= MOST:
        raise TooManyChannels(most=MOST)
    added = ChannelRecord(subject=caller.subject, address=input.address)
    db.add(added)
    await db.flush()
    await _send_code(db, added)
    return channel_of(added, log)


@service.mutation(scope=MANAGE, rate=SENT)
async def send_channel_code(db: Db, caller: Caller, log: AccessLog, input: SendChannelCodeInput) -> Channel:
    """Have another code sent to a channel that is not verified; the one before no longer counts. Refused: CHANNEL_UNKNOWN,
    CHANNEL_VERIFIED, TOO_MANY_CODES."""
    caller.require_oneself()
    channel = await _own(db, caller, input.channel_id)
    if channel.verified_at:
        raise ChannelVerified
    await _send_code(db, channel)
    return channel_of(channel, log)


@service.mutation(scope=MANAGE, rate=TRIED)
async def verify_channel(db: Db, caller: Caller, log: AccessLog, input: VerifyChannelInput) -> Channel:
    """Show that an address is yours, by the code that came to it. Refused: CHANNEL_UNKNOWN, CHANNEL_VERIFIED, CODE_WRONG,
    CODE_SPENT."""
    caller.require_oneself()
    channel = await _own(db, caller, input.channel_id)
    if channel.verified_at:
        raise ChannelVerified
    await codes.take(db, caller.subject, _act(channel), input.code)
    channel.verified_at = now()
    verified = letters.channel_verified(channel.address)
    await mailing.tell(db, caller.subject, verified, f"verified {channel.id}", but=[channel.address])
    return channel_of(channel, log)


@service.mutation(scope=MANAGE)
async def remove_channel(db: Db, caller: Caller, log: AccessLog, input: RemoveChannelInput) -> Channel:
    """Remove a channel, and have it and the others told. Refused: CHANNEL_UNKNOWN."""
    caller.require_oneself()
    channel = await _own(db, caller, input.channel_id)
    if channel.verified_at:
        removed = letters.channel_removed(channel.address)
        await mailing.tell(db, caller.subject, removed, f"removed {channel.id}")
    await db.session.delete(channel)
    return channel_of(channel, log)
