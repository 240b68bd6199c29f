"""docker-compose.yml is rendered as Docker renders it and compared with local mode: same parts, ports, variables, stores."""

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import credentials
from clusters.keycloak import blocklist, realm
from clusters.local import nats, postgres
from clusters.local.folder import POSTGRESQL_MAJOR
from clusters.topology import BY_NAME, PARTS, REALM_PATH, ROOT, SERVICES, Kind, Part, environment

FILE = ROOT / "docker-compose.yml"
IMAGE_ROOT = "/app"
CREDENTIALS = Path("/credentials")
LOCUST = {"locust-master", "locust-worker"}
ONCE = {"credentials", "roles"}  # they do their work at the start and end
# What a container is told that a local process is not: keys are fetched inside, under another address than `iss`.
ONLY_IN_CONTAINERS = {"ISSUER_INTERNAL_URL", "LOG_LEVEL"}
ONLY_AT_THE_DOOR = {"PUBLIC_URL"}  # two gateways share one network name, and have a port each outside
Rendered = dict[str, Any]


class Once(yaml.SafeLoader):
    """Refuses a key that is given twice, as Docker does."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        given = [key.value for key, _ in node.value if key.value != "<<"]
        if twice := [key for key, times in Counter(given).items() if times > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"given twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def rendered(variables: Mapping[str, str] | None = None) -> Rendered:
    """The file with anchors merged and `${NAME:-default}` replaced."""

    def value(match: "re.Match[str]") -> str:
        return (variables or {}).get(match[1]) or match[2]

    def replace(node: Any) -> Any:
        if isinstance(node, str):
            return re.sub(r"\$\{(\w+):-([^}]*)\}", value, node).replace("$$", "$")
        if isinstance(node, list):
            return [replace(each) for each in node]
        return {key: replace(each) for key, each in node.items()} if isinstance(node, dict) else node

    whole: Rendered = replace(yaml.load(FILE.read_text(), Once))
    return whole


@pytest.fixture(scope="module")
def file() -> Rendered:
    return rendered()


def containers(part: Part) -> tuple[str, ...]:
    """The services of the file that are a part of the province."""
    if part.kind is Kind.ISSUER:
        return ("keycloak",)
    return ("gateway-1", "gateway-2") if part.kind is Kind.GATEWAY else (part.name.replace("_", "-"),)


def where(name: str) -> str:
    """Where a part is, seen from another container; the issuer's identity is what a person's browser sees."""
    part = BY_NAME[name]
    if part.kind is Kind.ISSUER:
        return f"localhost:{part.port}"
    usual = {Kind.DATABASE: 5432, Kind.BROKER: 4222}
    return f"{containers(part)[0]}:{usual.get(part.kind, part.port)}"


OURS = [(part, name) for part in PARTS for name in containers(part) if part.kind not in (Kind.DATABASE, Kind.BROKER)]
PROCESSES = [(part, name) for part, name in OURS if part.kind is not Kind.ISSUER]


class TestParts:
    def test_every_part_of_local_mode_is_there_and_nothing_else(self, file: Rendered) -> None:
        assert set(file["services"]) - LOCUST - ONCE == {name for part in PARTS for name in containers(part)}

    @pytest.mark.parametrize(("part", "name"), PROCESSES)
    def test_each_process_is_given_the_variables_of_local_mode(self, file: Rendered, part: Part, name: str) -> None:
        given = file["services"][name]["environment"]
        wanted = environment(part, where, mode="local", host="0.0.0.0", credentials=CREDENTIALS)
        wanted = {key: value.replace(str(ROOT), IMAGE_ROOT) for key, value in wanted.items()}
        more = ONLY_IN_CONTAINERS | (ONLY_AT_THE_DOOR if part.kind is Kind.GATEWAY else set())
        assert {key: value for key, value in given.items() if key not in more} == wanted
        assert set(given) - set(wanted) == more

    @pytest.mark.parametrize(("part", "name"), PROCESSES)
    def test_each_process_runs_the_program_of_local_mode(self, file: Rendered, part: Part, name: str) -> None:
        ran = {
            Kind.SERVICE: ["services.kit.serve", part.name],
            Kind.SIMULATOR: [f"clusters.{part.name}"],
            Kind.GATEWAY: ["gateway"],
        }
        assert file["services"][name]["command"] == ["python", "-m", *ran[part.kind]]

    @pytest.mark.parametrize(("part", "name"), PROCESSES)
    def test_each_process_waits_for_what_it_needs_and_for_nothing_else(
        self, file: Rendered, part: Part, name: str
    ) -> None:
        waits = file["services"][name].get("depends_on", {})
        needs = {need: {"condition": "service_healthy"} for need in part.needs}
        if needs.pop("postgres", None):  # and in it the service's roles
            needs["roles"] = {"condition": "service_completed_successfully"}
        if part.kind is Kind.GATEWAY:  # its keys
            needs["credentials"] = {"condition": "service_completed_successfully"}
        assert waits == needs

    def test_what_is_waited_for_can_tell_that_it_is_healthy(self, file: Rendered) -> None:
        for service in file["services"].values():
            for need, how in service.get("depends_on", {}).items():
                assert how["condition"] != "service_healthy" or file["services"][need]["healthcheck"]["test"]

    @pytest.mark.parametrize(("part", "name"), PROCESSES)
    def test_each_process_is_healthy_when_it_says_that_it_is_ready(self, file: Rendered, part: Part, name: str) -> None:
        test = file["services"][name]["healthcheck"]["test"]
        assert test[:3] == ["CMD", "python", "-c"]
        compile(test[3], name, "exec")
        assert "/health/ready" in test[3]
        assert 'os.environ["PORT"]' in test[3]


class TestPorts:
    def test_the_doors_and_keycloak_are_published_where_local_mode_has_them(self, file: Rendered) -> None:
        issuer, gateway = BY_NAME["issuer"].port, BY_NAME["gateway"].port
        published = {name: service["ports"] for name, service in file["services"].items() if "ports" in service}
        assert published == {
            "keycloak": [f"127.0.0.1:{issuer}:{issuer}"],
            "gateway-1": [f"127.0.0.1:{gateway}:{gateway}"],
            "gateway-2": [f"127.0.0.1:{gateway + 1}:{gateway}"],
        }

    def test_no_port_is_given_twice(self, file: Rendered) -> None:
        published = [port.split(":")[1] for s in file["services"].values() for port in s.get("ports", ())]
        assert max(Counter(published).values()) == 1
        listening = [file["services"][name]["environment"]["PORT"] for part, name in PROCESSES if name != "gateway-2"]
        assert max(Counter(listening).values()) == 1

    @pytest.mark.parametrize(
        ("variable", "name"),
        [("GATEWAY_PORT", "gateway-1"), ("GATEWAY_2_PORT", "gateway-2"), ("ISSUER_PORT", "keycloak")],
    )
    def test_each_published_port_can_be_moved(self, variable: str, name: str) -> None:
        moved = rendered({variable: "9123"})["services"][name]["ports"]
        assert moved[0].startswith("127.0.0.1:9123:")


class TestIdentity:
    @pytest.mark.parametrize("port", ["8080", "9123"])
    def test_tokens_are_compared_with_the_address_that_keycloak_writes_into_them(self, port: str) -> None:
        services = rendered({"ISSUER_PORT": port})["services"]
        keycloak = services["keycloak"]["environment"]
        assert keycloak["KC_HTTP_PORT"] == port
        assert keycloak["KC_HOSTNAME"] == f"http://localhost:{port}"
        for _, name in PROCESSES:
            given = services[name]["environment"]
            assert given["ISSUER_URL"] == keycloak["KC_HOSTNAME"] + REALM_PATH
            assert given["ISSUER_INTERNAL_URL"] == f"http://keycloak:{port}{REALM_PATH}"

    def test_keycloak_imports_the_committed_realm(self, file: Rendered) -> None:
        keycloak = file["services"]["keycloak"]
        assert "--import-realm" in keycloak["command"]
        mounted = [volume.split(":") for volume in keycloak["volumes"]]
        data = "/opt/keycloak/data"
        assert [(ROOT / source, target, how) for source, target, how in mounted] == [
            (realm.FILE, f"{data}/import/{realm.FILE.name}", "ro"),
            (blocklist.FILE, f"{data}/password-blacklists/{blocklist.FILE.name}", "ro"),
            (realm.THEME, f"/opt/keycloak/themes/{realm.THEME.name}", "ro"),
        ]
        assert f"/realms/{json.loads(realm.FILE.read_text())['realm']}" == REALM_PATH

    def test_keycloak_has_no_administration_to_reach(self, file: Rendered) -> None:
        given = file["services"]["keycloak"]["environment"]
        assert given["KC_FEATURES_DISABLED"].split(",") == ["admin", "admin-api"]
        assert not [name for name in given if name.startswith(("KC_BOOTSTRAP_ADMIN", "KC_PROXY"))]

    def test_keycloak_is_of_the_version_that_the_stack_tests_run(self, file: Rendered) -> None:
        install = (ROOT / "clusters" / "keycloak" / "install").read_text()
        version = re.search(r"^VERSION=(\S+)", install, re.MULTILINE)
        assert version is not None
        assert file["services"]["keycloak"]["image"] == f"keycloak/keycloak:{version[1]}"


class TestStores:
    def test_postgresql_is_of_the_same_version_and_locale(self, file: Rendered) -> None:
        store = file["services"]["postgres"]
        assert store["image"] == f"postgres:{POSTGRESQL_MAJOR}"
        assert store["environment"]["POSTGRES_INITDB_ARGS"].split() == list(postgres.LOCALE)
        assert f"max_connections={postgres.CONNECTIONS}" in store["command"]
        assert (store["environment"]["POSTGRES_USER"], store["environment"]["POSTGRES_PASSWORD"]) == (
            postgres.USER,
            postgres.PASSWORD,
        )

    def test_the_services_databases_are_made_by_the_script_that_local_mode_runs(self, file: Rendered) -> None:
        roles = file["services"]["roles"]
        assert roles["command"][-1] == f"--file={CREDENTIALS / credentials.ROLES_FILE}"
        assert roles["depends_on"]["credentials"] == {"condition": "service_completed_successfully"}
        assert file["services"]["credentials"]["command"] == ["onedoor", "credentials", str(CREDENTIALS)]

    def test_keycloak_has_a_database_of_its_own(self, file: Rendered) -> None:
        made = file["configs"]["keycloak"]["content"]
        given = file["services"]["keycloak"]["environment"]
        name, word = given["KC_DB_USERNAME"], given["KC_DB_PASSWORD"]
        assert f"CREATE ROLE {name} LOGIN PASSWORD '{word}'" in made
        assert f"CREATE DATABASE keycloak OWNER {name};" in made
        assert given["KC_DB_URL"].endswith("/keycloak")

    @pytest.mark.parametrize(("part", "name"), PROCESSES)
    def test_a_container_is_shown_its_own_credentials_and_no_others(
        self, file: Rendered, part: Part, name: str
    ) -> None:
        shown = [
            v["volume"]["subpath"] for v in file["services"][name].get("volumes", ()) if v["source"] == "credentials"
        ]
        used = re.findall(rf"{CREDENTIALS}/(\w+)/", str(file["services"][name]["environment"]))
        assert set(shown) == set(used) <= {part.name, "public"}  # where nothing is secret

    def test_nats_is_of_the_same_version_and_loses_nothing_either(self, file: Rendered) -> None:
        done = subprocess.run([nats.program(), "--version"], capture_output=True, text=True, check=True)
        minor = done.stdout.split()[-1].lstrip("v").rsplit(".", 1)[0]
        assert file["services"]["nats"]["image"] == f"nats:{minor}-alpine"
        held = file["configs"]["nats"]["content"]
        assert f"max_payload: {nats.LARGEST_MESSAGE}" in held
        assert "sync_interval: always" in held

    def test_nats_accepts_its_configuration(self, file: Rendered, tmp_path: Path) -> None:
        credentials.prepare(tmp_path / "credentials", [service.name for service in SERVICES])
        (config,) = file["services"]["nats"]["configs"]
        configuration = tmp_path / config["target"].lstrip("/")
        configuration.parent.mkdir(parents=True)
        configuration.write_text(file["configs"]["nats"]["content"])
        done = subprocess.run([nats.program(), "-t", "-c", str(configuration)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def test_the_shell_accepts_the_question_about_keycloaks_health(self, file: Rendered) -> None:
        test = file["services"]["keycloak"]["healthcheck"]["test"]
        assert test[:3] == ["CMD", "bash", "-c"]
        done = subprocess.run(["bash", "-n", "-c", test[3]], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_their_data_outlives_the_containers(self, file: Rendered) -> None:
        for store in ("postgres", "nats"):
            volume = file["services"][store]["volumes"][0]
            assert volume.split(":")[0] in file["volumes"]


class TestTrust:
    @pytest.mark.parametrize(("part", "name"), PROCESSES)
    def test_our_containers_may_do_no_more_than_they_must(self, file: Rendered, part: Part, name: str) -> None:
        service = file["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"] is True
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_nothing_is_published_to_other_machines(self, file: Rendered) -> None:
        for service in file["services"].values():
            assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


class TestLoad:
    def test_one_variable_says_how_many_workers_there_are_and_are_waited_for(self) -> None:
        services = rendered({"LOCUST_WORKERS": "4"})["services"]
        assert services["locust-worker"]["deploy"]["replicas"] == "4"
        assert "--expect-workers=4" in services["locust-master"]["command"]

    def test_master_and_workers_run_the_same_shape_and_only_when_asked(self) -> None:
        services = rendered({"SHAPE": "surge"})["services"]
        assert {services[name]["environment"]["SHAPE"] for name in LOCUST} == {"surge"}
        assert all(services[name]["profiles"] == ["load"] for name in LOCUST)
        assert "--master-host=locust-master" in services["locust-worker"]["command"]

    def test_workers_knock_at_both_doors(self, file: Rendered) -> None:
        door = file["services"]["locust-worker"]["environment"]["ONEDOOR_URL"]
        assert door == f"http://gateway:{BY_NAME['gateway'].port}"
        for name in ("gateway-1", "gateway-2"):
            assert file["services"][name]["networks"]["default"]["aliases"] == ["gateway"]

    def test_workers_sign_in_under_the_address_that_is_in_the_tokens(self, file: Rendered) -> None:
        worker = file["services"]["locust-worker"]
        assert worker["environment"]["ISSUER_URL"] == file["services"]["gateway-1"]["environment"]["ISSUER_URL"]
        assert worker["network_mode"] == "service:keycloak"  # where 127.0.0.1 is Keycloak's

    def test_the_report_can_be_fetched_afterwards(self, file: Rendered) -> None:
        assert file["services"]["locust-master"]["volumes"] == [f"reports:{IMAGE_ROOT}/reports"]


def _has_compose() -> bool:
    docker = shutil.which("docker")
    return bool(docker) and subprocess.run([docker, "compose", "version"], capture_output=True).returncode == 0  # type: ignore[list-item]


class TestDocker:
    @pytest.mark.skipif(not _has_compose(), reason="the docker client with its compose plugin is not installed here")
    def test_docker_itself_renders_the_file_and_sees_what_we_see(self, file: Rendered) -> None:
        command = ["docker", "compose", "--file", str(FILE), "--profile", "load", "config", "--format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (0, "")
        seen = json.loads(done.stdout)["services"]
        assert set(seen) == set(file["services"])
        for name, service in file["services"].items():
            assert seen[name].get("environment", {}) == service.get("environment", {})
            assert seen[name].get("command") == service.get("command")
