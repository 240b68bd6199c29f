"""What the gateway is told by its environment. Read once, in `__main__` and tests' own roots; nothing else reads it."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType

from gateway.addresses import FORWARDED, X_FORWARDED_FOR, Network, networks
from gateway.engine.api_schema import WHOLE, Contract
from services.kit.dpop import target
from services.kit.language import spoken
from services.kit.settings import (
    Issuer,
    Mode,
    SettingMissing,
    authority,
    key_file,
    mode,
    nats_seed,
    number,
    required,
    switch,
)
from services.kit.settings import issuer as issuer_of
from services.kit.tls import Listener, listener

PREFIX = "SUBGRAPH_URL_"
SUBSCRIPTION_PREFIX = "SUBSCRIPTION_URL_"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one operation may ask for; more is refused before any fetch. Fields count with fragments spread out.

    `directives` are those in one place; `cost` is in the units of `cost.py`, where a list that nobody says a size of is assumed
    to hold `list_size` values.
    """

    body_bytes: int = 1_048_576
    tokens: int = 10_000
    depth: int = 20
    aliases: int = 100
    root_fields: int = 30
    fields: int = 5_000
    directives: int = 5
    deferred: int = 20
    cost: int = 100_000
    list_size: int = 5


@dataclass(frozen=True, slots=True)
class Streams:
    """What subscriptions and WebSockets may take of one process. More are refused; what takes longer is ended with its reason.

    `init_ms` is between a socket's opening and its `connection_init`; `slow_ms` for how long a client may take nothing of what
    waits for it; `silent_ms` for how long a subgraph may say nothing at all, not even a comment or a pong.
    """

    subscriptions: int = 2_000  # about 28 kB each
    sockets: int = 2_000  # about 25 kB each
    operations: int = 50  # at once on one socket
    init_ms: int = 5_000
    slow_ms: int = 10_000
    silent_ms: int = 60_000
    longest_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class Rates:
    """What a caller may ask in a time, in the units of `cost.py`: each second, and at once after a pause.

    `identity` holds for a person or program by its token, `address` for all who come from one without a token. `shares` is the
    number of processes among which the rates are divided. `forwarded_header` is the one that the trusted proxies write.
    """

    identity: int = 2_000
    identity_burst: int = 200_000
    address: int = 5_000
    address_burst: int = 200_000
    shares: int = 1
    trusted_proxies: tuple[Network, ...] = ()
    forwarded_header: str = X_FORWARDED_FOR


@dataclass(frozen=True, slots=True)
class Settings:
    """The gateway's settings. Without an issuer every token is refused and the public is served.

    `contract` says which part of the supergraph clients see; `override_labels` are the labels of @override(label:) that hold,
    beside `percent(n)`, which holds for n of a hundred requests. `public_urls` are the addresses of /graphql as clients know
    them, which their proofs name; `signing_keys` holds the key by which calls to services are signed, and without it none is;
    `web_client` is the client whose pages ask in process and whose tokens production takes from nobody; `logout_clients` are
    those for which the gateway is told of the ends of sessions. `cors_origins` are the web origins whose pages may ask and
    read; `compress_from_bytes` is infinite where nothing is compressed.
    """

    supergraph: Path
    mode: Mode = Mode.PRODUCTION
    host: str = "127.0.0.1"
    port: int = 8000
    issuer: Issuer | None = None
    audience: str = "onedoor"
    public_urls: tuple[str, ...] = ()
    signing_keys: Path | None = None
    web_client: str = "onedoor-web"
    logout_clients: frozenset[str] = frozenset({"onedoor-web", "onedoor-cli"})
    nats_url: str | None = None
    nats_seed: Path | None = None
    only_tls: bool = False  # whether a subgraph that is called otherwise is refused
    certificate: Listener | None = None  # what clients are shown; None: plain HTTP
    authority: Path | None = None  # whom subgraphs, issuer and NATS must be certified by; None: whom the machine trusts
    subgraph_urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    limits: Limits = Limits()
    streams: Streams = Streams()
    rates: Rates | None = None  # None: nobody is limited
    deadline_s: float = 15.0
    answer_bytes: int = 33_554_432
    response_cache_bytes: int = 33_554_432  # 0 keeps no answers
    shares_fetches: bool = False  # one request for all who ask a subgraph the same at the same time
    connections: int = 128  # to each subgraph at once
    queued: int = 512  # requests that wait for one of these; more are refused
    remembered_operations: int = 1_000
    trusted_documents: Path | None = None
    only_trusted_documents: bool = False
    contract: Contract = WHOLE
    override_labels: frozenset[str] = frozenset()
    cors_origins: frozenset[str] = frozenset()
    compress_from_bytes: float = 1_400  # what fits one packet gains nothing
    log_level: str = "INFO"
    traces: bool = False  # whether spans are exported
    workers: int = 1
    supervisor_pipe: int | None = None  # set for a worker: ends when its supervisor does
    metrics_folder: Path | None = None  # where workers add up their figures

    @property
    def drain_s(self) -> float:
        """How long the gateway still answers after it has said that it leaves: the load balancer needs to notice."""
        return 3.0 if self.mode is Mode.PRODUCTION else 0.0

    @property
    def takes_bound_tokens_only(self) -> bool:
        """Whether a token must be bound to its holder's key: in production. Elsewhere plain ones are taken, too."""
        return self.mode is Mode.PRODUCTION

    @property
    def shows_its_schema(self) -> bool:
        """Introspection and suggestions: everywhere but in production."""
        return self.mode is not Mode.PRODUCTION

    def address(self, subgraph: str, composed: str) -> str:
        """Where a subgraph answers: `SUBGRAPH_URL_<NAME>` if set, else what was composed into the supergraph."""
        return self.subgraph_urls.get(self.variable(subgraph), composed)

    def subscription_address(self, subgraph: str, address: str) -> str:
        """Where a subgraph takes subscriptions: `SUBSCRIPTION_URL_<NAME>` if set, else where it answers."""
        return self.subgraph_urls.get(self.variable(subgraph, SUBSCRIPTION_PREFIX), address)

    @staticmethod
    def variable(subgraph: str, prefix: str = PREFIX) -> str:
        """The variable that holds a subgraph's address: its name in upper case, all but letters and digits `_`."""
        return prefix + "".join(c if c.isascii() and c.isalnum() else "_" for c in subgraph).upper()


def gateway_settings(env: Mapping[str, str] = os.environ) -> Settings:
    """The settings from the environment. Raises SettingMissing naming the variable."""
    if switch(env, "TRUSTED_DOCUMENTS_ONLY"):
        required(
            env,
            "TRUSTED_DOCUMENTS",
            "the manifest of the only documents to answer",
            "le manifeste des seuls documents auxquels répondre",
        )
    told = mode(env)
    urls = {name: url for name, url in env.items() if name.startswith((PREFIX, SUBSCRIPTION_PREFIX)) and url}
    return Settings(
        supergraph=Path(
            required(
                env,
                "SUPERGRAPH",
                "the supergraph file, e.g. contracts/supergraph.graphql",
                "le fichier du supergraphe, p. ex. contracts/supergraph.graphql",
            )
        ),
        mode=told,
        host=env.get("HOST", "127.0.0.1"),
        port=number(env, "PORT", 8000),
        issuer=issuer_of(env) if env.get("ISSUER_URL") else None,
        public_urls=_public_urls(env),
        nats_url=env.get("NATS_URL") or None,
        nats_seed=nats_seed(env),
        authority=authority(env),
        certificate=listener(env),
        subgraph_urls=MappingProxyType(urls),
        limits=Limits(
            **{f.name: number(env, f"LIMIT_{f.name.upper()}", getattr(Limits(), f.name)) for f in fields(Limits)}
        ),
        streams=Streams(
            **{f.name: _positive(env, f"STREAM_{f.name.upper()}", getattr(Streams(), f.name)) for f in fields(Streams)}
        ),
        rates=_rates(env) if switch(env, "RATE_LIMITS", default=told is Mode.PRODUCTION) else None,
        response_cache_bytes=number(env, "RESPONSE_CACHE_BYTES", 33_554_432),
        shares_fetches=switch(env, "SHARE_FETCHES"),
        connections=_positive(env, "SUBGRAPH_CONNECTIONS", 128),
        queued=number(env, "SUBGRAPH_QUEUE", 512),
        deadline_s=_positive(env, "DEADLINE_MS", 15_000) / 1000,
        trusted_documents=Path(env["TRUSTED_DOCUMENTS"]) if env.get("TRUSTED_DOCUMENTS") else None,
        only_trusted_documents=switch(env, "TRUSTED_DOCUMENTS_ONLY"),
        contract=Contract(_words(env, "CONTRACT_INCLUDE"), _words(env, "CONTRACT_EXCLUDE")),
        override_labels=_words(env, "OVERRIDE_LABELS"),
        cors_origins=_origins(env.get("CORS_ORIGINS", "")),
        compress_from_bytes=number(env, "COMPRESS_FROM_BYTES", 1_400) or math.inf,
        log_level=env.get("LOG_LEVEL", "INFO").upper(),
        traces=bool(env.get("OTEL_EXPORTER_OTLP_ENDPOINT")),
        workers=_positive(env, "WORKERS", 1),
        supervisor_pipe=number(env, "SUPERVISOR_PIPE", -1) if env.get("SUPERVISOR_PIPE") else None,
        metrics_folder=Path(env["PROMETHEUS_MULTIPROC_DIR"]) if env.get("PROMETHEUS_MULTIPROC_DIR") else None,
        signing_keys=key_file(
            env,
            "SIGNING_KEYS",
            "the gateway’s private key: services answer signed calls only",
            "la clé privée de la passerelle\u00a0: les services ne répondent qu’aux appels signés",
        ),
    )


def _public_urls(env: Mapping[str, str]) -> tuple[str, ...]:
    """PUBLIC_URL, one or more addresses of /graphql; outside production by default those of this machine.

    Raises SettingMissing, also for what is no address.
    """
    given = env.get("PUBLIC_URL", "").split()
    if not given and env.get("ISSUER_URL") and mode(env) is Mode.PRODUCTION:
        required(
            env,
            "PUBLIC_URL",
            "the address of /graphql as clients know it, e.g. https://api.example.ca/graphql",
            "l’adresse de /graphql telle que les clients la connaissent, p. ex. https://api.example.ca/graphql",
        )
    for url in given:
        try:
            target(url)
        except ValueError:
            raise SettingMissing(
                spoken(
                    f"PUBLIC_URL holds {url!r}; an address is like https://api.example.ca/graphql",
                    f"PUBLIC_URL contient {url!r}; une adresse est comme https://api.example.ca/graphql",
                )
            ) from None
    port = number(env, "PORT", 8000)
    return tuple(given) or tuple(f"http://{host}:{port}/graphql" for host in ("127.0.0.1", "localhost"))


def _rates(env: Mapping[str, str]) -> Rates:
    """Raises SettingMissing for what is no rate, network or header."""
    usual, header = Rates(), env.get("FORWARDED_HEADER", X_FORWARDED_FOR).lower()
    if header not in (FORWARDED, X_FORWARDED_FOR):
        raise SettingMissing(
            spoken(
                f"FORWARDED_HEADER is {header!r}; it must be {X_FORWARDED_FOR} or {FORWARDED}",
                f"FORWARDED_HEADER vaut {header!r}; il faut {X_FORWARDED_FOR} ou {FORWARDED}",
            )
        )
    try:
        trusted = networks(env.get("TRUSTED_PROXIES", ""))
    except ValueError as error:
        raise SettingMissing(
            spoken(
                f"TRUSTED_PROXIES must hold addresses and networks, as in 10.0.0.0/8: {error}",
                f"TRUSTED_PROXIES doit contenir des adresses et des réseaux, comme 10.0.0.0/8; en anglais\u00a0: {error}",
            )
        ) from None
    names = ("identity", "identity_burst", "address", "address_burst", "shares")
    return Rates(
        **{name: _positive(env, f"RATE_{name.upper()}", getattr(usual, name)) for name in names},
        trusted_proxies=trusted,
        forwarded_header=header,
    )


def _words(env: Mapping[str, str], variable: str) -> frozenset[str]:
    """Tags or labels, separated by commas or spaces."""
    return frozenset(env.get(variable, "").replace(",", " ").split())


def _positive(env: Mapping[str, str], variable: str, default: int) -> int:
    """Raises SettingMissing for what is no whole number from 1 on."""
    value = number(env, variable, default)
    if value < 1:
        raise SettingMissing(
            spoken(f"{variable} is {value}; it must be at least 1", f"{variable} vaut {value}; il faut au moins 1")
        )
    return value


def _origins(text: str) -> frozenset[str]:
    """Exact web origins, separated by commas or spaces. Raises SettingMissing for what is none, `*` among it."""
    found = text.replace(",", " ").split()
    for origin in found:
        if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?", origin):
            raise SettingMissing(
                spoken(
                    f"CORS_ORIGINS holds {origin!r}; an origin is like https://www.example.ca, nothing more",
                    f"CORS_ORIGINS contient {origin!r}; une origine est comme https://www.example.ca, rien de plus",
                )
            )
    return frozenset(found)
