"""Inputs: what a model refuses, how the refusal names it, and text that nobody may store."""

from datetime import date
from typing import Any

import pytest
import strawberry
from pydantic import field_validator

from services.kit.inputs import Input, find_hostile, graphql_input, hostile_character, rule, validated
from services.kit.refusals import InvalidInput


class Well(Input):
    """Where a well stands."""

    street: str = rule(min_length=2, max_length=40)
    depth_m: int = rule(ge=1, le=500)


class DrillWell(Input):
    """What drilling needs."""

    name: str = rule(min_length=2, max_length=40, pattern=r"^\D+$")
    wells: list[Well] = rule(min_length=1, max_length=3)
    starts: date | None = None
    note: str | None = None

    @field_validator("note")
    @classmethod
    def never_secret(cls, note: str | None) -> str | None:
        if note == "secret":
            raise ValueError("no secrets")
        return note


def given(**changes: Any) -> dict[str, Any]:
    return {"name": "Deep", "wells": [{"street": "King", "depth_m": 3}], **changes}


def refused(**changes: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        validated(DrillWell, given(**changes))
    assert caught.value.message.en != caught.value.message.fr
    return caught.value


class TestValidated:
    def test_makes_the_model(self) -> None:
        model = validated(DrillWell, given(name="  Deep  "))
        assert (model.name, model.wells[0].depth_m, model.starts) == ("Deep", 3, None)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"name": "x"}, "name"),
            ({"name": "n" * 10_000}, "name"),
            ({"name": "Well 7"}, "name"),
            ({"name": None}, "name"),
            ({"name": 7}, "name"),
            ({"name": "é\x00"}, "name"),
            ({"name": "a\u202eb"}, "name"),
            ({"name": "a\ud800b"}, "name"),
            ({"wells": []}, "wells"),
            ({"wells": [{"street": "King", "depth_m": 1}] * 4}, "wells"),
            ({"wells": [{"street": "King", "depth_m": 0}]}, "wells.0.depthM"),
            ({"wells": [{"street": "King", "depth_m": 10**30}]}, "wells.0.depthM"),
            ({"wells": [{"street": "King", "depth_m": -(10**30)}]}, "wells.0.depthM"),
            ({"wells": [{"street": "K\x1b[0m", "depth_m": 1}]}, "wells.0.street"),
            ({"wells": [{"depth_m": 1}]}, "wells.0.street"),
            ({"starts": "31 February"}, "starts"),
            ({"starts": "10000-01-01"}, "starts"),
            ({"note": "secret"}, "note"),
            ({"more": 1}, "more"),
        ],
    )
    def test_names_the_field_of_the_client(self, changes: dict[str, Any], field: str) -> None:
        assert refused(**changes).at == field

    def test_says_the_limit_in_both_languages(self) -> None:
        message = refused(name="x").message
        assert "at least 2 characters" in message.en
        assert "au moins 2 caractères" in message.fr

    def test_says_which_character_is_not_allowed(self) -> None:
        assert "U+202E" in refused(name="a\u202eb").message.fr


class TestHostileCharacters:
    @pytest.mark.parametrize("text", ["\x00", "a\x07", "\x7f", "\x85", "\ud800", "\udfff!", "\u202e", "\u2066x"])
    def test_are_found(self, text: str) -> None:
        assert hostile_character(text)

    @pytest.mark.parametrize(
        "text", ["", "Zoë & Frères", "l’été\n\t\r", "😀 👩‍🚀", "مرحبا", "שלום", "日本", "n" * 10_000]
    )
    def test_are_not_seen_in_what_people_write(self, text: str) -> None:
        assert hostile_character(text) is None

    def test_are_found_wherever_they_stand(self) -> None:
        assert find_hostile({"a_b": [{"c": "ok"}, {"c": "\x00"}]}) == ("aB.1.c", "U+0000")
        assert find_hostile([1, None, True, 2.5, "fine"]) is None


class TestTheGraphqlInput:
    def test_has_the_models_fields_in_camel_case_and_only_the_required_are_needed(self) -> None:
        @strawberry.type
        class Query:
            @strawberry.field
            def f(self, input: graphql_input(DrillWell)) -> int:  # type: ignore[valid-type]
                return 1

        printed = str(strawberry.Schema(Query))
        for line in ("name: String!", "wells: [Well!]!", "starts: Date", "note: String", "depthM: Int!"):
            assert line in printed
