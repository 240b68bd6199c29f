"""The businesses that the registry announced, as far as accounts need them: whose each is."""

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import select

from services.accounts.models import KnownBusiness, service
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.events import Event
from services.kit.refusals import Refusal


class BusinessNotYours(
    Refusal,
    field="businessNumber",
    en="You own no business with this number. Look in your businesses; a new one may take a minute to be known here.",
    fr="Vous n’avez aucune entreprise portant ce numéro. Consultez vos entreprises; une nouvelle y paraît après une minute.",
):
    """The same answer whether it does not exist or is someone else’s."""


class BusinessRegistered(Event, type="business.registered.v1", subject="business_number"):
    """A business stands on the register. The fields that accounts read of it."""

    business_number: str
    legal_name: str
    registered_by: str


@service.on(BusinessRegistered)
async def know_business(event: BusinessRegistered, db: Db) -> None:
    """Note a business and whose it is. What comes again changes nothing."""
    known = KnownBusiness(number=event.business_number, name=event.legal_name, owner=event.registered_by)
    await db.execute(insert(KnownBusiness).values(known.model_dump()).on_conflict_do_nothing())


async def own_business(db: Db, caller: Caller, number: str) -> KnownBusiness:
    """The caller's business of a number, which stays theirs until the transaction ends. Raises BusinessNotYours."""
    wanted = select(KnownBusiness).where(KnownBusiness.number == number.replace(" ", ""))
    business: KnownBusiness | None = await db.first(wanted.with_for_update(read=True))
    if business is None or not caller.owns(business.owner, business.number):
        raise BusinessNotYours
    return business
