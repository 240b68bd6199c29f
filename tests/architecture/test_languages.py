"""Two languages, always: wherever one half of a text stands, the other stands beside it."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_layout import MODULES, ROOT, tracked

DATA = [p for p in tracked("*.toml") if p.name not in ("pyproject.toml",)]


class TestData:
    @pytest.mark.parametrize("path", DATA, ids=lambda p: str(p.relative_to(ROOT)))
    def test_every_text_has_both_halves(self, path: Path) -> None:
        assert list(halves(tomllib.loads(path.read_text()), path.name)) == []


class TestCode:
    @pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
    def test_every_call_and_class_that_says_it_in_english_says_it_in_french(self, path: Path) -> None:
        assert list(one_sided(ast.parse(path.read_text()))) == []

    @pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
    def test_what_the_command_line_says_differs_between_the_languages(self, path: Path) -> None:
        assert list(untranslated(ast.parse(path.read_text()))) == []


class TestTheRulesThemselves:
    def test_a_missing_half_in_data_is_found(self) -> None:
        assert list(halves({"name": {"en": "Labour"}}, "x")) == ["x.name"]
        assert list(halves({"list": [{"en": "Labour", "fr": " "}]}, "x")) == ["x.list.0"]
        assert list(halves({"name": {"en": "Labour", "fr": "Travail"}}, "x")) == []

    def test_a_missing_half_in_code_is_found(self) -> None:
        assert list(one_sided(ast.parse("Words(en='river')"))) == [1]
        assert list(one_sided(ast.parse("class X(Refusal, en='river'): pass"))) == [1]
        assert list(one_sided(ast.parse("Words(en='river', fr='rivière')"))) == []

    def test_an_untranslated_sentence_is_found(self) -> None:
        assert list(untranslated(ast.parse("spoken('a river flows', 'a river flows')"))) == [1]
        assert list(untranslated(ast.parse("spoken('a river', 'une rivière')"))) == []


def halves(value: object, place: str) -> Iterator[str]:
    """Places where `en` or `fr` stands alone or empty."""
    if isinstance(value, dict):
        texts = [value.get("en"), value.get("fr")]
        if {"en", "fr"} & value.keys() and not all(isinstance(t, str | list) and t and str(t).strip() for t in texts):
            yield place
        for name, held in value.items():
            yield from halves(held, f"{place}.{name}")
    elif isinstance(value, list):
        for index, held in enumerate(value):
            yield from halves(held, f"{place}.{index}")


def one_sided(tree: ast.AST) -> Iterator[int]:
    """Lines where a call or a class is given `en=` without `fr=`, or the other way round."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call | ast.ClassDef) and len(_names(node) & {"en", "fr"}) == 1:
            yield node.lineno


def untranslated(tree: ast.AST) -> Iterator[int]:
    """Lines where `spoken` is given the same literal twice."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "spoken" and len(node.args) == 2:
            english, french = node.args
            if isinstance(english, ast.Constant) and ast.dump(english) == ast.dump(french):
                yield node.lineno


def _names(node: ast.Call | ast.ClassDef) -> set[str]:
    return {keyword.arg for keyword in node.keywords if keyword.arg}
