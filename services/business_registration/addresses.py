"""A business moves: its owner tells the register once, and whoever keeps its address hears of it."""

import strawberry
from sqlmodel import col, select

from services.business_registration import refusals
from services.business_registration.applications import AddressInput
from services.business_registration.events import Address, BusinessAddressChanged
from services.business_registration.models import BusinessRecord
from services.business_registration.ownership import ADDRESS, REGISTER
from services.business_registration.register import Business, business_of
from services.business_registration.subgraph import service
from services.kit.access_log import AccessLog
from services.kit.caller import Caller
from services.kit.columns import now
from services.kit.database import Db
from services.kit.inputs import Input
from services.kit.language import Words
from services.kit.ownership import owned


class ChangeBusinessAddressInput(Input):
    """Where the business is from now on."""

    business_number: strawberry.ID
    address: AddressInput


async def _own(db: Db, caller: Caller, log: AccessLog, input: ChangeBusinessAddressInput) -> BusinessRecord:
    """The caller's business that is elsewhere, noted and locked until the transaction ends. Raises BusinessUnknown,
    AddressUnchanged."""
    mine = owned(caller, col(BusinessRecord.registered_by), col(BusinessRecord.business_number))
    wanted = select(BusinessRecord).where(col(BusinessRecord.business_number) == input.business_number, mine)
    record: BusinessRecord | None = await db.first(wanted.with_for_update())
    if record is None:
        raise refusals.BusinessUnknown
    log.note(record.registered_by, ADDRESS, record.business_number)
    given = input.address
    if (record.street, record.city, record.postal_code) == (given.street, given.city, given.postal_code):
        raise refusals.AddressUnchanged
    return record


async def _move(db: Db, caller: Caller, log: AccessLog, input: ChangeBusinessAddressInput) -> Words:
    record, to = await _own(db, caller, log, input), input.address
    place = f"{to.street}, {to.city} {to.postal_code}"
    return Words(
        f"Change the address of “{record.legal_name}” to {place}.",
        f"Changer l’adresse de «\u00a0{record.legal_name}\u00a0» pour {place}.",
    )


@service.mutation(scope=REGISTER, citizens_code=_move)
async def change_business_address(
    db: Db, caller: Caller, log: AccessLog, input: ChangeBusinessAddressInput
) -> Business:
    """Move a business of the caller's own within Ontario. Refused: BUSINESS_UNKNOWN, ADDRESS_UNCHANGED, NOT_IN_ONTARIO."""
    record, to = await _own(db, caller, log, input), input.address
    record.street, record.city, record.postal_code = to.street, to.city, to.postal_code
    moved = Address(street=to.street, city=to.city, province="ON", postal_code=to.postal_code)
    db.emit(BusinessAddressChanged(business_number=record.business_number, address=moved, changed_at=now()))
    return business_of(record)
