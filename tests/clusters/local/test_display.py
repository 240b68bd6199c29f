"""What a person sees: a table that fits a terminal, and a summary that can be pasted."""

import json
import shlex

import pytest
from rich.console import Console

from clusters.local import display
from clusters.local.state import PartState, State
from clusters.topology import PARTS, issuer_url


@pytest.fixture
def state() -> State:
    parts = tuple(
        PartState(part.name, part.kind.value, f"127.0.0.1:{part.port}", "starting", None, 0, None) for part in PARTS
    )
    return State(1, False, parts, {"ISSUER_URL": issuer_url(lambda name: "127.0.0.1:8080")})


class TestTable:
    @pytest.mark.parametrize("locale", ["C.UTF-8", "fr_CA.UTF-8"])
    def test_names_and_addresses_are_whole_on_eighty_columns(
        self, state: State, locale: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LC_ALL", locale)
        console = Console(width=80, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
        console.print(display.table(state.parts))
        console.file.close()
        shown = console.export_text()
        for part in PARTS:
            assert f"{part.name} " in shown
            assert f"127.0.0.1:{part.port} " in shown


class TestSummary:
    def test_it_names_addresses_users_and_a_query_that_survives_the_shell(self, state: State) -> None:
        shown = display.summary(state)
        assert "http://127.0.0.1:8000/graphql" in shown
        assert all(user in shown for user in display.USERS)
        words = shlex.split(shown[shown.index("curl") :])
        assert json.loads(words[-1])["query"] == display.QUERY

    def test_without_a_gateway_there_is_nothing_to_ask(self, state: State) -> None:
        stores = State(1, True, state.parts[:2], state.environment)
        assert "curl" not in display.summary(stores)
