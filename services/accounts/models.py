"""What the Management Board keeps of people's accounts. Who somebody is, the issuer alone knows; here they are `subject`s."""

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    LargeBinary,
    String,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.kit.columns import id_column, moment, now, one_of
from services.kit.invitations import digest_column
from services.kit.language import Language
from services.kit.roles import ADDED_ONLY, KEPT
from services.kit.service import Service

service = Service("accounts")
# What who holds the account may: see it, and change it. Every person's role carries both.
READ, MANAGE = "account:read", "account:manage"
# The categories of what is about people.
CONTACT, IDENTITY, REPRESENTATION, ACCESS_LOG = "contact", "identity", "representation", "access-log"


class Row(SQLModel, registry=registry()):
    """The base of this service's tables."""


def words_column() -> Any:
    """A list of codes."""
    return Field(sa_column=Column(ARRAY(String), nullable=False))


class Profile(Row, table=True):
    """What a person has said of themselves. There is none before the first word."""

    subject: str = Field(primary_key=True)
    language: Language = one_of(Language)
    changed_at: datetime = moment(default_factory=now)


class ChannelRecord(Row, table=True):
    """An e-mail address of a person. It is never altered: another address is another channel, with a history of its own."""

    __tablename__ = "channel"
    __table_args__ = (Index("uq_channel", "subject", text("lower(address)"), unique=True),)

    id: str = id_column()
    subject: str = Field(index=True)
    address: str
    added_at: datetime = moment(default_factory=now)
    verified_at: datetime | None = moment(default=None, nullable=True)


class CodeRecord(Row, table=True):
    """A code that was sent to a person for one act. The code itself is not kept, only what it is compared with."""

    __tablename__ = "one_time_code"
    __table_args__ = (Index("ix_code_of_act", "subject", "act", "made_at"),)

    id: str = id_column()
    subject: str
    act: str
    salt: bytes = Field(sa_type=LargeBinary)
    digest: bytes = Field(sa_type=LargeBinary)
    tries: int = 0
    made_at: datetime = moment(default_factory=now)
    expires_at: datetime = moment()
    used_at: datetime | None = moment(default=None, nullable=True)


class Mail(Row, table=True):
    """A letter to send, sent, or given up. `act` is what it tells of, so that nothing is told twice. Title and text are wiped
    once it is sent or given up: a code may stand in them."""

    __table_args__ = (
        Index("ix_mail_waiting", "next_try_at", postgresql_where=text("done_at IS NULL")),
        KEPT,
    )

    id: str = id_column()
    act: str = Field(unique=True)
    address: str
    language: Language = one_of(Language)
    title: str
    body: str
    made_at: datetime = moment(default_factory=now)
    useless_from: datetime = moment()
    tries: int = 0
    next_try_at: datetime = moment(default_factory=now)
    done_at: datetime | None = moment(default=None, nullable=True)
    error: str = ""


class RevisionRecord(Row, table=True):
    """A grant as it has become: `told` is what services are told of it. `seq` counts the changes of all grants without a gap."""

    __tablename__ = "grant_revision"
    __table_args__ = (UniqueConstraint("grant_id", "rev"), ADDED_ONLY)

    seq: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    grant_id: str
    rev: int
    told: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    at: datetime = moment(default_factory=now)


class LeaseRecord(Row, table=True):
    """That an instance of a service may let people act on grants until a moment, and up to which revision it knows all."""

    __tablename__ = "grant_lease"

    service: str = Field(primary_key=True)
    instance: UUID = Field(primary_key=True)
    applied: int = Field(sa_type=BigInteger)
    until: datetime = moment()


class KnownBusiness(Row, table=True):
    """What the registry announced of a business: its name, and whose it is, since when where it has changed hands."""

    __tablename__ = "known_business"

    number: str = Field(primary_key=True)
    name: str
    owner: str = Field(index=True)
    owned_since: datetime | None = moment(default=None, nullable=True)


class MemberRecord(Row, table=True):
    """Somebody whom a business's owner lets act where it may act for others. `person` is null until they have joined."""

    __tablename__ = "firm_member"
    __table_args__ = (
        Index("uq_member", "business", "person", unique=True, postgresql_where=text("ended_at IS NULL")),
        CheckConstraint(
            "ended_at IS NOT NULL OR (person IS NULL) = (code_digest IS NOT NULL)", name="ck_member_joined"
        ),
    )

    id: str = id_column()
    business: str = Field(index=True, foreign_key="known_business.number")
    known_as: str
    person: str | None = Field(default=None, index=True)
    email: str | None = None
    code_digest: bytes | None = digest_column()
    open_until: datetime = moment()
    invited_at: datetime = moment(default_factory=now)
    joined_at: datetime | None = moment(default=None, nullable=True)
    ended_at: datetime | None = moment(default=None, nullable=True)


class State(Enum):
    """How far a delegation is, as it is kept: what has only run out is still as it was."""

    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    WITHDRAWN = "WITHDRAWN"
    REVOKED = "REVOKED"
    ENDED = "ENDED"


class DelegationRecord(Row, table=True):
    """That somebody may act for somebody else. Its id is the grant's, the authority by which it is used.

    `grantor` gave it; `subject` is whose rights they are: the same person, but where a delegate passed on what a `parent` gave.
    `business` limits it to one of the subject's. Who accepted is `person`, and `firm` where they did so for a business of theirs.
    """

    __tablename__ = "delegation"
    __table_args__ = (
        Index("ix_delegation_grantor", "grantor", "offered_at"),
        Index("ix_delegation_subject", "subject"),
        Index("ix_delegation_person", "person"),
        Index("ix_delegation_business", "business"),
        CheckConstraint("(state = 'OFFERED') = (code_digest IS NOT NULL)", name="ck_delegation_open"),
        CheckConstraint("begins < ends", name="ck_delegation_period"),
    )

    id: str = id_column()
    version: int = 1
    state: State = one_of(State, default=State.OFFERED)
    grantor: str
    subject: str
    business: str = ""
    parent: str | None = Field(default=None, sa_type=Uuid(as_uuid=False), index=True, foreign_key="delegation.id")
    scopes: list[str] = words_column()
    may_pass_on: bool = False
    begins: datetime = moment()
    ends: datetime = moment()
    offered_as: str
    email: str | None = None
    code_digest: bytes | None = digest_column()
    open_until: datetime = moment()
    offered_at: datetime = moment(default_factory=now)
    person: str | None = None
    firm: str = Field(default="", index=True)
    accepted_as: str = ""
    accepted_at: datetime | None = moment(default=None, nullable=True)
    ended_at: datetime | None = moment(default=None, nullable=True)


class ConsentRecord(Row, table=True):
    """That a person lets offices see categories of their data for a purpose. Its id is the grant's."""

    __tablename__ = "consent"
    __table_args__ = (CheckConstraint("begins < ends", name="ck_consent_period"),)

    id: str = id_column()
    subject: str = Field(index=True)
    purpose: str
    offices: list[str] = words_column()
    categories: list[str] = words_column()
    begins: datetime = moment(default_factory=now)
    ends: datetime = moment()
    revoked_at: datetime | None = moment(default=None, nullable=True)


class Presence(Enum):
    """How an officer has the person before them."""

    COUNTER = "COUNTER"
    PHONE = "PHONE"


class SessionRecord(Row, table=True):
    """That an officer acts for a person who is present, from when to when at most. Its id is the grant's. `idle_ends` is when it
    ends of itself unless the officer goes on; `closed_by` is who ended it before."""

    __tablename__ = "assisted_session"
    __table_args__ = (
        Index("uq_session_of_officer", "officer", unique=True, postgresql_where=text("closed_at IS NULL")),
        Index("ix_session_of_citizen", "citizen", "opened_at"),
        KEPT,
    )

    id: str = id_column()
    officer: str
    citizen: str
    presence: Presence = one_of(Presence)
    reason: str
    opened_at: datetime = moment(default_factory=now)
    idle_ends: datetime = moment()
    ends: datetime = moment()
    closed_at: datetime | None = moment(default=None, nullable=True)
    closed_by: str | None = None


class ActRecord(Row, table=True):
    """What an officer wanted to do in a session and its owner did not without the person's code. `to` is the address to which the
    code went, none where there is no sure one; `until` is how long the person's agreement holds, once given."""

    __tablename__ = "proposed_act"
    __table_args__ = (KEPT,)

    session_id: str = Field(primary_key=True, sa_type=Uuid(as_uuid=False), foreign_key="assisted_session.id")
    act: str = Field(primary_key=True)
    en: str
    fr: str
    proposed_at: datetime = moment(default_factory=now)
    to: str = ""
    until: datetime | None = moment(default=None, nullable=True)
