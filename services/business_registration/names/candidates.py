"""The held names that could be like another: found by index, few enough to compare one by one."""

from sqlalchemy import func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String
from sqlmodel import col

from services.business_registration.models import NameRecord
from services.business_registration.names.decision import Holder
from services.business_registration.names.keys import keys_of
from services.kit.database import Db

MOST = 200
LONGEST = 500  # characters: nothing longer is a name, and is not looked up


async def candidates(db: Db, name: str) -> list[Holder]:
    """Names with the same identical key, first, then those that share a telling word by stem or sound, the nearest first."""
    keys = keys_of(name[:LONGEST])
    if not keys.identical_key:
        return []
    stems, sounds = literal(list(keys.stems), ARRAY(String)), literal(list(keys.phonetic), ARRAY(String))
    same = col(NameRecord.identical_key) == keys.identical_key
    live = or_(col(NameRecord.reserved_until).is_(None), col(NameRecord.reserved_until) > func.now())
    alike = or_(col(NameRecord.stems).op("&&")(stems), col(NameRecord.phonetic).op("&&")(sounds))
    held = (NameRecord.name, NameRecord.identical_key, NameRecord.business_number, NameRecord.blocks)
    whole = col(NameRecord.stems).op("@>")(stems)  # holds every telling word of the name
    within = col(NameRecord.stems).op("<@")(stems)  # has no other telling word than the name
    nearest = (same.desc(), whole.desc(), within.desc(), col(NameRecord.id))
    found = await db.execute(select(*map(col, held)).where(or_(same, alike), live).order_by(*nearest).limit(MOST))
    return [Holder(*row) for row in found]
