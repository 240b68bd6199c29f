"""TLS of a process: the certificate that it shows, and the authorities that it checks others' against.

A renewed certificate is taken up within a minute: new connections are shown it, those that are open go on.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from services.kit.language import spoken
from services.kit.settings import AUTHORITY, SettingMissing, file_of

CERTIFICATE, KEY = "TLS_CERTIFICATE", "TLS_KEY"
LOOK_EVERY_S = 30.0
_LOG = structlog.get_logger(__name__)


def context(authority: Path | None) -> ssl.SSLContext:
    """What a client checks a server's certificate and name with: a PEM file of authorities instead of the machine's own.
    TLS 1.2 or newer. Raises SettingMissing for a file that holds none."""
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError as problem:  # ssl.SSLError is one
        raise SettingMissing(
            spoken(
                f"{AUTHORITY} names {authority}, which holds no certificate of an authority ({problem})",
                f"{AUTHORITY} désigne {authority}, qui ne contient aucun certificat d’autorité ({problem})",
            )
        ) from None


@dataclass(frozen=True, slots=True)
class Listener:
    """What a server shows those who connect: a certificate with its chain, and its key."""

    certificate: Path
    key: Path
    context: ssl.SSLContext

    async def follow(self) -> None:
        """Take up renewed files for ever. Cancel to stop. A pair that does not fit leaves the old one in place."""
        seen = self._look()
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if (found := self._look()) == seen:
                continue
            seen = found
            try:
                self.context.load_cert_chain(self.certificate, self.key)
                _LOG.info("certificate_read", file=self.certificate.name)
            except OSError as problem:
                _LOG.error("certificate_refused", file=self.certificate.name, reason=str(problem))

    def _look(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in (self.certificate, self.key))
        except OSError:
            return ()


def listener(env: Mapping[str, str] = os.environ) -> Listener | None:
    """TLS_CERTIFICATE and TLS_KEY, or None where neither is set: plain HTTP. Raises SettingMissing for one without the other,
    and for a pair that does not fit."""
    certificate = file_of(env, CERTIFICATE, "a certificate and its chain, in PEM", "un certificat et sa chaîne, en PEM")
    key = file_of(env, KEY, "the certificate’s key, in PEM", "la clé du certificat, en PEM")
    if certificate is None and key is None:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        if certificate is None or key is None:
            raise OSError(spoken("one is missing", "l’un des deux manque"))
        made.load_cert_chain(certificate, key)
    except OSError as problem:  # ssl.SSLError is one
        raise SettingMissing(
            spoken(
                f"{CERTIFICATE} and {KEY} must name a certificate and its key, in PEM ({problem})",
                f"{CERTIFICATE} et {KEY} doivent désigner un certificat et sa clé, en PEM ({problem})",
            )
        ) from None
    return Listener(certificate, key, made)
