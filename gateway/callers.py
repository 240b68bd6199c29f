"""Who asks: the token of a request, and the proof that whoever shows it holds its key. Refused early; the services judge again.

A token that is bound to a key comes with the scheme DPoP and a proof for this very request (RFC 9449); any other with the scheme
Bearer. In production only bound ones are taken, so that a token which a ministry's service has seen opens no door, and never
those of the web client, whose pages ask in process.
"""

from collections.abc import Mapping
from types import MappingProxyType

import structlog

from gateway import faults as own
from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.settings import Settings
from services.kit import faults
from services.kit.dpop import ALGORITHMS, ProofRefused, Proofs, TooManyProofs, target
from services.kit.ended_sessions import EndedSessions
from services.kit.faults import Fault
from services.kit.tokens import Claims, TokenRefused, Verifier, credentials

_LOG = structlog.get_logger(__name__)


class Callers:
    """Takes and refuses tokens, for one process: it outlives every reload, and with it the memory of proofs and of sessions that
    have ended."""

    def __init__(self, verifier: Verifier | None, settings: Settings) -> None:
        """Without a verifier every token is refused. Raises ValueError for a public address that is none."""
        self._verifier, self._web_client = verifier, settings.web_client
        self.ended = verifier.ended if verifier else EndedSessions()
        self._only_bound = settings.takes_bound_tokens_only
        self._targets = frozenset(target(url) for url in settings.public_urls)
        self._proofs = Proofs()

    async def identify(self, exchange: Exchange) -> None:
        """Note the claims of a request's token; without one the caller is the public. Raises Refused.

        Who has claims already has opened a WebSocket and proved then to hold the key: only the token is looked at again.
        """
        header = exchange.headers.get(b"authorization")
        if header is None:
            return
        try:
            given = credentials(header.decode("latin-1"))
            if given is None:
                return
            if self._verifier is None:
                raise TokenRefused("no issuer")
            scheme, token = given
            claims = await self._verifier.verify(token, scheme)
            if self._only_bound and claims.client == self._web_client:
                raise TokenRefused("of the web client")
        except TokenRefused as refused:
            _LOG.info("token_refused", reason=refused.reason)
            raise self._refused(refused.fault) from None
        if claims.key and exchange.claims is None:
            self._prove(exchange, claims, token)
        elif self._only_bound and not claims.key:
            _LOG.info("token_refused", reason="bound to no key")
            raise self._refused(own.DPOP_REQUIRED)
        exchange.claims = claims

    def _prove(self, exchange: Exchange, claims: Claims, token: str) -> None:
        """Check the one proof of a request. Raises Refused."""
        try:
            if sum(name == b"dpop" for name, _ in exchange.scope["headers"]) != 1:
                raise ProofRefused("there must be one header DPoP", "il faut un en-tête DPoP, un seul")
            proof = exchange.headers[b"dpop"].decode("latin-1")
            if self._proofs.check(proof, exchange.method, self._targets, token) != claims.key:
                raise ProofRefused("its key is not that of the token", "sa clé n’est pas celle du jeton")
        except ProofRefused as refused:
            _LOG.info("proof_refused", reason=refused.words.en)
            values = {"detail_en": refused.words.en, "detail_fr": refused.words.fr}
            raise self._refused(own.PROOF_REFUSED, "invalid_dpop_proof", values) from None
        except TooManyProofs:
            _LOG.warning("too_many_proofs")
            raise Refused(faults.UNAVAILABLE) from None

    def _refused(
        self, fault: Fault, error: str = "invalid_token", values: Mapping[str, object] = MappingProxyType({})
    ) -> Refused:
        """A refusal that says which schemes are taken. Sources: RFC 6750, section 3; RFC 9449, section 7.1."""
        refused = Refused(fault)
        refused.values = dict(values)
        bearer = "" if self._only_bound else f'Bearer error="{error}", '
        refused.challenge = f'{bearer}DPoP algs="{" ".join(ALGORITHMS)}", error="{error}"'.encode()
        return refused
