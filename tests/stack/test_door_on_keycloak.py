"""Keys of clients on Keycloak itself, with a gateway as its operators run it; who is signed out; the issuer away."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from keycloak import KeycloakAdmin

from clusters import signin
from clusters.access import User, access
from clusters.keycloak.connection import Account, KeycloakRefused, connected
from clusters.keycloak.provision import Provision
from clusters.keycloak.sessions import end
from gateway.backchannel_logout import ADDRESS
from services.kit.database import Database
from services.kit.door import Door
from services.kit.dpop import Prover
from services.kit.faults import Faulted
from services.kit.serve import Parts
from services.kit.settings import Issuer, Mode, Settings
from services.kit.testing import tokens as test_issuer
from services.kit.tokens import DPOP, TokenRefused
from tests.gateway.conftest import SUPERGRAPH, Loopback, http, listening, playing
from tests.gateway.running import Running, running
from tests.services.kit.conftest import db as db
from tests.services.kit.conftest import water_template as water_template
from tests.services.kit.test_session_stream import declared
from tests.services.sample_service.service import service as sample
from tests.stack.conftest import Keycloak

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]
OWNER: User = access().users["owner"]
ASKED = {"query": "{ __typename }"}


@dataclass
class Places:
    """A gateway process, a service of this process, and what tells Keycloak where the gateway is."""

    gateway: Running
    service: Parts
    books: Loopback
    keycloak: Keycloak
    admin: KeycloakAdmin

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.gateway.port}/graphql"

    def signed_in(self, prover: Prover) -> dict[str, Any]:
        return dict(signin.sign_in(self.keycloak.issuer, OWNER.name, OWNER.password, prover=prover))

    async def at_gateway(self, prover: Prover, token: str) -> int:
        headers = prover.headers("POST", self.url, token)
        return (await self.gateway.client.post("/graphql", json=ASKED, headers=headers)).status_code


def administrator(keycloak: Keycloak, realm: str) -> KeycloakAdmin:
    return connected(Account(keycloak.base, keycloak.admin, "master", secret=keycloak.admin_secret), realm)


@contextlib.contextmanager
def told_at(admin: KeycloakAdmin, address: str) -> Any:
    """While the block lasts, Keycloak tells the ends of the command line's sessions there."""
    identity = str(admin.get_client_id("onedoor-cli"))
    whole = admin.get_client(identity)  # Keycloak takes its defaults for what an update leaves out
    admin.update_client(identity, {**whole, "attributes": {**whole["attributes"], "backchannel.logout.url": address}})
    try:
        yield
    finally:
        admin.update_client(identity, whole)


@pytest.fixture
async def places(keycloak: Keycloak, nats_url: str, db: Database) -> AsyncIterator[Places]:
    issuer = Issuer(keycloak.issuer, keycloak.issuer)
    url = db.engine.url.render_as_string(hide_password=False)
    stream = await declared(nats_url)  # as a service that has events does; else only the first end gets through
    await stream.close()
    parts = Parts(sample, Settings("catalogue", Mode.TEST, "127.0.0.1", 0, url, nats_url, issuer, "INFO"))
    async with listening() as books, listening() as opinions, parts.running():
        env = {
            "ONEDOOR_MODE": "test",
            "ISSUER_URL": keycloak.issuer,
            "NATS_URL": nats_url,
            "SUBGRAPH_URL_BOOKS": books.url,
            "SUBGRAPH_URL_OPINIONS": opinions.url,
        }
        async with running(SUPERGRAPH, env) as gateway:
            admin = administrator(keycloak, "onedoor")
            with told_at(admin, f"http://127.0.0.1:{gateway.port}{ADDRESS}"):
                found = Places(gateway, parts, books, keycloak, admin)
                await until_heard(parts)
                yield found


async def until_heard(parts: Parts) -> None:
    async with asyncio.timeout(20):
        while not parts.sessions.hears:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.02)


class TestATokenOfKeycloak:
    async def test_that_is_bound_to_a_key_is_taken_with_its_proof_and_not_otherwise(self, places: Places) -> None:
        prover = Prover()
        tokens = places.signed_in(prover)
        token = tokens["access_token"]
        assert tokens["token_type"] == "DPoP"
        assert await places.at_gateway(prover, token) == 200
        assert await places.at_gateway(Prover(), token) == 401
        for headers in (
            {"authorization": f"Bearer {token}"},
            {"authorization": f"DPoP {token}"},
            prover.headers("POST", "https://elsewhere.example/graphql", token),
        ):
            assert (await places.gateway.client.post("/graphql", json=ASKED, headers=headers)).status_code == 401
        used = prover.headers("POST", places.url, token)
        codes = [(await places.gateway.client.post("/graphql", json=ASKED, headers=used)).status_code for _ in "12"]
        assert codes == [200, 401]

    async def test_is_renewed_by_the_same_key_only(self, places: Places) -> None:
        prover = Prover()
        renewed = signin.refresh(places.keycloak.issuer, places.signed_in(prover), prover)
        assert await places.at_gateway(prover, renewed["access_token"]) == 200
        with pytest.raises(signin.SignInFailed):
            signin.refresh(places.keycloak.issuer, places.signed_in(prover), Prover())


class TestALogoutAtKeycloak:
    @pytest.mark.parametrize("whose", ["one session", "all sessions of a person"])
    async def test_is_heard_at_the_gateway_and_by_services_in_two_seconds(self, places: Places, whose: str) -> None:
        prover = Prover()
        tokens, other = places.signed_in(prover), places.signed_in(prover)
        token = str(tokens["access_token"])
        assert await places.at_gateway(prover, token) == 200
        claims = await places.service.verifier.verify(token, DPOP)
        if whose == "one session":
            ended = f"admin/realms/onedoor/sessions/{claims.session}"
            await asyncio.to_thread(places.admin.connection.raw_delete, ended)
        else:
            account = Account(places.keycloak.base, places.keycloak.admin, "master")
            assert await asyncio.to_thread(end, places.admin, account, OWNER.name, disable=False) >= 2
        async with asyncio.timeout(2):
            while await places.at_gateway(prover, token) != 401:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.02)
            with pytest.raises(TokenRefused, match="session has ended"):
                while await places.service.verifier.verify(token, DPOP):  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.02)
        others = 200 if whose == "one session" else 401
        assert await places.at_gateway(prover, str(other["access_token"])) == others


class TestSigningAPersonOut:
    def test_who_is_disabled_does_not_come_in_again(self, keycloak: Keycloak) -> None:
        admin, account = administrator(keycloak, "onedoor"), Account(keycloak.base, keycloak.admin, "master")
        signin.sign_in(keycloak.issuer, "citizen", "citizen-onedoor")
        try:
            assert end(admin, account, "citizen", disable=True) >= 1
            with pytest.raises(signin.SignInFailed):
                signin.sign_in(keycloak.issuer, "citizen", "citizen-onedoor")
        finally:
            identity = str(admin.get_user_id("citizen"))
            admin.update_user(identity, {**admin.get_user(identity), "enabled": True})
        assert signin.sign_in(keycloak.issuer, "citizen", "citizen-onedoor")

    def test_nobody_of_that_name_is_told(self, keycloak: Keycloak) -> None:
        account = Account(keycloak.base, keycloak.admin, "master")
        with pytest.raises(KeycloakRefused, match="nobody-at-all"):
            end(administrator(keycloak, "onedoor"), account, "nobody-at-all", disable=True)


class TestAServiceOfItsOwn:
    async def test_asks_through_the_gateway_by_the_key_that_its_realm_knows(self, keycloak: Keycloak) -> None:
        key = ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True)
        account = Account(keycloak.base, keycloak.admin, "master", secret=keycloak.admin_secret)
        rules = replace(access("https://www.example.ca", "https://door.example.ca"), realm="services")
        keys = {"inspections": {"keys": [key.as_dict(private=False)]}}
        made = Provision(connected(account, "services"), account, rules, keys)
        made.carry_out()
        try:
            issuer = Issuer(f"{keycloak.base}/realms/services", f"{keycloak.base}/realms/services")
            async with listening() as books:
                books.play = playing(http(json.dumps({"data": {"book": {"title": "Waves"}}}).encode()))
                env = {"ONEDOOR_MODE": "test", "ISSUER_URL": issuer.url}
                env |= {"SUBGRAPH_URL_BOOKS": books.url, "SUBGRAPH_URL_OPINIONS": books.url}
                async with running(SUPERGRAPH, env) as gateway:
                    url = f"http://127.0.0.1:{gateway.port}/graphql"
                    door = Door(url, issuer, "inspections", key)
                    assert await door.ask('{ book(isbn: "1") { title } }', deadline_s=20) == {
                        "book": {"title": "Waves"}
                    }
                    assert b"authorization: dpop " in books.requests[0][0].lower()
                    await door.close()
                    stranger = Door(url, issuer, "inspections", ECKey.generate_key("P-256", auto_kid=True))
                    with pytest.raises(Faulted, match="SERVICE_UNAVAILABLE"):
                        await stranger.ask("{ __typename }", deadline_s=20)
                    await stranger.close()
        finally:
            made.admin.delete_realm("services")


class TestWhileTheIssuerIsAway:
    async def test_who_is_known_goes_on_and_new_keys_are_refused(self, places: Places) -> None:
        """Keycloak itself is needed by other tests, so another gateway looks for its keys where nobody answers any more."""
        prover = Prover()
        token = places.signed_in(prover)["access_token"]
        async with httpx.AsyncClient() as client:
            body = (await client.get(f"{places.keycloak.issuer}/protocol/openid-connect/certs")).content
        async with listening() as issuer:
            answered = asyncio.Event()

            async def certs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + body)
                await writer.drain()
                writer.close()
                answered.set()

            server = await asyncio.start_server(certs, "127.0.0.1", 0)
            at = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/realms/onedoor"
            env = {"ONEDOOR_MODE": "test", "ISSUER_URL": places.keycloak.issuer, "ISSUER_INTERNAL_URL": at}
            env |= {"SUBGRAPH_URL_BOOKS": issuer.url, "SUBGRAPH_URL_OPINIONS": issuer.url}
            async with running(SUPERGRAPH, env) as gateway:
                async with asyncio.timeout(20):
                    await answered.wait()
                url = f"http://127.0.0.1:{gateway.port}/graphql"

                async def asked(shown: str) -> int:
                    headers = prover.headers("POST", url, shown)
                    return (await gateway.client.post("/graphql", json=ASKED, headers=headers)).status_code

                assert await asked(token) == 200
                server.close()
                await server.wait_closed()
                assert await asked(token) == 200
                assert await asked(test_issuer.token(audience="onedoor", iss=places.keycloak.issuer)) == 401
                assert (await gateway.client.post("/graphql", json=ASKED)).status_code == 200
