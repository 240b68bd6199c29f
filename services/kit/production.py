"""What production refuses to start without: certificates, keys and roles by which its parts know each other.

Everything that is missing is told at once. Outside production nothing is asked: a laptop's parts speak on the loopback address.
"""

import ipaddress
import os
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import parse_qs, urlsplit

from services.kit import tls
from services.kit.language import spoken
from services.kit.settings import (
    GRANT_KEYS,
    SEED,
    Mode,
    SettingMissing,
    authority,
    database_variable,
    migration_variable,
    mode,
    nats_seed,
)

TERMINATED = "TLS_TERMINATED_BY"


class NotForProduction(SettingMissing):
    """Something is missing without which parts of a production cannot trust each other; the text names all of it."""


def require_of_service(name: str, env: Mapping[str, str] = os.environ) -> None:
    """Raises NotForProduction for a service in production that lacks something; SettingMissing for a mode that is none."""
    databases = [database_variable(name), *filter(env.get, [migration_variable(name)])]
    _require(
        env,
        _listener(env),
        _issuer(env),
        _broker(env),
        *(_database(env, variable) for variable in databases),
        _given(
            env,
            "GATEWAY_KEYS",
            "the gateway’s public keys: without them anybody may call",
            "les clés publiques de la passerelle\u00a0: sans elles, n’importe qui peut appeler",
        ),
        _given(
            env,
            "AUDIT_KEYS",
            "the service’s own key, which signs the heads of its audit",
            "la clé du service, qui signe les têtes de son audit",
        ),
        _given(env, "GRANT_KEYS", *GRANT_KEYS),
        _address(env, f"SUBGRAPH_URL_{name.upper()}", "https"),
    )


def require_of_gateway(env: Mapping[str, str] = os.environ) -> None:
    """Raises NotForProduction for a gateway in production that lacks something; SettingMissing for a mode that is none."""
    subgraphs = [name for name in sorted(env) if name.startswith(("SUBGRAPH_URL_", "SUBSCRIPTION_URL_")) and env[name]]
    _require(
        env,
        _listener(env),
        _issuer(env),
        _broker(env),
        _address(env, "PUBLIC_URL", "https"),
        *(_address(env, variable, "https", "wss") for variable in subgraphs),
        _given(
            env,
            "SIGNING_KEYS",
            "the gateway’s private key: services answer signed calls only",
            "la clé privée de la passerelle\u00a0: les services ne répondent qu’aux appels signés",
        ),
    )


def _require(env: Mapping[str, str], *checks: Iterator[str]) -> None:
    if mode(env) is not Mode.PRODUCTION:
        return
    if missing := [problem for check in checks for problem in check]:
        head = spoken(
            "production does not start without this (docs/security.md, “Credentials”):",
            "la production ne démarre pas sans ceci (docs/security.md, «\u00a0Credentials\u00a0»)\u00a0:",
        )
        raise NotForProduction("\n  - ".join([head, *missing]))


def _listener(env: Mapping[str, str]) -> Iterator[str]:
    """A certificate, or a statement of what ends TLS on this very machine."""
    if env.get(TERMINATED):
        host = env.get("HOST", "127.0.0.1")
        if not _is_loopback(host):
            yield spoken(
                f"HOST={host}: where {TERMINATED} says that {env[TERMINATED]} ends TLS, only that may reach this process: "
                "listen on 127.0.0.1",
                f"HOST={host}\u00a0: si {env[TERMINATED]} termine TLS, comme le dit {TERMINATED}, lui seul doit atteindre ce "
                "processus\u00a0: écoutez sur 127.0.0.1",
            )
        return
    missing = [variable for variable in (tls.CERTIFICATE, tls.KEY) if not env.get(variable)]
    for variable in missing:
        yield spoken(
            f"{variable}: this process’s own certificate and key, in PEM (or {TERMINATED}, with HOST on the loopback)",
            f"{variable}\u00a0: le certificat et la clé de ce processus, en PEM (ou {TERMINATED}, avec HOST local)",
        )
    if not missing:
        yield from _usable(lambda: tls.listener(env))


def _issuer(env: Mapping[str, str]) -> Iterator[str]:
    yield from _address(env, "ISSUER_URL", "https")
    if env.get("ISSUER_INTERNAL_URL"):
        yield from _address(env, "ISSUER_INTERNAL_URL", "https")
    yield from _usable(lambda: tls.context(authority(env)))


def _broker(env: Mapping[str, str]) -> Iterator[str]:
    yield from _address(env, "NATS_URL", "tls")
    yield from _given(
        env, SEED, "the seed of this part’s user at NATS", "la graine de l’utilisateur de cette partie chez NATS"
    )
    yield from _usable(lambda: nats_seed(env))


def _database(env: Mapping[str, str], variable: str) -> Iterator[str]:
    options = parse_qs(urlsplit(env.get(variable, "")).query)
    if not env.get(variable) or options.get("sslmode") != ["verify-full"] or not options.get("sslrootcert"):
        yield spoken(
            f"{variable}: a PostgreSQL database whose server is verified: …?sslmode=verify-full&sslrootcert=FILE",
            f"{variable}\u00a0: une base PostgreSQL dont le serveur est vérifié\u00a0: …?sslmode=verify-full&sslrootcert=FICHIER",
        )


def _address(env: Mapping[str, str], variable: str, *schemes: str) -> Iterator[str]:
    """One or more addresses over TLS."""
    given = env.get(variable, "").split()
    if not given or any(urlsplit(url).scheme not in schemes or not urlsplit(url).hostname for url in given):
        wanted = " / ".join(f"{scheme}://" for scheme in schemes)
        yield spoken(
            f"{variable}: an address that begins with {wanted}",
            f"{variable}\u00a0: une adresse qui commence par {wanted}",
        )


def _given(env: Mapping[str, str], variable: str, en: str, fr: str) -> Iterator[str]:
    if not env.get(variable):
        yield spoken(f"{variable}: {en}", f"{variable}\u00a0: {fr}")


def _usable(read: Callable[[], object]) -> Iterator[str]:
    try:
        read()
    except SettingMissing as problem:
        yield str(problem)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
