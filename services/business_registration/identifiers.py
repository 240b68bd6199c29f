"""Numbers that the registry gives out: business numbers with a check digit, corporation numbers."""

from sqlalchemy import select
from stdnum import luhn

from services.business_registration.models import BUSINESS_NUMBERS, CORPORATION_NUMBERS
from services.kit.database import Db


async def business_number(db: Db) -> str:
    """A new business number."""
    (stem,) = (await db.execute(select(BUSINESS_NUMBERS.next_value()))).one()
    return checked(stem)


def checked(stem: int) -> str:
    """Eight digits with a Luhn check digit after them. Source: Canada Revenue Agency, BN9."""
    return f"{stem}{luhn.calc_check_digit(str(stem))}"


def is_business_number(text: str) -> bool:
    """Whether a text can be a business number: nine digits of ASCII, the last one right for the others."""
    return len(text) == 9 and text.isascii() and text.isdecimal() and luhn.is_valid(text)


async def corporation_name(db: Db) -> str:
    """The name of a numbered corporation: `{number} Ontario Inc.`"""
    (number,) = (await db.execute(select(CORPORATION_NUMBERS.next_value()))).one()
    return f"{number} Ontario Inc."
