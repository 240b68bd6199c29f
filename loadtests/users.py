"""Who knocks at the front door: four kinds of people, each with weighted tasks on `contracts/operations`.

Every answer is checked: an error, a missing datum or an unexpected refusal is a failure, however fast.
"""

import os
import random
import secrets
import time
from typing import Any

from locust import task
from locust.contrib.fasthttp import FastHttpUser

from loadtests import operations, promises, signin

PROMISES = promises.read()
# Tasks per second of one user, on average: the number of users sets the rate as long as answers come soon.
TASKS_PER_USER_S = 0.2

Json = dict[str, Any]

_tokens: dict[str, tuple[str, float]] = {}


def token(username: str) -> str:
    """An access token of a demo user, shared by all load users of that name and renewed a minute before it ends."""
    held = _tokens.get(username)
    if held is None or held[1] < time.monotonic():
        issuer = os.environ.get("ISSUER_URL", "http://127.0.0.1:8080/realms/onedoor")
        access, life_s = signin.access_token(issuer, username, f"{username}-onedoor")
        held = _tokens[username] = (access, time.monotonic() + life_s - 60)
    return held[0]


class Visitor(FastHttpUser):
    """Asks registered operations and checks what comes back."""

    abstract = True
    host = "http://127.0.0.1:8000"
    username: str | None = None
    purpose: str | None = None  # for what somebody in an office looks

    def wait_time(self) -> float:
        """Seconds until the next task. People come at random, not in step: the times between arrivals are exponential."""
        return random.expovariate(TASKS_PER_USER_S)

    def on_start(self) -> None:
        """Come at some moment of the first pause, not with all who were spawned in the same second."""
        time.sleep(random.uniform(0, 1 / TASKS_PER_USER_S))

    def ask(self, operation: str, **variables: object) -> Json | None:
        """The operation's data, or None after recording a failure: status, GraphQL errors, or no data at all."""
        headers = {"accept-language": random.choice(("en-CA", "fr-CA"))}
        if self.purpose:
            headers["onedoor-purpose"] = self.purpose
        if self.username is not None:
            headers["authorization"] = f"Bearer {token(self.username)}"
        body = {"operationName": operation, "query": operations.text(operation), "variables": variables}
        with self.client.post("/graphql", json=body, headers=headers, name=operation, catch_response=True) as answer:
            try:
                got = answer.json()
            except ValueError:
                answer.failure(f"status {answer.status_code}, no JSON")
                return None
            if answer.status_code != 200 or got.get("errors"):
                codes = [e.get("extensions", {}).get("code", e.get("message")) for e in got.get("errors") or ()]
                answer.failure(f"status {answer.status_code}, errors {codes}")
                return None
            if not got.get("data") or all(value is None for value in got["data"].values()):
                answer.failure("no data")
                return None
            refused = [v for v in got["data"].values() if isinstance(v, dict) and v.get("__typename") == "Refused"]
            if refused:
                answer.failure(f"refused: {refused[0].get('code')}")
                return None
            data: Json = got["data"]
            return data


PLACES = ("M5V 2T6", "K1P 1J1", "P3E 5P9", "L8P 1A1", "N6A 3K7", "P7B 6T7", "K7L 3N6")
WISHES = (
    "health card",
    "permis de conduire",
    "housing",
    "emploi",
    "birth certificate",
    "seniors",
    "newcomer",
    "aide juridique",
)
SYLLABLES = (
    "bal",
    "cor",
    "dan",
    "fer",
    "gal",
    "hul",
    "jor",
    "kem",
    "lun",
    "mar",
    "nor",
    "pel",
    "quin",
    "ros",
    "tam",
    "vel",
)
TRADES = ("Bakery", "Plumbing", "Boulangerie", "Consulting", "Landscaping", "Café", "Couture", "Roofing")


def invented_name() -> str:
    """A business name that is very likely free: four syllables and a trade."""
    return "".join(secrets.choice(SYLLABLES) for _ in range(4)).title() + " " + secrets.choice(TRADES)


class Citizen(Visitor):
    """Looks for help and reads what is promised; never signs in."""

    weight = PROMISES.weights["Citizen"]

    @task(6)
    def looks_for_a_service(self) -> None:
        self.ask("FindServices", text=random.choice(WISHES), first=10)

    @task(3)
    def looks_for_help_nearby(self) -> None:
        self.ask("HelpNear", postalCode=random.choice(PLACES), first=5)

    @task(1)
    def reads_a_service_standard(self) -> None:
        self.ask("ServiceStandards", code="business-registration")

    @task(1)
    def checks_a_name(self) -> None:
        self.ask("CheckName", name=invented_name(), legalType="SOLE_PROPRIETORSHIP")


class BusinessOwner(Visitor):
    """Checks a name, registers, and reads what the ministries make of the business."""

    weight = PROMISES.weights["BusinessOwner"]
    username = "owner"

    @task(4)
    def checks_a_name(self) -> None:
        self.ask("CheckName", name=invented_name(), legalType="NAMED_CORPORATION")

    @task(3)
    def reads_the_whole_picture(self) -> None:
        mine = self.ask("MyBusinesses", first=5)
        if mine and mine["myBusinesses"]["edges"]:
            number = random.choice(mine["myBusinesses"]["edges"])["node"]["businessNumber"]
            self.ask("BusinessOverview", businessNumber=number)

    @task(1)
    def registers(self) -> None:
        drafted = self.ask(
            "DraftApplication",
            input={
                "name": invented_name(),
                "legalType": "SOLE_PROPRIETORSHIP",
                "sector": "72",
                "address": {"street": "100 Main Street", "city": "Toronto", "postalCode": "M5V 2T6"},
                "idempotencyKey": secrets.token_hex(16),
            },
        )
        if drafted:
            application = drafted["draftApplication"]["id"]
            key = secrets.token_hex(16)
            submit = {"applicationId": application, "acknowledgeSimilarNames": True, "idempotencyKey": key}
            self.ask("SubmitApplication", input=submit)


class Officer(Visitor):
    """At a counter: looks a business up for the person in front of them."""

    weight = PROMISES.weights["Officer"]
    username = "officer"

    @task
    def looks_a_business_up(self) -> None:
        self.ask("CheckName", name=invented_name(), legalType="GENERAL_PARTNERSHIP")

    @task
    def finds_a_place_to_refer_to(self) -> None:
        self.ask("HelpNear", postalCode=random.choice(PLACES), first=3)


class Inspector(Visitor):
    """Reads the day's inspections."""

    weight = PROMISES.weights["Inspector"]
    username = "inspector"
    purpose = "inspection-conduct"

    @task
    def reads_the_inspections_to_do(self) -> None:
        self.ask("Inspections", status="SCHEDULED", first=10)
