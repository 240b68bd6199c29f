"""The command line as programs and people meet it."""

import re
import socket
from pathlib import Path

import pytest

from clusters.importing import SOURCES
from clusters.topology import SUPERGRAPH
from tests.clusters.commands import onedoor

COMMANDS = (
    "up",
    "status",
    "down",
    "logs",
    "gateway",
    "sign-proxy",
    "plan",
    "token",
    "code",
    "query",
    "proof",
    "sign-out",
    "mail",
    "sessions",
    "demo",
    "credentials",
    "keys",
    "import",
    "compose",
    "keycloak",
    "audit",
)


class TestHelp:
    def test_it_lists_the_commands(self) -> None:
        shown = onedoor("--help").stdout
        for command in COMMANDS:
            assert f" {command} " in shown

    def test_it_speaks_french_where_the_locale_does(self) -> None:
        assert "Faire tourner toute la province sur ce poste." in onedoor("--help", lang="fr_CA.UTF-8").stdout

    @pytest.mark.parametrize("command", COMMANDS)
    @pytest.mark.parametrize("lang", ["C.UTF-8", "fr_CA.UTF-8"])
    def test_every_command_explains_itself_and_each_of_its_options(self, command: str, lang: str) -> None:
        done = onedoor(command, "--help", lang=lang)
        assert done.returncode == 0, done.stderr
        assert ("Arguments" in done.stdout or "Options" in done.stdout) and "Error" not in done.stdout
        for line in done.stdout.splitlines():  # an option's line holds its name, its kind, and then words
            if match := re.match(r"^│ \*?\s+(--?[a-z-]+|[a-z]+)(?:\s+-[a-z])?\s+<[^>]+>(?: \[[^\]]+\])?(.*)│$", line):
                assert re.search(r"[A-Za-zÀ-ÿ0-9]{3}", match[2].replace("[default", "").replace("[par", "")), line

    def test_the_frame_around_the_help_is_french_too(self) -> None:
        shown = onedoor("gateway", "--help", lang="fr_CA.UTF-8").stdout
        assert "[obligatoire]" in shown
        assert "[par défaut\u00a0: 8000]" in shown
        assert "Montrer cette aide et s’arrêter." in shown and "Usage\u00a0: " in shown

    def test_import_names_its_sources(self) -> None:
        shown = " ".join(onedoor("import", "--help").stdout.split())
        assert all(source in shown for source in SOURCES)


REFUSED = {
    "up --nope": "Aucune option ne s’appelle --nope.",
    "up --detahc": "Aucune option ne s’appelle --detahc. (Serait-ce --data, --detach?)",
    "up --data": "L’option '--data' demande une valeur.",
    "logs": "Il manque l’argument 'name'.",
    "code": "Il manque l’option '--user'.",
    "token": "Indiquez --user NOM ou --device.",
    "token --user owner --device": "Indiquez --user NOM ou --device.",
    "status extra more": "Arguments de trop\u00a0: extra more",
    "status --json=1": "L’option '--json' ne prend pas de valeur.",
    "upp": "Aucune commande ne s’appelle 'upp'. Serait-ce 'up'?",
    "gateway --supergraph nowhere": "Valeur refusée pour '--supergraph'\u00a0: le fichier 'nowhere' n’existe pas.",
    "plan /": "Valeur refusée pour 'file'\u00a0: '/' est un dossier, non un fichier.",
    "logs x -n many": "Valeur refusée pour '--lines' / '-n'\u00a0: il faut un nombre entier",
    "logs x -n 0": "Valeur refusée pour '--lines' / '-n'\u00a0: il faut au moins 1",
    "gateway --port 65536": "Valeur refusée pour '--port' (variable\u00a0: 'PORT')\u00a0: il faut au plus 65535",
}


class TestAMisspeltCommand:
    @pytest.mark.parametrize("typed", REFUSED)
    def test_is_explained_in_french_where_the_locale_is(self, typed: str) -> None:
        done = onedoor(*typed.split(), lang="fr_CA.UTF-8")
        usage, see, _, said, _ = done.stderr.splitlines()
        assert said.strip("│ ") == REFUSED[typed]
        assert usage.startswith("Usage\u00a0: ") and "NAME" not in usage and "COMMAND " not in usage
        assert see.startswith("Voyez ")
        assert (done.returncode, done.stdout) == (2, "")

    @pytest.mark.parametrize("typed", ["status --json=1", "up --data", "upp"])
    def test_is_explained_in_english_elsewhere_with_the_usage(self, typed: str) -> None:
        done = onedoor(*typed.split())
        assert done.stderr.startswith("Usage: ")
        assert " ’" not in done.stderr and done.returncode == 2


class TestExitCodes:
    def test_a_misspelt_command_is_2(self) -> None:
        assert onedoor("opne").returncode == 2

    def test_a_gateway_whose_port_is_taken_is_1_with_a_sentence(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = onedoor("gateway", "--supergraph", str(SUPERGRAPH), "--port", str(port))
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"onedoor: port {port}, meant for gateway, is held by another program\n"

    def test_nothing_running_is_3(self, tmp_path: Path) -> None:
        assert onedoor("status", "--data", str(tmp_path)).returncode == 3
        assert onedoor("status", "--json", "--data", str(tmp_path)).returncode == 3
        assert onedoor("down", "--data", str(tmp_path)).returncode == 3

    @pytest.mark.parametrize("name", ["inspections", "no such part", "../../etc/passwd"])
    def test_a_log_that_is_not_there_is_1_with_a_reason(self, tmp_path: Path, name: str) -> None:
        done = onedoor("logs", name, "--data", str(tmp_path))
        assert done.returncode == 1
        assert done.stderr.startswith("onedoor: there is no log of")
