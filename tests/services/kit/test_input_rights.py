"""Who may set which property of an input: asked before the use case, named by the field, said in the schema."""

from typing import Annotated, Any

import pytest

from services.kit.caller import ANONYMOUS, Caller
from services.kit.faults import Faulted
from services.kit.inputs import Input, rule
from services.kit.properties import Only, only, require
from services.kit.service import Service

CLERK, CHIEF = Caller("clerk"), Caller("chief", frozenset({"cake:decorate"}))


class TopInput(Input):
    """One layer."""

    colour: str
    gold: Annotated[bool, Only("cake:decorate")] = False


class CakeInput(Input):
    """A cake."""

    size: int
    baker: Annotated[str | None, Only("cake:decorate", oneself=True)] = rule(default=None, description="Who bakes it.")
    layers: list[TopInput] = rule(default_factory=list)


def cake(**given: Any) -> CakeInput:
    return CakeInput.model_validate({"size": 3, **given})


class TestAProperty:
    @pytest.mark.parametrize("caller", [ANONYMOUS, CLERK, CHIEF])
    @pytest.mark.parametrize("given", [{}, {"baker": None}, {"layers": [{"colour": "red"}]}])
    def test_that_nobody_sets_asks_for_nothing(self, caller: Caller, given: Any) -> None:
        require(cake(**given), caller)

    @pytest.mark.parametrize("given", [{"baker": "clerk"}, {"layers": [{"colour": "red", "gold": True}]}])
    def test_is_set_by_who_has_the_right(self, given: Any) -> None:
        require(cake(**given), CHIEF)

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"baker": "chief"}, "baker"),
            ({"baker": ""}, "baker"),
            ({"layers": [{"colour": "red"}, {"colour": "red", "gold": True}]}, "layers.1.gold"),
            ({"layers": [{"colour": "red", "gold": False}]}, "layers.0.gold"),
        ],
    )
    @pytest.mark.parametrize("caller", [ANONYMOUS, CLERK])
    def test_is_refused_to_others_by_its_path_in_both_languages(self, caller: Caller, given: Any, field: str) -> None:
        with pytest.raises(Faulted) as refused:
            require(cake(**given), caller)
        assert (refused.value.fault.code, refused.value.field) == ("FORBIDDEN", field)
        assert field in refused.value.words.en
        assert field in refused.value.words.fr
        assert "cake:decorate" in refused.value.words.fr

    def test_may_be_ones_own_subject_where_that_is_said(self) -> None:
        require(cake(baker="clerk"), CLERK)
        with pytest.raises(Faulted):
            require(cake(baker=""), ANONYMOUS)


class TestTheSchema:
    def test_says_what_a_property_asks_for_and_how_its_inputs_are_found(self) -> None:
        service = Service("bakery")

        @service.object_type()
        class Cake:
            """A cake."""

            def size(self) -> int:
                """How large."""
                return 3

        @service.mutation(scope="cake:bake")
        async def bake(input: CakeInput) -> Cake:
            """Bake."""
            return Cake()

        @service.query()
        async def cakes() -> int:
            """How many."""
            return 0

        told = service.sdl()
        assert '"""Who bakes it. Needs the right cake:decorate or to name oneself."""' in told
        assert '"""Needs the right cake:decorate."""' in told
        assert service.inputs == {CakeInput, TopInput}
        assert only(TopInput, "colour") is None
