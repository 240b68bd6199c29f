"""Loads the cluster files into the catalogue: what they say is added or changed, what they no longer say is retired."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import SQLModel

from services.catalogue import cluster_files
from services.catalogue.models import Cluster, ClusterMinistry, GovernmentService, Ministry, ServiceStandard
from services.kit.database import Db
from services.kit.text import Text


async def load(db: Db, clusters: Iterable[cluster_files.Cluster]) -> None:
    """Bring the catalogue up to the cluster files, in the caller's transaction. Loading the same twice changes nothing."""
    rows: dict[type[SQLModel], dict[Any, dict[str, Any]]] = {
        model: {} for model in (Cluster, Ministry, GovernmentService, ServiceStandard)
    }
    links: list[dict[str, str]] = []
    for cluster in clusters:
        rows[Cluster][cluster.code] = {
            "code": cluster.code,
            "name": _text(cluster.name),
            "vision": _text(cluster.vision),
        }
        for ministry in cluster.ministries:
            rows[Ministry][ministry.code] = {"code": ministry.code, "name": _text(ministry.name)}
            links.append({"cluster": cluster.code, "ministry": ministry.code})
        for given in cluster.services:
            rows[GovernmentService][given.code] = _service(cluster.code, given)
            for standard in given.standards:
                rows[ServiceStandard][standard.code] = {
                    "code": standard.code,
                    "service_code": given.code,
                    "name": _text(standard.name),
                    **standard.model_dump(include={"target", "unit", "percent"}),
                }
    for model, wanted in rows.items():
        await _replace(db, model, list(wanted.values()))
    await db.execute(insert(ClusterMinistry).on_conflict_do_nothing(), links)


def _service(cluster: str, given: cluster_files.GovernmentService) -> dict[str, Any]:
    texts = ("name", "description", "how_it_works", "expected_of_you", "takes")
    return {
        "code": given.code,
        "cluster_code": cluster,
        "ministry_code": given.ministry,
        "channels": list(given.channels),
        "fee_cents": given.fee_cents,
        **{name: _text(getattr(given, name)) for name in texts},
    }


async def _replace(db: Db, model: Any, rows: list[dict[str, Any]]) -> None:
    given = insert(model)
    changes = {name: given.excluded[name] for name in rows[0] if name != "code"} if rows else {}
    if rows:
        await db.execute(
            given.on_conflict_do_update(index_elements=["code"], set_={**changes, "retired": False}),
            [{**row, "retired": False} for row in rows],
        )
    codes = [row["code"] for row in rows]
    await db.execute(update(model).where(model.code.not_in(codes)).values(retired=True))


def _text(both: cluster_files.Both) -> Text:
    return Text(en=both.en, fr=both.fr)
