"""The development issuer: Keycloak's paths; codes with PKCE, refresh, devices, client credentials. Local mode only.

It stands in for Keycloak where that would take a gigabyte and half a minute; `make test-stack` runs the same journey on
Keycloak itself. There is no password grant and no implicit flow.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import httpx
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from clusters.access import Access, Authentication, Client, Flow
from clusters.issuer.clients import ALGORITHM as CLIENT_ALGORITHM
from clusters.issuer.clients import Clients
from clusters.issuer.devices import Devices
from clusters.issuer.keys import ALGORITHM, Holder, Json, Signer
from clusters.issuer.logout import Logout
from clusters.issuer.oauth import NO_STORE, Form, Rejected, form_of, unauthorized
from clusters.issuer.own_sessions import OwnSessions
from clusters.issuer.sessions import Grant, Once
from clusters.issuer.signing_in import SigningIn
from services.kit.dpop import ALGORITHMS as PROOF_ALGORITHMS
from services.kit.dpop import ProofRefused, Proofs, TooManyProofs, target
from services.kit.tokens import BEARER, DPOP, TokenRefused, credentials

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SECRETS = ("client_secret_basic", "client_secret_post")
GRANTS = ("authorization_code", "refresh_token", DEVICE_GRANT, "client_credentials")


class Issuer:
    """One realm: its users, clients, keys and what it remembers."""

    def __init__(
        self, url: str, access: Access, clients: httpx.AsyncBaseTransport | None, keys: Mapping[str, Any]
    ) -> None:
        self.url, self.access = url, access
        self.clients, self.proofs = Clients(url, access, keys), Proofs()
        self.signer = Signer(url, access.audiences)
        self.ended: set[str] = set()
        self.codes = Once(access.lives.code, self.ended)
        self.refreshes = Once(access.lives.session, self.ended)
        self.devices = Devices()
        self.signing_in = SigningIn(url, access, self.codes, self.devices)
        self.logout = Logout(access, self.signer, self.ended, clients)

    # -- tokens

    async def token(self, request: Request) -> Response:
        """The token endpoint. Source: RFC 6749 section 3.2."""
        try:
            form = await form_of(request)
            client, key = self.clients.authenticated(request, form), self._key(request)
            match form.get("grant_type"):
                case "authorization_code":
                    grant = self._by_code(form, client)
                case "refresh_token":
                    grant = self._by_refresh(form, client, key)
                case kind if kind == DEVICE_GRANT:
                    grant = self.devices.redeem(client.id, form, lambda challenge: _verified(challenge, form))
                case "client_credentials":
                    return JSONResponse(self._for_client(client, key), headers=NO_STORE)
                case _:
                    raise Rejected("unsupported_grant_type", f"use one of {', '.join(GRANTS)}")
        except Rejected as refused:
            return refused.answer()
        return JSONResponse(self._answer(grant, client, key), headers=NO_STORE)

    def _key(self, request: Request, token: str | None = None) -> str:
        """The thumbprint of the key that a request proves to hold, empty when it proves none. Raises Rejected.

        Source: RFC 9449 sections 4.3 and 5.
        """
        found = request.headers.getlist("dpop")
        if not found:
            return ""
        address = target(self.url + request.url.path.removeprefix(urlsplit(self.url).path))
        try:
            if len(found) > 1:
                raise Rejected("invalid_dpop_proof", "there must be one header DPoP")
            return self.proofs.check(found[0], request.method, {address}, token)
        except ProofRefused as refused:
            raise Rejected("invalid_dpop_proof", refused.words.en) from None
        except TooManyProofs:
            raise Rejected("temporarily_unavailable", "too many proofs at a time", 503) from None

    def _by_code(self, form: Form, client: Client) -> Grant:
        grant = self.codes.redeem(form.get("code", ""))
        if (
            grant is None
            or grant.client != client.id
            or grant.redirect_uri != form.get("redirect_uri")
            or not _verified(grant.challenge, form)
        ):
            raise Rejected("invalid_grant", "the code is not valid: used, ended, or asked for otherwise")
        return grant

    def _by_refresh(self, form: Form, client: Client, key: str) -> Grant:
        """A public client proves the key that its refresh token is bound to. Source: RFC 9449 section 5."""
        grant = self.refreshes.redeem(form.get("refresh_token", ""))
        if grant is None or grant.client != client.id or grant.key not in ("", key):
            raise Rejected("invalid_grant", "the refresh token is not valid: used, ended, revoked, or of another key")
        return grant

    def _for_client(self, client: Client, key: str) -> dict[str, Any]:
        if Flow.CREDENTIALS not in client.flows:
            raise Rejected("unauthorized_client", "this client cannot act by itself")
        subject = str(uuid5(NAMESPACE_URL, f"onedoor:client:{client.id}"))
        roles, scopes = ((client.role,), self.access.roles[client.role]) if client.role else ((), ())
        holder = Holder(subject, roles, scopes, "", 0)
        life = self.access.lives.access
        return {
            "access_token": self.signer.access_token(holder, client, life, key),
            "expires_in": life,
            "token_type": _kind(key),
            "scope": holder.scope,
        }

    def _answer(self, grant: Grant, client: Client, key: str) -> dict[str, Any]:
        lives, holder = self.access.lives, grant.holder
        lasting = key if client.authentication is Authentication.NONE else ""
        access = self.signer.access_token(holder, client, lives.access, key)
        return {
            "access_token": access,
            "expires_in": lives.access,
            "refresh_token": self.refreshes.give(Grant(holder, grant.client, key=lasting)),
            "refresh_expires_in": lives.session,
            "id_token": self.signer.id_token(holder, grant.client, lives.access, grant.nonce, access),
            "token_type": _kind(key),
            "session_state": holder.session,
            "scope": holder.scope,
        }

    # -- the rest

    async def userinfo(self, request: Request) -> Response:
        """The subject of an access token. Source: OpenID Connect Core 1.0, section 5.3."""
        claims = self.shown(request)
        return JSONResponse({"sub": claims["sub"]}, headers=NO_STORE) if claims else unauthorized()

    def shown(self, request: Request) -> Json | None:
        """What the access token of a request says, with the proof of its key where it is bound to one; None for any other."""
        try:
            scheme, token = credentials(request.headers.get("authorization")) or (BEARER, "")
            return self.signer.shown(token, self._key(request, token) if scheme == DPOP else "")
        except (TokenRefused, Rejected):
            return None

    async def device(self, request: Request) -> Response:
        """The device authorization endpoint. Source: RFC 8628 section 3.1."""
        try:
            form = await form_of(request)
            client = self.clients.authenticated(request, form)
            if Flow.DEVICE not in client.flows:
                raise Rejected("unauthorized_client", "this client is no device")
            return JSONResponse(self.devices.begin(client.id, form, f"{self.url}/device"), headers=NO_STORE)
        except Rejected as refused:
            return refused.answer()

    async def end_session(self, request: Request) -> Response:
        """Sign out: a client with a refresh token, or a person's browser with an ID token."""
        try:
            form = dict(request.query_params) if request.method == "GET" else await form_of(request)
            if "refresh_token" not in form:
                return await self.logout.by_browser(request, form)
            client = self.clients.authenticated(request, form)
        except Rejected as refused:
            return refused.answer()
        grant = self.refreshes.redeem(form["refresh_token"])
        if grant is not None and grant.client == client.id:
            await self.logout.end(client, grant.holder.subject, grant.holder.session)
        return Response(status_code=204)

    async def certs(self, _: Request) -> Response:
        return JSONResponse(self.signer.jwks())

    async def discovery(self, _: Request) -> Response:
        """Source: OpenID Connect Discovery 1.0, section 3."""
        endpoint = f"{self.url}/protocol/openid-connect"
        return JSONResponse(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{endpoint}/auth",
                "token_endpoint": f"{endpoint}/token",
                "userinfo_endpoint": f"{endpoint}/userinfo",
                "end_session_endpoint": f"{endpoint}/logout",
                "jwks_uri": f"{endpoint}/certs",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "device_authorization_endpoint": f"{endpoint}/auth/device",
                "grant_types_supported": list(GRANTS),
                "code_challenge_methods_supported": ["S256"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": [ALGORITHM],
                "token_endpoint_auth_methods_supported": [*_SECRETS, "private_key_jwt", "none"],
                "token_endpoint_auth_signing_alg_values_supported": [CLIENT_ALGORITHM],
                "dpop_signing_alg_values_supported": list(PROOF_ALGORITHMS),
                "scopes_supported": ["openid", *self.access.scopes],
                "ui_locales_supported": ["en", "fr"],
                "acr_values_supported": ["1", "2"],
                "backchannel_logout_supported": True,
                "backchannel_logout_session_supported": True,
                "authorization_response_iss_parameter_supported": True,
            }
        )


def create_app(
    url: str,
    access: Access,
    clients: httpx.AsyncBaseTransport | None = None,
    keys: Mapping[str, Any] = MappingProxyType({}),
) -> Starlette:
    """The issuer's ASGI application, below the path of its URL. `clients` is how it reaches those to tell of a logout; `keys`
    are the public JWK sets of clients that prove themselves by a key."""
    issuer = Issuer(url.rstrip("/"), access, clients, keys)
    people, own = issuer.signing_in, OwnSessions(access, issuer.shown, issuer.refreshes, issuer.logout)
    base = urlsplit(issuer.url).path
    endpoint = f"{base}/protocol/openid-connect"

    async def healthy(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def scrape(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route(f"{base}/.well-known/openid-configuration", issuer.discovery),
            Route(f"{endpoint}/auth", people.authorize),
            Route(f"{base}/login-actions/authenticate", people.authenticate, methods=["GET", "POST"]),
            Route(f"{endpoint}/auth/device", issuer.device, methods=["POST"]),
            Route(f"{base}/device", people.device),
            Route(f"{base}/account/sessions", own.listed),
            Route(f"{base}/account/sessions", own.ended, methods=["DELETE"]),
            Route(f"{base}/account/sessions/{{session}}", own.ended, methods=["DELETE"]),
            Route(f"{endpoint}/token", issuer.token, methods=["POST"]),
            Route(f"{endpoint}/certs", issuer.certs),
            Route(f"{endpoint}/userinfo", issuer.userinfo, methods=["GET", "POST"]),
            Route(f"{endpoint}/logout", issuer.end_session, methods=["GET", "POST"]),
            Route("/health/live", healthy),
            Route("/health/ready", healthy),
            Route("/metrics", scrape),
        ]
    )


def _kind(key: str) -> str:
    return "DPoP" if key else "Bearer"


def _verified(challenge: str, form: Form) -> bool:
    """Whether a form's verifier is the one that a challenge was made of. Source: RFC 7636 section 4.6."""
    verifier = form.get("code_verifier", "").encode("utf-8", "replace")
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(challenge, digest)
