"""What Typer says to people in English alone, in French: usage, and why a command line was refused.

For other words it asks gettext, which `__main__` answers before Typer is imported.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException

from services.kit.language import is_french

# Parts of a reason, in the order in which they are replaced.
REASONS = (
    (r"^Missing argument (.+)\.$", r"Il manque l’argument \1."),
    (r"^Missing option (.+)\.$", r"Il manque l’option \1."),
    (r"^No such option: (\S+)", r"Aucune option ne s’appelle \1."),
    (r"\(Possible options: (.+)\)$", r"(Serait-ce \1?)"),
    (r"^Option (.+) does not take a value\.$", r"L’option \1 ne prend pas de valeur."),
    (r"^Option (.+) requires an argument\.$", r"L’option \1 demande une valeur."),
    (r"^Got unexpected extra argument\(s\) \((.+)\)$", "Arguments de trop\u00a0: \\1"),
    (r" Did you mean (.+)\?$", r" Serait-ce \1?"),
    (r"^Invalid value for ([^(]+?): ", "Valeur refusée pour \\1\u00a0: "),
    (r"^Invalid value for ([^(]+) \(env var: (\S+)\): ", "Valeur refusée pour \\1 (variable\u00a0: \\2)\u00a0: "),
    (r"[Ff]ile (\S+) does not exist\.$", r"le fichier \1 n’existe pas."),
    (r"[Ff]ile (\S+) is a directory\.$", r"\1 est un dossier, non un fichier."),
    (r"[Ff]ile (\S+) is not readable\.$", r"le fichier \1 n’est pas lisible."),
    (r"Input should be a valid integer.*$", "il faut un nombre entier"),
    (r"Input should be greater than or equal to (\S+)$", r"il faut au moins \1"),
    (r"Input should be less than or equal to (\S+)$", r"il faut au plus \1"),
)
USAGE = (
    ("Usage: ", "Usage\u00a0: "),
    ("COMMAND [ARGS]...", "COMMANDE [ARGUMENTS]..."),
    ("[NAME]...", "[NOM]..."),
)


def reason(text: str) -> str:
    """Why a command line was refused, in French as far as it is one of the known reasons."""
    for pattern, french in REASONS:
        text = re.sub(pattern, french, text)
    return text


def _usage(text: str) -> str:
    if is_french():
        for english, french in USAGE:
            text = text.replace(english, french)
    return text


@contextmanager
def _reasons(ctx: Any) -> Iterator[None]:
    """Say a refusal with the usage above it, in French where the locale is."""
    try:
        yield
    except TyperException as refused:
        said = refused.format_message()
        if type(refused).__name__ == "NoArgsIsHelpError":
            raise
        ctx.fail(reason(said) if is_french() else said)


def _help(option: TyperOption | None) -> TyperOption | None:
    if option is not None and is_french():
        option.help = "Montrer cette aide et s’arrêter."
    return option


class Command(TyperCommand):
    """A command that explains itself in the terminal's language."""

    def get_usage(self, ctx: Any) -> str:
        return _usage(super().get_usage(ctx))

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        return _help(super().get_help_option(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _reasons(ctx):
            return super().parse_args(ctx, args)


class Group(TyperGroup):
    """`onedoor` itself, likewise."""

    def get_usage(self, ctx: Any) -> str:
        return _usage(super().get_usage(ctx))

    def get_help_option(self, ctx: Any) -> TyperOption | None:
        return _help(super().get_help_option(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        with _reasons(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        with _reasons(ctx):
            return super().resolve_command(ctx, args)
