"""Answers the instances of all services that ask for leases, by NATS. Several processes may: each question goes to one."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import structlog
from joserfc.jwk import OKPKey
from nats.aio.client import Client
from nats.aio.msg import Msg

from services.accounts import revisions
from services.accounts.models import service
from services.kit import nats_client
from services.kit.broker import SignIn, lease_of, sign_in
from services.kit.database import Database
from services.kit.revisions import NotTold, read_question, signed
from services.kit.settings import authority, key_file, nats_seed, nats_url
from services.kit.signing_keys import KeyFile, first_key

QUEUE = "accounts"
KEY = "GRANT_SIGNING_KEYS"
FORGOTTEN_EVERY_S = 60.0
_LOG = structlog.get_logger(__name__)


class Leasing:
    """One process's part in it. `key` signs the answers."""

    def __init__(self, database: Database, key: KeyFile[OKPKey], url: str, sign_in: SignIn) -> None:
        self._database, self._key, self._url, self._sign_in = database, key, url, sign_in
        self._client = Client()

    async def run(self) -> None:
        """Answer for ever, whatever is away. Cancel to stop."""
        try:
            await nats_client.connect(self._client, self._url, self._sign_in.options)
            await self._client.subscribe(lease_of("*"), queue=QUEUE, cb=self._hear)
            while True:
                try:
                    await revisions.forget(self._database)
                except Exception as error:  # the next time will do
                    _LOG.warning("leases_not_forgotten", error=type(error).__name__)
                await asyncio.sleep(FORGOTTEN_EVERY_S)
        finally:
            with contextlib.suppress(*nats_client.AWAY):
                await self._client.close()

    async def _hear(self, message: Msg) -> None:
        """Who gets no answer has no lease: so whatever is wrong is logged, and nothing said."""
        asks = message.subject.rpartition(".")[2]
        try:
            question = read_question(message.data)
            if question.leaving:
                await revisions.give_back(self._database, asks, question)
                return
            answer = await revisions.answer(self._database, asks, question)
            self._key.refresh()
            await message.respond(signed(answer, self._key.held))
        except NotTold as refused:
            _LOG.warning("question_refused", service=asks, reason=str(refused))
        except Exception as error:
            _LOG.warning("question_unanswered", service=asks, error=repr(error)[:200])


def leasing(database: Database, env: Mapping[str, str] = os.environ) -> Leasing | None:
    """What answers, by the settings; None where no key is given. Raises SettingMissing, also for a file that holds no key."""
    file = _file(env)
    if file is None:
        return None
    url = nats_url(env)
    signed_in = sign_in(service.name, url, nats_seed(env), authority(env))
    return Leasing(database, KeyFile(file, first_key), url, signed_in)


@service.check
def key_of_grants(env: Mapping[str, str] = os.environ) -> None:
    """Raises SettingMissing where the key cannot be used."""
    file = _file(env)
    if file is not None:
        KeyFile(file, first_key)


def _file(env: Mapping[str, str]) -> Path | None:
    return key_file(
        env,
        KEY,
        "the key that signs what services are told of grants",
        "la clé qui signe ce que les services apprennent des autorisations",
    )
