"""What a page of another site can make a browser do here: nothing unasked, and nothing at all unless its origin is allowed."""

import pytest

from gateway.app import Gateway, application
from gateway.settings import Settings, gateway_settings
from services.kit.settings import Mode, SettingMissing
from tests.gateway.conftest import SUPERGRAPH, Answers, Door, Opening, Reply

ASKED = "query=%7Bbook(isbn:%221%22)%7Btitle%7D%7D"
BOOK = {"data": {"book": {"title": "Waves"}}}
ELSEWHERE = "https://evil.example"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"


class TestUnasked:
    """Requests that a browser sends across sites without a preflight."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"sec-fetch-site": "something new"},
            {"origin": ELSEWHERE},
            {"origin": "null"},
            {"user-agent": BROWSER},
            {"sec-fetch-site": "cross-site", "content-type": "text/plain"},
            {"sec-fetch-site": "cross-site", "apollo-require-preflight": ""},
        ],
    )
    async def test_a_get_of_another_sites_page_is_refused(self, open_door: Opening, headers: dict[str, str]) -> None:
        door = open_door()
        reply = await door.send("GET", query=ASKED, headers={"content-type": "", **headers})
        assert (reply.status, reply.codes) == (403, ["CROSS_SITE_REFUSED"])
        assert door.subgraphs.sent == []

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"user-agent": "curl/8.5"},
            {"sec-fetch-site": "same-origin", "user-agent": BROWSER},
            {"sec-fetch-site": "none", "user-agent": BROWSER},
            {"sec-fetch-site": "cross-site", "apollo-require-preflight": "true"},
            {"origin": ELSEWHERE, "x-apollo-operation-name": "Book"},
            {"origin": ELSEWHERE, "graphql-require-preflight": "1"},
            {"origin": ELSEWHERE, "content-type": "application/json"},
        ],
    )
    async def test_what_is_no_such_thing_is_answered(self, open_door: Opening, headers: dict[str, str]) -> None:
        reply = await open_door(books=BOOK).send("GET", query=ASKED, headers={"content-type": "", **headers})
        assert reply.body == BOOK

    async def test_a_trusted_sites_page_may(self, open_door: Opening) -> None:
        door = open_door(books=BOOK, changed={"cors_origins": frozenset({"https://www.example.ca"})})
        headers = {"content-type": "", "origin": "https://www.example.ca", "sec-fetch-site": "cross-site"}
        assert (await door.send("GET", query=ASKED, headers=headers)).body == BOOK


class TestAllowedOrigins:
    """A gateway that is told one origin."""

    HERE = "https://www.example.ca"

    @pytest.fixture
    def door(self) -> Door:
        settings = Settings(SUPERGRAPH, Mode.TEST, cors_origins=frozenset({self.HERE}))
        return Door(application(Gateway(settings)), Answers({}), settings)

    async def ask_first(self, door: Door, origin: str, headers: str = "content-type,authorization") -> Reply:
        return await door.send(
            "OPTIONS",
            headers={
                "content-type": "",
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": headers,
            },
        )

    async def test_a_page_there_may_ask_and_read(self, door: Door) -> None:
        before = await self.ask_first(door, self.HERE)
        assert (before.status, before.headers["access-control-allow-origin"]) == (200, self.HERE)
        reply = await door.post("{ __typename }", {"origin": self.HERE})
        assert reply.headers["access-control-allow-origin"] == self.HERE
        assert "origin" in reply.headers["vary"].lower()
        assert "access-control-allow-credentials" not in reply.headers

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "null",
            "https://www.example.ca.evil.example",
            "http://www.example.ca",
            "https://WWW.example.ca",
        ],
    )
    async def test_a_page_elsewhere_may_not(self, door: Door, origin: str) -> None:
        before = await self.ask_first(door, origin)
        assert before.status == 400
        assert "access-control-allow-origin" not in before.headers
        assert "access-control-allow-origin" not in (await door.post("{ __typename }", {"origin": origin})).headers

    async def test_a_header_that_is_not_known_may_not_be_sent(self, door: Door) -> None:
        assert (await self.ask_first(door, self.HERE, "content-type,x-user-id")).status == 400

    async def test_without_the_setting_nobody_may(self) -> None:
        settings = Settings(SUPERGRAPH, Mode.TEST)
        door = Door(application(Gateway(settings)), Answers({}), settings)
        before = await self.ask_first(door, self.HERE)
        assert (before.status, before.codes) == (405, ["METHOD_NOT_ALLOWED"])
        reply = await door.post("{ __typename }", {"origin": self.HERE})
        assert not any(name.startswith("access-control-") for name in reply.headers)


class TestUploads:
    async def test_a_form_with_files_is_refused_in_words_of_its_own(self, open_door: Opening) -> None:
        body = (
            b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query":"{ books { title } }"}\r\n--x--'
        )
        for header in ({}, {"apollo-require-preflight": "true"}):
            door = open_door()
            reply = await door.send("POST", body, {"content-type": "multipart/form-data; boundary=x", **header})
            assert (reply.status, reply.codes) == (415, ["UPLOADS_REFUSED"])
            assert "application/json" in reply.body["errors"][0]["message"]
            assert door.subgraphs.sent == []


class TestSettings:
    def test_origins_are_exact(self) -> None:
        env = {
            "SUPERGRAPH": "x",
            "ONEDOOR_MODE": "test",
            "CORS_ORIGINS": "https://www.example.ca, http://localhost:3000",
        }
        assert gateway_settings(env).cors_origins == {"https://www.example.ca", "http://localhost:3000"}
        assert gateway_settings({"SUPERGRAPH": "x", "ONEDOOR_MODE": "test"}).cors_origins == frozenset()

    @pytest.mark.parametrize(
        "given",
        [
            "*",
            "https://*.example.ca",
            "www.example.ca",
            "https://www.example.ca/",
            "null",
            "HTTPS://A.ca",
            "ftp://a.ca",
        ],
    )
    def test_what_is_no_exact_origin_is_refused_by_name(self, given: str) -> None:
        with pytest.raises(SettingMissing, match="CORS_ORIGINS"):
            gateway_settings({"SUPERGRAPH": "x", "CORS_ORIGINS": given})
