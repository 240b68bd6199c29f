"""A realm compared with what it must be: no change of a field goes unseen, nothing that Keycloak makes up is one."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from clusters.access import access
from clusters.keycloak.differences import KINDS, Difference, differences, shown
from clusters.keycloak.expected import expected, learned
from clusters.keycloak.mend import ORDER
from clusters.keycloak.realm import realm
from clusters.keycloak.state import KEY_TYPE, described, overlaid
from services.kit import language

WANTED = realm(access("https://www.example.ca", "https://door.example.ca"))
EXPECTED = expected(WANTED)
# Order is compared, not the numbers that give it; the others follow from what is compared.
FOLLOW = {"priority", "authenticatorFlow", "userSetupAllowed", "composite", "username"}
BESIDE = {"authenticatorConfig": ("authenticationFlows",), "scopeMappings": ("clients", "clientScopes")}


def told(changed: dict[str, Any]) -> list[tuple[str, str, str]]:
    """The deviations of a realm that shows what is expected but for a changed representation."""
    return [(d.kind, d.name, d.field) for d in differences(EXPECTED, overlaid(EXPECTED, described(changed)))]


def changed(whole: dict[str, Any], part: str, *path: Any, to: Any) -> dict[str, Any]:
    copied = {**whole, part: copy.deepcopy(whole[part])}
    at: Any = copied
    for step in (part, *path)[:-1]:
        at = at[step]
    at[(part, *path)[-1]] = to
    return copied


def leaves(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every scalar of a representation with its path."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, (*above, name))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from leaves(part, (*above, index))
    else:
        yield above, value


def other(value: Any) -> Any:
    return not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}-other"


class TestComparing:
    def test_what_is_expected_does_not_deviate(self) -> None:
        assert told(copy.deepcopy(WANTED)) == []

    @pytest.mark.parametrize("part", sorted(WANTED.keys() - {"realm"}))
    def test_every_field_that_the_code_says_is_compared(self, part: str) -> None:
        """Each scalar of the representation, changed alone, makes another state."""
        beside = BESIDE.get(part.replace("clientScopeM", "scopeM"), ())
        whole = {name: WANTED[name] for name in ("realm", *beside, part)}
        before = described(whole)
        unseen = [
            path
            for path, value in leaves(whole[part])
            if not FOLLOW & {*path} and described(changed(whole, part, *path, to=other(value))) == before
        ]
        assert unseen == []

    def test_ids_order_and_secrets_are_not(self) -> None:
        whole = copy.deepcopy(WANTED)
        whole["clients"].reverse()
        for number, client in enumerate(whole["clients"]):
            client |= {"id": str(number), "secret": "**********"}
            client["attributes"]["client.secret.creation.time"] = "1"
            client["defaultClientScopes"].reverse()
        assert told(whole) == []

    def test_a_field_that_nobody_said_is_compared_with_what_keycloak_fills_in(self) -> None:
        assert told({**copy.deepcopy(WANTED), "offlineSessionIdleTimeout": 1}) == [
            ("realm", "", "offlineSessionIdleTimeout")
        ]

    def test_what_is_missing_and_what_is_not_ours_is_told(self) -> None:
        found = dict(EXPECTED)
        gone = found.pop(("client", "catalogue"))
        found["client", "theirs"] = gone
        assert [(d.name, d.expected, d.found) for d in differences(EXPECTED, found)] == [
            ("catalogue", "present", None),
            ("theirs", None, "present"),
        ]

    def test_a_key_that_a_rotation_made_is_none_and_a_foreign_one_is(self) -> None:
        def component(name: str, provider: str, **config: list[str]) -> dict[str, Any]:
            return {"name": name, "providerId": provider, "config": config}

        usual = component("rsa-generated", "rsa-generated", priority=["100"])
        made = component(
            "new", "rsa-generated", priority=["110"], active=["false"], algorithm=["RS256"], keySize=["2048"]
        )
        weak = component("weak", "rsa-generated", priority=["120"], keySize=["1024"])
        given = component("given", "rsa", priority=["130"])
        rep = {"realm": "x", "components": {KEY_TYPE: [usual, made]}}
        assert [name for kind, name in described(rep) if kind == "key"] == ["rsa-generated"]
        rep["components"][KEY_TYPE][:0] = [weak, given]  # type: ignore[index]
        keys = [name for kind, name in described(rep) if kind == "key"]
        assert sorted(keys) == ["rsa", "rsa-generated", "rsa-generated (weak)"]

    def test_what_was_learned_is_what_the_code_does_not_say(self) -> None:
        running = overlaid(EXPECTED, {})
        assert expected(WANTED, learned(WANTED, running)) == running


class TestTelling:
    @pytest.mark.parametrize("french", [False, True])
    def test_each_kind_has_its_words_and_is_mended_in_an_order(
        self, french: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(language, "is_french", lambda: french)
        assert set(ORDER) == KINDS.keys()
        for kind, words in KINDS.items():
            said = str(Difference(kind, "it", "field", True, None))
            assert said.startswith(words.fr if french else words.en)
            assert ("attendu true, trouvé rien" if french else "expected true, found nothing") in said

    def test_a_long_value_is_cut(self) -> None:
        assert len(shown("x" * 5_000)) == 200
