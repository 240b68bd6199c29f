"""Two languages, always: wherever one half of a text stands, the other stands beside it, and is one.

Read from data files, from the code's own text (calls and classes that take both halves) and from what the running code
holds: refusals, faults, the issuer's pages.
"""

import ast
import html
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from string import Formatter

import pytest

from clusters.access import access
from clusters.issuer import pages
from services.kit.faults import Fault
from services.kit.inputs import explain
from services.kit.language import Language
from services.kit.refusals import Refusal
from tests.architecture.test_layout import MODULES, ROOT, SERVICES, tracked

DATA = [p for p in tracked("*.toml") if p.name not in ("pyproject.toml",)]
PAIRED = {
    "Words": 0,
    "spoken": 0,
    "required": 2,
    "FileRefused": 0,
    "_say_about": 1,
    "_fault": 2,
}  # name → where its English half stands


class TestData:
    @pytest.mark.parametrize("path", DATA, ids=lambda p: str(p.relative_to(ROOT)))
    def test_every_text_has_both_halves(self, path: Path) -> None:
        assert list(halves(tomllib.loads(path.read_text()), path.name)) == []


class TestCode:
    @pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
    def test_every_call_and_class_that_says_it_in_english_says_it_in_french(self, path: Path) -> None:
        assert list(one_sided(ast.parse(path.read_text()))) == []

    @pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
    def test_every_pair_of_literals_is_a_text_and_its_translation(self, path: Path) -> None:
        found = ((line, flaws(en, fr, templates)) for line, en, fr, templates in pairs(ast.parse(path.read_text())))
        assert [(line, what) for line, what in found if what] == []

    def test_there_are_pairs(self) -> None:
        assert sum(len(list(pairs(ast.parse(path.read_text())))) for path in MODULES) > 100


class TestWhatTheRunningCodeHolds:
    @pytest.mark.parametrize("name", SERVICES)
    def test_every_refusal_of_a_service(self, name: str) -> None:
        import_module(f"services.{name}.service")
        own = [
            kind for kind in descendants(Refusal) if kind.__module__.startswith((f"services.{name}.", "services.kit."))
        ]
        assert own
        assert [(kind.__name__, what) for kind in own if (what := flaws(kind.words.en, kind.words.fr))] == []

    @pytest.mark.parametrize("module", ["services.kit.faults", "gateway.faults"])
    def test_every_fault(self, module: str) -> None:
        found = [value for value in vars(import_module(module)).values() if isinstance(value, Fault)]
        assert found
        assert [(f.code, what) for f in found if (what := flaws(f.words.en, f.words.fr))] == []

    @pytest.mark.parametrize("kind", ["missing", "string_too_long", "less_than", "hostile_character", "never_heard_of"])
    def test_what_is_wrong_with_an_input(self, kind: str) -> None:
        context = {"max_length": 5, "lt": 3, "character": "U+0000"}
        assert flaws(*explain(kind, context)) == ""

    def test_no_page_of_the_issuer_mixes_the_languages(self) -> None:
        users = list(access().users.values())
        both = [pages.sign_in(language, "/", users, "/?", "wrong") for language in (Language.EN, Language.FR)]
        both_messages = [pages.message(language, "error", "expired") for language in (Language.EN, Language.FR)]
        for english, french in (both, both_messages):
            assert 'lang="en-CA"' in english
            assert 'lang="fr-CA"' in french
            assert seen(english) & seen(french) <= {user.name for user in users}

    def test_every_text_of_the_issuers_pages(self) -> None:
        found = {key: flaws(words.en, words.fr) for key, words in pages.TEXTS.items()}
        assert {key: what for key, what in found.items() if what} == {}


class TestTheRulesThemselves:
    def test_a_missing_half_in_data_is_found(self) -> None:
        assert list(halves({"name": {"en": "Labour"}}, "x")) == ["x.name: a half is missing"]
        assert list(halves({"list": [{"en": "Labour", "fr": " "}]}, "x")) == ["x.list.0: a half is missing"]
        assert list(halves({"name": {"en": "Labour", "fr": "Travail"}}, "x")) == []

    def test_a_missing_half_of_a_table_or_of_a_pair_of_keys_is_found(self) -> None:
        assert list(halves({"en": {"name": "a", "fees": "b"}, "fr": {"name": "c"}}, "x")) == ["x: a half is missing"]
        assert list(halves({"name_en": "Labour"}, "x")) == ["x.name: a half is missing"]
        assert list(halves({"name_en": "Labour", "name_fr": "Travail"}, "x")) == []

    def test_a_missing_half_in_code_is_found(self) -> None:
        assert list(one_sided(ast.parse("Words(en='river')"))) == [1]
        assert list(one_sided(ast.parse("class X(Refusal, en='river'): pass"))) == [1]
        assert list(one_sided(ast.parse("Words(en='river', fr='rivière')"))) == []

    @pytest.mark.parametrize(
        ("code", "flaw"),
        [
            ("spoken('a river flows here', 'a river flows here')", "untranslated"),
            ("Words('a river', '')", "a half is missing"),
            ("Words('a river {name}', 'une rivière')", "other placeholders"),
            ("Words('a river: {detail}', 'une rivière')", ""),
            ("_fault('X', 400, 'the river', \"l'eau\")", "a straight apostrophe"),
            ("Words(f'{a}: a river', f'{a}: une rivière')", "no space before a colon"),
            ("Words('a river', 'une rivière')", ""),
            ("class X(Refusal, en='the {a}', fr='le {b}'): pass", "other placeholders"),
        ],
    )
    def test_a_flaw_is_found(self, code: str, flaw: str) -> None:
        ((_, en, fr, template),) = pairs(ast.parse(code))
        assert flaws(en, fr, template) == flaw


def halves(value: object, place: str) -> Iterator[str]:
    """Places where a text in one language has none, or no true one, in the other."""
    if isinstance(value, dict):
        if value.keys() & {"en", "fr"}:
            yield from (f"{place}: {what}" for what in {flaw(value.get("en"), value.get("fr"))} if what)
        for stem in sorted({name[:-3] for name in value if name.endswith(("_en", "_fr"))}):
            what = flaw(value.get(f"{stem}_en"), value.get(f"{stem}_fr"))
            yield from (f"{place}.{stem}: {w}" for w in {what} if w)
        for name, held in value.items():
            yield from halves(held, f"{place}.{name}")
    elif isinstance(value, list):
        for index, held in enumerate(value):
            yield from halves(held, f"{place}.{index}")


def flaw(en: object, fr: object) -> str:
    """What is wrong with two halves, which may be texts, lists of texts or tables of texts."""
    if isinstance(en, str) and isinstance(fr, str):
        return flaws(en, fr)
    if isinstance(en, dict) and isinstance(fr, dict) and en.keys() == fr.keys():
        return next(filter(None, (flaw(en[name], fr[name]) for name in en)), "")
    if isinstance(en, list) and isinstance(fr, list) and en and fr:
        return ""
    return "a half is missing"


def flaws(en: str, fr: str, is_template: bool = True) -> str:
    """What is wrong with an English text and its French one; empty when nothing is."""
    if not en.strip() or not fr.strip():
        return "a half is missing"
    if en == fr and len(en.split()) > 3:  # shorter ones are names
        return "untranslated"
    if is_template and placeholders(en) != placeholders(fr):
        return "other placeholders"
    if re.search(r"[^\W\d]'[^\W\d]", fr):
        return "a straight apostrophe"
    if re.search(r"(?<!Accept)(?<=[\w}»)]): ", fr):  # a header's name is none of ours to space
        return "no space before a colon"
    return ""


def placeholders(text: str) -> set[str]:
    """What a template has filled in; `detail` apart, which is a library's English, given by itself beside the sentence."""
    try:
        names = {(name or "").removesuffix("_en").removesuffix("_fr") for _, name, _, _ in Formatter().parse(text)}
        return names - {"detail", ""}
    except ValueError:  # braces that are none
        return set()


def one_sided(tree: ast.AST) -> Iterator[int]:
    """Lines where a call or a class is given `en=` without `fr=`, or the other way round."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call | ast.ClassDef) and len(_keywords(node).keys() & {"en", "fr"}) == 1:
            yield node.lineno


def pairs(tree: ast.AST) -> Iterator[tuple[int, str, str, bool]]:
    """Both halves wherever both are literals: line, English, French, and whether they are templates to be filled."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call | ast.ClassDef):
            continue
        named = _keywords(node)
        given: list[ast.expr] = [named[name] for name in ("en", "fr") if name in named]
        if isinstance(node, ast.Call) and not given:
            name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
            first = PAIRED.get(name)
            given = node.args[first : first + 2] if first is not None else []
        if len(given) == 2 and all(isinstance(half, ast.JoinedStr | ast.Constant) for half in given):
            is_template = all(isinstance(half, ast.Constant) for half in given)
            yield node.lineno, _literal(given[0]), _literal(given[1]), is_template


def _literal(node: ast.expr) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _keywords(node: ast.Call | ast.ClassDef) -> dict[str, ast.expr]:
    return {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}


def descendants(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    """Every subclass, at any depth."""
    for child in kind.__subclasses__():
        yield child
        yield from descendants(child)


def seen(page: str) -> set[str]:
    """The pieces of text of a page that a person reads."""
    body = re.sub(r"<(style|title)>.*?</\1>", "", page, flags=re.DOTALL)
    return {html.unescape(piece).strip() for piece in re.split(r"<[^>]+>", body)} - {""}
