"""The journey of a business owner through the one door: what the whole promises, as steps that are checked while they run.

`onedoor demo` shows it to people, `tests/journeys` hold it as a test; both run this code against a real front door.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from services.kit.language import Language, Words

OPERATIONS = Path(__file__).parent.parent / "contracts" / "operations"
PATIENCE_S = 30.0  # how long events may take until a journey counts as broken
LOOK_AGAIN_S = 0.1
CALLED = "Northern Lights Bakery Ltd."  # identical to a corporation of the seeds, Northern Lights Bakery Inc.
ALIKE = "Northern Lights Baking Inc."
SERVICE = "business-registration"  # of the catalogue
_SYLLABLES = ("ba", "ko", "di", "fu", "ge", "ha", "ju", "lo", "mi", "nu", "pa", "ro", "si", "tu", "ve", "zo")
Json = dict[str, Any]
SignIn = Callable[[str], str]  # user name → access token


class JourneyBroken(Exception):
    """A step did not end as promised; the text says which and what came instead."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step that went as promised: what happened, how long it took, and what the door answered."""

    code: str
    words: Words
    seconds: float
    answer: Json


class Door:
    """The front door as a client sees it: named operations in, checked data out."""

    def __init__(self, endpoint: str, http: httpx.Client, language: Language) -> None:
        self.endpoint, self._http, self._language, self.token = endpoint, http, language, ""

    def ask(self, operation: str, language: Language | None = None, **variables: object) -> Json:
        """The operation's data, in the client's language if in no other. Raises JourneyBroken for any error in the answer."""
        try:
            answer = self._http.post(
                self.endpoint,
                json=_body(operation, variables),
                headers=self._headers(language or self._language, "application/json"),
            )
            got = answer.json()
        except (httpx.HTTPError, ValueError) as problem:
            raise JourneyBroken(f"{operation}: {problem!r}") from problem
        return _data(operation, got)

    def watch(self, operation: str, **variables: object) -> Iterator[Json]:
        """Each result of a subscription, until the door says that it is complete. Raises JourneyBroken."""
        headers = self._headers(self._language, "text/event-stream")
        body = _body(operation, variables)
        deadline = time.monotonic() + PATIENCE_S
        try:
            with self._http.stream("POST", self.endpoint, json=body, headers=headers, timeout=PATIENCE_S) as answer:
                for line in answer.iter_lines():  # the door sends a comment at least every 15 s
                    if time.monotonic() > deadline:
                        raise JourneyBroken(f"{operation}: not complete within {PATIENCE_S:.0f} s")
                    if line == "event: complete":
                        return
                    if line.startswith("data:") and len(line) > len("data: "):
                        yield _data(operation, json.loads(line[5:]))
        except (httpx.HTTPError, ValueError) as problem:
            raise JourneyBroken(f"{operation}: {problem!r}") from problem

    def _headers(self, language: Language, accept: str) -> dict[str, str]:
        signed = {"authorization": f"Bearer {self.token}"} if self.token else {}
        return {"accept-language": language.value, "accept": accept, **signed}


def _body(operation: str, variables: Mapping[str, object]) -> Json:
    text = (OPERATIONS / f"{operation}.graphql").read_text(encoding="utf-8")
    return {"operationName": operation, "query": text, "variables": dict(variables)}


def _data(operation: str, got: Json) -> Json:
    if got.get("errors") or not got.get("data"):
        raise JourneyBroken(f"{operation}: {json.dumps(got, ensure_ascii=False)[:2000]}")
    data: Json = got["data"]
    return data


def free_name() -> str:
    """A name that nobody holds: six random syllables are one of sixteen million."""
    return "".join(secrets.choice(_SYLLABLES) for _ in range(6)).title() + " Boulangerie Inc."


def journey(endpoint: str, http: httpx.Client, sign_in: SignIn, language: Language = Language.EN) -> Iterator[Step]:
    """Walk the whole journey, step by step. Raises JourneyBroken at the first that is not as promised."""
    walk = _Walk(Door(endpoint, http, language))
    yield walk.step("sign-in", lambda: walk.signs_in(sign_in), "signs in", "ouvre une session")
    yield walk.step("identical", walk.identical, f"{CALLED} is taken", f"{CALLED} est pris")
    yield walk.step("similar", walk.similar, f"{ALIKE} is similar to it", f"{ALIKE} y ressemble")
    yield walk.step("free", walk.free, "another name is free", "un autre nom est libre")
    yield walk.step("register", walk.registers, "registers: one form", "s’inscrit : un seul formulaire")
    yield walk.step("programs", walk.programs_decide, "every program has decided", "chaque programme a décidé")
    yield walk.step("inspection", walk.is_inspected, "a first inspection is set", "une première inspection est prévue")
    yield walk.step(
        "overview", walk.sees_all, "one query shows it all, in French", "une requête montre tout, en français"
    )


class _Walk:
    """What one step learns and a later one needs."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.name = self.application = self.number = ""

    def step(self, code: str, act: Callable[[], Json], en: str, fr: str) -> Step:
        began = time.perf_counter()
        answer = act()
        return Step(code, Words(en, fr), time.perf_counter() - began, answer)

    def signs_in(self, sign_in: SignIn) -> Json:
        self.door.token = sign_in("owner")
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
        address = {"street": "100 Main Street East", "city": "Hamilton", "postalCode": "L8N 1G6"}
        given = {"name": name, "legalType": "NAMED_CORPORATION", "sector": "72", "address": address}
        key = secrets.token_hex(16)
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
        deadline = time.monotonic() + PATIENCE_S
        while True:
            seen: Json = self.door.ask("BusinessOverview", businessNumber=self.number)["business"]
            if seen["inspections"]["edges"]:
                found: Json = seen["inspections"]["edges"][0]["node"]
                return found
            if time.monotonic() > deadline:
                raise JourneyBroken(f"no inspection of {self.number} within {PATIENCE_S:.0f} s")
            time.sleep(LOOK_AGAIN_S)

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
