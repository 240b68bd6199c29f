"""The registry's tables. GraphQL shows other shapes of them (see `types`), because a register's facts are public and an
applicant's are not."""

from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import strawberry
from sqlalchemy import ARRAY, CheckConstraint, Column, Index, Sequence, String, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from services.kit.columns import id_column, moment, now, one_of
from services.kit.invitations import digest_column
from services.kit.roles import KEPT
from services.kit.text import Text, text_column


class Row(SQLModel, registry=registry()):
    """The base of the registry's tables."""


@strawberry.enum(description="The legal form of a business.")
class LegalType(Enum):
    SOLE_PROPRIETORSHIP = "SOLE_PROPRIETORSHIP"
    GENERAL_PARTNERSHIP = "GENERAL_PARTNERSHIP"
    NUMBERED_CORPORATION = "NUMBERED_CORPORATION"
    NAMED_CORPORATION = "NAMED_CORPORATION"

    @property
    def corporation(self) -> bool:
        """Whether the form is a corporation, whose name blocks identical ones."""
        return self in (LegalType.NUMBERED_CORPORATION, LegalType.NAMED_CORPORATION)


@strawberry.enum(description="A program that one application serves.")
class Program(Enum):
    BUSINESS_NAME = "BUSINESS_NAME"
    EMPLOYER_HEALTH_TAX = "EMPLOYER_HEALTH_TAX"
    RETAIL_SALES_TAX = "RETAIL_SALES_TAX"
    WORKERS_COMPENSATION = "WORKERS_COMPENSATION"


@strawberry.enum(description="How far an application is.")
class ApplicationStatus(Enum):
    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    COMPLETED = "COMPLETED"
    PARTLY_COMPLETED = "PARTLY_COMPLETED"
    WITHDRAWN = "WITHDRAWN"


@strawberry.enum(description="How far a program is with an application.")
class ProgramState(Enum):
    REQUESTED = "REQUESTED"
    APPROVED = "APPROVED"
    REFUSED = "REFUSED"


@strawberry.enum(description="How far the handing over of a business is.")
class TransferState(Enum):
    """OFFERED: it waits for who holds the code. ACCEPTED: the business is theirs. WITHDRAWN by who offered it. LAPSED: nobody
    took it in two weeks."""

    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    WITHDRAWN = "WITHDRAWN"
    LAPSED = "LAPSED"


# Fictitious numbers: nine digits that begin with 7 and end in a check digit. Numbers are never reused.
BUSINESS_NUMBERS = Sequence("business_number", start=70_000_001, maxvalue=79_999_999, metadata=Row.metadata)
CORPORATION_NUMBERS = Sequence("corporation_number", start=9_000_001, maxvalue=9_999_999, metadata=Row.metadata)


class ApplicationRecord(Row, table=True):
    """One application, from draft to the last program's answer. `applicant` is whose file it is: of a business that was handed
    over, its owner."""

    __tablename__ = "application"

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    applicant: str = Field(index=True)
    status: str
    legal_type: str
    name: str
    sector: str
    street: str
    city: str
    postal_code: str
    partners: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    created_at: datetime = moment(default_factory=now)
    submitted_at: datetime | None = moment(default=None, nullable=True)
    business_number: str | None = Field(default=None, index=True)
    name_decision: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB))
    similar_acknowledged: bool = False


class StatusRecord(Row, table=True):
    """A status that an application came into, and when."""

    __tablename__ = "application_status"

    id: int | None = Field(default=None, primary_key=True)
    application_id: UUID = Field(index=True, foreign_key="application.id")
    status: str
    at: datetime = moment(default_factory=now)


class BusinessRecord(Row, table=True):
    """A registered business. `registered_by` is whose it is: who registered it, or who has taken it over since."""

    __tablename__ = "business"

    business_number: str = Field(primary_key=True)
    legal_name: str
    legal_type: str
    sector: str
    status: str = "ACTIVE"
    registered_at: datetime = moment(default_factory=now)
    registered_by: str = Field(index=True)
    street: str
    city: str
    postal_code: str


class TransferRecord(Row, table=True):
    """That a business is offered to whoever holds a code, or was. Those that were accepted are the history of its owners: from
    `offered_by` to `taken_by` at `ended_at`. At most one is open for a business."""

    __tablename__ = "business_transfer"
    __table_args__ = (
        Index("uq_open_transfer", "business_number", unique=True, postgresql_where=text("state = 'OFFERED'")),
        CheckConstraint("(state = 'OFFERED') = (code_digest IS NOT NULL)", name="ck_transfer_open"),
        CheckConstraint("(state = 'OFFERED') = (ended_at IS NULL)", name="ck_transfer_ended"),
        CheckConstraint("(state = 'ACCEPTED') = (taken_by IS NOT NULL)", name="ck_transfer_taken"),
        KEPT,
    )

    id: str = id_column()
    business_number: str = Field(index=True, foreign_key="business.business_number")
    state: TransferState = one_of(TransferState, default=TransferState.OFFERED)
    offered_by: str = Field(index=True)
    offered_at: datetime = moment(default_factory=now)
    code_digest: bytes | None = digest_column()
    open_until: datetime = moment()
    taken_by: str | None = Field(default=None, index=True)
    ended_at: datetime | None = moment(default=None, nullable=True)


class ProgramRecord(Row, table=True):
    """What one program was asked, and what it answered."""

    __tablename__ = "program_status"
    __table_args__ = (UniqueConstraint("application_id", "program"),)

    request_id: UUID = Field(default_factory=uuid4, primary_key=True)
    application_id: UUID = Field(index=True, foreign_key="application.id")
    business_number: str = Field(index=True, foreign_key="business.business_number")
    program: str
    state: str = ProgramState.REQUESTED.value
    account_number: str | None = None
    reason: Text | None = text_column(default=None, nullable=True)
    requested_at: datetime = moment(default_factory=now)
    decided_at: datetime | None = moment(default=None, nullable=True)


class NameRecord(Row, table=True):
    """One form of a name that a business or a reservation holds, with the keys by which identical and similar ones are found.

    A corporation's name and a reserved one block: no two blocking names share an identical key, which the database itself
    guarantees. A reservation has a holder and an end; a registered name has a business number, and once given up an end too.
    The keys follow from the rules: `rule_version` says from which.
    """

    __tablename__ = "held_name"
    __table_args__ = (
        Index("uq_blocking_name", "identical_key", unique=True, postgresql_where=text("blocks")),
        Index("ix_name_phonetic", "phonetic", postgresql_using="gin"),
        Index("ix_name_stems", "stems", postgresql_using="gin"),
        CheckConstraint("(business_number IS NULL) = (reserved_until IS NOT NULL)", name="ck_name_has_one_holder"),
    )

    id: int | None = Field(default=None, primary_key=True)
    name: str
    identical_key: str = Field(index=True)
    words: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    phonetic: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    stems: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    legal_type: str
    blocks: bool
    business_number: str | None = Field(default=None, index=True, foreign_key="business.business_number")
    former_until: datetime | None = moment(default=None, nullable=True)
    reservation: UUID | None = Field(default=None, index=True)
    reserved_by: str | None = Field(default=None, index=True)
    reserved_until: datetime | None = moment(default=None, nullable=True)
    rule_version: str = Field(index=True)
