"""The held names that could be like another: found by index, few enough to compare one by one."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import reduce
from operator import add

from sqlalchemy import ColumnElement, any_, case, func, literal, literal_column, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped
from sqlalchemy.types import String
from sqlmodel import col

from services.business_registration.models import NameRecord
from services.business_registration.names.decision import Holder
from services.business_registration.names.keys import Keys, consonants, distinctive, keys_of, sound, stem
from services.business_registration.names.normalise import forms
from services.business_registration.names.similarity import SOUND
from services.kit.database import Db

MOST = 200
MOST_RANKED = 6  # words: a name of more has no need of finer order
_EVER: ColumnElement[datetime] = literal_column("'infinity'::timestamptz")
LONGEST = 500  # characters: nothing longer is a name, and is not looked up


async def candidates(db: Db, name: str) -> list[Holder]:
    """Names with an identical key, first, then those that share telling words by stem or sound, those that share most first."""
    keys = [keys_of(form) for form in forms(name[:LONGEST])]
    stems = sorted({stem for one in keys for stem in one.stems})
    sounds = sorted({sound for one in keys for sound in one.phonetic})
    same = col(NameRecord.identical_key).in_([one.identical_key for one in keys if one.identical_key])
    alike = or_(col(NameRecord.stems).op("&&")(_texts(stems)), col(NameRecord.phonetic).op("&&")(_texts(sounds)))
    nearest = (same.desc(), _likely(keys).desc(), func.cardinality(col(NameRecord.stems)), col(NameRecord.id))
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


def _likely(keys: Sequence[Keys]) -> ColumnElement[float]:
    """About how alike a held name will be found by `likeness`, from its keys alone: what its words share with one form of the
    name, by stem or else by sound, over the lengths of both."""
    return func.greatest(literal(0.0), *(_likely_form(one) for one in keys if one.words))


def _likely_form(one: Keys) -> ColumnElement[float]:
    telling = distinctive(one.words)[:MOST_RANKED]
    trades = [word for word in one.words if word not in telling][:MOST_RANKED]
    stems, sounds = col(NameRecord.stems), col(NameRecord.phonetic)
    shared = _sum(
        case(
            (_in(stem(word), stems), 1.0),
            (or_(*(_in(key, sounds) for key in sorted(consonants(word) or {sound(word)}))), SOUND),
            else_=0.0,
        )
        for word in telling
    )
    described = _sum(case((_in(word, col(NameRecord.words)), 1.0), else_=0.0) for word in trades)
    # A name of n telling words has up to 2n - 1 stems: theirs, and those of neighbours run together.
    telling_there = (func.cardinality(stems) + 1) / 2.0
    return shared / func.sqrt(len(telling) * telling_there) + (shared + described) / func.sqrt(
        len(one.words) * func.cardinality(col(NameRecord.words))
    )


def _sum(terms: Iterable[ColumnElement[float]]) -> ColumnElement[float]:
    return reduce(add, terms, literal(0.0))


def _texts(values: list[str]) -> ColumnElement[list[str]]:
    return literal(values, ARRAY(String))


def _in(key: str, column: Mapped[list[str]]) -> ColumnElement[bool]:
    return literal(key) == any_(column)  # cheaper than @> on every row
