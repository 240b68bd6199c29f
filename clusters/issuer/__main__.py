"""Runs the development issuer as a process: `python -m clusters.issuer`. Refuses production mode."""

import os
import sys
from pathlib import Path

import uvicorn

from clusters.access import GATEWAY, access
from clusters.issuer.app import create_app
from clusters.issuer.clients import public_keys
from services.kit import http_server, logs
from services.kit.language import spoken
from services.kit.settings import Mode, SettingMissing, issuer, mode, number


def main() -> None:
    """Serve until told to stop. Exits with a sentence when it must not or cannot run."""
    try:
        if mode() is Mode.PRODUCTION:
            sys.exit(
                spoken(
                    "issuer: the development issuer knows everyone's password, so it does not run in production. "
                    "Use Keycloak, or set ONEDOOR_MODE=local.",
                    "issuer\u00a0: l’émetteur de développement connaît tous les mots de passe, il ne tourne donc pas en "
                    "production. Utilisez Keycloak, ou indiquez ONEDOOR_MODE=local.",
                )
            )
        url, port = issuer().url, number(os.environ, "PORT", 8080)
        gateway = os.environ.get("GATEWAY_ADDRESS", GATEWAY)
        folder = os.environ.get("CLIENT_KEYS")
        keys = public_keys(Path(folder)) if folder else {}
    except SettingMissing as missing:
        sys.exit(f"issuer: {missing}")
    except (OSError, ValueError) as unreadable:
        sys.exit(f"issuer: CLIENT_KEYS: {unreadable}")
    logs.configure("issuer", os.environ.get("LOG_LEVEL", "INFO"))
    app = create_app(url, access(gateway=gateway), keys=keys)
    host = os.environ.get("HOST", "127.0.0.1")
    config = http_server.configured(app, host, port, ws="none", timeout_graceful_shutdown=3)
    http_server.run(uvicorn.Server(config))


if __name__ == "__main__":
    main()
