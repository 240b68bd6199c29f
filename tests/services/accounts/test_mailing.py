"""Letters reach a real SMTP server: once, later where it is away, never where it says no for good; never in a request's way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from clusters.local.processes import free_port
from services.accounts import mailing
from services.accounts.delivery import Folder, delivery
from services.accounts.letters import Letter
from services.accounts.mailing import Postman, Send
from services.accounts.models import Mail
from services.kit.language import Language, Words
from services.kit.service import StartRefused
from services.kit.testing.client import Client
from tests.services.accounts.conftest import letters

LETTER = Letter(Words("The lake froze", "Le lac a gelé"), Words("All of it.\n.\nTruly.", "Entièrement.\n.\nVraiment."))
BAKER, MASON = "baker@example.ca", "mason@example.ca"


class Mailbox:
    """What a server was given, and what it answers to recipients: an SMTP reply by address."""

    def __init__(self) -> None:
        self.taken: list[EmailMessage] = []
        self.replies: dict[str, str] = {}

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        if address not in self.replies:
            envelope.rcpt_tos.append(address)
        return self.replies.get(address, "250 OK")

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.taken.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"


class Post:
    """A server, a postman who brings letters there, and the moment by his clock."""

    def __init__(self, client: Client, mailbox: Mailbox, controller: Controller) -> None:
        self.client, self.mailbox, self.controller, self.time = client, mailbox, controller, datetime.now(UTC)
        self.postman = self.another()

    def another(self, send: Send | None = None) -> Postman:
        found = send or delivery({"SMTP_URL": f"smtp://127.0.0.1:{self.controller.port}", "ONEDOOR_MODE": "test"})
        assert found is not None
        return Postman(self.client.database, "One Door <no-reply@onedoor.example>", found, lambda: self.time)

    async def write(
        self, act: str = "a", address: str = BAKER, language: Language = Language.EN, **options: Any
    ) -> None:
        async with self.client.database.transaction() as db:
            await mailing.post(db, LETTER, act, address, language, **options)
        self.time = datetime.now(UTC)

    async def bring_all(self) -> None:
        while await self.postman.send_one():
            pass

    def later(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@pytest.fixture
async def post(shared: Client) -> AsyncIterator[Post]:
    """On a database with real transactions."""
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    await asyncio.to_thread(controller.start)
    try:
        yield Post(shared, mailbox, controller)
    finally:
        await asyncio.to_thread(controller.stop)


async def waiting(client: Client) -> list[Mail]:
    return [letter for letter in await letters(client) if letter.done_at is None]


class TestALetter:
    async def test_arrives_as_it_was_written(self, post: Post) -> None:
        await post.write(language=Language.FR)
        await post.bring_all()
        (message,) = post.mailbox.taken
        assert (message["To"], message["Subject"], message["Content-Language"]) == (BAKER, "Le lac a gelé", "fr")
        assert message["Auto-Submitted"] == "auto-generated"
        assert "Bonjour,\n\nEntièrement.\n.\nVraiment.\n\nUne seule porte" in message.get_content().replace(
            "\r\n", "\n"
        )

    async def test_is_wiped_once_it_is_sent(self, post: Post) -> None:
        await post.write()
        await post.bring_all()
        (letter,) = await letters(post.client)
        assert (letter.title, letter.body, bool(letter.done_at)) == ("", "", True)

    async def test_of_one_act_is_written_once_to_an_address(self, post: Post) -> None:
        for address in (BAKER, BAKER.upper(), MASON):
            await post.write("same", address)
        await post.bring_all()
        assert [message["To"] for message in post.mailbox.taken] == [BAKER, MASON]

    async def test_is_brought_once_by_two_postmen(self, post: Post) -> None:
        for number in range(6):
            await post.write(str(number), f"a{number}@example.ca")
        both = [post.postman, post.another()]
        while any(await asyncio.gather(*(postman.send_one() for postman in both))):
            pass
        assert sorted(message["To"] for message in post.mailbox.taken) == [f"a{n}@example.ca" for n in range(6)]

    async def test_of_a_transaction_that_is_rolled_back_is_never_sent(self, post: Post) -> None:
        with pytest.raises(RuntimeError, match="broken off"):
            async with post.client.database.transaction() as db:
                await mailing.post(db, LETTER, "a", BAKER, Language.EN)
                raise RuntimeError("broken off")
        await post.bring_all()
        assert post.mailbox.taken == []


class TestAServerThatIsAway:
    async def test_is_tried_again_after_growing_pauses(self, post: Post) -> None:
        await post.write()
        nowhere = post.another(delivery({"SMTP_URL": f"smtp://127.0.0.1:{free_port()}", "ONEDOOR_MODE": "test"}))
        for pause_s in mailing.PAUSES_S[:3]:
            assert await nowhere.send_one()
            assert not await nowhere.send_one()
            post.later(pause_s)
        (letter,) = await waiting(post.client)
        assert letter.tries == 3
        await post.bring_all()
        assert len(post.mailbox.taken) == 1

    async def test_delays_no_letter_that_another_server_takes(self, post: Post) -> None:
        post.mailbox.replies[BAKER] = "451 later"
        await post.write("a", BAKER)
        await post.write("b", MASON)
        await post.bring_all()
        assert [message["To"] for message in post.mailbox.taken] == [MASON]
        assert [letter.address for letter in await waiting(post.client)] == [BAKER]

    async def test_is_given_up_when_nobody_needs_the_letter_any_more(self, post: Post) -> None:
        await post.write(useful=timedelta(minutes=10))
        post.mailbox.replies[BAKER] = "451 later"
        await post.bring_all()
        post.later(600)
        del post.mailbox.replies[BAKER]
        await post.bring_all()
        (letter,) = await letters(post.client)
        assert post.mailbox.taken == [] and letter.done_at and letter.body == ""


class TestAServerThatSaysNo:
    async def test_is_not_asked_again(self, post: Post) -> None:
        post.mailbox.replies[BAKER] = "550 nobody here"
        await post.write()
        await post.bring_all()
        (letter,) = await letters(post.client)
        assert letter.done_at and letter.error == "NeverDelivered('550')" and letter.body == ""


class TestAPostmanWhoDies:
    async def test_between_the_servers_yes_and_his_commit_leaves_the_same_letter_under_the_same_id(
        self, post: Post
    ) -> None:
        await post.write()
        sent: list[EmailMessage] = []

        async def dies(message: EmailMessage) -> None:
            sent.append(message)
            raise asyncio.CancelledError

        with pytest.raises(asyncio.CancelledError):
            await post.another(dies).send_one()
        await post.bring_all()
        assert [message["Message-ID"] for message in post.mailbox.taken] == [sent[0]["Message-ID"]]


class TestAFolder:
    async def test_holds_each_letter_once(self, post: Post, tmp_path: Path) -> None:
        await post.write()
        (letter,) = await letters(post.client)
        for _ in range(2):
            await Folder(tmp_path / "mail").put(mailing.message_of(letter, "a@example.ca"))
        (file,) = (tmp_path / "mail").iterdir()
        assert file.name == f"{letter.id}.eml"
        assert "All of it." in file.read_text()


REFUSED = {
    "no address": {},
    "a folder": {"SMTP_URL": "file:///var/mail"},
    "another protocol": {"SMTP_URL": "https://mail.example.ca", "MAIL_FROM": "a@example.ca"},
    "no sender": {"SMTP_URL": "smtps://mail.example.ca"},
    "a password that is not there": {
        "SMTP_URL": "smtps://u@mail.example.ca",
        "MAIL_FROM": "a@example.ca",
        "SMTP_PASSWORD_FILE": "/nowhere",
    },
}


class TestProduction:
    @pytest.mark.parametrize("what", REFUSED)
    def test_does_not_start_with(self, what: str) -> None:
        with pytest.raises(StartRefused):
            delivery({"ONEDOOR_MODE": "production", **REFUSED[what]})

    async def test_sends_nothing_to_a_server_without_tls(self, post: Post) -> None:
        given = {"SMTP_URL": f"smtp://127.0.0.1:{post.controller.port}", "MAIL_FROM": "a@example.ca"}
        await post.write()
        await post.another(delivery({"ONEDOOR_MODE": "production", **given})).send_one()
        assert post.mailbox.taken == []
        assert len(await waiting(post.client)) == 1

    def test_elsewhere_letters_wait_where_nothing_says_where_they_go(self) -> None:
        assert delivery({"ONEDOOR_MODE": "test"}) is None
