"""What a process loads is a promise: the gateway and the command line stay lean however the kit grows."""

import json
import subprocess
import sys

import pytest

HEAVY = ("sqlalchemy", "sqlmodel", "strawberry", "faststream", "nats", "alembic", "asyncpg")


def loaded_by(module: str) -> set[str]:
    """The top-level packages in a fresh process after importing one module."""
    program = f"import {module}, sys, json; print(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


class TestWeight:
    @pytest.mark.parametrize("module", ["gateway.app", "gateway.__main__", "clusters.cli"])
    def test_lean_processes_load_no_database_schema_builder_or_broker(self, module: str) -> None:
        assert loaded_by(module).isdisjoint(HEAVY)

    def test_the_command_line_loads_nothing_that_only_some_commands_use(self) -> None:
        assert loaded_by("clusters.cli").isdisjoint({"fastapi", "uvicorn", "graphql", "psutil", "pydantic", "gateway"})

    def test_the_engine_needs_no_web_server_and_no_client(self) -> None:
        assert loaded_by("gateway.engine.plan").isdisjoint({*HEAVY, "fastapi", "starlette", "uvicorn", "httptools"})
