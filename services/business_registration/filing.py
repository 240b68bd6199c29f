"""Filing: a draft becomes a registered business, and each program is asked, in one transaction."""

import orjson
import strawberry

from services.business_registration.applications import Application, application_of, enter, named, own_draft
from services.business_registration.events import Address, BusinessRegistered, ProgramRequested
from services.business_registration.identifiers import business_number, corporation_name
from services.business_registration.models import (
    ApplicationRecord,
    ApplicationStatus,
    BusinessRecord,
    LegalType,
    Program,
    ProgramRecord,
)
from services.business_registration.names.decision import NameOutcome
from services.business_registration.naming import hold, settle
from services.business_registration.ownership import REGISTER
from services.business_registration.subgraph import service
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import now
from services.kit.database import Db
from services.kit.inputs import Input
from services.kit.language import Words


class SubmitApplicationInput(Input):
    """A draft to file. Similar names are no obstacle once the applicant has acknowledged them."""

    application_id: strawberry.ID
    acknowledge_similar_names: bool = False
    idempotency_key: strawberry.ID


async def _filing(db: Db, caller: Caller, log: AccessLog, input: SubmitApplicationInput) -> Words:
    record = await own_draft(db, caller, log, input.application_id)
    return Words(
        f"File the application for {named(record).en}: the business is registered and its programs are asked.",
        f"Déposer la demande pour {named(record).fr} : l’entreprise est inscrite et ses programmes sont saisis.",
    )


@service.mutation(scope=REGISTER, citizens_code=_filing)
async def submit_application(db: Db, caller: Caller, log: AccessLog, input: SubmitApplicationInput) -> Application:
    """File a draft: the name is settled, the business has its number, and every program is asked."""
    record = await own_draft(db, caller, log, input.application_id)
    await file(db, record, acknowledged=input.acknowledge_similar_names)
    return application_of(record)


async def file(db: Db, record: ApplicationRecord, *, acknowledged: bool) -> BusinessRecord:
    """Register what a draft applies for. Raises a refusal about the name, and has then changed nothing that lasts."""
    legal_type = LegalType(record.legal_type)
    if legal_type is LegalType.NUMBERED_CORPORATION:
        record.name = await corporation_name(db)
    else:
        decision = await settle(db, record.applicant, record.name, legal_type, acknowledged=acknowledged)
        record.name_decision = orjson.loads(orjson.dumps(decision))
        record.similar_acknowledged = decision.outcome is NameOutcome.SIMILAR
    business = BusinessRecord(
        business_number=await business_number(db),
        legal_name=record.name,
        legal_type=record.legal_type,
        sector=record.sector,
        registered_by=record.applicant,
        street=record.street,
        city=record.city,
        postal_code=record.postal_code,
    )
    db.add(business)
    await db.flush()  # what follows refers to its number
    hold(db, business)
    record.business_number, record.submitted_at = business.business_number, now()
    await enter(db, record, ApplicationStatus.SUBMITTED)
    _announce(db, business)
    for program in Program:
        _ask(db, program, record, business)
    return business


def _announce(db: Db, business: BusinessRecord) -> None:
    address = Address(street=business.street, city=business.city, province="ON", postal_code=business.postal_code)
    shared = {
        name: getattr(business, name)
        for name in ("business_number", "legal_name", "legal_type", "sector", "registered_at", "registered_by")
    }
    db.emit(BusinessRegistered(**shared, address=address))


def _ask(db: Db, program: Program, record: ApplicationRecord, business: BusinessRecord) -> None:
    asked = ProgramRecord(application_id=record.id, business_number=business.business_number, program=program.value)
    db.add(asked)
    db.emit(
        ProgramRequested(
            request_id=str(asked.request_id),
            application_id=str(record.id),
            business_number=business.business_number,
            legal_name=business.legal_name,
            legal_type=business.legal_type,
            sector=business.sector,
            program=program.value,
        )
    )
