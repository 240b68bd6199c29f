"""The journey of trust: on whose behalf, for which purpose, and who looked, as steps that are checked while they run.

An accountant files for a baker and is revoked; an officer moves the bakery with the baker's code; an inspector looks, once in an
investigation and once not; the baker sees who looked and asks why. `onedoor demo trust` shows it, `tests/journeys` hold it.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

from clusters.journeys.business import draft_of, free_name
from clusters.journeys.door import Door, JourneyBroken, Json, SignIn, Step, as_soon_as_known, eventually, stepped

SHOWN_WITHIN_S = 5.0
CASE = 'statutory-investigation; case="INV-2026-0042"; reason="Complaint about food safety"'
_CODE = re.compile(r"\b\d{4} \d{4}\b")
Letters = Callable[[], Iterable[str]]  # the texts of the letters that were sent, oldest first


def journey(door: Door, sign_in: SignIn, letters: Letters) -> Iterator[Step]:
    """Walk the whole journey, step by step. Raises JourneyBroken at the first that is not as promised."""
    walk = _Walk(door, sign_in, letters)
    yield stepped("delegates", walk.delegates, "the baker lets an accountant act", "la boulangère confie un mandat")
    yield stepped(
        "files", walk.files, "the accountant files for the baker", "la comptable dépose une demande pour elle"
    )
    yield stepped("sees", walk.sees_the_accountant, "the baker sees who did it", "la boulangère voit qui l’a fait")
    yield stepped(
        "revokes",
        walk.revokes,
        "revoked, the accountant is refused at once",
        "révoquée, la comptable est aussitôt refusée",
    )
    yield stepped(
        "needs-code",
        walk.needs_a_code,
        "an officer needs the baker’s code",
        "au comptoir, il faut le code de la boulangère",
    )
    yield stepped("moves", walk.moves, "with the code the bakery moves", "avec le code, la boulangerie déménage")
    yield stepped(
        "purpose",
        walk.must_say_what_for,
        "an inspector must say what for",
        "une inspectrice doit dire à quelle fin",
    )
    yield stepped(
        "investigates",
        walk.investigates,
        "an investigation is not shown yet, an inspection is",
        "une enquête ne paraît pas encore, une inspection oui",
    )
    yield stepped("asks", walk.asks_why, "the baker asks why", "la boulangère demande pourquoi")
    yield stepped("answered", walk.is_answered, "the ministry answers", "le ministère répond")


class _Walk:
    """What one step learns and a later one needs."""

    def __init__(self, door: Door, sign_in: SignIn, letters: Letters) -> None:
        self.door, self.sign_in, self.letters = door, sign_in, letters
        self.baker = door.as_(sign_in("owner"))
        self.accountant = door.as_(sign_in("citizen"))
        self.grant = self.application = self.session = self.entry = self.inquiry = ""
        self.began = datetime.now(UTC).isoformat()
        business = self.baker.ask("MyBusinesses", first=1)["myBusinesses"]["edges"][0]["node"]
        self.number = business["businessNumber"]
        self.move = {"businessNumber": self.number, "address": _address()}

    def delegates(self) -> Json:
        offer = self.baker.does(
            "Delegate",
            offeredAs="Olive Baker",
            scopes=["business:read", "business:register"],
            ends=(datetime.now(UTC) + timedelta(days=1)).isoformat(),
            idempotencyKey=_key(),
        )
        code = offer["invitationCode"]
        accepted = self.accountant.does(
            "AcceptDelegation", code=code, acceptedAs="Prairie Ledger", idempotencyKey=_key()
        )
        self.grant = accepted["id"]
        return accepted

    def files(self) -> Json:
        acting = self.accountant.on(self.grant)
        drafted = as_soon_as_known(
            lambda: acting.does("DraftApplication", **draft_of(free_name()), idempotencyKey=_key())
        )
        self.application = drafted["id"]
        filed = acting.does("SubmitApplication", applicationId=self.application, idempotencyKey=_key())
        seen = self.baker.ask("ApplicationProgress", id=self.application)["application"]
        if seen is None:
            raise JourneyBroken("ApplicationProgress: what was filed for the baker is not the baker's")
        return filed

    def sees_the_accountant(self) -> Json:
        return self._logged("the accountant's filing", lambda entry: entry["delegationId"] == self.grant)

    def revokes(self) -> Json:
        began = time.perf_counter()
        self.baker.does("Revoke", delegationId=self.grant)
        seconds = time.perf_counter() - began
        draft = {**draft_of(free_name()), "idempotencyKey": _key()}
        refused = self.accountant.on(self.grant).refuses("DraftApplication", "AUTHORITY_REFUSED", input=draft)
        self.accountant.ask("MyBusinesses", first=1)  # the own goes on
        return {"refused": refused["extensions"]["text"], "seconds": seconds}

    def needs_a_code(self) -> Json:
        officer = self.door.as_(self.sign_in("officer"), "registration-counter")
        baker = self.baker.ask("Me")["me"]["id"]
        reason = "The baker is at the counter to move the bakery"
        opened = officer.does(
            "OpenAssistedSession", citizen=baker, channel="COUNTER", reason=reason, idempotencyKey=_key()
        )
        self.session, self.officer = opened["id"], officer
        acting = officer.on(self.session)
        refused = as_soon_as_known(
            lambda: acting.refuses("ChangeBusinessAddress", "CITIZEN_CODE_REQUIRED", input=self.move)
        )
        self.act = refused["extensions"]["act"]
        return {"refused": refused["extensions"]["text"]}

    def moves(self) -> Json:
        def code() -> str | None:
            written = [letter for letter in self.letters() if self.move["address"]["street"] in letter]
            found = _CODE.search(written[-1]) if written else None
            return found[0] if found else None

        try:
            told = eventually(code, "a letter with the baker’s code, of which five are sent an hour")
            self.officer.does("ConfirmAct", session=self.session, act=self.act, code=told)
            moved = self.officer.on(self.session).does("ChangeBusinessAddress", **self.move)
        finally:  # an officer has one session at a time, and the next walk opens another
            self.officer.does("CloseAssistedSession", session=self.session)
        self.officer.on(self.session).refuses("ChangeBusinessAddress", "AUTHORITY_REFUSED", input=self.move)
        return moved

    def must_say_what_for(self) -> Json:
        self.inspector = self.door.as_(self.sign_in("inspector"))
        refused = self.inspector.refuses("ApplicationProgress", "PURPOSE_REQUIRED", id=self.application)
        return {"refused": refused["extensions"]["text"]}

    def investigates(self) -> Json:
        for purpose in (CASE, "inspection-conduct"):
            inspector = self.door.as_(self.inspector.token, purpose)
            inspector.ask("InspectionsOfBusiness", businessNumber=self.number, first=1)
        # Services tell what they sealed in order, so where the second look is seen the first has been told.
        entry = self._logged("the inspector's look", lambda entry: _purpose(entry) == "inspection-conduct")
        if any(_purpose(other) == "statutory-investigation" for other in self._entries()):
            raise JourneyBroken("MyAccessLog: an investigation is shown before its day")
        self.entry = entry["id"]
        return entry

    def asks_why(self) -> Json:
        asked = self.baker.does(
            "QuestionAccess", entryId=self.entry, question="Was there a complaint about us?", idempotencyKey=_key()
        )
        if asked["ministry"] is None:
            raise JourneyBroken("QuestionAccess: no ministry answers")
        self.inquiry = asked["id"]
        return asked

    def is_answered(self) -> Json:
        administrator = self.door.as_(self.sign_in("administrator"), "oversight")
        open_ones = administrator.ask("Inquiries", first=20, open=True)["accessInquiries"]["edges"]
        if self.inquiry not in [edge["node"]["id"] for edge in open_ones]:
            raise JourneyBroken("Inquiries: the baker's question is not among those that are open")
        administrator.does("AnswerInquiry", inquiryId=self.inquiry, answer="No: your first inspection was due.")
        mine = self.baker.ask("MyInquiries", first=20)["me"]["accessInquiries"]["edges"]
        (answered,) = [edge["node"] for edge in mine if edge["node"]["id"] == self.inquiry]
        if answered["state"] != "ANSWERED":
            raise JourneyBroken(f"MyInquiries: {answered}")
        return dict(answered)

    def _entries(self) -> list[Json]:
        found = self.baker.ask("MyAccessLog", first=50, where={"since": self.began})["me"]["accessLog"]["edges"]
        return [edge["node"] for edge in found]

    def _logged(self, what: str, is_it: Callable[[Json], bool]) -> Json:
        """The entry of the baker's log that is the one. Raises JourneyBroken where it is not there within the promise."""
        return eventually(lambda: next(filter(is_it, self._entries()), None), what, SHOWN_WITHIN_S)


def _purpose(entry: Json) -> str:
    return str(entry["purpose"]["code"])


def _address() -> Json:
    """A place to move to, another each time."""
    return {"street": f"{100 + secrets.randbelow(9900)} Queen Street West", "city": "Toronto", "postalCode": "M5H 2N2"}


def _key() -> str:
    return secrets.token_hex(16)
