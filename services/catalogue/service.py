"""The catalogue: who delivers what, what it promises and what was really achieved. Importing this declares the service.

Reading is public. What the cluster files say is changed there; results are imported, or published by administrators.
"""

import strawberry
from sqlmodel import col, select

from services.catalogue import publishing  # noqa: F401 - declares its mutation
from services.catalogue.cluster_file import ClusterEntry
from services.catalogue.cluster_folder import read_folder
from services.catalogue.loading import load
from services.catalogue.models import Cluster, GovernmentService, Ministry, service
from services.kit import ministries
from services.kit.database import Db

__all__ = ["service"]


@service.query()
async def clusters(db: Db) -> list[Cluster]:
    """The clusters of the government, by code."""
    return await db.all(select(Cluster).where(col(Cluster.retired_at).is_(None)).order_by(col(Cluster.code)))


@service.query()
async def cluster(db: Db, code: strawberry.ID) -> Cluster | None:
    """A cluster by its code, a retired one included."""
    return await db.one(Cluster, code)


@service.query()
async def ministry(db: Db, code: strawberry.ID) -> Ministry | None:
    """A ministry by its code, a retired one included."""
    return await db.one(Ministry, code)


@service.query()
async def government_service(db: Db, code: strawberry.ID) -> GovernmentService | None:
    """A service of the government by its code, a retired one included."""
    return await db.one(GovernmentService, code)


@service.check
def cluster_files() -> tuple[ClusterEntry, ...]:
    """The cluster files, from CLUSTERS_DIR or the repository. Raises ClusterFilesRefused: a bad file stops the start."""
    return read_folder(ministries.folder())


@service.seed
async def load_clusters(db: Db) -> None:
    """What the cluster files say, into the database."""
    await load(db, cluster_files())
