"""What the audit's tests stand on: entries in a real database, a sealer, a chain that is computed again from its first seal."""

from collections.abc import Sequence
from secrets import token_hex

import pytest
from joserfc.jwk import OKPKey
from sqlalchemy import insert, select, text

from services.kit import access_log, database
from services.kit.audit import chain, tables
from services.kit.audit.chain import Seal
from services.kit.audit.sealer import Sealer
from services.kit.database import Database
from services.kit.testing.database import url_of

NAME = "water_permits"
TRIGGERS = "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal"


@pytest.fixture(scope="session")
def key() -> OKPKey:
    """The service's key."""
    return OKPKey.generate_key("Ed25519", {"kid": f"{NAME}-20260101T000000.000000Z"})


@pytest.fixture
def sealer(db: Database, key: OKPKey) -> Sealer:
    return sealer_of(db, key)


def sealer_of(db: Database, key: OKPKey | None) -> Sealer:
    return Sealer(db, NAME, [access_log.SEALED], lambda: key)


async def add(db: Database, count: int, **columns: object) -> None:
    """Entries, in one transaction."""
    given = {"actor": "clerk", "act": "READ", "subject": "ann", "category": "permits", "request_id": "r", **columns}
    async with db.transaction() as inside:
        rows = [{**given, "fetch_id": token_hex(8)} for _ in range(count)]
        await inside.execute(insert(access_log.entries), rows)


async def sealed(db: Database) -> Sequence[Seal]:
    """The chain, whose every link holds, whose every digest is that of its entry, and whose every head is where it says."""
    async with db.transaction() as inside:
        links = [Seal(*row) for row in await inside.execute(select(tables.seals).order_by(tables.seals.c.seq))]
        held = {row["id"]: dict(row) for row in (await inside.execute(select(access_log.entries))).mappings()}
        heads = [(count, hash_) for count, hash_, *_ in await inside.execute(select(tables.heads))]
        waiting = set((await inside.execute(select(tables.unsealed.c.id))).scalars())
    prev = chain.first(NAME)
    for seq, link in enumerate(links, start=1):
        entry = held[link.entry_id]
        assert (link.seq, link.prev) == (seq, prev)
        assert link.digest == chain.digest_of(entry["salt"], chain.payload(entry))
        assert link.hash == chain.linked(link.prev, link.entry_id, link.digest, link.keep_until)
        prev = link.hash
    assert set(heads) <= {(link.seq, link.hash) for link in links}
    assert not links or (links[-1].seq, links[-1].hash) in heads
    assert held.keys() == waiting | {link.entry_id for link in links}
    assert not waiting & {link.entry_id for link in links}
    return links


async def superuser(postgres_url: str, db: Database, *statements: str) -> None:
    """Do what only somebody with power over the database can: triggers off, whatever is asked."""
    opened = database.connect(url_of(postgres_url, db.engine.url.database or ""), "test", pool_size=1)
    try:
        async with opened.transaction() as inside:
            for name, trigger in (await inside.execute(text(TRIGGERS))).all():
                await inside.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER {trigger}"))
            for statement in statements:
                await inside.execute(text(statement))
            for name, trigger in (await inside.execute(text(TRIGGERS))).all():
                await inside.execute(text(f"ALTER TABLE {name} ENABLE ALWAYS TRIGGER {trigger}"))
    finally:
        await opened.close()
