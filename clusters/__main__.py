"""The entry point of `onedoor`, and of `python -m clusters`."""

import signal


def main() -> None:
    """Run the command line. Until a command says otherwise, Ctrl-C ends it at once and without a stack, while it is still
    importing what it needs."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from clusters.cli import app

    app()


if __name__ == "__main__":
    main()
