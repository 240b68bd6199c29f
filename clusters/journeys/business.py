"""The journey of a business owner through the one door: what the whole promises, as steps that are checked while they run.

`onedoor demo` shows it to people, `tests/journeys` hold it as a test; both run this code against a real front door.
"""

import json
import secrets
from collections.abc import Iterator

from clusters.journeys.door import Door, JourneyBroken, Json, SignIn, Step, eventually, stepped
from services.kit.language import Language

CALLED = "Northern Lights Bakery Ltd."  # identical to a corporation of the seeds, Northern Lights Bakery Inc.
ALIKE = "Northern Lights Baking Inc."
SERVICE = "business-registration"  # of the catalogue
_SYLLABLES = ("ba", "ko", "di", "fu", "ge", "ha", "ju", "lo", "mi", "nu", "pa", "ro", "si", "tu", "ve", "zo")


def free_name() -> str:
    """A name that nobody holds: six random syllables are one of sixteen million."""
    return "".join(secrets.choice(_SYLLABLES) for _ in range(6)).title() + " Boulangerie Inc."


def journey(door: Door, sign_in: SignIn) -> Iterator[Step]:
    """Walk the whole journey, step by step. Raises JourneyBroken at the first that is not as promised."""
    walk = _Walk(door)
    yield stepped("sign-in", lambda: walk.signs_in(sign_in), "signs in", "ouvre une session")
    yield stepped("identical", walk.identical, f"{CALLED} is taken", f"{CALLED} est pris")
    yield stepped("similar", walk.similar, f"{ALIKE} is similar to it", f"{ALIKE} y ressemble")
    yield stepped("free", walk.free, "another name is free", "un autre nom est libre")
    yield stepped("register", walk.registers, "registers: one form", "s’inscrit : un seul formulaire")
    yield stepped("programs", walk.programs_decide, "every program has decided", "chaque programme a décidé")
    yield stepped("inspection", walk.is_inspected, "a first inspection is set", "une première inspection est prévue")
    yield stepped(
        "overview", walk.sees_all, "one query shows it all, in French", "une requête montre tout, en français"
    )


def draft_of(name: str) -> Json:
    """What an application for a bakery of a name says."""
    address = {"street": "100 Main Street East", "city": "Hamilton", "postalCode": "L8N 1G6"}
    return {"name": name, "legalType": "NAMED_CORPORATION", "sector": "72", "address": address}


class _Walk:
    """What one step learns and a later one needs."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.name = self.application = self.number = ""

    def signs_in(self, sign_in: SignIn) -> Json:
        self.door = self.door.as_(sign_in("owner"))
        held = self.door.ask("MyBusinesses", first=5)["myBusinesses"]["edges"]
        return {"businesses": [edge["node"]["legalName"] for edge in held]}

    def _check(self, name: str, outcome: str) -> Json:
        found: Json = self.door.ask("CheckName", name=name, legalType="NAMED_CORPORATION")["nameCheck"]
        if found["outcome"] != outcome or not found["explanation"]["fr"]:
            raise JourneyBroken(f"CheckName of {name}: {outcome} expected, {json.dumps(found, ensure_ascii=False)}")
        return found

    def identical(self) -> Json:
        found = self._check(CALLED, "IDENTICAL")
        drafted = self._draft(CALLED)
        refused = self._submit(drafted["id"])
        if refused.get("code") != "NAME_TAKEN":
            raise JourneyBroken(f"SubmitApplication: a taken name was not refused: {refused}")
        return {"check": found, "refused": refused}

    def similar(self) -> Json:
        return self._check(ALIKE, "SIMILAR")

    def free(self) -> Json:
        self.name = free_name()
        return self._check(self.name, "AVAILABLE")

    def _draft(self, name: str) -> Json:
        given, key = draft_of(name), secrets.token_hex(16)
        drafted: Json = self.door.ask("DraftApplication", input={**given, "idempotencyKey": key})["draftApplication"]
        if drafted["__typename"] != "Application":
            raise JourneyBroken(f"DraftApplication: {drafted}")
        return drafted

    def _submit(self, application: str) -> Json:
        given = {"applicationId": application, "idempotencyKey": secrets.token_hex(16)}
        first: Json = self.door.ask("SubmitApplication", input=given)["submitApplication"]
        again: Json = self.door.ask("SubmitApplication", input=given)["submitApplication"]
        if first["__typename"] != again["__typename"] or first.get("business") != again.get("business"):
            raise JourneyBroken(f"SubmitApplication: sent twice, answered {first} and {again}")
        return first

    def registers(self) -> Json:
        filed = self._submit(self._draft(self.name)["id"])
        if filed["__typename"] != "Application":
            raise JourneyBroken(f"SubmitApplication: {filed}")
        self.application, self.number = filed["id"], filed["business"]["businessNumber"]
        return filed

    def programs_decide(self) -> Json:
        last: Json = {}
        for seen in self.door.watch("WatchApplication", id=self.application):
            last = seen["applicationStatusChanged"]
        if last.get("status") != "COMPLETED":
            raise JourneyBroken(f"WatchApplication ended with {last}")
        progress: Json = self.door.ask("ApplicationProgress", id=self.application)["application"]
        if len(progress["programs"]) != 4 or any(not p["accountNumber"] for p in progress["programs"]):
            raise JourneyBroken(f"ApplicationProgress: {progress}")
        return progress

    def is_inspected(self) -> Json:
        """Inspections hears of the business by an event: look until it has."""

        def look() -> Json | None:
            seen: Json = self.door.ask("BusinessOverview", businessNumber=self.number)["business"]
            return next((edge["node"] for edge in seen["inspections"]["edges"]), None)

        return eventually(look, f"an inspection of {self.number}")

    def sees_all(self) -> Json:
        seen = self.door.ask("BusinessOverview", Language.FR, businessNumber=self.number)
        business, service = seen["business"], seen["governmentService"]
        whole = (
            business["legalName"] == self.name
            and len(business["programs"]) == 4
            and business["inspections"]["edges"]
            and business["riskScore"]["factors"]
            and len(business["helpNearby"]) == 3
            and service["standards"]
            and service["name"]["in"]
            != self.door.ask("ServiceStandards", Language.EN, code=SERVICE)["governmentService"]["name"]["in"]
        )
        if not whole:
            raise JourneyBroken(f"BusinessOverview: {json.dumps(seen, ensure_ascii=False)[:3000]}")
        return seen
