"""`onedoor audit`: a service's sealed audit written to a file, verified offline, and rid of what has had its time.

Exit codes: 0 done, the chain holds and is signed to its end; 1 it does not hold, or nothing could be done; 4 it holds, and part
of it is under no signature that was verified.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from clusters.explained import FAILED, explained
from clusters.french import Command, Group
from clusters.options import AsJson
from services.kit.language import is_french, spoken

if TYPE_CHECKING:
    from services.kit.audit.verifying import Report, Witness
    from services.kit.database import Database
    from services.kit.service import Service

T = TypeVar("T")
UNSIGNED = 4
CHUNK = 1 << 20
app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help=spoken("The sealed audit of a service.", "L’audit scellé d’un service."),
)
command = partial(app.command, cls=Command)
Name = Annotated[str, typer.Argument(metavar="SERVICE", help=spoken("A service", "Un service"))]


class AuditRefused(Exception):
    """A command cannot be carried out; the text says why and what to do."""


@command(help=spoken("Write the audit of a service to a file.", "Écrire l’audit d’un service dans un fichier."))
def export(
    service: Name,
    file: Annotated[Path, typer.Argument(dir_okay=False, help=spoken("The file to write", "Le fichier à écrire"))],
    as_json: AsJson = False,
) -> None:
    with explained():
        count = _on(service, "APP", partial(_exported, file=file))
    told = spoken(f"{count} seals are in {file}.", f"{file} contient {count} sceaux.")
    typer.echo(json.dumps({"seals": count, "file": str(file)}) if as_json else told)


@command(help=spoken("Verify an exported audit, offline.", "Vérifier un audit exporté, hors ligne."))
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=spoken("The export", "L’exportation"))],
    keys: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help=spoken("Public audit keys of the services", "Clés publiques d’audit des services"),
        ),
    ] = None,
    heads: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help=spoken("Heads that others hold: the file outside, others’ exports", "Têtes tenues ailleurs"),
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    with explained():
        report = _verified(file, keys, heads or [])
    typer.echo(json.dumps(report.described(), ensure_ascii=False, default=str) if as_json else _told(report))
    if report.finding is not None:
        raise typer.Exit(FAILED)
    if report.signed_to < report.seals:
        raise typer.Exit(UNSIGNED)


@command(help=spoken("List the statutory looks to review.", "Lister les consultations légales à réviser."))
def sample(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=spoken("The export", "L’exportation"))],
    as_json: AsJson = False,
) -> None:
    with explained():
        found = _sampled(file)
    for entry in found if not as_json else ():
        case, reason = entry.get("case_number", ""), entry.get("reason", "")
        typer.echo(f"{entry['at'][:16]}Z  {entry['actor']} → {entry['subject']}  {entry['category']}  {case}  {reason}")
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False))


@command(help=spoken("Delete contents whose time is over.", "Supprimer les contenus dont le délai est passé."))
def expire(service: Name, as_json: AsJson = False) -> None:
    with explained():
        gone = _on(service, "RETENTION", _expired)
    for name, count in gone.items() if not as_json else ():
        typer.echo(f"{name}: {count}")
    if as_json:
        typer.echo(json.dumps(dict(gone)))


@command("renew-key", help=spoken("Give a service another audit key.", "Donner une autre clé d’audit à un service."))
def renew_key(
    service: Name,
    folder: Annotated[Path, typer.Argument(file_okay=False, help=spoken("Credentials", "Secrets des parties"))],
) -> None:
    with explained():
        from clusters import keys

        _part(service)
        keys.of_audit(folder, service, anew=True)


def _on(name: str, kind: str, act: "Callable[[Service, Database], Coroutine[Any, Any, T]]") -> T:
    """Act on the database of a service, signed in as one of its roles. Raises AuditRefused."""
    from sqlalchemy.exc import DBAPIError

    from clusters.compose import load
    from services.kit import database

    async def acted() -> T:
        opened = database.connect(_url(name, kind), f"audit-{name}", pool_size=1)
        try:
            return await act(load(name), opened)
        finally:
            await opened.close()

    try:
        return asyncio.run(acted())
    except (OSError, DBAPIError) as problem:
        why = getattr(problem, "orig", None) or problem
        raise AuditRefused(spoken(f"{name}: not done: {why}", f"{name}\u00a0: non fait\u00a0: {why}")) from None


def _part(name: str) -> None:
    from clusters.topology import SERVICES

    if name not in (names := [part.name for part in SERVICES]):
        raise AuditRefused(
            spoken(f"no service is called {name}; there are ", f"aucun service ne s’appelle {name}\u00a0; il y a ")
            + ", ".join(names)
        )


def _url(name: str, kind: str) -> str:
    """Where a role of a service signs in: as the environment says, else in the province that runs here."""
    from clusters.local import state
    from clusters.topology import BY_NAME
    from services.kit import roles, settings

    _part(name)
    own = BY_NAME[name].database_variable
    variable = own if kind == "APP" else f"{name.upper()}_{kind}_DATABASE_URL"
    if os.environ.get(variable):
        return settings.database_url("audit", {"AUDIT_DATABASE_URL": os.environ[variable]})
    running = state.running()
    if running is None or not running.environment.get(own):
        raise AuditRefused(
            spoken(
                f"no database: start the province (onedoor up) or set {variable}",
                f"aucune base\u00a0: démarrez la province (onedoor up) ou donnez {variable}",
            )
        )
    role = getattr(roles, kind)
    app_url = settings.database_url(name, running.environment)  # its password files lie side by side
    return app_url.replace(f"{name}_{roles.APP}@", f"{name}_{role}@").replace(f"{roles.APP}.pgpass", f"{role}.pgpass")


async def _exported(service: "Service", database: "Database", file: Path) -> int:
    """Written beside and put in place when it is whole, readable by its owner only."""
    from services.kit.audit.exporting import export

    part = file.with_name(f"{file.name}.part")
    opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "wb", buffering=CHUNK) as sink:
        count = await export(database.engine, service.name, service.sealed, sink, _progress)
    part.replace(file)
    return count


async def _expired(service: "Service", database: "Database") -> Mapping[str, int]:
    from services.kit.audit.expiring import expire

    return await expire(database, service.sealed, service.copies)


def _verified(file: Path, keys: Path | None, heads: list[Path]) -> "Report":
    from services.kit.audit.verifying import Verification
    from services.kit.signing_keys import public_keys

    try:
        known = public_keys(keys.read_bytes()) if keys else {}
    except ValueError as problem:
        raise AuditRefused(
            spoken(
                f"{keys} holds no public keys: {problem}", f"{keys} ne contient pas de clés publiques\u00a0: {problem}"
            )
        ) from None
    size = file.stat().st_size
    with file.open("rb", buffering=CHUNK) as lines:
        return Verification(known, _witnesses(heads), told=lambda read: _progress(read, size)).of(lines)


def _sampled(file: Path) -> list[dict[str, Any]]:
    from services.kit.audit.reviewing import sampled

    try:
        with file.open("rb", buffering=CHUNK) as lines:
            return list(sampled(lines))
    except (KeyError, ValueError):
        raise AuditRefused(
            spoken(f"{file} is no export of an audit", f"{file} n’est pas une exportation d’audit")
        ) from None


def _witnesses(files: list[Path]) -> "Iterator[Witness]":
    from services.kit.audit.verifying import witnesses

    for file in files:
        with file.open("rb") as lines:
            yield from witnesses(lines)


def _progress(done: int, of: int) -> None:
    """A moving line on a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{min(100, 100 * done // max(of, 1)):3} %")
        sys.stderr.write("\r\033[K" if done >= of else "")


def _told(report: "Report") -> str:
    lines = [
        spoken(
            f"{report.service}: {report.seals} seals, {report.heads} heads, {report.days} days; "
            f"{report.witnesses} heads held by others",
            f"{report.service}\u00a0: {report.seals} sceaux, {report.heads} têtes, {report.days} jours\u00a0; "
            f"{report.witnesses} têtes tenues ailleurs",
        )
    ]
    if report.expired:
        lines.append(
            spoken(
                f"{report.expired} contents have had their time, the last on {report.expired_to}; their seals hold",
                f"{report.expired} contenus ont fait leur temps, le dernier le {report.expired_to}\u00a0; leurs sceaux tiennent",
            )
        )
    if report.unsealed:
        lines.append(
            spoken(
                f"{report.unsealed} entries were not sealed yet", f"{report.unsealed} éléments n’étaient pas scellés"
            )
        )
    if report.finding is not None:
        words = report.finding.words()
        return "\n".join([*lines, words.fr if is_french() else words.en])
    if report.signed_to < report.seals:
        lines.append(
            spoken(
                f"No verified signature covers seals {report.signed_to + 1} to {report.seals}.",
                f"Aucune signature vérifiée ne couvre les sceaux {report.signed_to + 1} à {report.seals}.",
            )
        )
    return "\n".join([*lines, spoken("The chain holds.", "La chaîne tient.")])
