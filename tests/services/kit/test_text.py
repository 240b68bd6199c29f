"""Bilingual text: one language asked for, the other where it is missing, the gap still to be seen."""

from typing import Any

import pytest

from services.kit.language import Language, Words
from services.kit.testing.client import Client
from services.kit.text import Text
from tests.services.kit.conftest import issue


class TestText:
    @pytest.mark.parametrize(
        ("text", "en", "fr"),
        [
            (Text(en="Ice", fr="Glace"), "Ice", "Glace"),
            (Text(en="Ice"), "Ice", "Ice"),
            (Text(fr="Glace"), "Glace", "Glace"),
            (Text(), None, None),
        ],
    )
    def test_is_told_in_the_language_asked_for_or_the_other(self, text: Text, en: str | None, fr: str | None) -> None:
        assert (text.of(Language.EN), text.of(Language.FR)) == (en, fr)

    def test_says_which_half_is_missing(self) -> None:
        assert Text(en="Ice").missing == (Language.FR,)
        assert Text(en="", fr=None).missing == (Language.EN, Language.FR)
        assert Text.from_words(Words("Ice", "Glace")).missing == ()


class TestTextInAnAnswer:
    async def purpose(self, client: Client, selection: str, **options: Any) -> Any:
        number = (await issue(client))["number"]
        representation = {"__typename": "WaterPermit", "number": number}
        select = f"... on WaterPermit {{ purpose {{ {selection} }} }}"
        answer = await client.entities(select, representation, scopes=("water:read",), **options)
        return answer.data["_entities"][0]["purpose"]

    async def test_has_both_halves(self, client: Client) -> None:
        assert await self.purpose(client, "en fr") == {"en": "Irrigation", "fr": "Irrigation"}

    @pytest.mark.parametrize("selection", ["in", "in(language: EN)", "in(language: FR)", "in(language: null)"])
    async def test_is_one_language_when_asked_so(self, client: Client, selection: str) -> None:
        assert await self.purpose(client, selection, language="fr") == {"in": "Irrigation"}
