"""The commands of `onedoor` for who signs in: tokens, codes, operations sent as somebody, sessions and their end."""

import json
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from clusters.explained import FAILED, explained
from clusters.french import Command, Group
from clusters.options import AsJson
from services.kit.language import spoken

app = typer.Typer(cls=Group)
command = partial(app.command, cls=Command)
Password = Annotated[str | None, typer.Option(help=spoken("Default: NAME-onedoor", "NOM-onedoor par défaut"))]
Acr = Annotated[
    str | None, typer.Option(help=spoken("2: with the second factor, just now", "2\u00a0: avec le second facteur"))
]


@command(help=spoken("Print an access token, of a demo user or by a device’s code.", "Afficher un jeton d’accès."))
def token(
    ctx: typer.Context,
    user: Annotated[
        str | None, typer.Option(help=spoken("User name, e.g. owner", "Nom du compte, p. ex. owner"))
    ] = None,
    password: Password = None,
    acr: Acr = None,
    device: Annotated[
        bool, typer.Option("--device", help=spoken("Sign in in a browser", "Ouvrir la session dans un navigateur"))
    ] = False,
    dpop: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help=spoken("Bind it to the key in this file", "Le lier à la clé de ce fichier")),
    ] = None,
    as_json: AsJson = False,
) -> None:
    with explained():
        from clusters import asking, signin

        if device == (user is not None):
            ctx.fail(spoken("Say either --user NAME or --device.", "Indiquez --user NOM ou --device."))
        url, prover = _issuer_url(), asking.prover(dpop) if dpop else None
        if user is not None:
            tokens = signin.sign_in(url, user, password or f"{user}-onedoor", acr=acr, prover=prover)
        else:
            waiting = signin.begin_device(url)
            typer.echo(
                spoken(
                    f"Open {waiting.address_with_code} and check the code {waiting.user_code}",
                    f"Ouvrez {waiting.address_with_code} et vérifiez le code {waiting.user_code}",
                ),
                err=True,
            )
            tokens = signin.finish_device(url, waiting, prover=prover)
        typer.echo(json.dumps(tokens, indent=1) if as_json else tokens["access_token"])


@command(help=spoken("Send an operation to the front door.", "Envoyer une opération au guichet."))
def query(
    file: Annotated[
        typer.FileText, typer.Argument(help=spoken("Its file; - reads it", "Son fichier; - la lit"), encoding="utf-8")
    ],
    user: Annotated[
        str | None, typer.Option(help=spoken("As whom; the public unless given", "Au nom de qui; sinon du public"))
    ] = None,
    password: Password = None,
    acr: Acr = None,
    variables: Annotated[str, typer.Option(help=spoken("A JSON object", "Un objet JSON"))] = "{}",
    operation: Annotated[
        str | None, typer.Option(help=spoken("Its name, where there are several", "Son nom, s’il y en a plusieurs"))
    ] = None,
    purpose: Annotated[
        str, typer.Option(help=spoken("For what, by a code (docs/privacy.md)", "À quelle fin, par un code"))
    ] = "",
    case: Annotated[str, typer.Option(help=spoken("The case of an investigation", "Le dossier d’une enquête"))] = "",
    reason: Annotated[str, typer.Option(help=spoken("Why it is looked into", "Pourquoi on l’examine"))] = "",
    authority: Annotated[
        str, typer.Option(help=spoken("For whom: a grant’s id", "Pour qui : l’identifiant d’une autorisation"))
    ] = "self",
) -> None:
    with explained():
        from clusters import asking
        from services.kit.context import Chosen

        chosen = Chosen(purpose, case, reason)
        answer = asking.ask(file.read(), variables, operation, user, password, acr, chosen, authority)
    typer.echo(json.dumps(answer, ensure_ascii=False, indent=1))
    if "errors" in answer:
        raise typer.Exit(FAILED)


@command(help=spoken("Prove the key of `token --dpop`, once.", "Prouver la clé de `token --dpop`, une fois."))
def proof(
    file: Annotated[Path, typer.Argument(help=spoken("The key’s file", "Le fichier de la clé"), dir_okay=False)],
    access: Annotated[str, typer.Option("--token", help=spoken("The access token", "Le jeton d’accès"))],
    method: Annotated[str, typer.Option(help=spoken("Of the request", "De la requête"))] = "POST",
    url: Annotated[
        str | None, typer.Option(help=spoken("The front door’s unless given", "Celle du guichet par défaut"))
    ] = None,
) -> None:
    with explained():
        from clusters import asking

        typer.echo(asking.proof(file, access, method, url))


@command(
    help=spoken("Show a demo user’s code of now, as an app would.", "Afficher le code actuel d’un compte de démo.")
)
def code(user: Annotated[str, typer.Option(help=spoken("User name, e.g. officer", "Nom du compte"))]) -> None:
    from clusters import signin
    from clusters.access import authenticator_secret

    shown, left_s = signin.app_code(authenticator_secret(user))
    typer.echo(shown)
    typer.echo(spoken(f"for {left_s} s more, once", f"pendant encore {left_s} s, une fois"), err=True)


@command("sign-out", help=spoken("End the session of `token --json`.", "Fermer la session de `token --json`."))
def sign_out(
    file: Annotated[
        typer.FileText,
        typer.Argument(help=spoken("What `token --json` printed; - reads it", "Sortie de `token --json`")),
    ],
) -> None:
    with explained():
        from clusters import signin

        signin.sign_out(_issuer_url(), signin.tokens_of(file.read()))
    typer.echo(spoken("The session has ended.", "La session est fermée."))


@command(help=spoken("Show a person’s sessions, or end them.", "Afficher les sessions d’une personne, ou les fermer."))
def sessions(
    ctx: typer.Context,
    user: Annotated[str, typer.Option(help=spoken("Whose; they sign in for it", "De qui; la personne s’identifie"))],
    password: Annotated[
        str | None, typer.Option(help=spoken("Default: NAME-onedoor", "NOM-onedoor par défaut"))
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", help=spoken("End the session of this id", "Fermer la session de cet id"))
    ] = None,
    end_all: Annotated[bool, typer.Option("--end-all", help=spoken("End all of them", "Les fermer toutes"))] = False,
    as_json: AsJson = False,
) -> None:
    with explained():
        from clusters import own_sessions

        if end is not None and end_all:
            ctx.fail(spoken("Say either --end ID or --end-all.", "Indiquez --end ID ou --end-all."))
        with own_sessions.looking(_issuer_url(), user, password or f"{user}-onedoor") as own:
            if end is not None:
                own.end(end)
            elif end_all:
                own.end_all()
            left = own.all()
    if as_json:
        typer.echo(json.dumps([asdict(session) for session in left], ensure_ascii=False, indent=1))
    else:
        typer.echo("\n".join(map(str, left)) or spoken("no session is open", "aucune session n’est ouverte"))


def _issuer_url() -> str:
    """ISSUER_URL, else that of the province that runs here, else local mode's usual one."""
    from clusters.local import state
    from clusters.topology import BY_NAME, issuer_url

    if given := os.environ.get("ISSUER_URL"):
        return given
    found = state.running()
    usual = issuer_url(lambda name: f"127.0.0.1:{BY_NAME[name].port}")
    return found.environment.get("ISSUER_URL", usual) if found else usual
