"""`docs/privacy.md`: the purposes, and what each trusted document tells about people. Generated; `onedoor compose` writes it."""

from collections.abc import Iterator, Sequence

from clusters.privacy import Report, by_category, ministry_of
from services.kit.purposes import Purpose, purposes

HEAD = """# Who sees what about people, and what for / Qui voit quoi sur les personnes, et à quelle fin

Generated from `clusters/purposes.toml` and the plans of `contracts/operations` by `onedoor compose`; for an operation of your own
ask `onedoor plan --privacy FILE`. Produit de `clusters/purposes.toml` et des plans de `contracts/operations` par
`onedoor compose`; pour une opération à vous, demandez `onedoor plan --privacy FICHIER`.

Whoever is allowed to ask sees all that is told; what a ministry passes on to another, that one sees too. Facts of public
registers are not listed. Qui a le droit de demander voit tout ce qui est dit; ce qu’un ministère transmet à un autre, celui-ci le
voit aussi. Les faits des registres publics n’y figurent pas.

## Purposes / Fins
"""
OPERATIONS = """## Operations of the clients / Opérations des clients
"""


def page(reports: Sequence[Report]) -> str:
    """The whole page, Markdown."""
    lines = [HEAD]
    for purpose in purposes().values():
        lines += _purpose(purpose)
    lines += [OPERATIONS, *_silent([report.name for report in reports if not report.tellings])]
    for report in reports:
        if report.tellings:
            lines += _operation(report)
    return "\n".join(lines).rstrip() + "\n"


def _purpose(purpose: Purpose) -> Iterator[str]:
    yield from (f"### {purpose.code}", "", f"{purpose.words.en} / {purpose.words.fr}", "")
    yield f"- {purpose.basis.en} / {purpose.basis.fr}"
    yield f"- roles / rôles: {_listed(purpose.roles, 'nobody’s, for one’s own data / de personne, pour ses propres données')}"
    if purpose.roles:
        yield f"- data / données: {_listed(purpose.categories, '')}"
        yield f"- may receive / peuvent recevoir: {_listed(purpose.recipients, 'no other service / aucun autre service')}"
    if purpose.kind:
        yield f"- only under a grant / seulement en vertu d’un mandat: {purpose.kind}"
    if purpose.needs_consent:
        yield "- only with the person’s consent / seulement avec le consentement de la personne"
    if purpose.case_required:
        yield "- with a case number and a reason, reviewed by sample / avec numéro de dossier et raison, révisée par sondage"
    delay, kept = purpose.disclosure_delay_days, purpose.retention_days
    if delay:
        yield f"- the person sees who looked after {delay} days / la personne voit qui a regardé après {delay} jours"
    yield from (f"- entries are kept {kept} days / les inscriptions sont conservées {kept} jours", "")


def _silent(names: Sequence[str]) -> Iterator[str]:
    yield from ("Nothing about people / Rien sur des personnes: " + ", ".join(f"`{name}`" for name in names), "")


def _operation(report: Report) -> Iterator[str]:
    yield from (f"### {report.name}", "")
    yield from ("For / Fins: " + ", ".join(f"`{purpose.code}`" for purpose in report.chosen), "")
    yield from ("| service | ministry / ministère | data / données | fields / champs |", "|---|---|---|---|")
    for telling in report.tellings:
        ministry = ministry_of(telling.service)
        for category, fields in by_category(telling.fields).items():
            listed = ", ".join(f"`{field}`" for field in fields)
            yield f"| {telling.service} | {ministry.en} / {ministry.fr} | {category} | {listed} |"
    yield ""
    for passing in report.passings:
        yield f"Passed on / Transmis: {passing.source} → {passing.to}"
        for category, fields in by_category(passing.fields).items():
            listed = ", ".join(f"`{field}`" for field in fields)
            yield f"- {category or 'about nobody / sur personne'}: {listed}"
        yield ""


def _listed(names: frozenset[str], none: str) -> str:
    return ", ".join(sorted(names)) or none
