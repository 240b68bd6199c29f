"""Headers that a caller writes and only the door or a proxy may: they change nothing, go no further, and forge no log."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from clusters.local.processes import free_port
from tests.journeys.hostile import judged
from tests.stack.attacks.conftest import Target, strict_door

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("attacks")]
MARK = "evil-marker"
SPOOFED = {
    **dict.fromkeys(
        ("x-user", "x-user-id", "x-remote-user", "remote-user", "x-authenticated-userid", "x-forwarded-host", "x-api-key",
         "x-internal", "traceparent-onedoor", "onedoor-subject", "onedoor-roles"), MARK
    ),
    **dict.fromkeys(("x-original-url", "x-rewrite-url", "x-forwarded-prefix"), f"/{MARK}"),
    **dict.fromkeys(("x-forwarded-for", "x-real-ip"), "127.0.0.1"),
    "forwarded": f"for=127.0.0.1;host={MARK}",
    "x-forwarded-proto": "https",
    "x-roles": "operator",
    "x-scopes": "business:read-all",
    "x-debug": "1",
    "x-client-cert": MARK,
    "x-ssl-client-verify": "SUCCESS",
    "x-ssl-client-s-dn": f"CN={MARK}",
    "cookie": f"session={MARK}",
    "proxy-authorization": f"Basic {MARK}",
    "onedoor-deadline": "99999999999999",
    "onedoor-context": f'rid="{MARK}", purpose="{MARK}", authority="{MARK}"',
    "content-digest": f"sha-256=:{MARK}:",
    "signature": f"sig1=:{MARK}:",
    "signature-input": f'sig1=("@method");keyid="{MARK}";tag="onedoor"',
}  # fmt: skip


class Recorder:
    """A service that keeps what it was sent, and answers nothing useful."""

    def __init__(self) -> None:
        self.heads: list[dict[str, str]] = []
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                recorder.heads.append({name.lower(): value for name, value in self.headers.items()})
                body = b'{"data":{"clusters":[]}}'
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self.port = free_port()
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def recorded(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Target, Recorder]]:
    """A strict door whose catalogue is a recorder."""
    recorder = Recorder()
    changed = {"SUBGRAPH_URL_CATALOGUE": f"http://127.0.0.1:{recorder.port}/graphql"}
    log = tmp_path_factory.mktemp("recorded") / "door.log"
    for door in strict_door(target.environment, target.issuer, log, changed):
        yield door, recorder
    recorder.server.shutdown()
    recorder.server.server_close()


class TestSpoofed:
    def test_headers_reach_no_service(self, recorded: tuple[Target, Recorder]) -> None:
        door, recorder = recorded
        assert not judged(door.ask("{ clusters { code } }", headers=SPOOFED)).told_no
        (head,) = recorder.heads
        assert MARK not in json.dumps(head)
        for name in SPOOFED.keys() & head.keys():
            assert name in ("onedoor-context", "onedoor-deadline", "signature", "signature-input", "content-digest")
            assert head[name] != SPOOFED[name], name  # the door's own

    def test_headers_make_nobody_of_a_stranger(self, target: Target) -> None:
        answer = target.ask("{ myBusinesses { edges { cursor } } }", headers=SPOOFED)
        assert judged(answer).codes == ["UNAUTHENTICATED"]

    def test_headers_widen_no_rights(self, target: Target) -> None:
        answer = target.ask("{ inspections { edges { cursor } } }", "specialist", headers=SPOOFED)
        assert judged(answer).codes == ["FORBIDDEN"]

    def test_two_identities_are_none(self, target: Target) -> None:
        owner, operator = target.token("owner"), target.token("operator")
        headers = [("authorization", f"DPoP {owner}"), ("authorization", f"DPoP {operator}")]
        answer = target.http.post(target.url, json={"query": "{ __typename }"}, headers=headers)
        assert answer.status_code == 401


class TestTheLog:
    def test_is_one_object_a_line_whatever_comes(self, target: Target) -> None:
        forged = b'{"event":"forged"}'
        for raw in (
            b"X-Request-Id: a\x0b" + forged,
            b"X-Request-Id: a\x85" + forged,
            b"X-Request-Id: \xe2\x80\xa8" + forged,
            b"X-Request-Id: a%0a" + forged,
            b"X-Request-Id: a\x1b[2J" + forged,
            b"X-Request-Id: a\n" + forged,
            b"X-Request-Id: a\r" + forged,
            b"Authorization: Bearer a\x0b" + forged,
            b"Accept-Language: \xe2\x80\xa9" + forged,
        ):
            body = b'{"query":"query Forged { __typename }","operationName":"Forged"}'
            said = _raw(target, b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%b\r\n"
                        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (raw, len(body), body))  # fmt: skip
            assert said.startswith(b"HTTP/1.1 ")
            head = said.partition(b"\r\n\r\n")[0]
            assert not any(line.startswith(forged) for line in head.splitlines())
        _raw(target, b"GET /graphql?query=%0a" + forged + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        _raw(target, b"GET /a%0d%0a" + forged + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        lines = target.lines()
        assert lines
        assert all(line["service"] == "gateway" and line["event"] != "forged" for line in lines)

    def test_tells_refusals_and_never_a_token(self, target: Target) -> None:
        token = target.token("owner", exp=1)
        answer = target.http.post(
            target.url, json={"query": "query Refused { __typename }"}, headers=target.shown(token)
        )
        request_id = answer.headers["x-request-id"]

        def found() -> list[str]:
            return [str(line["event"]) for line in target.lines() if line.get("request_id") == request_id]

        deadline = time.monotonic() + 10  # lines are written together, twice a second
        while len(found()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sorted(found()) == ["request", "token_refused"]
        assert token not in target.log.read_text()


def _raw(target: Target, request: bytes) -> bytes:
    parts = urlsplit(target.url)
    with socket.create_connection((str(parts.hostname), parts.port or 80), timeout=10) as wire:
        wire.sendall(request)
        said = b""
        while chunk := wire.recv(65_536):
            said += chunk
    return said
