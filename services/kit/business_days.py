"""Ontario's business days: not Saturday, not Sunday, not a public holiday. Dates are Ontario's, whatever UTC says."""

from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

ONTARIO = ZoneInfo("America/Toronto")
SATURDAY = 5


@cache
def _public_holidays() -> holidays.HolidayBase:
    return holidays.country_holidays("CA", subdiv="ON")


def today() -> date:
    """The present day in Ontario."""
    return datetime.now(ONTARIO).date()


def day_of(moment: datetime) -> date:
    """The day that a moment has in Ontario."""
    return moment.astimezone(ONTARIO).date()


def is_business_day(day: date) -> bool:
    """Whether offices work. Source: public holidays of the Employment Standards Act, 2000, by the library `holidays`."""
    return day.weekday() < SATURDAY and day not in _public_holidays()


def after(day: date, business_days: int) -> date:
    """The day that is so many business days after another."""
    while business_days > 0:
        day += timedelta(days=1)
        business_days -= is_business_day(day)
    return day
