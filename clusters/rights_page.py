"""`docs/rights.md`: the table of rights for people to read, every cell written out. Generated; `onedoor compose` writes it."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from clusters.access import access
from clusters.personal_data import personal_data
from clusters.rights import (
    ABSENT,
    ALLOWED,
    AUTHORITY_REFUSED,
    CODE_REQUIRED,
    NOBODY,
    NOT_COVERING,
    RELATIONS,
    UNAUTHENTICATED,
    Row,
    rights,
    roles,
)
from services.kit.language import Words

SIGNS = {ALLOWED: "✓", ABSENT: "∅", "FORBIDDEN": "✗", UNAUTHENTICATED: "✗", NOT_COVERING: "⊘"}
SIGNS |= {AUTHORITY_REFUSED: "⊖", CODE_REQUIRED: "✎"}
WHOSE = {"own": "own / à soi", "foreign": "another’s / à autrui", "any": "nobody’s / à personne"}
POLICY_EN = {"second_factor": "only with a second factor shown in the last five minutes"}
POLICY_FR = {"second_factor": "seulement avec un second facteur montré dans les cinq dernières minutes"}
DELEGATED = "delegated / par délégation"
ASSISTED = "in an assisted session / en session d’aide"
MINISTRY = "another ministry’s / à un autre ministère"
STATUTE = "another’s, under a statute / à autrui, en vertu d’une loi"
HEAD = """# Who may do what / Qui peut faire quoi

Generated from `clusters/rights.toml` by `onedoor compose`; `tests/rights` tries each cell on a real database.
Produit de `clusters/rights.toml` par `onedoor compose`; `tests/rights` éprouve chaque case sur une base réelle.

| | English | Français |
|---|---|---|
| ✓ | allowed | permis |
| ∅ | answered as if it did not exist | répondu comme si l’objet n’existait pas |
| ✗ | refused: FORBIDDEN, or UNAUTHENTICATED for who is not signed in | refusé : FORBIDDEN, ou UNAUTHENTICATED sans session |
| ⊘ | refused: the role does not investigate | refusé : le rôle n’enquête pas |
| ⊖ | refused on this authority: AUTHORITY_REFUSED | refusé à ce titre : AUTHORITY_REFUSED |
| ✎ | refused until the person agrees by a code | refusé tant que la personne n’y consent pas par un code |
| `CODE` | refused for this reason | refusé pour ce motif |

By delegation: of the objects of a person who has delegated all that can be. Nobody’s own office gives anything more there.
In an assisted session: of the objects of a person who is present, by the officer whose session it is.
Par délégation : des objets d’une personne qui a délégué tout ce qui peut l’être. Les fonctions que l’on exerce n’y ajoutent rien.
En session d’aide : des objets d’une personne présente, par la personne préposée dont c’est la session.
Another ministry’s: of a thing of a ministry for which whoever asks does not work. Rows without this line ask for no ministry.
À un autre ministère : d’un objet d’un ministère pour lequel on ne travaille pas. Sans cette ligne, peu importe le ministère.
"""


def page() -> str:
    """The whole page, Markdown."""
    lines = [HEAD, *_roles(), *_categories()]
    for service, rows in groupby(rights().values(), key=lambda row: row.service):
        lines += _service(service, list(rows))
    return "\n".join(lines).rstrip() + "\n"


def _roles() -> Iterator[str]:
    yield from ("## Roles / Rôles", "", "| | English | Français |", "|---|---|---|")
    yield f"| {NOBODY} | anybody who is not signed in | quiconque n’a pas ouvert de session |"
    people = {user.role: user.words for user in reversed(list(access().users.values()))}
    for role in access().roles:
        words = people.get(role, Words(role, role))
        yield f"| {role} | {words.en} | {words.fr} |"
    yield ""


def _categories() -> Iterator[str]:
    yield from ("## Data about people / Données sur les personnes", "", "| | English | Français |", "|---|---|---|")
    for code, words in personal_data().categories.items():
        yield f"| {code} | {words.en} | {words.fr} |"
    yield ""


def _service(service: str, rows: Sequence[Row]) -> Iterator[str]:
    yield from (f"## {service}", "")
    if public := [row for row in rows if row.public is not None]:
        yield from ("### Open to everybody / Ouvert à tout le monde", "")
        yield from ("| | about people / sur des personnes | why | pourquoi |", "|---|---|---|---|")
        for row in public:
            assert row.public is not None  # noqa: S101 - chosen so above
            yield f"| `{row.name}` | {row.personal or ''} | {row.public.en} | {row.public.fr} |"
        yield ""
    if guarded := [row for row in rows if row.outcomes]:
        columns = " | ".join(roles())
        yield from (
            f"`{row.name}`: {POLICY_EN[row.policy]} / {POLICY_FR[row.policy]}  " for row in guarded if row.policy
        )
        yield from ("### By role / Selon le rôle", "")
        yield f"| | about people / sur des personnes | whose / à qui | {columns} |"
        yield "|---|---|---|" + "---|" * len(roles())
        for row in guarded:
            yield from _cells(row)
        yield ""
    if inner := [row for row in rows if row.within]:
        yield from ("### Reached through others / Atteint par d’autres", "")
        yield from ("| | about people / sur des personnes | through / par |", "|---|---|---|")
        for row in inner:
            yield f"| `{row.name}` | {row.personal or ''} | {', '.join(f'`{name}`' for name in row.within)} |"
        yield ""


def _cells(row: Row) -> Iterator[str]:
    for relation in (r for r in RELATIONS if r in row.outcomes):
        yield _line(row, WHOSE[relation], [row.outcome(relation, role) for role in roles()])
        if relation == "foreign":
            yield _line(row, STATUTE, [row.under_a_statute(role) for role in roles()])
    if row.other_ministry:
        yield _line(row, MINISTRY, [row.of_another_ministry(role) for role in roles()])
    yield _line(row, DELEGATED, [row.on_a_delegation(role) for role in roles()])
    yield _line(row, ASSISTED, [row.in_an_assisted_session(role) for role in roles()])


def _line(row: Row, whose: str, outcomes: Sequence[str]) -> str:
    signs = " | ".join(SIGNS.get(outcome, f"`{outcome}`") for outcome in outcomes)
    return f"| `{row.name}` | {row.personal or ''} | {whose} | {signs} |"
