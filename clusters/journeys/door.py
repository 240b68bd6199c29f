"""The front door as a client of a journey sees it: named operations in, checked data out."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx

from services.kit.language import Language, Words

OPERATIONS = Path(__file__).parents[2] / "contracts" / "operations"
PATIENCE_S = 30.0  # how long events may take until a journey counts as broken
LOOK_AGAIN_S = 0.1
Json = dict[str, Any]
T = TypeVar("T")
SignIn = Callable[[str], str]  # user name → access token
BESIDE_A_REFUSAL = "SUBREQUEST_HTTP_ERROR"  # Hive Router says it once more where an owner refuses a whole request


class JourneyBroken(Exception):
    """A step did not end as promised; the text says which and what came instead."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step that went as promised: what happened, how long it took, and what the door answered."""

    code: str
    words: Words
    seconds: float
    answer: Json


def stepped(code: str, act: Callable[[], Json], en: str, fr: str) -> Step:
    """Go a step, and time it. Raises JourneyBroken where `act` does."""
    began = time.perf_counter()
    answer = act()
    return Step(code, Words(en, fr), time.perf_counter() - began, answer)


def eventually(look: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """What events bring about: looks until there is something. Raises JourneyBroken when that takes longer."""
    deadline = time.monotonic() + patience_s
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise JourneyBroken(f"{what}: not within {patience_s:.0f} s")
        time.sleep(LOOK_AGAIN_S)
    return found


def as_soon_as_known(act: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """What works once an event has come: tries until it does. Raises JourneyBroken when that takes longer."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return act()
        except JourneyBroken:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_AGAIN_S)


@dataclass(frozen=True, slots=True)
class Door:
    """The front door for one person: with their token, for a purpose as `Onedoor-Purpose` names it, by their own authority or by
    a grant's."""

    endpoint: str
    http: httpx.Client
    language: Language = Language.EN
    token: str = ""
    purpose: str = ""
    authority: str = ""

    def as_(self, token: str, purpose: str = "") -> "Door":
        """The door for somebody else."""
        return replace(self, token=token, purpose=purpose, authority="")

    def on(self, authority: str) -> "Door":
        """The door for the same person, who acts on a grant, for its usual purpose."""
        return replace(self, authority=authority, purpose="")

    def ask(self, operation: str, language: Language | None = None, **variables: object) -> Json:
        """The operation's data, in the client's language if in no other. Raises JourneyBroken for any error in the answer."""
        return _data(operation, self._answer(operation, language, variables))

    def does(self, operation: str, **given: object) -> Json:
        """What a mutation made of an input. Raises JourneyBroken where it was refused."""
        (made,) = self.ask(operation, input=given).values()
        if made["__typename"] == "Refused":
            raise JourneyBroken(f"{operation}: {json.dumps(made, ensure_ascii=False)[:2000]}")
        done: Json = made
        return done

    def refuses(self, operation: str, code: str, **variables: object) -> Json:
        """The first error of an operation all of whose errors have a code. Raises JourneyBroken for any other answer."""
        got = self._answer(operation, None, variables)
        if {error["extensions"]["code"] for error in got.get("errors", ())} - {BESIDE_A_REFUSAL} != {code}:
            raise JourneyBroken(f"{operation}: {code} expected, {json.dumps(got, ensure_ascii=False)[:2000]}")
        refused: Json = got["errors"][0]
        return refused

    def _answer(self, operation: str, language: Language | None, variables: Mapping[str, object]) -> Json:
        try:
            headers = self._headers(language or self.language, "application/json")
            got: Json = self.http.post(self.endpoint, json=_body(operation, variables), headers=headers).json()
        except (httpx.HTTPError, ValueError) as problem:
            raise JourneyBroken(f"{operation}: {problem!r}") from problem
        return got

    def watch(self, operation: str, **variables: object) -> Iterator[Json]:
        """Each result of a subscription, until the door says that it is complete. Raises JourneyBroken."""
        headers = self._headers(self.language, "text/event-stream")
        body = _body(operation, variables)
        deadline = time.monotonic() + PATIENCE_S
        try:
            with self.http.stream("POST", self.endpoint, json=body, headers=headers, timeout=PATIENCE_S) as answer:
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
        given = {
            "authorization": f"Bearer {self.token}" if self.token else "",
            "onedoor-purpose": self.purpose,
            "onedoor-authority": self.authority,
        }
        return {"accept-language": language.value, "accept": accept, **{k: v for k, v in given.items() if v}}


def _body(operation: str, variables: Mapping[str, object]) -> Json:
    text = (OPERATIONS / f"{operation}.graphql").read_text(encoding="utf-8")
    return {"operationName": operation, "query": text, "variables": dict(variables)}


def _data(operation: str, got: Json) -> Json:
    if got.get("errors") or not got.get("data"):
        raise JourneyBroken(f"{operation}: {json.dumps(got, ensure_ascii=False)[:2000]}")
    data: Json = got["data"]
    return data
