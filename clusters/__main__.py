"""The entry point of `onedoor`, and of `python -m clusters`."""

import gettext
import signal

from services.kit.language import is_french

# Words for which Typer asks gettext; the others are in `french`.
WORDS = {
    "Aborted.": "Interrompu.",
    "Arguments": "Arguments",
    "Commands": "Commandes",
    "Error": "Erreur",
    "Missing command.": "Il manque la commande.",
    "No such command {name!r}.": "Aucune commande ne s’appelle {name!r}.",
    "Options": "Options",
    "Try [blue]'{command_path} {help_option}'[/] for help.": "Voyez [blue]{command_path} {help_option}[/].",
    "[default: {}]": "[par défaut\u00a0: {}]",
    "[env var: {}]": "[variable\u00a0: {}]",
    "[required]": "[obligatoire]",
    "default: {default}": "par défaut\u00a0: {default}",
    "env var: {var}": "variable\u00a0: {var}",
    "required": "obligatoire",
}


def main() -> None:
    """Run the command line. Until a command says otherwise, Ctrl-C ends it at once and without a stack, while it is still
    importing what it needs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if is_french():
        gettext.gettext = lambda message: WORDS.get(message, message)  # before Typer takes the function
    from clusters.cli import app

    app()


if __name__ == "__main__":
    main()
