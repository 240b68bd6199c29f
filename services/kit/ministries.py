"""Ministries, by their codes: which owns a service, as the cluster files say; for which somebody works, as their token says.

A ministry may be part of two clusters and is the same in both. Nothing here needs a database.
"""

import os
import re
import tomllib
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path

CLUSTERS = Path(__file__).parents[2] / "clusters"
_MINISTRY = re.compile(r"/[a-z0-9-]+/([a-z0-9-]+)")  # a group within a cluster's


def folder() -> Path:
    """Where the cluster files are: in the repository, unless CLUSTERS_DIR names another folder."""
    return Path(os.environ.get("CLUSTERS_DIR") or CLUSTERS)


def of_groups(groups: object) -> frozenset[str]:
    """The ministries among the groups that a token names, `/cluster/ministry` each; none where it names no groups. A cluster by
    itself is no ministry, nor is any other group.

    Raises ValueError for what is no list of texts. Source of the claim's name: RFC 9068, section 2.2.3.1.
    """
    if groups is None:
        return frozenset()
    if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
        raise ValueError("groups")
    return frozenset(found[1] for group in groups if (found := _MINISTRY.fullmatch(group)))


@cache
def owners() -> Mapping[str, str]:
    """The ministry that owns each service, by the service's name, as the cluster files say at the first call.

    Raises OSError and ValueError for a folder or file that cannot be read or names no service, KeyError for a subgraph without
    name or owner.
    """
    files = (tomllib.loads(file.read_text(encoding="utf-8-sig")) for file in sorted(folder().glob("*.toml")))
    found = {entry["name"]: entry["owner"] for said in files for entry in said.get("subgraphs", ())}
    if not found:
        raise ValueError(f"{folder()} names no service")
    return found


def owned(ministries: Collection[str]) -> list[str]:
    """The services that some ministries own, by name."""
    return [service for service, owner in owners().items() if owner in ministries]
