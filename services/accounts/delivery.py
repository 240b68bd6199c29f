"""Where letters go: to an SMTP server, or in local mode into a folder, which `onedoor mail` shows.

`SMTP_URL` is smtps://[user@]host[:port] (TLS from the first word), smtp://[user@]host[:port] (STARTTLS, asked for in production,
taken where it is offered elsewhere) or file:///folder; the user's password stands in the file that SMTP_PASSWORD_FILE names.
`MAIL_FROM` is the sender's address.
"""

import asyncio
import os
from collections.abc import Mapping
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib

from services.accounts.mailing import NeverDelivered, Send
from services.kit import tls
from services.kit.language import spoken
from services.kit.service import StartRefused
from services.kit.settings import Mode, SettingMissing, authority, file_of, mode

URL, PASSWORD, FROM = "SMTP_URL", "SMTP_PASSWORD_FILE", "MAIL_FROM"
SENDER = "One Door <no-reply@onedoor.example>"
TIMEOUT_S = 20.0


def delivery(env: Mapping[str, str] = os.environ) -> Send | None:
    """How letters are sent; None where nothing says so: then they wait. Raises StartRefused for what cannot be meant."""
    given, production = env.get(URL, ""), mode(env) is Mode.PRODUCTION
    if not given and not production:
        return None
    url = urlsplit(given)
    if url.scheme == "file" and url.path and not production:
        return Folder(Path(unquote(url.path))).put
    if url.scheme not in ("smtp", "smtps") or not url.hostname:
        raise StartRefused(
            spoken(
                f"{URL}: the server that takes mail, smtps://[user@]host[:port] or smtp://[user@]host[:port]",
                f"{URL}\u00a0: le serveur qui reçoit le courrier, smtps://[nom@]hôte[:port] ou smtp://[nom@]hôte[:port]",
            )
        )
    if production and not env.get(FROM):
        raise StartRefused(
            spoken(f"{FROM}: the address that letters come from", f"{FROM}\u00a0: l’adresse d’où viennent les lettres")
        )
    try:
        password = file_of(env, PASSWORD, "the password of the mail account", "le mot de passe du compte de courriel")
        context = tls.context(authority(env))
    except SettingMissing as missing:
        raise StartRefused(str(missing)) from None
    options = {
        "hostname": url.hostname,
        "port": url.port,
        "username": unquote(url.username) if url.username else None,
        "password": password.read_text().strip() if password else None,
        "use_tls": url.scheme == "smtps",
        "start_tls": None if url.scheme == "smtps" else (True if production else None),
        "tls_context": context,
        "timeout": TIMEOUT_S,
    }

    async def send(message: EmailMessage) -> None:
        try:
            await aiosmtplib.send(message, **options)  # type: ignore[arg-type] # a table of its own arguments
        except aiosmtplib.SMTPRecipientsRefused as refused:
            if all(reply.code >= 500 for reply in refused.recipients):
                raise NeverDelivered(_codes(refused)) from None
            raise
        except aiosmtplib.SMTPResponseException as refused:
            if refused.code >= 500 and not isinstance(refused, aiosmtplib.SMTPAuthenticationError):
                raise NeverDelivered(str(refused.code)) from None
            raise

    return send


def _codes(refused: aiosmtplib.SMTPRecipientsRefused) -> str:
    """What the server said, in numbers: its words may hold the address."""
    return " ".join(str(reply.code) for reply in refused.recipients)


class Folder:
    """A folder in which each letter is a file, named by its Message-ID: the same letter again is the same file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def put(self, message: EmailMessage) -> None:
        """Write a letter, whole or not at all."""
        await asyncio.to_thread(self._write, message)

    def _write(self, message: EmailMessage) -> None:
        self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = message["Message-ID"].strip("<>").partition("@")[0]
        part = self._path / f".{name}.part"
        part.write_bytes(message.as_bytes(policy=SMTP))
        part.replace(self._path / f"{name}.eml")


def sender(env: Mapping[str, str] = os.environ) -> str:
    """MAIL_FROM, or in other modes than production an address that nobody has."""
    return env.get(FROM) or SENDER
