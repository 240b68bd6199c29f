"""Opening hours: what a published text of hours says, and what an instant is on the wall clock of Ontario."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import holidays

TORONTO = ZoneInfo("America/Toronto")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_INTERVAL = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
# A day's hours: (opens, closes) as HH:MM. Closing at or before the opening means the next day; 00:00 is midnight.
Intervals = tuple[tuple[str, str], ...]


class HoursMalformed(ValueError):
    """A text that no rule here reads as hours."""


def parse_day(text: str) -> Intervals | None:
    """The hours of one day: `09:00-17:00`, `10:00-12:30&13:00-17:30`, `08:00-00:00` (until midnight), `closed`.

    None when nothing is said, which is not the same as closed (an empty tuple). `00:00-00:00` is the whole day.
    Raises HoursMalformed, also for parts of a day that overlap.
    """
    cleaned = text.strip().lower().replace(" ", "")
    if not cleaned:
        return None
    if cleaned == "closed":
        return ()
    found = []
    for part in cleaned.split("&"):
        if _INTERVAL.fullmatch(part) is None:
            raise HoursMalformed(text)
        opens, closes = part.split("-")
        if opens == closes != "00:00":
            raise HoursMalformed(text)
        found.append((opens, closes))
    found.sort()
    for (_, closes), (opens, _) in pairwise(found):
        if closes == "00:00" or closes > opens:
            raise HoursMalformed(text)
    return tuple(found)


def weekly(days: dict[str, Intervals]) -> list[tuple[str, str, str]]:
    """Days that share an interval told together: (`MO,TU`, opens, closes), in the order of the week."""
    shared: dict[tuple[str, str], list[str]] = {}
    for day in DAYS:
        for interval in days.get(day, ()):
            shared.setdefault(interval, []).append(day)
    return [(",".join(names), opens, closes) for (opens, closes), names in shared.items()]


@cache
def _calendar() -> holidays.HolidayBase:
    return holidays.country_holidays("CA", subdiv="ON")


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as a schedule meets it: the day and time in Toronto, the day before (for hours that run past
    midnight), and whether each is a public holiday of Ontario."""

    today: str
    yesterday: str
    date: str
    date_before: str
    time: str
    is_holiday: bool
    was_holiday: bool


def moment(instant: datetime) -> Moment:
    """The moment of an instant; one without a zone is on Ontario's clock. Raises ValueError outside the years 1900-2100."""
    if not 1900 <= instant.year <= 2100:
        raise ValueError("outside the years 1900 to 2100")
    local = instant.astimezone(TORONTO) if instant.tzinfo else instant.replace(tzinfo=TORONTO)
    day, before = local.date(), local.date() - timedelta(days=1)
    calendar = _calendar()
    return Moment(
        today=DAYS[day.weekday()],
        yesterday=DAYS[before.weekday()],
        date=day.isoformat(),
        date_before=before.isoformat(),
        time=f"{local:%H:%M}",
        is_holiday=day in calendar,
        was_holiday=before in calendar,
    )
