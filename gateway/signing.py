"""Signs what is asked of subgraphs, so that a service can tell the gateway from anybody else who can reach it."""

import time
from pathlib import Path

from gateway import errors
from gateway.engine.plan import Fetch
from gateway.exchange import Exchange
from gateway.http1 import Sign
from services.kit import context, faults, logs
from services.kit.context import SELF, Context
from services.kit.signatures import sign
from services.kit.signing_keys import KeyFile, signing_key

AUTHORITY, PURPOSE = b"onedoor-authority", b"onedoor-purpose"


class Signer:
    """Signs by the key of a file, as it is at the moment."""

    def __init__(self, file: Path) -> None:
        """Raises KeysUnusable."""
        self.key = KeyFile(file, signing_key)

    def of(self, exchange: Exchange, fetch: Fetch, left_s: float) -> Sign:
        """What signs the tries of one fetch of an exchange, which has so many seconds left."""
        headers = exchange.headers
        told = Context(
            rid=exchange.rid,
            op=exchange.document,
            fetch=new_id(),
            purpose=exchange.chosen.purpose,
            authority=headers.get(AUTHORITY, SELF.encode()).decode("ascii"),
            language=exchange.language,
            deadline_ms=int((time.time() + left_s) * 1000),
            recipients=fetch.recipients,
            case=exchange.chosen.case,
            reason=exchange.chosen.reason,
        )
        return self.telling(told, headers.get(b"authorization"))

    def telling(self, told: Context, authorization: bytes | None = None) -> Sign:
        """What signs tries with one context, for a caller."""
        context = told.header()

        def lines(method: str, target: str, body: bytes) -> bytes:
            return sign(self.key.held, method, target, body, context, authorization, time.time())

        return lines


def names_an_authority(exchange: Exchange) -> bool:
    """Whether somebody asks on a grant's authority, and not for themselves. Which grant it is, its owner knows."""
    return exchange.headers.get(AUTHORITY, SELF.encode()) != SELF.encode()


def new_id() -> str:
    """An id that nobody else has."""
    return logs.accept_request_id(None)


def read_choices(exchange: Exchange) -> None:
    """Note the purpose that a request has chosen, and refuse an authority or a purpose that can be none. Whether they hold is for
    the services to say. Raises Refused."""
    authority = exchange.headers.get(AUTHORITY, SELF.encode()).decode("latin-1")
    if not context.AUTHORITY.fullmatch(authority):
        raise errors.Refused(
            faults.BAD_REQUEST,
            detail_en="Onedoor-Authority must be 1 to 100 letters, digits or . _ : -, the first a letter or digit",
            detail_fr="Onedoor-Authority doit compter de 1 à 100 lettres, chiffres ou . _ : -, et commencer par une lettre ou un "
            "chiffre",
        )
    if PURPOSE in exchange.headers:
        chosen = context.choice(exchange.headers[PURPOSE].decode("latin-1"))
        if chosen is None:
            raise errors.Refused(
                faults.BAD_REQUEST,
                detail_en='Onedoor-Purpose must be a code, like inspection-conduct, or code; case="…"; reason="…", where letters '
                'beyond ASCII are written %"caf%c3%a9"',
                detail_fr='Onedoor-Purpose doit être un code, comme inspection-conduct, ou code; case="…"; reason="…", où les '
                'lettres hors de l’ASCII s’écrivent %"caf%c3%a9"',
            )
        exchange.chosen = chosen
