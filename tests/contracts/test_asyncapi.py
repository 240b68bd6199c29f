"""The document of all events, as tools of AsyncAPI read it: valid by AsyncAPI's own schema, each reference leads somewhere."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import referencing
from referencing.jsonschema import DRAFT202012

from clusters.topology import SUPERGRAPH
from services.kit.contracts import ASYNCAPI_VERSION

CONTRACTS = SUPERGRAPH.parent
DOCUMENT: Any = json.loads((CONTRACTS / "asyncapi.json").read_text(encoding="utf-8"))
SCHEMA: Any = json.loads((Path(__file__).parent / "asyncapi" / f"{ASYNCAPI_VERSION}.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA, format_checker=jsonschema.Draft7Validator.FORMAT_CHECKER)
KINDS = sorted(path.stem for path in (CONTRACTS / "events").glob("*.json"))


def references(value: Any) -> Iterator[str]:
    """Every `$ref` of a document."""
    if isinstance(value, dict):
        yield from (held for name, held in value.items() if name == "$ref")
    if isinstance(value, dict | list):
        for held in value.values() if isinstance(value, dict) else value:
            yield from references(held)


def led_to(reference: str) -> Any:
    """What a reference of the document names. Raises KeyError and OSError."""
    file, _, pointer = reference.partition("#")
    found = json.loads((CONTRACTS / file).read_text(encoding="utf-8")) if file else DOCUMENT
    for step in filter(None, pointer.split("/")):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


class TestTheDocument:
    def test_is_valid_by_the_schema_of_its_version(self) -> None:
        assert [f"{e.json_path}: {e.message[:200]}" for e in VALIDATOR.iter_errors(DOCUMENT)] == []
        assert DOCUMENT["asyncapi"] == ASYNCAPI_VERSION

    @pytest.mark.parametrize(
        ("place", "name", "bad"),
        [
            ((), "info", None),
            (("operations", "inspections.receive.business.registered.v1"), "action", "hear"),
            (("channels", "business.registered.v1"), "adress", "events"),
            (("channels", "business.registered.v1"), "messages", ["event"]),
        ],
    )
    def test_would_be_found_out_if_it_were_not(self, place: tuple[str, ...], name: str, bad: object) -> None:
        spoiled = copy.deepcopy(DOCUMENT)
        at = spoiled
        for step in place:
            at = at[step]
        at[name] = bad
        assert not VALIDATOR.is_valid(spoiled)

    def test_leads_somewhere_by_each_reference(self) -> None:
        found = set(references(DOCUMENT))
        assert {reference for reference in found if "events/" in reference} == {
            f"./events/{kind}.json" for kind in KINDS
        }
        assert all(isinstance(led_to(reference), dict) for reference in found)

    def test_has_a_channel_for_each_event_and_says_who_sends_and_who_hears_it(self) -> None:
        assert sorted(DOCUMENT["channels"]) == KINDS
        for kind in KINDS:
            used = {o["action"] for o in DOCUMENT["operations"].values() if o["channel"]["$ref"].endswith(f"/{kind}")}
            assert used, kind

    @pytest.mark.parametrize("kind", KINDS)
    def test_holds_a_message_whose_payload_can_be_checked(self, kind: str) -> None:
        data = json.loads((CONTRACTS / "events" / f"{kind}.json").read_text(encoding="utf-8"))
        registry = referencing.Registry().with_resource(f"./events/{kind}.json", DRAFT202012.create_resource(data))
        payload = DOCUMENT["components"]["messages"][kind]["payload"]
        jsonschema.Draft202012Validator.check_schema(payload)
        validator = jsonschema.Draft202012Validator(payload, registry=registry)
        assert not validator.is_valid({"specversion": "1.0", "type": kind, "data": {}})
