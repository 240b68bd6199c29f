"""The catalogue (Management Board): who delivers what, what each service promises, and what it achieved."""

import os
from pathlib import Path

import strawberry

from services.catalogue import cluster_files
from services.catalogue.loading import load
from services.catalogue.models import Cluster, GovernmentService, Ministry, current, service
from services.kit.database import Db

__all__ = ["service"]

DEFAULT_FOLDER = Path(__file__).parents[2] / "clusters"


@service.query()
async def clusters(db: Db) -> list[Cluster]:
    """The ministry clusters."""
    return await current(db, Cluster)


@service.query()
async def cluster(db: Db, code: str) -> Cluster | None:
    """One cluster by its code."""
    return await db.one(Cluster, code)


@service.query()
async def ministry(db: Db, code: str) -> Ministry | None:
    """One ministry by its code."""
    return await db.one(Ministry, code)


@service.query()
async def government_service(db: Db, code: strawberry.ID) -> GovernmentService | None:
    """One service of government by its code."""
    return await db.one(GovernmentService, str(code))


@service.seed
async def load_cluster_files(db: Db) -> None:
    """Load the cluster files of CLUSTERS_DIR at every start: they are the truth."""
    await load(db, cluster_files.read(Path(os.environ.get("CLUSTERS_DIR", DEFAULT_FOLDER))))
