"""The HSDS read API: valid against the standard's own schemas, filtered as its prose says, in the language asked for."""

import copy
import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from starlette.applications import Starlette

from services.information_referral import hsds_files, ontario_locations
from services.information_referral.service import service
from services.kit.imports import import_file
from services.kit.testing.client import Client
from tests.services.information_referral.test_imports import ROW, SERVICE, hsds, places

SCHEMAS = Path(__file__).parent / "hsds"
FOUND = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")}
# Which schema a nested object has, by the name it hangs under.
NESTED = {
    "organization": "organization.json",
    "service_at_locations": "service_at_location.json",
    "location": "location.json",
    "addresses": "address.json",
    "accessibility": "accessibility.json",
    "phones": "phone.json",
    "schedules": "schedule.json",
    "languages": "language.json",
    "cost_options": "cost_option.json",
    "attributes": "attribute.json",
    "taxonomy_term": "taxonomy_term.json",
    "taxonomy_detail": "taxonomy.json",
}
formats = jsonschema.FormatChecker()


@formats.checks("uri")
def is_uri(value: object) -> bool:
    parts = urlsplit(str(value))
    return bool(parts.scheme and parts.netloc) and " " not in str(value)


@formats.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    return datetime.fromisoformat(str(value)).tzinfo is not None


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Validates an object of HSDS 3.1, formats included."""
    resources = ((key, Resource.from_contents(schema, DRAFT202012)) for key, schema in FOUND.items())
    registry: Registry[Any] = Registry().with_resources(resources)
    return jsonschema.Draft202012Validator(FOUND[name], registry=registry, format_checker=formats)


VALIDATORS = {name: validator(name) for name in FOUND}


def validate(body: Any, name: str = "service.json") -> set[str]:
    """Validates an object and all that is nested in it, each by its own schema. The schemas that were used."""
    VALIDATORS[name].validate(body)
    used = {name}
    for key, value in body.items():
        if key in NESTED:
            for one in value if isinstance(value, list) else [value]:
                used |= validate(one, NESTED[key])
    return used


def web_of(client: Client) -> httpx.AsyncClient:
    app = Starlette(routes=service.routes)
    app.state.parts = SimpleNamespace(database=client.database)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hsds/hsds")


@pytest.fixture
async def web(client: Client) -> AsyncIterator[httpx.AsyncClient]:
    async with web_of(client) as http:
        yield http


async def page_of(web: httpx.AsyncClient, **query: Any) -> Any:
    answer = await web.get("/services", params={"per_page": 100, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(page: Any) -> list[str]:
    return [listed["name"] for listed in page["contents"]]


class TestSchemas:
    async def test_every_service_is_valid_in_the_list_and_whole_in_both_languages(self, web: httpx.AsyncClient) -> None:
        for language in ("en", "fr"):
            for number in (1, 2):
                for query in ({}, {"full": "true"}):
                    page = await page_of(web, page=number, language=language, **query)
                    for listed in page["contents"]:
                        validate(listed)

    async def test_whole_services_use_every_kind_of_object_that_is_kept(
        self, client: Client, web: httpx.AsyncClient, tmp_path: Path
    ) -> None:
        rich: dict[str, Any] = {
            **copy.deepcopy(SERVICE),
            "url": "www.example.ca/shelter",
            "email": "not an address",
            "phones": [
                {"id": "p", "number": "613-555-0101", "extension": 100},
                {"id": "q", "number": "5", "extension": "x7"},
            ],
            "cost_options": [{"id": "c", "option": "A night", "amount": 0, "currency": "cad"}],
            "attributes": [
                {
                    "id": "t",
                    "taxonomy_term": {
                        "id": "term",
                        "name": "Beds",
                        "description": "Beds",
                        "taxonomy_detail": {
                            "id": "list",
                            "name": "Needs",
                            "description": "Needs",
                            "uri": "http://example.ca",
                        },
                    },
                }
            ],
        }
        rich["service_at_locations"][0]["location"]["accessibility"] = [{"id": "a", "description": "A ramp"}]
        await import_file(hsds_files.importer, hsds(tmp_path, [rich]), client.database)
        body = (await web.get(f"/services/{SERVICE['id']}")).json()
        assert validate(body) == set(NESTED.values()) | {"service.json"}
        assert [phone.get("extension") for phone in body["phones"]] in ([100, None], [None, 100])
        assert (body["url"], "email" in body) == ("https://www.example.ca/shelter", False)

    async def test_an_imported_place_is_valid(self, client: Client, web: httpx.AsyncClient, tmp_path: Path) -> None:
        await import_file(ontario_locations.importer, places(tmp_path, ROW), client.database)
        (body,) = (await page_of(web, search="Harbour Clinic", full="true"))["contents"]
        validate(body)
        assert body["service_at_locations"][0]["location"]["phones"][0]["extension"] == 42


class TestPages:
    async def test_a_page_tells_where_it_stands(self, web: httpx.AsyncClient) -> None:
        page = await page_of(web, per_page=50, page=3)
        assert {k: page[k] for k in ("page_number", "size", "first_page", "last_page", "empty")} == {
            "page_number": 3,
            "size": page["total_items"] - 100,
            "first_page": False,
            "last_page": True,
            "empty": False,
        }

    async def test_a_page_beyond_the_last_is_empty(self, web: httpx.AsyncClient) -> None:
        page = await page_of(web, page=99)
        assert (page["empty"], page["last_page"], page["contents"]) == (True, True, [])

    async def test_minimal_gives_every_service_on_one_page_by_id_and_time(self, web: httpx.AsyncClient) -> None:
        page = (await web.get("/services", params={"minimal": "true"})).json()
        assert page["size"] == page["total_items"] >= 100
        assert all(set(one) == {"id", "modified_date"} for one in page["contents"])

    async def test_lines_give_every_service(self, web: httpx.AsyncClient) -> None:
        answer = await web.get("/services", params={"format": "ndjson", "full": "true", "language": "fr"})
        found = [json.loads(line) for line in answer.text.splitlines()]
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert len(found) == (await page_of(web))["total_items"]
        assert "Carte Santé" in [one["name"] for one in found]

    async def test_a_page_of_whole_services_takes_no_more_statements_than_one(
        self, client: Client, web: httpx.AsyncClient
    ) -> None:
        with client.statements() as one:
            await page_of(web, full="true", per_page=1, search="Kingston")
        with client.statements() as many:
            await page_of(web, full="true", per_page=100)
        assert many.count <= one.count + 3, many.texts  # one of them may have no place, another no terms


class TestFilters:
    async def test_words(self, web: httpx.AsyncClient) -> None:
        assert names(await page_of(web, search="birth certif")) == ["Birth certificate"]
        assert names(await page_of(web, search="🥐")) == []

    async def test_organization(self, web: httpx.AsyncClient) -> None:
        cards = (await page_of(web, search="Ontario Photo Card"))["contents"]
        some = next(one for one in cards if one["name"] == "Ontario Photo Card")["organization"]
        found = await page_of(web, organization_id=some["id"])
        assert {one["organization"]["name"] for one in found["contents"]} == {"ServiceOntario"}
        assert found["total_items"] > 3

    async def test_terms_and_taxonomies_narrow_together(self, web: httpx.AsyncClient) -> None:
        cards = (await page_of(web, search="Health card", full="true"))["contents"]
        card = next(one for one in cards if one["name"] == "Health card")
        terms = {a["taxonomy_term"]["name"]: a["taxonomy_term"] for a in card["attributes"]}
        health = terms["Health"]
        by_term = await page_of(web, taxonomy_term_id=health["id"])
        by_list = await page_of(web, taxonomy_id=health["taxonomy_detail"]["id"])
        both = await page_of(web, taxonomy_term_id=health["id"], search="card")
        assert "Health811" in names(by_term)
        assert by_list["total_items"] > by_term["total_items"] > both["total_items"] >= 1
        none = await page_of(web, taxonomy_term_id="00000000-0000-4000-8000-000000000000")
        assert none["empty"]

    @pytest.mark.parametrize("after", ["2020-01-01T00:00:00Z", "2020-01-01", "2020-01-01T00:00:00 00:00"])
    async def test_changed_since(self, web: httpx.AsyncClient, after: str) -> None:
        assert (await page_of(web, modified_after=after))["total_items"] >= 100
        assert (await page_of(web, modified_after="2999-01-01T00:00:00-05:00"))["empty"]

    async def test_who_asks_for_changes_learns_what_has_closed_and_nobody_else(
        self, client: Client, web: httpx.AsyncClient, tmp_path: Path
    ) -> None:
        await import_file(ontario_locations.importer, places(tmp_path, {**ROW, "active": "No"}), client.database)
        assert names(await page_of(web, search="Harbour Clinic")) == []
        (closed,) = (await page_of(web, search="Harbour Clinic", modified_after="2020-01-01"))["contents"]
        assert closed["status"] == "inactive"

    @pytest.mark.parametrize(
        ("headers", "query"), [({"accept-language": "fr-CA"}, ""), ({}, "?language=fr"), ({}, "?language=fr-CA")]
    )
    async def test_french_is_given_when_asked_for(
        self, web: httpx.AsyncClient, headers: dict[str, str], query: str
    ) -> None:
        answer = await web.get(f"/services{query}", headers=headers)
        assert answer.headers["content-language"] == "fr"
        assert any(s["name"] == "Carte Santé" for s in answer.json()["contents"])


PARAMETERS = (
    *("search", "page", "per_page", "format", "taxonomy_term_id", "taxonomy_id", "organization_id"),
    *("modified_after", "minimal", "full", "language", "other"),
)


def queries() -> st.SearchStrategy[dict[str, str]]:
    values = st.one_of(
        st.text(max_size=20),
        st.sampled_from(
            ["", "true", "json", "ndjson", "0", "7", "-1", "1e9", "9" * 30, "2026-01-31", "0001-01-01T00:00:00+14:00"]
        ),
        st.uuids().map(str),
    )
    return st.dictionaries(st.sampled_from(PARAMETERS), values, max_size=4)


class TestRefusals:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            *((f"page={value}", "page") for value in ("0", "-1", "x", "99999999999", "", "%00")),
            *((f"per_page={value}", "per_page") for value in ("101", "0", "٣", "1.5")),
            ("organization_id=serviceontario", "organization_id"),
            ("taxonomy_id=", "taxonomy_id"),
            ("taxonomy_term_id=%00", "taxonomy_term_id"),
            ("modified_after=yesterday", "modified_after"),
            ("modified_after=", "modified_after"),
            ("format=xml", "format"),
            ("full=perhaps", "full"),
            ("minimal=2", "minimal"),
            ("minimal=true&full=true", "full"),
            (f"search={'x' * 201}", "search"),
        ],
    )
    async def test_a_parameter_that_is_none_is_told_by_name_in_french(
        self, web: httpx.AsyncClient, query: str, field: str
    ) -> None:
        answer = await web.get(f"/services?{query}&language=fr")
        (error,) = answer.json()["errors"]
        assert (answer.status_code, answer.headers["content-language"]) == (400, "fr")
        assert (error["extensions"]["code"], error["extensions"]["field"]) == ("BAD_USER_INPUT", field)
        assert error["message"] == error["extensions"]["text"]["fr"] != error["extensions"]["text"]["en"]

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(query=queries())
    async def test_whatever_is_asked_is_answered_or_refused(
        self, web: httpx.AsyncClient, query: dict[str, str]
    ) -> None:
        assert (await web.get("/services", params=query)).status_code in (200, 400)

    @pytest.mark.parametrize("identifier", ["x", "00000000-0000-4000-8000-000000000000", "%00", "🥐", "%ff"])
    async def test_a_service_that_is_none_is_not_found(self, web: httpx.AsyncClient, identifier: str) -> None:
        answer = await web.get(f"/services/{identifier}")
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"

    @pytest.mark.parametrize("path", ["", "/"])
    async def test_the_root_names_the_version(self, web: httpx.AsyncClient, path: str) -> None:
        answer = (await web.get(path)).json()
        assert answer["version"] == "3.1"
        assert is_uri(answer["profile"]) and is_uri(answer["openapi_url"])
