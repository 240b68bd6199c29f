"""Every server of the house is set up in one place."""

import re
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from services.kit import http_server

ROOT = Path(__file__).parents[3]
PROXIES_KEEP_S = 60  # an idle connection to a server behind them: nginx's and AWS's default


def configured() -> uvicorn.Config:
    return http_server.configured(Starlette(), "127.0.0.1", 0)


class TestIdleConnections:
    def test_are_kept_longer_than_whoever_calls_keeps_them(self) -> None:
        assert configured().timeout_keep_alive > PROXIES_KEEP_S

    def test_are_so_kept_by_every_server(self) -> None:
        """uvicorn's own default is 5 s, which its callers meet as a reset."""
        made = re.compile(r"uvicorn\.(Config|run)\(")
        sources = (path for top in ("gateway", "services", "clusters") for path in (ROOT / top).rglob("*.py"))
        makers = [str(path.relative_to(ROOT)) for path in sources if made.search(path.read_text(encoding="utf-8"))]
        assert makers == ["services/kit/http_server.py"]


class TestWhatCallersCanForge:
    def test_a_forwarded_address_is_not_believed(self) -> None:
        assert configured().proxy_headers is False
