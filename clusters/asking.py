"""`onedoor query` and `onedoor proof`: how somebody at a shell speaks to a front door that takes no plain token.

Each run of `query` signs in with a key of its own and proves it, as production asks; `token --dpop` keeps one in a file, for
programs that send requests themselves.
"""

import json
import os
from pathlib import Path
from typing import Any

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from clusters import signin
from clusters.demo import addresses
from services.kit.context import SELF, Chosen
from services.kit.dpop import Prover, target
from services.kit.language import spoken

PATIENCE_S = 20


class QueryFailed(Exception):
    """The operation could not be asked; the text says why."""


def ask(
    text: str,
    variables: str,
    operation: str | None,
    user: str | None,
    password: str | None,
    acr: str | None,
    chosen: Chosen = Chosen(),  # noqa: B008 - a tuple
    authority: str = SELF,
) -> Any:
    """The front door's answer to an operation, as a person or as the public, for a purpose where one is chosen, on the authority
    of a grant where one is named. Raises QueryFailed and SignInFailed."""
    endpoint, issuer = addresses()
    headers = {"accept": "application/graphql-response+json", "accept-language": spoken("en", "fr")}
    if chosen.purpose:
        headers["onedoor-purpose"] = chosen.header()
    if authority != SELF:
        headers["onedoor-authority"] = authority
    body: dict[str, object] = {"query": text, "variables": _object(variables)}
    if operation:
        body["operationName"] = operation
    if user:
        prover = Prover()
        tokens = signin.sign_in(issuer, user, password or f"{user}-onedoor", acr=acr, prover=prover)
        headers |= prover.headers("POST", endpoint, tokens["access_token"])
    try:
        return httpx.post(endpoint, json=body, headers=headers, timeout=PATIENCE_S).json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as problem:
        raise QueryFailed(
            spoken(
                f"{endpoint} gave no answer ({problem}); start it: onedoor up, or set GATEWAY_URL",
                f"{endpoint} n’a pas répondu ({problem})\u00a0; démarrez\u00a0: onedoor up, ou indiquez GATEWAY_URL",
            )
        ) from problem


def prover(file: Path) -> Prover:
    """What makes proofs with the key in a file, which is made where there is none, for its owner only. Raises QueryFailed."""
    try:
        if not file.exists():
            made = json.dumps(ECKey.generate_key("P-256").as_dict(private=True))
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
                new.write(made)
        key = ECKey.import_key(json.loads(file.read_text(encoding="utf-8")))
        usable = key.is_private and key.curve_name == "P-256"
    except (OSError, ValueError, TypeError, JoseError):
        usable = False
    if not usable:
        raise QueryFailed(
            spoken(
                f"{file} holds no private key on P-256 as a JWK; name a file that is not there yet",
                f"{file} ne contient pas de clé privée P-256 en JWK\u00a0; nommez un fichier qui n’existe pas encore",
            )
        )
    return Prover(key)


def proof(file: Path, token: str, method: str, url: str | None) -> str:
    """The header `DPoP` of one request with a token that is bound to the key in a file. Raises QueryFailed."""
    address = url or addresses()[0]
    try:
        target(address)
    except ValueError as problem:
        raise QueryFailed(str(problem)) from None
    return prover(file).proof(method, address, token)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise QueryFailed(spoken("--variables must be a JSON object", "--variables doit être un objet JSON"))
    return found
