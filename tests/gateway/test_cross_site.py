"""What a page of another site can make a browser do here: nothing unasked, and nothing at all unless its origin is allowed."""

import pytest

from gateway.settings import gateway_settings
from services.kit.settings import SettingMissing
from tests.gateway.conftest import Opening

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
        env = {"SUPERGRAPH": "x", "CORS_ORIGINS": "https://www.example.ca, http://localhost:3000"}
        assert gateway_settings(env).cors_origins == {"https://www.example.ca", "http://localhost:3000"}
        assert gateway_settings({"SUPERGRAPH": "x"}).cors_origins == frozenset()

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
