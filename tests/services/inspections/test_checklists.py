"""Checklists: what ships is whole in both languages; a version that was published never changes."""

import re
from pathlib import Path

import pytest

from services.inspections.checklists import FOLDER, publish, read_checklist
from services.inspections.data_files import BadData
from tests.services.inspections.conftest import Cast, seed

FILES = sorted(FOLDER.glob("*.toml"))


class TestWhatShips:
    def test_are_the_four_sectors(self) -> None:
        assert [path.stem for path in FILES] == ["construction", "food-premises", "retail", "workplace-safety"]

    @pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
    def test_is_named_like_its_file_and_says_different_things_in_each_language(self, path: Path) -> None:
        found = read_checklist(path)
        assert found.code == path.stem
        for item in found.items:
            assert item.question.en != item.question.fr
            assert "'" not in item.question.fr  # the typographic apostrophe
        assert len({item.severity for item in found.items}) == 3

    async def test_is_shown_to_everyone_with_law_and_section(self, cast: Cast) -> None:
        seen = await cast.nobody.ask(
            "{ checklists { id code title { fr } items { code law { en fr } section severity question { in } } } }"
        )
        assert [c["id"] for c in seen["checklists"]] == [f"{path.stem}@1" for path in FILES]
        assert all(i["law"]["fr"] and i["section"] for c in seen["checklists"] for i in c["items"])


class TestAPublishedVersion:
    async def test_is_found_again_at_the_next_start(self, cast: Cast) -> None:
        await seed(cast.client.database)
        seen = await cast.nobody.ask("{ checklists { id } }")
        assert len(seen["checklists"]) == 4

    async def test_stops_the_start_when_its_file_says_something_else(self, cast: Cast, tmp_path: Path) -> None:
        changed = tmp_path / "retail.toml"
        changed.write_text((FOLDER / "retail.toml").read_text().replace('"MINOR"', '"CRUCIAL"', 1))
        with pytest.raises(BadData, match=r"retail@1 is published .* higher version"):
            async with cast.client.database.transaction() as db:
                await publish(db, read_checklist(changed))

    async def test_is_retired_by_a_higher_one_and_stays_with_its_inspections(self, cast: Cast, tmp_path: Path) -> None:
        planned = await cast.first_inspection()
        higher = tmp_path / "food.toml"
        text = (FOLDER / "food-premises.toml").read_text().replace("version = 1", "version = 2", 1)
        higher.write_text(text.replace("FP-10", "FP-11"))
        async with cast.client.database.transaction() as db:
            await publish(db, read_checklist(higher))
        now = await cast.inspector.reads(planned["number"])
        next_one = await cast.first_inspection("700000023")
        assert now is not None
        assert (now["checklist"]["version"], next_one["checklist"]["version"]) == (1, 2)
        found = await cast.client.entities(
            "... on Checklist { retiredAt }", {"__typename": "Checklist", "id": "food-premises@1"}
        )
        assert found.data["_entities"][0]["retiredAt"] is not None


class TestABadFile:
    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("version = 1", "version = ", "line"),
            ("version = 1", "version = 0", "version"),
            ("version = 1", "versoin = 1", "versoin"),
            ('severity = "MINOR"', 'severity = "AWFUL"', "items.0.severity"),
            ('law = "hppa"', 'law = "hpaa"', "hpaa"),
            ('code = "FP-02"', 'code = "FP-01"', "FP-01 is there twice"),
            (', fr = "Dépôts d’aliments" }', " }", "fr"),
        ],
    )
    def test_says_file_place_and_remedy(self, tmp_path: Path, old: str, new: str, said: str) -> None:
        text = (FOLDER / "food-premises.toml").read_text()
        assert old in text
        path = tmp_path / "food-premises.toml"
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(BadData, match=re.escape(said)) as caught:
            read_checklist(path)
        assert str(path) in str(caught.value)
