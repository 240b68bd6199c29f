"""`onedoor keycloak`: the realm of a running server made, judged and its keys rotated. What each takes from the environment
is in `connection.py`."""

import json
import os
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clusters.explained import FAILED, explained
from clusters.french import Command, Group
from clusters.options import AsJson
from services.kit.language import spoken

if TYPE_CHECKING:
    from clusters.keycloak.differences import Difference
    from clusters.keycloak.provision import Provision

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help=spoken("The realm of a running Keycloak.", "Le domaine d’un Keycloak en marche."),
)
command = partial(app.command, cls=Command)
Keys = Annotated[
    Path | None,
    typer.Option(
        envvar="KEYCLOAK_CLIENT_KEYS",
        file_okay=False,
        exists=True,
        help=spoken("Folder of clients’ public keys, CLIENT.jwks.json", "Dossier des clés publiques, CLIENT.jwks.json"),
    ),
]
Demo = Annotated[
    bool,
    typer.Option(
        "--demo",
        help=spoken("With demo users and local addresses", "Avec les comptes de démo et les adresses locales"),
    ),
]


@command(help=spoken("Make the realm what the code says.", "Rendre le domaine conforme au code."))
def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help=spoken("Show only", "Montrer seulement"))] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help=spoken("Do not ask", "Ne pas demander"))] = False,
    keys: Keys = None,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    with explained():
        provision = _provision(keys, demo=demo)
        found = provision.plan()
        if not as_json:
            _tell(found, provision)
        if found and not dry_run:
            _refuse_to_ask(as_json and not yes)
            if not yes and not _consents():
                raise typer.Exit(FAILED)
            left = provision.carry_out(lambda told: typer.echo(told, err=True))
        else:
            left = ()
    if as_json:
        _print(found, left=left, done=bool(found) and not dry_run)
    elif left:
        typer.echo(spoken("Left undone:", "Reste à faire\u00a0:"), err=True)
        typer.echo("\n".join(map(str, left)), err=True)
    elif found and not dry_run:
        typer.echo(spoken("Done; the realm is what the code says.", "Fait\u00a0; le domaine est conforme au code."))
    if left:
        raise typer.Exit(FAILED)


@command(help=spoken("Fail if the running realm deviates from the code.", "Échouer si le domaine s’écarte du code."))
def check(keys: Keys = None, demo: Demo = False, as_json: AsJson = False) -> None:
    with explained():
        provision = _provision(keys, demo=demo)
        found = provision.plan()
    if as_json:
        _print(found)
    else:
        _tell(found, provision)
    if found:
        raise typer.Exit(FAILED)


@command(
    "rotate-keys", help=spoken("Give the realm a new signing key.", "Donner au domaine une nouvelle clé de signature.")
)
def rotate_keys(
    refresh: Annotated[
        float,
        typer.Option(
            min=0.1,
            help=spoken("How often verifiers fetch keys, in seconds", "Période de relève des clés, en secondes"),
        ),
    ] = 60,
    leeway: Annotated[
        float,
        typer.Option(min=0, help=spoken("What verifiers grant clocks, in seconds", "Tolérance d’horloge, en secondes")),
    ] = 30,
) -> None:
    with explained():
        from clusters.keycloak import connection, rotation

        realm = connection.realm_name(os.environ)
        account = connection.account(os.environ, realm)
        rotation.rotate(connection.connected(account, realm), rotation.Waits(refresh, leeway), say=typer.echo)


@command(
    "end-sessions", help=spoken("Sign a person out everywhere, now.", "Fermer toutes les sessions d’une personne.")
)
def end_sessions(
    user: Annotated[str, typer.Option(help=spoken("Who", "De qui"))],
    disable: Annotated[
        bool, typer.Option("--disable", help=spoken("And let them in no more", "Et ne plus la laisser entrer"))
    ] = False,
) -> None:
    with explained():
        from clusters.keycloak import connection, sessions

        realm = connection.realm_name(os.environ)
        account = connection.account(os.environ, realm)
        ended = sessions.end(connection.connected(account, realm), account, user, disable=disable)
    typer.echo(spoken(f"{ended} sessions of {user} have ended.", f"{ended} sessions de {user} sont fermées."))


@command(help=spoken("Tell Keycloak’s events to the audit.", "Dire les événements de Keycloak à l’audit."))
def events(
    state: Annotated[
        Path, typer.Option(dir_okay=False, help=spoken("Says how far it came", "Dit jusqu’où on en est"))
    ] = Path("keycloak-events.json"),
    once: Annotated[
        bool, typer.Option("--once", help=spoken("What there is, and end", "Ce qu’il y a, puis finir"))
    ] = False,
) -> None:
    with explained():
        import asyncio

        from clusters.keycloak import connection
        from clusters.keycloak import events as following

        realm = connection.realm_name(os.environ)
        account = connection.account({"KEYCLOAK_CLIENT_ID": following.CLIENT, **os.environ}, realm)
        told = asyncio.run(following.follow(connection.connected(account, realm), state, once=once))
    typer.echo(spoken(f"{told} events told.", f"{told} événements transmis."))


def _provision(keys: Path | None, *, demo: bool) -> "Provision":
    from clusters.keycloak import provision

    return provision.from_environment(os.environ, keys, demo=demo)


def _consents() -> bool:
    asked = spoken("Do it? [y/N]", "Le faire\u00a0? [o/N]")
    return str(typer.prompt(asked, default="n", show_default=False)).strip().lower() in {"y", "yes", "o", "oui"}


def _refuse_to_ask(a_program: bool) -> None:
    if a_program:
        from clusters.keycloak.connection import KeycloakRefused

        raise KeycloakRefused(spoken("with --json, say --yes or --dry-run", "avec --json, indiquez --yes ou --dry-run"))


def _tell(found: "tuple[Difference, ...]", provision: "Provision") -> None:
    if not found:
        typer.echo(
            spoken("Nothing to do: the realm is what the code says.", "Rien à faire\u00a0: le domaine est conforme.")
        )
    for difference in found:
        typer.echo(str(difference))
    for client in provision.without_key():
        typer.echo(
            spoken(
                f"note: {client} has no key yet, so it is refused; put {client}.jwks.json among the keys",
                f"note\u00a0: {client} n’a pas encore de clé et sera refusé\u00a0; ajoutez {client}.jwks.json aux clés",
            ),
            err=True,
        )


def _print(found: "tuple[Difference, ...]", **more: object) -> None:
    told = {name: [asdict(d) for d in value] if isinstance(value, tuple) else value for name, value in more.items()}
    typer.echo(json.dumps({"differences": [asdict(d) for d in found], **told}, indent=1, ensure_ascii=False))
