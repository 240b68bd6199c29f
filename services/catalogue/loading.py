"""Brings the database up to the cluster files: adds, changes, and retires what no file names any more.

Nothing is deleted: other services refer to a service by its code long after its cluster has dropped it.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy import func, inspect
from sqlalchemy.orm import Mapper
from sqlmodel import SQLModel, select
from strawberry import ID

from services.catalogue.cluster_file import Bilingual, ClusterEntry, ServiceEntry, StandardEntry
from services.catalogue.models import Cluster, GovernmentService, Membership, Ministry, ServiceStandard
from services.kit.database import Db
from services.kit.text import Text

LOCK = 0x0C_A7_A1  # any number that nobody else of this database uses
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Loaded:
    """What a loading did, in rows."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    retired: int = 0


async def load(db: Db, clusters: Sequence[ClusterEntry]) -> Loaded:
    """Make the tables say what the files say. The second time finds everything unchanged, also when two start at once."""
    await db.execute(func.pg_advisory_xact_lock(LOCK).select())
    done = Loaded()
    wanted: list[SQLModel] = []
    for cluster in clusters:
        wanted.append(Cluster(code=ID(cluster.code), name=_text(cluster.name), vision=_text(cluster.vision)))
        wanted += [Ministry(code=ID(m.code), name=_text(m.name)) for m in cluster.ministries]
        wanted += [Membership(cluster_code=cluster.code, ministry_code=m.code) for m in cluster.ministries]
        for service in cluster.services:
            wanted.append(_service(cluster, service))
            wanted += [_standard(service, standard) for standard in service.standards]
    for model in (Cluster, Ministry, Membership, GovernmentService, ServiceStandard):
        rows = {_key(row): row for row in wanted if isinstance(row, model)}
        held = {_key(row): row for row in await db.all(select(model))}
        await _bring_up(db, rows, held, done)
    log.info("clusters_loaded", added=done.added, changed=done.changed, retired=done.retired)
    return done


async def _bring_up(db: Db, rows: Mapping[Hashable, SQLModel], held: Mapping[Hashable, SQLModel], done: Loaded) -> None:
    for key, row in rows.items():
        if (old := held.get(key)) is None:
            db.add(row)
            done.added += 1
            continue
        values = {name: getattr(row, name) for name in type(row).model_fields}
        differing = {name: value for name, value in values.items() if getattr(old, name) != value}
        for name, value in differing.items():
            setattr(old, name, value)
        done.changed += bool(differing)
        done.unchanged += not differing
    for key in held.keys() - rows.keys():
        old = held[key]
        if isinstance(old, Membership):
            await db.session.delete(old)
        elif getattr(old, "retired_at") is None:  # noqa: B009 - not every table has it
            setattr(old, "retired_at", datetime.now(UTC))  # noqa: B010
        else:
            continue
        done.retired += 1
    await db.flush()


def _key(row: SQLModel) -> Hashable:
    mapper: Mapper[Any] = inspect(type(row))
    return tuple(getattr(row, str(column.key)) for column in mapper.primary_key)


def _text(text: Bilingual) -> Text:
    return Text(en=text.en, fr=text.fr)


def _service(cluster: ClusterEntry, service: ServiceEntry) -> GovernmentService:
    texts: dict[str, Any] = {
        name: _text(getattr(service, name)) for name in ("name", "description", "process", "expected", "duration")
    }
    return GovernmentService(
        code=ID(service.code),
        cluster_code=cluster.code,
        ministry_code=service.ministry,
        channel_names=[channel.value for channel in service.channels],
        fee_data=[{"from": fee.since.isoformat(), "cents": fee.cents} for fee in service.fees],
        **texts,
    )


def _standard(service: ServiceEntry, standard: StandardEntry) -> ServiceStandard:
    return ServiceStandard(
        code=ID(standard.code),
        service_code=service.code,
        name=_text(standard.name),
        target=standard.target,
        unit=standard.unit,
        percent=standard.percent,
        lines=list(standard.lines),
    )
