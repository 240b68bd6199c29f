"""The held names that could be like another: found by index, few enough to compare one by one."""

from datetime import datetime
from functools import reduce
from operator import add

from sqlalchemy import ColumnElement, Integer, any_, cast, func, literal, literal_column, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String
from sqlmodel import col

from services.business_registration.models import NameRecord
from services.business_registration.names.decision import Holder
from services.business_registration.names.keys import keys_of
from services.business_registration.names.normalise import forms
from services.kit.database import Db

MOST = 200
MOST_RANKED = 6  # stems: a name of more has no need of finer order
_EVER: ColumnElement[datetime] = literal_column("'infinity'::timestamptz")
LONGEST = 500  # characters: nothing longer is a name, and is not looked up


async def candidates(db: Db, name: str) -> list[Holder]:
    """Names with an identical key, first, then those that share telling words by stem or sound, those that share most first."""
    keys = [keys_of(form) for form in forms(name[:LONGEST])]
    stems = sorted({stem for one in keys for stem in one.stems})
    sounds = sorted({sound for one in keys for sound in one.phonetic})
    same = col(NameRecord.identical_key).in_([one.identical_key for one in keys if one.identical_key])
    alike = or_(col(NameRecord.stems).op("&&")(_texts(stems)), col(NameRecord.phonetic).op("&&")(_texts(sounds)))
    shared: ColumnElement[int] = reduce(add, (_holds(stem) for stem in stems[:MOST_RANKED]), literal(0))
    nearest = (same.desc(), shared.desc(), func.cardinality(col(NameRecord.stems)), col(NameRecord.id))
    columns = (
        NameRecord.name,
        NameRecord.identical_key,
        NameRecord.words,
        NameRecord.business_number,
        NameRecord.blocks,
        NameRecord.former_until,
    )
    query = select(*map(col, columns)).where(or_(same, alike), live()).order_by(*nearest).limit(MOST)
    return [
        Holder(
            row.name, row.identical_key, tuple(row.words), row.business_number, row.blocks, row.former_until is not None
        )
        for row in await db.execute(query)
    ]


def live() -> ColumnElement[bool]:
    """Whether a name is still held: a reservation until its end, a former name for ten years, others for good."""
    return func.coalesce(NameRecord.reserved_until, NameRecord.former_until, _EVER) > func.now()


def _texts(values: list[str]) -> ColumnElement[list[str]]:
    return literal(values, ARRAY(String))


def _holds(stem: str) -> ColumnElement[int]:
    return cast(literal(stem) == any_(col(NameRecord.stems)), Integer)  # cheaper than @> on every row
