"""Turns what a command may refuse into a sentence on standard error and an exit code."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import typer

FAILED, INTERRUPTED = 1, 130
# What commands document that they raise, with a message for a person; by name, so that nothing is imported to ask.
FOR_PEOPLE = {
    "Addressless",
    "AlreadyRunning",
    "AuditRefused",
    "ClusterFilesRefused",
    "EventsDisagree",
    "JourneyBroken",
    "KeysRefused",
    "KeycloakRefused",
    "CompositionRefused",
    "FolderUnusable",
    "NodeMissing",
    "OperationRefused",
    "PortsBusy",
    "QueryFailed",
    "SettingMissing",
    "SignInFailed",
    "StartFailed",
    "SupergraphRefused",
    "Unknown",
    "UnknownPurpose",
}


@contextmanager
def explained() -> Iterator[None]:
    """Turn what a command may refuse into a message and an exit code; what remains is a bug and keeps its trace."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except Exception as problem:
        if type(problem).__name__ not in FOR_PEOPLE:
            raise
        typer.echo(f"onedoor: {problem}", err=True)
        raise typer.Exit(FAILED) from None
