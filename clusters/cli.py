"""`onedoor`, the command line. Each command imports what it uses when it runs, so that help is immediate.

Exit codes: 0 done; 1 refused or failed, the reason on standard error; 2 the command was misspelt; 3 nothing runs.
"""

import json
import os
from dataclasses import asdict
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusters import audit, sign_in_commands
from clusters.explained import FAILED, explained
from clusters.french import Command, Group
from clusters.keycloak import commands as keycloak
from clusters.options import AsJson
from services.kit.language import spoken

if TYPE_CHECKING:
    from clusters.local.state import State

NOTHING_RUNS = 3
NOTHING = spoken("nothing runs here; start it: onedoor up", "rien ne tourne ici\u00a0; démarrez\u00a0: onedoor up")

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=spoken(
        "One Door: a province's services behind one GraphQL endpoint.",
        "One Door\u00a0: les services d’une province derrière un seul point d’accès GraphQL.",
    ),
)
app.add_typer(keycloak.app, name="keycloak")
app.add_typer(audit.app, name="audit")
app.add_typer(sign_in_commands.app)  # its commands stand beside those below
command = partial(app.command, cls=Command)
Data = Annotated[
    Path | None,
    typer.Option("--data", help=spoken("Data folder (default: .onedoor)", "Dossier des données (.onedoor par défaut)")),
]


@command(help=spoken("Run the whole province on this machine.", "Faire tourner toute la province sur ce poste."))
def up(
    data: Data = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help=spoken("Return once all is ready", "Rendre la main une fois prêt"))
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME...", help=spoken("Only these parts and what they need", "Ces parties et ce qu’il leur faut")
        ),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(hidden=True, metavar="NAME")
    ] = None,  # what follows the first name of --only
) -> None:
    with explained():
        from clusters.local import up as local

        names = [*(only or []), *(more or [])]
        code = local.up_detached(data, names) if detach else local.up(data, names)
    raise typer.Exit(code)


@command(help=spoken("Show what runs, what it costs and has done.", "Montrer ce qui tourne et ce qu’il coûte."))
def status(data: Data = None, as_json: AsJson = False) -> None:
    from clusters.local import display, state

    found = state.running(data)
    if as_json:
        typer.echo(json.dumps(_described(found), indent=1))
    elif found is None:
        typer.echo(NOTHING)
    else:
        from rich.console import Console

        Console().print(display.table(found.parts))
    if found is None:
        raise typer.Exit(NOTHING_RUNS)


@command(help=spoken("End what `up` started.", "Arrêter ce que `up` a démarré."))
def down(data: Data = None) -> None:
    with explained():
        from clusters.local import up as local

        if not local.down(data):
            typer.echo(NOTHING)
            raise typer.Exit(NOTHING_RUNS)
    typer.echo(spoken("One Door is closed.", "One Door est fermé."))


@command(help=spoken("Show the log of a part.", "Montrer le journal d’une partie."))
def logs(
    name: Annotated[str, typer.Argument(help=spoken("A part, or onedoor itself", "Une partie, ou onedoor"))],
    data: Data = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=1, help=spoken("How many of the last", "Combien des dernières"))
    ] = 200,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help=spoken("Go on as it grows", "Continuer à mesure"))
    ] = False,
) -> None:
    from clusters.local import logs as local

    with explained():
        local.show(name, data, lines, follow=follow)


@command(help=spoken("Run the gateway alone on a supergraph file.", "Faire tourner la passerelle seule."))
def gateway(
    supergraph: Annotated[
        Path, typer.Option(help=spoken("Supergraph file", "Fichier du supergraphe"), exists=True, dir_okay=False)
    ],
    port: Annotated[
        int, typer.Option(min=1, max=65_535, envvar="PORT", help=spoken("Where it answers", "Où elle répond"))
    ] = 8000,
    host: Annotated[
        str,
        typer.Option(
            envvar="HOST", help=spoken("0.0.0.0: to other machines too", "0.0.0.0\u00a0: à d’autres postes aussi")
        ),
    ] = "127.0.0.1",
    workers: Annotated[
        int, typer.Option(min=1, max=64, help=spoken("Processes on the port", "Processus sur le port"))
    ] = 1,
) -> None:
    os.environ |= {"SUPERGRAPH": str(supergraph.absolute()), "PORT": str(port), "HOST": host}
    if workers > 1:
        os.environ["WORKERS"] = str(workers)
    os.environ.setdefault("ONEDOOR_MODE", "local")
    with explained():
        from clusters.local.processes import require_free
        from gateway.__main__ import serve

        require_free(port, "gateway", host)
        serve()


@command("sign-proxy", help=spoken("Sign the calls of another router.", "Signer les appels d’un autre routeur."))
def sign_proxy(
    port: Annotated[
        int, typer.Option(min=1, max=65_535, help=spoken("On the loopback", "Sur la boucle locale"))
    ] = 8200,
    supergraph: Annotated[
        Path | None,
        typer.Option(help=spoken("Supergraph file", "Fichier du supergraphe"), exists=True, dir_okay=False),
    ] = None,
) -> None:
    with explained():
        from clusters.local.processes import require_free
        from clusters.topology import SUPERGRAPH
        from gateway.sign_proxy import serve

        require_free(port, "sign-proxy", "127.0.0.1")
        serve({"HOST": "127.0.0.1", **os.environ, "PORT": str(port), "SUPERGRAPH": str(supergraph or SUPERGRAPH)})


@command(help=spoken("Show how the gateway would answer an operation.", "Montrer le plan d’une opération."))
def plan(
    file: Annotated[
        Path, typer.Argument(help=spoken("Operation file", "Fichier de l’opération"), exists=True, dir_okay=False)
    ],
    supergraph: Annotated[
        Path | None,
        typer.Option(help=spoken("Supergraph file", "Fichier du supergraphe"), exists=True, dir_okay=False),
    ] = None,
    operation: Annotated[
        str | None, typer.Option(help=spoken("Its name, where there are several", "Son nom, s’il y en a plusieurs"))
    ] = None,
    variables: Annotated[str, typer.Option(help=spoken("A JSON object", "Un objet JSON"))] = "{}",
    svg: Annotated[
        Path | None, typer.Option(help=spoken("Draw it into this file", "Le dessiner dans ce fichier"))
    ] = None,
    privacy: Annotated[
        bool,
        typer.Option(
            "--privacy", help=spoken("What it tells about people instead", "Plutôt ce qu’elle dit sur des personnes")
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    with explained():
        from clusters import plan_picture, planning
        from clusters import privacy as seen
        from clusters.privacy_picture import picture
        from clusters.topology import SUPERGRAPH

        plan = planning.explain(supergraph or SUPERGRAPH, file, operation, variables)
        found = seen.report(plan, file.read_text(encoding="utf-8")) if privacy else plan
        if svg is not None:
            drawn = picture(found) if isinstance(found, seen.Report) else plan_picture.picture(found)
            svg.write_text(drawn, encoding="utf-8")
    typer.echo(found.as_json() if as_json else str(found))


@command(
    help=spoken("List the letters of local mode, or show one.", "Lister les lettres du mode local, ou en montrer une.")
)
def mail(
    letter: Annotated[
        str | None, typer.Argument(help=spoken("The letter: how its name begins", "La lettre : le début de son nom"))
    ] = None,
    data: Data = None,
    folder: Annotated[
        Path | None, typer.Option(help=spoken("Another folder of letters", "Un autre dossier de lettres"))
    ] = None,
    as_json: AsJson = False,
) -> None:
    from clusters.local import letters
    from clusters.local.folder import locate

    with explained():
        held = letters.read(folder or locate(data).path / "mail", letter or "")
    typer.echo(
        json.dumps([asdict(one) for one in held], indent=1, ensure_ascii=False)
        if as_json
        else letters.shown(held, whole=letter is not None)
    )


class Journey(Enum):
    """What a demo walks through."""

    BUSINESS = "business"
    TRUST = "trust"


@command(help=spoken("Walk through a journey: of a business, or of trust.", "Suivre un parcours."))
def demo(
    which: Annotated[
        Journey, typer.Argument(metavar="[business|trust]", help=spoken("Which one", "Lequel"))
    ] = Journey.BUSINESS,
    as_json: AsJson = False,
) -> None:
    with explained():
        from clusters import demo as walking

        code = walking.run(trust=which is Journey.TRUST, as_json=as_json)
    raise typer.Exit(code)


@command(
    help=spoken("Make what parts sign in with, in a folder.", "Créer les identifiants des parties, dans un dossier.")
)
def credentials(
    folder: Annotated[Path, typer.Argument(file_okay=False, help=spoken("The folder", "Le dossier"))],
) -> None:
    with explained():
        from clusters import credentials as made
        from clusters.topology import SERVICES

        made.prepare(folder, [service.name for service in SERVICES])


@command(help=spoken("Make or change a part’s signing keys.", "Faire ou changer les clés de signature d’une partie."))
def keys(
    step: Annotated[
        str,
        typer.Argument(
            metavar="make|publish|activate|withdraw",
            help=spoken("A change is publish, activate, withdraw", "Un changement\u00a0: publish, activate, withdraw"),
        ),
    ],
    folder: Annotated[Path, typer.Argument(file_okay=False, help=spoken("Credentials", "Secrets des parties"))],
    part: Annotated[
        str,
        typer.Option(
            "--of",
            help=spoken(
                "gateway, or accounts, which signs grants", "gateway, ou accounts, qui signe les autorisations"
            ),
        ),
    ] = "gateway",
) -> None:
    with explained():
        from clusters import keys as made

        for identity in made.take(made.step_of(step), folder, made.signer_of(part)):
            typer.echo(identity)


@command("import", help=spoken("Import a real file into a service.", "Importer un fichier réel dans un service."))
def import_(
    source: Annotated[
        str,
        typer.Argument(
            help=spoken(
                "What the file is: ontario-locations, hsds, dinesafe or contact-centres",
                "Ce qu’est le fichier\u00a0: ontario-locations, hsds, dinesafe ou contact-centres",
            )
        ),
    ],
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help=spoken("The file", "Le fichier"))
    ],
    rejects: Annotated[
        Path | None, typer.Option(help=spoken("Write refused rows here", "Y écrire les lignes refusées"))
    ] = None,
    as_json: AsJson = False,
) -> None:
    with explained():
        from clusters import importing

        code = importing.run(source, file, rejects=rejects, as_json=as_json)
    raise typer.Exit(code)


@command(help=spoken("Write contracts/ from code, or check it.", "Écrire contracts/ d’après le code, ou vérifier."))
def compose(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help=spoken("Change nothing; fail on drift", "Ne rien changer\u00a0; échouer si écart")
        ),
    ] = False,
) -> None:
    with explained():
        from clusters import compose as contracts

        if not check:
            for path in contracts.write():
                typer.echo(str(path.relative_to(contracts.ROOT)))
            return
        drifts = contracts.drifts()
    if drifts:
        typer.echo("\n".join(drifts), err=True)
        typer.echo(
            spoken(
                f"contracts/ drifts from code; mend it: {contracts.MENDS}",
                f"écart entre contracts/ et le code\u00a0; remède\u00a0: {contracts.MENDS}",
            ),
            err=True,
        )
        raise typer.Exit(FAILED)


def _described(found: "State | None") -> dict[str, object]:
    """The state for programs, with what each part costs and has done now."""
    if found is None:
        return {"running": False, "parts": [], "environment": {}}
    from clusters.local.display import figures

    parts = []
    for part in found.parts:
        memory, requests = figures(part)
        parts.append({**asdict(part), "memoryMiB": memory and round(memory, 1), "requests": requests})
    return {
        "running": True,
        "ready": found.is_ready,
        "pid": found.pid,
        "parts": parts,
        "environment": found.environment,
    }
