"""The parts of the province and how they find one another: the one place that knows names, ports and variables.

Local mode starts from it, docker-compose.yml is compared with it by a test, and the messages about ports quote it.
Modes differ in addresses only, so every address comes from a `where` function that the caller gives.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import quote

from clusters import keys
from clusters.credentials import password_file, seed_file
from services.kit import roles
from services.kit.language import spoken

ROOT = Path(__file__).parent.parent
SUPERGRAPH = ROOT / "contracts" / "supergraph.graphql"
REALM_PATH = "/realms/onedoor"
# "host:port" of a part, by its name.
Where = Callable[[str], str]


class Kind(Enum):
    """What a part is; it decides how the part is started and which variables it is given."""

    DATABASE = "database"
    BROKER = "broker"
    ISSUER = "issuer"
    SERVICE = "service"
    SIMULATOR = "simulator"
    GATEWAY = "gateway"


class Unknown(Exception):
    """A name that no part has, or a port that is none; the text says what is possible."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the province. `needs` are the parts that must be ready before it can be."""

    name: str
    kind: Kind
    port: int
    needs: tuple[str, ...] = ()

    @property
    def port_variable(self) -> str:
        return f"{self.name.upper()}_PORT"

    @property
    def database_variable(self) -> str:
        return f"{self.name.upper()}_DATABASE_URL"

    @property
    def migration_variable(self) -> str:
        return f"{self.name.upper()}_MIGRATION_DATABASE_URL"

    @property
    def subgraph_variable(self) -> str:
        return f"SUBGRAPH_URL_{self.name.upper()}"


_STORES = ("postgres", "nats")
PARTS = (
    Part("postgres", Kind.DATABASE, 5442),
    Part("nats", Kind.BROKER, 4242),
    Part("issuer", Kind.ISSUER, 8080),
    Part("business_registration", Kind.SERVICE, 8101, _STORES),
    Part("information_referral", Kind.SERVICE, 8102, _STORES),
    Part("inspections", Kind.SERVICE, 8103, _STORES),
    Part("catalogue", Kind.SERVICE, 8104, _STORES),
    Part("accounts", Kind.SERVICE, 8105, _STORES),
    Part("programs", Kind.SIMULATOR, 8110, ("nats",)),
    Part("gateway", Kind.GATEWAY, 8000, ("nats",)),
)
MAILS = "accounts"
BY_NAME: Mapping[str, Part] = {part.name: part for part in PARTS}
SERVICES = tuple(part for part in PARTS if part.kind is Kind.SERVICE)


def environment(part: Part, where: Where, *, mode: str, host: str, credentials: Path) -> dict[str, str]:
    """The variables that a part is given, addresses taken from `where`, what it signs in with from the folder of
    `credentials.py`. Data stores take none."""
    if part.kind in (Kind.DATABASE, Kind.BROKER):
        return {}
    given = {
        "ONEDOOR_MODE": mode,
        "HOST": host,
        "PORT": where(part.name).rsplit(":", 1)[1],
        "ISSUER_URL": issuer_url(where),
    }
    if part.kind is Kind.SERVICE:
        given["GATEWAY_KEYS"] = str(credentials / keys.PUBLIC)
        given["AUDIT_KEYS"] = str(credentials / part.name / keys.AUDIT)
        given["GRANT_KEYS"] = str(credentials / keys.GRANTS.public)
        if part.name == keys.GRANTS.part:
            given["GRANT_SIGNING_KEYS"] = str(credentials / keys.GRANTS.private)
        given[part.subgraph_variable] = f"http://{where(part.name)}/graphql"
        given[part.database_variable] = database_url(part, roles.APP, where, credentials)
        given[part.migration_variable] = database_url(part, roles.MIGRATOR, where, credentials)
    if part.name == MAILS:  # letters are files where nobody is to be written to
        given["SMTP_URL"] = (credentials.parent / "mail").as_uri()
    if part.kind in (Kind.SERVICE, Kind.SIMULATOR, Kind.GATEWAY):
        given["NATS_URL"] = f"nats://{where('nats')}"
        given["NATS_SEED_FILE"] = str(seed_file(credentials, part.name))
    if part.kind is Kind.ISSUER:
        given["GATEWAY_ADDRESS"] = f"http://{where('gateway')}"
    if part.kind is Kind.GATEWAY:
        given["SIGNING_KEYS"] = str(credentials / keys.PRIVATE)
        given["SUPERGRAPH"] = str(SUPERGRAPH)
        given["TRUSTED_DOCUMENTS"] = str(SUPERGRAPH.with_name("trusted-documents.json"))
        given |= {s.subgraph_variable: f"http://{where(s.name)}/graphql" for s in SERVICES}
    return given


def issuer_url(where: Where) -> str:
    """The issuer's identity: what tokens carry as `iss`."""
    return f"http://{where('issuer')}{REALM_PATH}"


def database_url(service: Part, kind: str, where: Where, credentials: Path) -> str:
    """A service's own database, named like the service, for one of its roles."""
    file = password_file(credentials, service.name, kind)
    return (
        f"postgresql://{roles.role(service.name, kind)}@{where('postgres')}/{service.name}?passfile={quote(str(file))}"
    )


def given_elsewhere(env: Mapping[str, str]) -> dict[str, str]:
    """Parts that the environment replaces, with the variable that does it: these are used, not started.

    PostgreSQL is replaced only when every service has a database elsewhere.
    """
    replaced = {s.name: s.subgraph_variable for s in SERVICES if env.get(s.subgraph_variable)}
    if env.get("NATS_URL"):
        replaced["nats"] = "NATS_URL"
    if env.get("ISSUER_URL"):
        replaced["issuer"] = "ISSUER_URL"
    if all(env.get(s.database_variable) for s in SERVICES):
        replaced["postgres"] = SERVICES[0].database_variable + ", …"
    return replaced


def chosen(only: Iterable[str]) -> tuple[Part, ...]:
    """The named parts with the data stores that they need and the issuer that some trust, in start order.

    All parts when none is named. Raises Unknown for a name that no part has.
    """
    names = set(only)
    if unknown := sorted(names - BY_NAME.keys()):
        possible = ", ".join(BY_NAME)
        raise Unknown(
            spoken(
                f"no part is called {', '.join(unknown)}; the parts are {possible}",
                f"aucune partie ne s’appelle {', '.join(unknown)}\u00a0; les parties sont {possible}",
            )
        )
    if not names:
        return PARTS
    wanted = names | {need for name in names for need in BY_NAME[name].needs}
    if any(BY_NAME[name].kind in (Kind.SERVICE, Kind.GATEWAY) for name in names):
        wanted.add("issuer")
    return tuple(part for part in PARTS if part.name in wanted)


def port_of(part: Part, env: Mapping[str, str]) -> int:
    """A part's port: its own, or the one that `<NAME>_PORT` says. Raises Unknown for what is no port."""
    value = env.get(part.port_variable) or str(part.port)
    if not (value.isascii() and value.isdecimal()) or not 0 < int(value) < 65_536:
        raise Unknown(
            spoken(
                f"{part.port_variable} is {value!r}; it must be a port number from 1 to 65535",
                f"{part.port_variable} vaut {value!r}\u00a0; il faut un numéro de port de 1 à 65535",
            )
        )
    return int(value)
