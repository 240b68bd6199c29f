"""Numbers that the registry gives out: business numbers with a check digit, corporation numbers."""

from sqlalchemy import select
from stdnum import luhn

from services.business_registration.models import BUSINESS_NUMBERS, CORPORATION_NUMBERS
from services.kit.database import Db


async def business_number(db: Db) -> str:
    """A new business number: nine digits, the last a Luhn check digit. Source: Canada Revenue Agency, BN9."""
    (stem,) = (await db.execute(select(BUSINESS_NUMBERS.next_value()))).one()
    return f"{stem}{luhn.calc_check_digit(str(stem))}"


async def corporation_name(db: Db) -> str:
    """The name of a numbered corporation: `{number} Ontario Inc.`"""
    (number,) = (await db.execute(select(CORPORATION_NUMBERS.next_value()))).one()
    return f"{number} Ontario Inc."
