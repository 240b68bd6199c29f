"""TLS between parts: whose certificate is believed, and how a renewed one is taken up."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import nkeys
import pytest
from nats import errors
from nats.aio.client import Client

from gateway import http1, upstreams
from services.kit import tls
from services.kit.broker import sign_in
from services.kit.bus import end
from services.kit.settings import SettingMissing
from services.kit.testing.certificates import Authority
from services.kit.tokens import http_source

ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"keys":[]}'


def shown(certificate: Path, key: Path) -> tls.Listener:
    found = tls.listener({tls.CERTIFICATE: str(certificate), tls.KEY: str(key)})
    assert found is not None
    return found


@asynccontextmanager
async def serving(listener: tls.Listener) -> AsyncIterator[int]:
    """The port of a server that answers every request alike."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=listener.context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def fetched(url: str, checks: ssl.SSLContext) -> None:
    await http_source(url, checks)()


async def posted(url: str, checks: ssl.SSLContext) -> None:
    origin = http1.Origin(url, 1, 1_000, 1, checks)
    try:
        answer = await origin.post(b"{}", b"", asyncio.get_running_loop().time() + 5)
        assert answer.status == 200
    finally:
        origin.close()


async def streamed(url: str, checks: ssl.SSLContext) -> None:
    origin = http1.Origin(url, 1, 1_000, 1, checks)
    stream = await origin.stream(b"{}", b"", asyncio.get_running_loop().time() + 5)
    stream.close()


async def subscribed(url: str, checks: ssl.SSLContext) -> None:
    origin = http1.Origin(url, 1, 1_000, 1, checks)
    with pytest.raises(upstreams.Lost) as lost:
        await upstreams.Source(url.replace("https", "wss"), origin, 1, checks).begin(b"{}", b"")
    if lost.value.reason != "InvalidStatus":  # it came so far as to hear that this is no WebSocket
        raise ssl.SSLError(lost.value.reason)


CLIENTS: dict[str, Callable[[str, ssl.SSLContext], Awaitable[None]]] = {
    "of the issuer's keys": fetched,
    "of a subgraph": posted,
    "of a subgraph's events": streamed,
    "of a subgraph's WebSocket": subscribed,
}


class TestAClient:
    @pytest.mark.parametrize("client", CLIENTS)
    async def test_believes_whom_its_authority_certifies_by_that_name_only(self, client: str, tmp_path: Path) -> None:
        ours, other = Authority(tmp_path), Authority(tmp_path, "Another")
        refused = (ssl.SSLError, http1.Unreachable)
        ask = CLIENTS[client]
        async with serving(shown(*ours.certify("local"))) as port:
            await ask(f"https://localhost:{port}/", tls.context(ours.file))
            await ask(f"https://127.0.0.1:{port}/", tls.context(ours.file))
            for authority in (other.file, None):
                with pytest.raises(refused):
                    await ask(f"https://localhost:{port}/", tls.context(authority))
        async with serving(shown(*ours.certify("elsewhere", "catalogue.example.ca"))) as port:
            with pytest.raises(refused):
                await ask(f"https://localhost:{port}/", tls.context(ours.file))


class TestARenewedCertificate:
    @pytest.fixture(autouse=True)
    def soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tls, "LOOK_EVERY_S", 0.01)

    async def test_is_shown_to_who_connects_next_and_a_broken_one_never(self, tmp_path: Path) -> None:
        authority = Authority(tmp_path)
        certificate, key = authority.certify("door")
        listener, before = shown(certificate, key), certificate.read_text()
        following = asyncio.create_task(listener.follow())
        async with serving(listener) as port:
            assert await peer(port, authority) == before
            certificate.write_text("half a cert")
            await asyncio.sleep(0.05)  # several looks
            assert await peer(port, authority) == before
            authority.certify("door")
            async with asyncio.timeout(5):
                while await peer(port, authority) == before:  # noqa: ASYNC110 - a file tells nobody
                    await asyncio.sleep(0.01)
            assert await peer(port, authority) == certificate.read_text()
        await end(following)


async def peer(port: int, authority: Authority) -> str:
    """The certificate that a server shows, in PEM."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls.context(authority.file))
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    await writer.wait_closed()
    return ssl.DER_cert_to_PEM_cert(found)


class TestSettings:
    def test_without_either_there_is_none(self) -> None:
        assert tls.listener({}) is None

    @pytest.mark.parametrize("variable", [tls.CERTIFICATE, tls.KEY])
    def test_one_without_the_other_is_refused(self, tmp_path: Path, variable: str) -> None:
        held = dict(zip((tls.CERTIFICATE, tls.KEY), map(str, Authority(tmp_path).certify("door")), strict=True))
        with pytest.raises(SettingMissing, match=f"{tls.CERTIFICATE} and {tls.KEY}"):
            tls.listener({variable: held[variable]})

    @pytest.mark.parametrize("content", ["", "no certificate"])
    def test_an_authority_that_is_none_is_refused(self, tmp_path: Path, content: str) -> None:
        (tmp_path / "ca.pem").write_text(content)
        with pytest.raises(SettingMissing, match="TLS_AUTHORITY"):
            tls.context(tmp_path / "ca.pem")


class TestAtNats:
    async def test_nobody_is_talked_out_of_tls(self, tmp_path: Path) -> None:
        """A server that claims to know none hears the beginning of TLS, and neither name nor signature."""
        heard = list[bytes]()

        async def claims(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'INFO {"version":"2.15.0","max_payload":1048576,"headers":true,"nonce":"abc"}\r\n')
            heard.append(await reader.read(100))
            writer.close()

        seed, authority = tmp_path / "seed", Authority(tmp_path)
        seed.write_bytes(nkeys.encode_seed(bytes(32), nkeys.PREFIX_BYTE_USER))
        server = await asyncio.start_server(claims, "127.0.0.1", 0)
        url = f"tls://localhost:{server.sockets[0].getsockname()[1]}"
        signed_in, client = sign_in("catalogue", url, seed, authority.file), Client()
        with pytest.raises((OSError, errors.Error)):
            async with asyncio.timeout(5):
                await client.connect(
                    url, max_reconnect_attempts=1, connect_timeout=2, error_cb=_noted, **signed_in.options
                )
        server.close()
        assert {said[:2] for said in heard} == {b"\x16\x03"}  # a TLS handshake, RFC 8446


async def _noted(_: Exception) -> None:
    """What the client tells beside raising it."""
