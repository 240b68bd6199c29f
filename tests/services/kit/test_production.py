"""What production refuses to start without: each thing taken away in turn, and all of it named at once."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from clusters.topology import SUPERGRAPH
from gateway.app import Gateway
from gateway.engine.supergraph import load_supergraph
from gateway.settings import Settings
from gateway.subgraphs import Addressless
from services.kit import privileges, production
from services.kit.production import NotForProduction
from services.kit.roles import APP, MIGRATOR, role
from services.kit.settings import Mode
from services.kit.testing.certificates import Authority
from services.kit.testing.database import Template, copied, url_of

NAME = "catalogue"
VERIFIED = "postgresql://catalogue_app@db.example.ca/catalogue?sslmode=verify-full&sslrootcert=/etc/ca.pem"


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, str]:
    """Everything that any part of a production is asked for."""
    authority = Authority(tmp_path)
    pem, key = authority.certify("door")
    (tmp_path / "seed").write_text("SUAM")
    return {
        "ONEDOOR_MODE": "production",
        "HOST": "0.0.0.0",
        "TLS_CERTIFICATE": str(pem),
        "TLS_KEY": str(key),
        "TLS_AUTHORITY": str(authority.file),
        "ISSUER_URL": "https://id.example.ca/realms/onedoor",
        "NATS_URL": "tls://nats.example.ca:4222",
        "NATS_SEED_FILE": str(tmp_path / "seed"),
        "CATALOGUE_DATABASE_URL": VERIFIED,
        "SUBGRAPH_URL_CATALOGUE": "https://catalogue.example.ca/graphql",
        "GATEWAY_KEYS": "/etc/keys.json",
        "AUDIT_KEYS": "/etc/keys.json",
        "GRANT_KEYS": "/etc/keys.json",
        "SIGNING_KEYS": "/etc/keys.json",
        "PUBLIC_URL": "https://door.example.ca/graphql",
    }


def of_service(env: Mapping[str, str]) -> None:
    production.require_of_service(NAME, env)


PROGRAMS = {"service": of_service, "gateway": production.require_of_gateway}
BOTH = ("service", "gateway")
# What is changed, into what (None: taken away), which programs then refuse to start; each names the variable.
WRONG: tuple[tuple[str, str | None, tuple[str, ...]], ...] = (
    ("TLS_CERTIFICATE", None, BOTH),
    ("TLS_CERTIFICATE", "/nowhere.pem", BOTH),
    ("TLS_KEY", None, BOTH),
    ("TLS_AUTHORITY", "/nowhere.pem", BOTH),
    ("ISSUER_URL", None, BOTH),
    ("ISSUER_URL", "http://id.example.ca/realms/onedoor", BOTH),
    ("ISSUER_INTERNAL_URL", "http://keycloak:8080/realms/onedoor", BOTH),
    ("NATS_URL", None, BOTH),
    ("NATS_URL", "nats://nats.example.ca:4222", BOTH),
    ("NATS_SEED_FILE", None, BOTH),
    ("NATS_SEED_FILE", "/nowhere.seed", BOTH),
    ("CATALOGUE_DATABASE_URL", None, ("service",)),
    ("CATALOGUE_DATABASE_URL", VERIFIED.replace("verify-full", "require"), ("service",)),
    ("CATALOGUE_DATABASE_URL", VERIFIED.partition("&")[0], ("service",)),
    ("CATALOGUE_DATABASE_URL", VERIFIED.partition("?")[0], ("service",)),
    ("CATALOGUE_MIGRATION_DATABASE_URL", VERIFIED.replace("verify-full", "prefer"), ("service",)),
    ("GATEWAY_KEYS", None, ("service",)),
    ("AUDIT_KEYS", None, ("service",)),
    ("GRANT_KEYS", None, ("service",)),
    ("SUBGRAPH_URL_CATALOGUE", None, ("service",)),
    ("SUBGRAPH_URL_CATALOGUE", "http://catalogue:8104/graphql", BOTH),
    ("SUBSCRIPTION_URL_CATALOGUE", "ws://catalogue:8104/graphql", ("gateway",)),
    ("SIGNING_KEYS", None, ("gateway",)),
    ("PUBLIC_URL", None, ("gateway",)),
    ("PUBLIC_URL", "https://door.example.ca/graphql http://door.example.ca/graphql", ("gateway",)),
    ("TLS_TERMINATED_BY", "a proxy", BOTH),  # on all addresses of the machine
)


class TestProduction:
    @pytest.mark.parametrize("program", BOTH)
    def test_starts_with_all_of_it(self, whole: dict[str, str], program: str) -> None:
        PROGRAMS[program](whole)

    @pytest.mark.parametrize(("variable", "value", "programs"), WRONG)
    @pytest.mark.parametrize("language", ["en_CA.UTF-8", "fr_CA.UTF-8"])
    def test_refuses_to_start_without_each(
        self,
        whole: dict[str, str],
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
        value: str | None,
        programs: tuple[str, ...],
        language: str,
    ) -> None:
        monkeypatch.setenv("LC_ALL", language)
        env = {**whole, variable: value or ""}
        for program, require in PROGRAMS.items():
            if program not in programs:
                require(env)
                continue
            with pytest.raises(NotForProduction) as refused:
                require(env)
            head, *said = str(refused.value).split("\n  - ")
            assert head.startswith("la production" if language.startswith("fr") else "production")
            assert len(said) == 1 and variable in said[0]

    def test_names_all_that_is_missing_at_once(self) -> None:
        for require, count in ((of_service, 10), (production.require_of_gateway, 7)):
            with pytest.raises(NotForProduction) as refused:
                require({"ONEDOOR_MODE": "production"})
            assert len(str(refused.value).split("\n  - ")) == 1 + count

    @pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
    def test_may_leave_tls_to_another_program_of_its_machine(self, whole: dict[str, str], host: str) -> None:
        del whole["TLS_CERTIFICATE"], whole["TLS_KEY"]
        for require in PROGRAMS.values():
            require({**whole, "TLS_TERMINATED_BY": "envoy", "HOST": host})

    def test_takes_no_key_of_another_certificate(self, whole: dict[str, str], tmp_path: Path) -> None:
        whole["TLS_KEY"] = str(Authority(tmp_path).certify("other")[1])
        with pytest.raises(NotForProduction, match="TLS_KEY"):
            of_service(whole)

    @pytest.mark.parametrize("mode", ["local", "test"])
    def test_alone_asks_for_it(self, mode: str) -> None:
        for require in PROGRAMS.values():
            require({"ONEDOOR_MODE": mode})


class TestASubgraphThatIsComposedInWithoutTls:
    """Which the environment does not tell: the supergraph does, at the start and at each reload."""

    PLAIN = Settings(SUPERGRAPH, Mode.PRODUCTION, signing_keys=None)

    def test_is_refused_where_nothing_else_will_do(self) -> None:
        with pytest.raises(Addressless, match=r"http://.*SUBGRAPH_URL_\w+"):
            Gateway(replace(self.PLAIN, only_tls=True))

    def test_is_taken_by_its_own_variable(self) -> None:
        supergraph = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8"))
        urls = {Settings.variable(name): f"https://{name}.example.ca/graphql" for name in supergraph.subgraphs}
        Gateway(replace(self.PLAIN, only_tls=True, subgraph_urls=urls))


class TestTheRoleOfARunningService:
    @pytest.fixture
    def held(self, template_of: Callable[[str], Template]) -> Template:
        return template_of(NAME)

    async def test_is_its_own(self, postgres_url: str, held: Template) -> None:
        async with copied(postgres_url, held, "few") as url:
            await privileges.require_few(url, NAME)

    @pytest.mark.parametrize(("user", "power"), [(None, "superuser"), (MIGRATOR, "owner_of_tables")])
    async def test_is_no_more_powerful_one(
        self, postgres_url: str, held: Template, user: str | None, power: str
    ) -> None:
        url = url_of(postgres_url, held.name, user and role(NAME, user))
        with pytest.raises(NotForProduction, match=rf"CATALOGUE_DATABASE_URL .*{power}.*{role(NAME, APP)}"):
            await privileges.require_few(url, NAME)


@pytest.mark.stack
class TestTheProgramsThemselves:
    @pytest.mark.parametrize("program", [("services.kit.serve", NAME), ("gateway",)], ids=lambda p: p[0])
    @pytest.mark.parametrize(
        ("language", "word"), [("en_CA.UTF-8", "production does"), ("fr_CA.UTF-8", "la production")]
    )
    def test_end_with_1_and_no_trace(self, program: tuple[str, ...], language: str, word: str) -> None:
        env = {"PATH": os.environ["PATH"], "LC_ALL": language, "PYTHONUTF8": "1"}  # production is what is not said
        done = subprocess.run([sys.executable, "-m", *program], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert word in done.stderr and "TLS_CERTIFICATE" in done.stderr and "NATS_SEED_FILE" in done.stderr
        assert "Traceback" not in done.stderr
