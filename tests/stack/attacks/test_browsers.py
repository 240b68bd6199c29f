"""What a page of another site can make a browser send: nothing that is answered, and nothing that changes anything."""

from urllib.parse import urlencode

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.journeys.hostile import judged
from tests.stack.attacks.conftest import Target

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("attacks")]
EVIL = "https://evil.example"
MUTATION = """mutation { reserveName(input: {name: "Lamps From Elsewhere", legalType: SOLE_PROPRIETORSHIP,
    idempotencyKey: "from elsewhere"}) { __typename } }"""


def reserved(target: Target) -> list[str]:
    """What the owner holds, seen through the province's own door."""
    headers = {"authorization": f"Bearer {target.token('owner', cnf=None)}"}
    own = target.environment["GATEWAY_URL"]
    answer = target.http.post(own, json={"query": "{ myReservations { name } }"}, headers=headers)
    return [one["name"] for one in answer.json()["data"]["myReservations"]]


class TestAForm:
    @pytest.mark.parametrize(
        ("media_type", "body"),
        [
            ("application/x-www-form-urlencoded", urlencode({"query": MUTATION}).encode()),
            ("text/plain", b'{"query": "' + MUTATION.replace("\n", " ").replace('"', '\\"').encode() + b'"}'),
            ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=query\r\n\r\n" + MUTATION.encode()),
            ("", MUTATION.encode()),
            ("text/plain; application/json", b'{"query": "{ __typename }"}'),
            ("application/jsonp", b'{"query": "{ __typename }"}'),
        ],
    )  # fmt: skip
    def test_of_another_site_is_refused_even_with_a_token(self, target: Target, media_type: str, body: bytes) -> None:
        headers = {**target.shown(target.token("owner")), "origin": EVIL, "content-type": media_type}
        answer = target.http.post(target.url, content=body, headers=headers)
        assert 400 <= answer.status_code < 500
        assert judged(answer, "en").told_no
        assert reserved(target) == []


class TestAGet:
    def test_never_changes_anything(self, target: Target) -> None:
        token = target.token("owner")
        query = urlencode({"query": MUTATION})
        for more in ({}, {"x-http-method-override": "POST"}, {"x-method-override": "POST"}):
            headers = {**target.shown(token, "GET"), "accept": "application/json", "x-requested-with": "x", **more}
            answer = target.http.get(f"{target.url}?{query}", headers=headers)
            assert (answer.status_code, judged(answer, "en").codes) == (405, ["METHOD_NOT_ALLOWED"])
        assert reserved(target) == []

    @pytest.mark.parametrize(
        "headers", [{"origin": EVIL}, {"sec-fetch-site": "cross-site"}, {"user-agent": "Mozilla/5.0"}]
    )
    def test_that_a_page_sends_unasked_is_refused(self, target: Target, headers: dict[str, str]) -> None:
        answer = target.http.get(f"{target.url}?query=%7B__typename%7D", headers={"accept": "*/*", **headers})
        assert (answer.status_code, judged(answer, "en").codes) == (403, ["CROSS_SITE_REFUSED"])

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "HEAD"])
    def test_and_no_other_method_is_answered(self, target: Target, method: str) -> None:
        answer = target.http.request(method, target.url, headers={"content-type": "application/json"})
        assert answer.status_code >= 400

    def test_and_no_page_elsewhere_may_read_what_it_gets(self, target: Target) -> None:
        headers = {
            "origin": EVIL,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type",
        }
        preflight = target.http.options(target.url, headers=headers)
        asked = target.http.post(target.url, json={"query": "{ __typename }"}, headers={"origin": EVIL})
        for answer in (preflight, asked):
            assert not [name for name in answer.headers if name.startswith("access-control-")]


class TestASocket:
    @pytest.mark.parametrize("origin", [EVIL, "null", "http://127.0.0.1.evil.example", "http://127.0.0.1:1"])
    def test_of_a_page_elsewhere_is_refused(self, target: Target, origin: str) -> None:
        with pytest.raises(InvalidStatus) as refused:
            self.open(target, origin)
        assert refused.value.response.status_code == 403
        assert b"ORIGIN_REFUSED" in (refused.value.response.body or b"")

    def test_of_a_program_is_taken(self, target: Target) -> None:
        self.open(target, None)

    def open(self, target: Target, origin: str | None) -> None:
        url = target.url.replace("http:", "ws:")
        with connect(url, origin=origin, subprotocols=["graphql-transport-ws"], proxy=None):  # type: ignore[arg-type, list-item]
            pass
