"""What the gateway is told by its environment. Read once, in `__main__` and tests' own roots; nothing else reads it."""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType

from gateway.engine.api_schema import WHOLE, Contract
from services.kit.language import spoken
from services.kit.settings import Issuer, Mode, SettingMissing, mode, number, required, switch
from services.kit.settings import issuer as issuer_of

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
class Settings:
    """The gateway's settings. Without an issuer every token is refused and the public is served.

    `contract` says which part of the supergraph clients see; `override_labels` are the labels of @override(label:) that hold,
    beside `percent(n)`, which holds for n of a hundred requests. `cors_origins` are the web origins whose pages may ask and
    read; `compress_from_bytes` is infinite where nothing is compressed.
    """

    supergraph: Path
    mode: Mode = Mode.PRODUCTION
    host: str = "127.0.0.1"
    port: int = 8000
    issuer: Issuer | None = None
    audience: str = "onedoor"
    subgraph_urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    limits: Limits = Limits()
    streams: Streams = Streams()
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
        mode=mode(env),
        host=env.get("HOST", "127.0.0.1"),
        port=number(env, "PORT", 8000),
        issuer=issuer_of(env) if env.get("ISSUER_URL") else None,
        subgraph_urls=MappingProxyType(urls),
        limits=Limits(
            **{f.name: number(env, f"LIMIT_{f.name.upper()}", getattr(Limits(), f.name)) for f in fields(Limits)}
        ),
        streams=Streams(
            **{f.name: _positive(env, f"STREAM_{f.name.upper()}", getattr(Streams(), f.name)) for f in fields(Streams)}
        ),
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
