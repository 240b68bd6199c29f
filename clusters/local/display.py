"""What a person sees of a local province: a live table on a terminal, plain lines elsewhere, and the summary."""

import contextlib
import json
import shlex
import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from clusters.local import observe
from clusters.local.state import PartState, State
from services.kit.language import spoken

STAFF = ("officer", "specialist", "inspector", "reviewer", "administrator", "operator", "auditor")
USERS = ("citizen", "owner", *STAFF)
QUERY = (
    '{ nameCheck(name: "Maple Bakery", legalType: SOLE_PROPRIETORSHIP) { outcome explanation { en fr } } '
    "clusters { code name { en fr } } }"
)
REFRESH_S = 2.0
STYLES = {"ready": "green", "restarting": "red", "starting": "yellow", "waiting": "dim", "elsewhere": "cyan"}


class Screen(Protocol):
    """Where a supervisor's news goes."""

    def say(self, line: str) -> None: ...
    def show(self, parts: Sequence[PartState]) -> None: ...
    def close(self) -> None: ...


class Lines:
    """One line per event, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # the log's disk is full: no reason to end what runs
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self, parts: Sequence[PartState]) -> None:
        """A table that nobody watches would only fill a log."""

    def close(self) -> None:
        """Nothing was opened."""


class Terminal:
    """Events scroll by above a table that is refreshed in place, by the caller and by no thread."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()
        self._shown_at = 0.0

    def say(self, line: str) -> None:
        self._live.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def show(self, parts: Sequence[PartState]) -> None:
        if time.monotonic() - self._shown_at >= REFRESH_S:
            hint = Text(spoken("Ctrl-C stops everything", "Ctrl-C arrête tout"), style="dim")
            self._live.update(Group(table(parts), hint), refresh=True)
            self._shown_at = time.monotonic()

    def close(self) -> None:
        self._live.stop()


def screen() -> Screen:
    """The screen that fits where standard output goes."""
    console = Console()
    return Terminal(console) if console.is_terminal else Lines(console)


def table(parts: Sequence[PartState]) -> Table:
    """The parts with what they cost and have done, observed now."""
    made = Table(box=None, pad_edge=False, padding=(0, 1))
    for heading in (spoken("part", "partie"), spoken("address", "adresse"), spoken("state", "état")):
        made.add_column(heading, no_wrap=True)
    for heading in (spoken("memory", "mémoire"), spoken("requests", "requêtes"), spoken("restarts", "redémarrages")):
        made.add_column(heading, justify="right", no_wrap=True)
    for part in parts:
        memory, requests = figures(part)
        made.add_row(
            part.name,
            part.address,
            Text(status_word(part.status), style=STYLES.get(part.status, "")),
            "" if memory is None else spoken(f"{memory:.0f} MiB", f"{memory:.0f} Mio"),
            "" if requests is None else str(requests),
            str(part.restarts or ""),
        )
    return made


def figures(part: PartState) -> tuple[float | None, int | None]:
    """A running part's memory in MiB and the requests it has answered."""
    if part.pid is None:
        return None, None
    is_http = part.kind not in ("database", "broker")
    requests = observe.requests_answered(part.address) if is_http and part.status == "ready" else None
    return observe.memory_mib(part.pid), requests


def status_word(status: str) -> str:
    """A status in the person's language."""
    french = {
        "waiting": "en attente",
        "starting": "démarrage",
        "ready": "prêt",
        "restarting": "redémarrage",
        "elsewhere": "ailleurs",
        "stopped": "arrêté",
    }
    return spoken(status, french.get(status, status))


def summary(state: State) -> str:
    """Addresses, demo users and a query to paste, for a person who has just started the province."""
    by_name = {part.name: part for part in state.parts}
    lines = [spoken("One Door is open.", "Une seule porte, et elle est ouverte.")]
    if gateway := by_name.get("gateway"):
        lines.append(f"  GraphQL   http://{gateway.address}/graphql")
    if "issuer" in by_name:
        lines.append(f"  OpenID    {state.environment['ISSUER_URL']}")
        lines += [
            spoken("  users     ", "  comptes   ") + ", ".join(USERS),
            spoken("            password: NAME-onedoor", "            mot de passe\u00a0: NOM-onedoor")
            + spoken("; a token: ", "\u00a0; un jeton\u00a0: ")
            + ".venv/bin/onedoor token --user owner",
        ]
    if gateway:
        lines += [spoken("  try       ", "  essayez   ") + curl(gateway.address)]
    return "\n".join(lines)


def curl(gateway: str) -> str:
    """One query, ready to paste into a shell."""
    body = json.dumps({"query": QUERY}, ensure_ascii=False)
    return f"curl -s http://{gateway}/graphql -H 'Content-Type: application/json' -d {shlex.quote(body)}"
