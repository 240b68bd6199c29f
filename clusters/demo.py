"""`onedoor demo`: walks the journey against the province that runs here and shows each step with its time."""

import json
import os
from dataclasses import asdict

import httpx
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from clusters import signin
from clusters.journeys.business import journey
from clusters.journeys.door import Door, JourneyBroken, Json, Step
from clusters.journeys.trust import journey as of_trust
from clusters.local import letters, state
from clusters.local.folder import locate
from clusters.topology import BY_NAME, issuer_url
from services.kit.language import Language, Words, is_french, spoken

FAILED = 1


def addresses() -> tuple[str, str]:
    """The front door's endpoint and the issuer: from GATEWAY_URL and ISSUER_URL, the running province, or the usual ones."""
    found = state.running()
    known = {**(found.environment if found else {}), **os.environ}
    usual = f"http://127.0.0.1:{BY_NAME['gateway'].port}/graphql"
    issuer = issuer_url(lambda name: f"127.0.0.1:{BY_NAME[name].port}")
    return known.get("GATEWAY_URL", usual), known.get("ISSUER_URL", issuer)


def _letters() -> list[str]:
    """The letters that the running province has written."""
    return [letter.text for letter in letters.read(locate().path / "mail")]


def run(*, trust: bool, as_json: bool) -> int:
    """Walk the journey of a business, or that of trust. Returns 0, or 1 when a step was not as promised."""
    endpoint, issuer = addresses()
    console = Console(highlight=False)

    def sign_in(user: str) -> str:
        return signin.access_token(issuer, user, f"{user}-onedoor")

    steps: list[Step] = []
    broken = ""
    with httpx.Client(timeout=15) as http:
        try:
            door = Door(endpoint, http, Language.FR if is_french() else Language.EN)
            walked = of_trust(door, sign_in, _letters) if trust else journey(door, sign_in)
            for step in walked:
                steps.append(step)
                if not as_json:
                    _show(console, step)
        except (JourneyBroken, signin.SignInFailed) as problem:
            broken = str(problem)
    if as_json:
        told = {"steps": [{**asdict(step), "words": asdict(step.words)} for step in steps], "broken": broken or None}
        print(json.dumps(told, ensure_ascii=False, indent=1))  # noqa: T201 - what the command is for
    elif broken:
        console.print(spoken("broken: ", "rompu\u00a0: ") + broken, style="red", markup=False)
    else:
        total = sum(step.seconds for step in steps)
        console.print(
            spoken(f"{len(steps)} steps, {total:.2f} s", f"{len(steps)} étapes, {total:.2f}\u00a0s".replace(".", ","))
        )
    return FAILED if broken else 0


def _show(console: Console, step: Step) -> None:
    words = step.words.of(Language.FR if is_french() else Language.EN)
    console.print(f"✓ {step.seconds * 1000:7.0f} ms  {words}", markup=False)
    for line in _details(step):  # what is too long goes on below itself
        console.print(Padding(Text(line, style="dim"), (0, 0, 0, 15)))


def _details(step: Step) -> list[str]:
    """What a person wants to see of a step's answer, a line each."""
    answer = step.answer
    match step.code:
        case "sign-in":
            return [", ".join(answer["businesses"])] if answer["businesses"] else []
        case "identical":
            return [answer["refused"]["message"]["in"]]
        case "similar" | "free":
            return [answer["explanation"]["in"]]
        case "register":
            return [f"{answer['business']['legalName']}, {answer['business']['businessNumber']}"]
        case "programs":
            return [f"{p['accountNumber']:12} {_said(p['program'])}, {_said(p['state'])}" for p in answer["programs"]]
        case "inspection":
            return [f"{answer['scheduledFor']}, {_said(answer['status'])}"]
        case "overview":
            return [
                *_overview(answer["business"]),
                *(s["name"]["in"] for s in answer["governmentService"]["standards"]),
            ]
        case "delegates":
            return [f"{answer['offeredAs']} → {answer['acceptedAs']}, {answer['ends'][:10]}"]
        case "files":
            return [f"{answer['business']['legalName']}, {answer['business']['businessNumber']}"]
        case "sees" | "investigates":
            return [_of(answer["sentence"])]
        case "revokes" | "needs-code" | "purpose":
            return [_of(answer["refused"])]
        case "moves":
            return [", ".join(answer["address"].values())]
        case "asks":
            return [f"{answer['reference']}, {answer['due']}"]
        case "answered":
            return [answer["answer"]]
        case _:
            return []


def _of(text: Json) -> str:
    """The half of a bilingual text that the terminal's user reads."""
    return spoken(text["en"], text["fr"])


def _overview(business: Json) -> list[str]:
    """Risk and help of a business, as its answer in French says them."""
    score, band = business["riskScore"]["score"], _WORDS[business["riskScore"]["band"]].fr
    near = [(h["distanceM"] / 1000, h["service"]["name"]["in"]) for h in business["helpNearby"]]
    return [
        f"risque {score} ({band})".replace(".", ","),
        *(f"{km:.1f}".replace(".", ",") + f" km  {name}" for km, name in near),
    ]


_WORDS = {
    "BUSINESS_NAME": Words("business name", "nom d’entreprise"),
    "EMPLOYER_HEALTH_TAX": Words("Employer Health Tax", "impôt-santé des employeurs"),
    "RETAIL_SALES_TAX": Words("retail sales tax permit", "permis de taxe de vente au détail"),
    "WORKERS_COMPENSATION": Words("workers’ compensation", "indemnisation des travailleurs"),
    "APPROVED": Words("approved", "approuvé"),
    "SCHEDULED": Words("scheduled", "prévue"),
    "LOW": Words("low", "faible"),
    "MODERATE": Words("moderate", "modéré"),
    "HIGH": Words("high", "élevé"),
}


def _said(code: str) -> str:
    """A code of the answers as the terminal's user reads it."""
    return spoken(_WORDS[code].en, _WORDS[code].fr) if code in _WORDS else code
