"""Publishing what a month achieved, for standards that no file is imported for. By administrators of the ministry that
promises."""

from datetime import UTC, date, datetime

import strawberry
from sqlalchemy.dialects.postgresql import insert

from services.catalogue.models import ONTARIO, GovernmentService, MeasuredResult, ServiceStandard, service
from services.kit.caller import Caller
from services.kit.database import Db
from services.kit.inputs import Input, rule
from services.kit.refusals import Refusal

EDIT = "catalogue:edit"
EARLIEST = date(1990, 1, 1)


class StandardUnknown(
    Refusal,
    field="standardCode",
    en="No service standard in force has the code {code}; take it from the service’s standards.",
    fr="Aucune norme de service en vigueur ne porte le code {code}; prenez-le parmi les normes du service.",
):
    """Results belong to a promise that holds."""


class OthersStandard(
    Refusal,
    field="standardCode",
    en="The standard {code} is another ministry’s. Ask an administrator there to publish its results.",
    fr="La norme {code} relève d’un autre ministère. Demandez à son administration d’en publier les résultats.",
):
    """Each ministry says itself what it achieved."""


class LineUnknown(
    Refusal,
    field="line",
    en="This standard does not count that line. It counts: {lines}.",
    fr="Cette norme ne compte pas cette ligne. Elle compte : {lines}.",
):
    """Which lines a standard counts is data of its cluster’s file."""


class MonthNotOver(
    Refusal,
    field="month",
    en="{month} is not over; publish its result afterwards.",
    fr="Le mois {month} n’est pas terminé; publiez son résultat ensuite.",
):
    """A result speaks of a whole month."""


class PublishMeasureInput(Input):
    """What a month achieved. `value` is in the standard’s unit; `month` is any day of the month; `line` is one of the
    standard’s telephone lines, absent where it has none."""

    standard_code: strawberry.ID = rule(max_length=80)
    month: date = rule(ge=EARLIEST)
    line: str | None = rule(default=None, max_length=200)
    value: float = rule(ge=0, le=1_000_000)
    volume: int = rule(ge=0)
    idempotency_key: strawberry.ID


@service.mutation(scope=EDIT, policy="second_factor")
async def publish_measure(db: Db, caller: Caller, input: PublishMeasureInput) -> ServiceStandard:
    """Publish what a month achieved, or correct it, for a service of your own ministry. Refused: STANDARD_UNKNOWN,
    OTHERS_STANDARD, LINE_UNKNOWN, MONTH_NOT_OVER."""
    standard = await db.one(ServiceStandard, input.standard_code)
    if standard is None or standard.retired_at is not None:
        raise StandardUnknown(code=input.standard_code)
    promised = await db.one(GovernmentService, standard.service_code)
    if promised is None or promised.ministry_code not in caller.ministries:
        raise OthersStandard(code=standard.code)
    line = input.line or ""
    if line not in (standard.lines or [""]):
        raise LineUnknown(lines=", ".join(standard.lines) or "—")
    month = input.month.replace(day=1)
    if month >= datetime.now(ONTARIO).date().replace(day=1):
        raise MonthNotOver(month=f"{month:%Y-%m}")
    measured = {
        "value": input.value,
        "volume": input.volume,
        "target": standard.target,
        "published_at": datetime.now(UTC),
        "published_by": caller.subject,
    }
    published = insert(MeasuredResult).values(standard_code=standard.code, month=month, line=line, **measured)
    # A month that was published already is corrected, also when two are published at once.
    await db.execute(published.on_conflict_do_update(index_elements=["standard_code", "month", "line"], set_=measured))
    return standard
