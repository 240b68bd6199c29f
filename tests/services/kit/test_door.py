"""A service asks through the gateway as itself: its own key, its own token, never that of whoever asked it."""

import ast
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from joserfc.jwk import ECKey

from clusters.access import access
from clusters.issuer.app import create_app
from clusters.topology import ROOT
from gateway.app import Gateway, application
from gateway.settings import Settings
from services.kit.door import Door, KeyUnusable, client_key
from services.kit.faults import Faulted
from services.kit.settings import Issuer, Mode
from tests.gateway.conftest import SUPERGRAPH, http, listening, playing

URL = "http://issuer.test/realms/onedoor"
DOOR = "http://door.test/graphql"
KEY = ECKey.generate_key("P-256", {"kid": "own"})
BOOK = '{ book(isbn: "1") { title } }'
HELD = b'{"data":{"book":{"title":"Waves"}}}'


class Province:
    """An issuer and a gateway in production mode, in process, and what is asked of each."""

    def __init__(self, gateway: Gateway, books: Any) -> None:
        self.gateway, self.books = gateway, books
        self.requests: list[httpx.Request] = []
        self.tokens = self.away = 0
        issuer = create_app(URL, access(), keys={"inspections": {"keys": [KEY.as_dict(private=False)]}})
        self._apps = {
            "issuer.test": httpx.ASGITransport(issuer),
            "door.test": httpx.ASGITransport(application(gateway)),
        }

    async def handle(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("away")
        self.tokens += request.url.path.endswith("/token")
        self.requests.append(request)
        return await self._apps[request.url.host].handle_async_request(request)

    def door(self, key: ECKey = KEY) -> Door:
        return Door(DOOR, Issuer(URL, URL), "inspections", key, transport=httpx.MockTransport(self.handle))


@pytest.fixture
async def province(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Province]:
    async with listening() as books, listening() as opinions:
        urls = {"SUBGRAPH_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": opinions.url}
        settings = Settings(
            SUPERGRAPH, Mode.PRODUCTION, issuer=Issuer(URL, URL), subgraph_urls=urls, public_urls=(DOOR,)
        )
        found: list[Province] = []

        async def published() -> dict[str, Any]:
            async with httpx.AsyncClient(transport=httpx.MockTransport(found[0].handle)) as client:
                keys: dict[str, Any] = (await client.get(f"{URL}/protocol/openid-connect/certs")).json()
                return keys

        monkeypatch.setattr("gateway.app.http_source", lambda *_: published)
        found.append(Province(Gateway(settings), books))
        books.play = playing(http(HELD))
        yield found[0]
        found[0].gateway.subgraphs.close()


class TestAService:
    async def test_asks_as_itself_with_a_token_bound_to_its_key(self, province: Province) -> None:
        door = province.door()
        assert await door.ask(BOOK) == {"book": {"title": "Waves"}}
        head = province.books.requests[0][0].decode().lower()
        assert "authorization: dpop " in head
        await door.close()

    async def test_keeps_its_token_until_shortly_before_it_ends(self, province: Province) -> None:
        door = province.door()
        await asyncio.gather(*(door.ask(BOOK) for _ in range(5)))
        assert province.tokens == 1
        door._until = 0.0
        await door.ask(BOOK)
        assert province.tokens == 2
        await door.close()

    async def test_comes_by_a_new_token_when_its_own_is_refused(self, province: Province) -> None:
        door = province.door()
        await door.ask(BOOK)
        door._token = door._token[:-8] + "AAAAAAAA"  # as after a change of the issuer's keys
        assert await door.ask(BOOK) == {"book": {"title": "Waves"}}
        assert province.tokens == 2
        await door.close()


class TestWhatGoesWrong:
    async def failed(self, door: Door, query: str = BOOK, deadline_s: float = 5) -> Faulted:
        with pytest.raises(Faulted) as caught:
            await door.ask(query, deadline_s=deadline_s)
        await door.close()
        return caught.value

    async def test_with_the_operation_is_told_by_its_own_code_and_words(self, province: Province) -> None:
        failed = await self.failed(province.door(), "{ nothing }")
        assert failed.fault.code == "GRAPHQL_VALIDATION_FAILED"
        assert failed.words.fr.startswith("L’opération ne correspond pas")

    async def test_with_the_gateway_is_told_as_unavailable(self, province: Province) -> None:
        province.away = 1
        assert (await self.failed(province.door())).fault.code == "SERVICE_UNAVAILABLE"

    async def test_with_its_own_key_is_told_as_unavailable(self, province: Province) -> None:
        door = province.door(ECKey.generate_key("P-256", {"kid": "own"}))
        assert (await self.failed(door)).fault.code == "SERVICE_UNAVAILABLE"

    async def test_with_time_is_told_as_a_deadline(self, province: Province) -> None:
        async def never(*_: Any) -> None:
            await asyncio.Event().wait()

        province.books.play = never
        assert (await self.failed(province.door(), deadline_s=0.3)).fault.code == "DEADLINE_EXCEEDED"


class TestTheKey:
    def test_is_read_from_a_jwk_and_from_a_pem_file(self, tmp_path: Path) -> None:
        (tmp_path / "key.json").write_bytes(orjson.dumps(KEY.as_dict(private=True)))
        (tmp_path / "key.pem").write_bytes(KEY.as_pem(private=True))
        for name in ("key.json", "key.pem"):
            assert client_key(tmp_path / name).thumbprint() == KEY.thumbprint()

    @pytest.mark.parametrize(
        "text",
        ["", "{}", "nonsense", orjson.dumps(KEY.as_dict(private=False)).decode()],
        ids=["empty", "no key", "nonsense", "public"],
    )
    def test_that_is_none_is_refused_by_the_files_name(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "key").write_text(text)
        with pytest.raises(KeyUnusable, match="key holds no private key"):
            client_key(tmp_path / "key")


class TestNobodyElse:
    def test_speaks_http_to_the_outside_or_holds_a_token(self) -> None:
        """No service and no other module of the kit has an HTTP client, and none is given the header with a citizen's token."""
        clients = {"httpx", "requests", "aiohttp", "urllib3", "http.client", "urllib.request"}
        for file in (ROOT / "services").rglob("*.py"):
            if file.name == "door.py" or "testing" in file.parts:
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            imported = {
                *(alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names),
                *(node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)),
            }
            assert imported.isdisjoint(clients), file

    def test_asks_with_the_token_of_a_caller(self) -> None:
        """What a resolver is given of its caller holds no token that could be kept or passed on."""
        from services.kit.caller import Caller
        from services.kit.operation import Operation

        for kind in (Caller, Operation):
            names = {*getattr(kind, "__slots__", ()), *getattr(kind, "__annotations__", {})}
            assert not {name for name in names if "token" in name or "authorization" in name}
