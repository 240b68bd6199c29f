"""The database follows the cluster files: idempotently, changed rows only, nothing lost that others refer to."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from services.catalogue.loading import Loaded
from services.catalogue.service import service
from services.kit.database import Database
from services.kit.testing.client import Client
from tests.services.catalogue.conftest import loaded, seeded


@pytest.fixture
def rows() -> int:
    """Of the small file: cluster, ministry, membership, service, standard."""
    return 5


def edit(folder: Path, *edits: tuple[str, str]) -> None:
    path = folder / "river.toml"
    text = path.read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


async def fishing(database: Database, fields: str) -> Any:
    text = f'{{ governmentService(code: "fishing-licence") {{ {fields} }} }}'
    answer = await Client(service, database).run(text)
    assert not answer.errors, answer.body
    return answer.data["governmentService"]


class TestLoading:
    async def test_the_second_time_nothing_changes(self, database: Database, folder: Path, rows: int) -> None:
        assert await loaded(database, folder) == Loaded(added=rows)
        assert await loaded(database, folder) == Loaded(unchanged=rows)

    async def test_the_repositorys_own_files_load_twice_alike(self, client: Client) -> None:
        again = await loaded(client.database, Path(__file__).parents[3] / "clusters")
        assert (again.added, again.changed, again.retired) == (0, 0, 0)
        assert again.unchanged > 100

    async def test_what_was_edited_is_changed_alone(self, database: Database, folder: Path, rows: int) -> None:
        await loaded(database, folder)
        edit(
            folder,
            ("Permis de pêche", "Licence de pêche"),
            ("cents = 1500", "cents = 1600"),
            ("target = 2", "target = 3"),
        )
        assert await loaded(database, folder) == Loaded(changed=2, unchanged=rows - 2)
        found = await fishing(database, "name { fr } feeCents standards { target }")
        assert found == {"name": {"fr": "Licence de pêche"}, "feeCents": 1600, "standards": [{"target": 3.0}]}

    async def test_what_is_dropped_leaves_the_lists_and_keeps_its_name(self, database: Database, folder: Path) -> None:
        await loaded(database, folder)
        text = (folder / "river.toml").read_text()
        (folder / "river.toml").write_text(text[: text.index("[[services]]")])
        done = await loaded(database, folder)
        assert (done.retired, done.unchanged) == (2, 3)
        answer = await Client(service, database).run('{ cluster(code: "river") { services { code } } }')
        assert answer.data["cluster"]["services"] == []
        found = await fishing(database, "name { en } retiredAt standards { code }")
        assert found["name"] == {"en": "Fishing licence"}
        assert found["retiredAt"]
        assert found["standards"] == []
        assert (await loaded(database, folder)).retired == 0

    async def test_what_comes_back_is_in_force_again(self, database: Database, folder: Path, rows: int) -> None:
        await loaded(database, folder)
        text = (folder / "river.toml").read_text()
        (folder / "river.toml").write_text(text[: text.index("[[services]]")])
        await loaded(database, folder)
        (folder / "river.toml").write_text(text)
        assert await loaded(database, folder) == Loaded(changed=2, unchanged=rows - 2)
        assert (await fishing(database, "retiredAt"))["retiredAt"] is None

    async def test_a_ministry_that_leaves_a_cluster_is_no_member_any_more(
        self, database: Database, folder: Path
    ) -> None:
        await loaded(database, folder)
        text = (folder / "river.toml").read_text()
        second = text[: text.index("[[services]]")].replace('"river"', '"lake"')
        (folder / "lake.toml").write_text(second)
        await loaded(database, folder)
        assert await self.memberships(database) == ["lake", "river"]
        (folder / "lake.toml").unlink()
        assert (await loaded(database, folder)).retired == 2  # the cluster and the membership
        assert await self.memberships(database) == ["river"]

    async def memberships(self, database: Database) -> list[str]:
        answer = await Client(service, database).run('{ ministry(code: "water") { clusters { code } } }')
        return [c["code"] for c in answer.data["ministry"]["clusters"]]


class TestTwoAtOnce:
    async def test_starting_side_by_side_on_an_empty_database_seeds_it_once(self, unseeded: Client) -> None:
        await asyncio.gather(*(seeded(unseeded.database) for _ in range(4)))
        answer = await unseeded.run("{ clusters { code } }")
        assert len(answer.data["clusters"]) == 7
