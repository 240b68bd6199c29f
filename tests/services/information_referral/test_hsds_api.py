"""The HSDS read API: valid against the standard's own schemas, in the language that is asked for."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from starlette.applications import Starlette

from services.information_referral.service import service
from services.kit.testing.client import Client

SCHEMAS = Path(__file__).parent / "hsds"


def validator(name: str) -> jsonschema.Draft202012Validator:
    """Validates an object of HSDS 3.1."""
    found = {p.name: json.loads(p.read_text(encoding="utf-8")) for p in SCHEMAS.glob("*.json")}
    resources = ((key, Resource.from_contents(schema, DRAFT202012)) for key, schema in found.items())
    registry: Registry[Any] = Registry().with_resources(resources)
    return jsonschema.Draft202012Validator(found[name], registry=registry)


@pytest.fixture
async def web(client: Client) -> AsyncIterator[httpx.AsyncClient]:
    app = Starlette(routes=service.routes)
    app.state.parts = SimpleNamespace(database=client.database)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hsds") as http:
        yield http


class TestServices:
    async def test_a_page_tells_where_it_stands(self, web: httpx.AsyncClient) -> None:
        page = (await web.get("/hsds/services", params={"per_page": 40, "page": 3})).json()
        assert {k: page[k] for k in ("page_number", "size", "first_page", "last_page", "empty")} == {
            "page_number": 3,
            "size": page["total_items"] - 80,
            "first_page": False,
            "last_page": True,
            "empty": False,
        }

    async def test_every_service_is_valid_whole_and_in_the_list(self, web: httpx.AsyncClient) -> None:
        check = validator("service.json")
        page = (await web.get("/hsds/services", params={"per_page": 100})).json()
        assert len(page["contents"]) == 100
        for listed in page["contents"]:
            check.validate(listed)
        for listed in page["contents"][::9]:
            whole = (await web.get(f"/hsds/services/{listed['id']}")).json()
            check.validate(whole)
            assert whole["schedules"]

    async def test_a_place_comes_with_its_address_and_accessibility(self, web: httpx.AsyncClient) -> None:
        page = (await web.get("/hsds/services", params={"per_page": 100})).json()
        listed = next(s for s in page["contents"] if s["name"] == "Small Business Centre, Kingston")
        whole = (await web.get(f"/hsds/services/{listed['id']}")).json()
        (offer,) = whole["service_at_locations"]
        assert offer["location"]["addresses"][0]["city"] == "Kingston"
        assert offer["location"]["accessibility"]
        assert whole["attributes"][0]["taxonomy_term"]["taxonomy_detail"]["name"] == "Ontario services by need"

    @pytest.mark.parametrize(
        ("headers", "query"), [({"accept-language": "fr-CA"}, ""), ({}, "?language=fr"), ({}, "?language=fr-CA")]
    )
    async def test_french_is_given_when_asked_for(
        self, web: httpx.AsyncClient, headers: dict[str, str], query: str
    ) -> None:
        answer = await web.get(f"/hsds/services{query}", headers=headers)
        assert answer.headers["content-language"] == "fr"
        assert any(s["name"] == "Carte Santé" for s in answer.json()["contents"])


class TestRefusals:
    @pytest.mark.parametrize("query", ["page=0", "page=-1", "page=x", "per_page=101", "page=99999999999", "per_page=٣"])
    async def test_a_page_that_is_none_is_told(self, web: httpx.AsyncClient, query: str) -> None:
        answer = await web.get(f"/hsds/services?{query}&language=fr")
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"

    @pytest.mark.parametrize("identifier", ["x", "00000000-0000-4000-8000-000000000000", "%00", "🥐"])
    async def test_a_service_that_is_none_is_not_found(self, web: httpx.AsyncClient, identifier: str) -> None:
        answer = await web.get(f"/hsds/services/{identifier}")
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"

    async def test_the_root_names_the_version(self, web: httpx.AsyncClient) -> None:
        assert (await web.get("/hsds/")).json()["version"] == "3.1"
