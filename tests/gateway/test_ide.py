"""GraphiQL: in local mode, from here alone; nowhere else. That it works is shown in a browser by the stack tests."""

import re

import pytest

from gateway import ide
from gateway.app import Gateway, application
from gateway.settings import Settings
from services.kit.language import Language
from services.kit.settings import Mode
from tests.gateway.conftest import SUPERGRAPH, Answers, Door

BROWSER = {"content-type": "", "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def door(mode: Mode) -> Door:
    settings = Settings(SUPERGRAPH, mode)
    return Door(application(Gateway(settings)), Answers({}), settings)


class TestLocally:
    @pytest.mark.parametrize(
        ("accepted", "title"), [("fr-CA", "One Door : essayer l’API"), ("en", "One Door: try the API")]
    )
    async def test_a_browser_is_given_the_page_in_its_language(self, accepted: str, title: str) -> None:
        reply = await door(Mode.LOCAL).send("GET", headers={**BROWSER, "accept-language": accepted})
        assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert f"<title>{title}</title>" in reply.content.decode()
        assert "script-src 'self'" in reply.headers["content-security-policy"]

    async def test_everything_that_it_loads_is_here(self) -> None:
        here = door(Mode.LOCAL)
        text = ide.page(Language.EN).decode()
        loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
        assert len(loaded) == 7
        for address in loaded:
            if address == "data:,":
                continue
            assert (await here.send("GET", path=address)).status == 200, address

    async def test_programs_are_answered_as_ever(self) -> None:
        here = door(Mode.LOCAL)
        assert (await here.post("{ __typename }", {"accept": "*/*"})).body == {"data": {"__typename": "Query"}}
        reply = await here.send("GET", query="query=%7B__typename%7D", headers={"content-type": ""})
        assert reply.body == {"data": {"__typename": "Query"}}


class TestElsewhere:
    @pytest.mark.parametrize("mode", [Mode.PRODUCTION, Mode.TEST])
    async def test_there_is_no_page_and_no_file(self, mode: Mode) -> None:
        there = door(mode)
        reply = await there.send("GET", headers=BROWSER)
        assert (reply.status, reply.codes) == (403, ["CROSS_SITE_REFUSED"]) or reply.status == 400
        assert b"<html" not in reply.content
        assert (await there.send("GET", path="/graphiql/start.js")).status == 404
