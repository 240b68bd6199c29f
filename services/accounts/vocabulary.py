"""What scopes and categories are called, from the files that declare them; and which scopes a person may let others use."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import strawberry

from services.accounts.models import MANAGE, service
from services.kit.caller import ACCESS, citizens_scopes
from services.kit.language import Words
from services.kit.text import Text

CATEGORIES = ACCESS.with_name("personal_data.toml")


@service.object_type(name="NamedCode")
@dataclass(kw_only=True)
class Named:
    """A code, and what it is called."""

    code: strawberry.ID
    name: Text


@cache
def delegable() -> Mapping[str, Words]:
    """The scopes that a person may let others use, by code: a citizen's, but not to manage the account itself."""
    declared = tomllib.loads(ACCESS.read_text(encoding="utf-8"))["scopes"]
    wanted = citizens_scopes() - {MANAGE}
    return {entry["name"]: Words(entry["en"], entry["fr"]) for entry in declared if entry["name"] in wanted}


@cache
def offices() -> Mapping[str, Words]:
    """Who acts in a role, by the role's name."""
    declared = tomllib.loads(ACCESS.read_text(encoding="utf-8"))["roles"]
    return {entry["name"]: Words(entry["en"], entry["fr"]) for entry in declared}


@cache
def categories() -> Mapping[str, Words]:
    """The categories of data about people, by code."""
    return {entry["code"]: Words(entry["en"], entry["fr"]) for entry in _categories()}


@cache
def yours() -> Mapping[str, Words]:
    """The same, as the person is told of them whose data they are."""
    return {entry["code"]: Words(entry["yours"]["en"], entry["yours"]["fr"]) for entry in _categories()}


def _categories() -> list[dict[str, Any]]:
    declared: list[dict[str, Any]] = tomllib.loads(CATEGORIES.read_text(encoding="utf-8"))["categories"]
    return declared


def named(code: str, words: Words) -> Named:
    """A code with its name."""
    return Named(code=strawberry.ID(code), name=Text.from_words(words))
