"""What the bench's subgraphs hold: few officers, premises and visits that refer to one another, so that entities repeat."""

from typing import Any

Json = dict[str, Any]
NAMES = [
    "Ruisseau",
    "Harbour",
    "Érable",
    "Lakeshore",
    "Northern Light",
    "Boulangerie du Pont",
    "Mill Street",
    "Grand Chêne",
    "Portage",
]

OFFICERS: list[Json] = [
    {"__typename": "Officer", "id": str(n), "name": f"{name} {n}", "login": f"officer.{n}", "joined": 1990 + n}
    for n, name in enumerate(["Ada", "Benoît", "Chantal", "Dev", "Esi", "François"], 1)
]
PREMISES: list[Json] = [
    {
        "__typename": "Premises",
        "number": str(100 + n),
        "name": name,
        "area": 120 * (n + 1),
        "storeys": n % 4 + 1,
        "open": n % 3 != 0,
    }
    for n, name in enumerate(NAMES)
]
NOTES = [
    "Kitchen surfaces clean, hot water at every sink, one light out above the store; to be replaced by the end of week.",
    "Extincteurs vérifiés et sorties dégagées; le registre des températures est tenu à jour, rien d’autre à signaler.",
    "Exit blocked by boxes and cleared at once; staff shown the floor plan again, and the alarm tried in both rooms.",
]
VISITS: list[Json] = [
    {
        "__typename": "Visit",
        "id": str(n),
        "officer": OFFICERS[n % len(OFFICERS)],
        "premises": PREMISES[(n * 5) % len(PREMISES)],
        "notes": NOTES[n % len(NOTES)],
    }
    for n in range(23)
]


def visits_of(member: str, key: str, value: str) -> list[Json]:
    """The visits whose officer or premises has a key value."""
    return [visit for visit in VISITS if visit[member][key] == value]
