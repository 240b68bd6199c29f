"""The parts, their addresses and variables, as everybody else reads them."""

import tomllib
from pathlib import Path

import pytest

from clusters.topology import (
    BY_NAME,
    PARTS,
    ROOT,
    SERVICES,
    Kind,
    Unknown,
    chosen,
    environment,
    given_elsewhere,
    port_of,
)

DATABASE = "postgresql://inspections_{0}@postgres.test:5442/inspections?passfile=/held/inspections/{0}.pgpass"


def where(name: str) -> str:
    return f"{name}.test:{BY_NAME[name].port}"


class TestParts:
    def test_no_port_is_given_twice(self) -> None:
        assert len({part.port for part in PARTS}) == len(PARTS)

    def test_each_comes_after_what_it_needs(self) -> None:
        order = [part.name for part in PARTS]
        assert all(order.index(need) < order.index(part.name) for part in PARTS for need in part.needs)

    def test_the_gateway_waits_for_no_ministry(self) -> None:
        assert BY_NAME["gateway"].needs == ("nats",)


class TestClusterFiles:
    def test_the_addresses_that_the_supergraph_is_composed_with_are_those_of_local_mode(self) -> None:
        files = [tomllib.loads(path.read_text()) for path in sorted((ROOT / "clusters").glob("*.toml"))]
        written = {subgraph["name"]: subgraph["url"] for file in files for subgraph in file.get("subgraphs", [])}
        assert written == {s.name: f"http://127.0.0.1:{s.port}/graphql" for s in SERVICES}


class TestEnvironment:
    def test_a_service_learns_its_own_database_the_broker_and_the_issuer(self) -> None:
        assert environment(
            BY_NAME["inspections"], where, mode="local", host="127.0.0.1", credentials=Path("/held")
        ) == {
            "ONEDOOR_MODE": "local",
            "HOST": "127.0.0.1",
            "PORT": "8103",
            "ISSUER_URL": "http://issuer.test:8080/realms/onedoor",
            "GATEWAY_KEYS": "/held/public/gateway-keys.json",
            "AUDIT_KEYS": "/held/inspections/audit-keys.json",
            "GRANT_KEYS": "/held/public/grant-keys.json",
            "SUBGRAPH_URL_INSPECTIONS": f"http://{where('inspections')}/graphql",
            "INSPECTIONS_DATABASE_URL": DATABASE.format("app"),
            "INSPECTIONS_MIGRATION_DATABASE_URL": DATABASE.format("migrator"),
            "NATS_URL": "nats://nats.test:4242",
            "NATS_SEED_FILE": "/held/inspections/nats.seed",
        }

    def test_no_part_learns_the_database_of_another(self) -> None:
        for part in PARTS:
            given = environment(part, where, mode="local", host="127.0.0.1", credentials=Path("/held"))
            databases = {name for name in given if name.endswith("_DATABASE_URL")}
            own = {part.database_variable, part.migration_variable}
            assert databases == (own if part.kind is Kind.SERVICE else set())

    def test_the_gateway_learns_every_subgraph(self) -> None:
        given = environment(BY_NAME["gateway"], where, mode="local", host="127.0.0.1", credentials=Path("/held"))
        assert given["SIGNING_KEYS"] == "/held/gateway/signing-keys.json"
        assert {given[s.subgraph_variable] for s in SERVICES} == {f"http://{where(s.name)}/graphql" for s in SERVICES}


class TestElsewhere:
    def test_nothing_given_replaces_nothing(self) -> None:
        assert given_elsewhere({"NATS_URL": ""}) == {}

    def test_a_variable_replaces_its_part(self) -> None:
        env = {"NATS_URL": "nats://n:1", "ISSUER_URL": "http://i", "SUBGRAPH_URL_CATALOGUE": "http://c"}
        assert set(given_elsewhere(env)) == {"nats", "issuer", "catalogue"}

    def test_postgresql_is_replaced_only_when_every_service_has_a_database(self) -> None:
        env = {service.database_variable: "postgresql://x" for service in SERVICES}
        assert "postgres" in given_elsewhere(env)
        env.popitem()
        assert "postgres" not in given_elsewhere(env)


class TestChoosing:
    def test_a_service_brings_what_it_needs(self) -> None:
        assert [part.name for part in chosen(["inspections"])] == ["postgres", "nats", "issuer", "inspections"]

    def test_nothing_named_is_everything(self) -> None:
        assert chosen([]) == PARTS


class TestPorts:
    def test_a_variable_moves_a_part(self) -> None:
        assert port_of(BY_NAME["gateway"], {"GATEWAY_PORT": "9000"}) == 9000
        assert port_of(BY_NAME["gateway"], {"GATEWAY_PORT": ""}) == 8000

    @pytest.mark.parametrize("value", ["0", "65536", "-1", "http", "8000.0", "９"])
    def test_what_is_no_port_is_refused_with_the_variable(self, value: str) -> None:
        with pytest.raises(Unknown, match="GATEWAY_PORT"):
            port_of(BY_NAME["gateway"], {"GATEWAY_PORT": value})
