"""Sends planned fetches to subgraphs and says what became of each. Nothing of a subgraph's failure reaches a caller raw."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import orjson
import structlog

from gateway import faults as own
from gateway import http1, metrics
from gateway.engine.execution import Request
from gateway.engine.supergraph import Supergraph
from gateway.exchange import Exchange
from gateway.settings import Settings
from services.kit.faults import Fault

Json = dict[str, Any]
PROBE_S = 1.0
PROBE_AGE_S = 2.0
_FAULTS: Mapping[type[Exception], Fault] = {
    http1.Unreachable: own.SUBGRAPH_UNAVAILABLE,
    http1.TooSlow: own.SUBGRAPH_DEADLINE,
    http1.TooLarge: own.SUBGRAPH_TOO_LARGE,
    http1.Malformed: own.SUBGRAPH_MALFORMED,
}
_FORWARDED = (b"authorization", b"traceparent", b"tracestate")
_LOG = structlog.get_logger(__name__)


class NoAnswer(Exception):
    """A subgraph gave no usable answer; `fault` says how."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


class Addressless(Exception):
    """A subgraph has no address: neither composed in nor given by a variable."""


def forwarded(exchange: Exchange, deadline_s: float) -> bytes:
    """The header lines that every fetch of a request carries: who asks, in which language, until when. Nothing else."""
    lines = [
        b"x-request-id: " + exchange.request_id.encode(),
        b"accept-language: " + exchange.language.value.encode(),
        b"onedoor-deadline: %d" % int((time.time() + deadline_s) * 1000),  # Unix time in milliseconds
    ]
    lines += [name + b": " + exchange.headers[name] for name in _FORWARDED if name in exchange.headers]
    return b"\r\n".join(lines) + b"\r\n"


class Subgraphs:
    """The subgraphs of one supergraph and the connections to them."""

    def __init__(self, supergraph: Supergraph, settings: Settings, before: "Subgraphs | None" = None) -> None:
        """Takes over from those that were served before what stays at its address.

        Raises Addressless naming the subgraph and the variable to set, and ValueError for an address that is none.
        """
        self._origins: dict[str, http1.Origin] = {}
        for subgraph in supergraph.subgraphs.values():
            address = settings.address(subgraph.name, subgraph.url)
            if not address:
                raise Addressless(f"subgraph {subgraph.name} has no address: set {settings.variable(subgraph.name)}")
            kept = before._origins.get(subgraph.name) if before else None
            if kept is None or kept.url != address:
                kept = http1.Origin(address, settings.connections, settings.answer_bytes)
            self._origins[subgraph.name] = kept
        self._counted = {name: metrics.SUBGRAPH_REQUESTS.labels(name) for name in self._origins}
        self._timed = {name: metrics.SUBGRAPH_DURATION.labels(name) for name in self._origins}
        self._states: dict[str, str] = {}
        self._probed = float("-inf")
        self._probing = asyncio.Lock()

    async def fetch(self, request: Request, headers: bytes, deadline: float) -> Json:
        """A subgraph's GraphQL answer. The deadline is in the loop's time. Raises NoAnswer."""
        fetch = request.fetch
        name = fetch.subgraph
        self._counted[name].inc()
        begun = time.perf_counter()
        try:
            # A mutation may have been carried out by the connection that died under it: it is never sent twice.
            answer = await self._origins[name].post(request.body, headers, deadline, again=fetch.kind == "query")
            return _result(answer)
        except (http1.Unreachable, http1.TooSlow, http1.TooLarge, http1.Malformed) as error:
            raise self._failed(name, _FAULTS[type(error)], str(error)) from None
        except NoAnswer as error:
            raise self._failed(name, error.fault, "") from None
        finally:
            self._timed[name].observe(time.perf_counter() - begun)

    def origin(self, name: str) -> http1.Origin:
        """The server of a subgraph."""
        return self._origins[name]

    async def states(self) -> dict[str, str]:
        """`ok` or a fault's code for each subgraph, asked at most every two seconds."""
        loop = asyncio.get_running_loop()
        async with self._probing:
            if loop.time() - self._probed > PROBE_AGE_S:
                names = list(self._origins)
                self._states = dict(zip(names, await asyncio.gather(*map(self._probe, names)), strict=True))
                self._probed = loop.time()
        return self._states

    def close(self, keep: "Subgraphs | None" = None) -> None:
        """Close the connections, but for those that others keep; one in use is closed when its answer has come."""
        kept = set(keep._origins.values()) if keep else set()
        for origin in self._origins.values():
            if origin not in kept:
                origin.close()

    async def _probe(self, name: str) -> str:
        deadline = asyncio.get_running_loop().time() + PROBE_S
        try:
            _result(await self._origins[name].post(b'{"query":"{__typename}"}', b"", deadline))
        except NoAnswer as error:
            return error.fault.code
        except (http1.Unreachable, http1.TooSlow, http1.TooLarge, http1.Malformed) as error:
            return _FAULTS[type(error)].code
        return "ok"

    def _failed(self, name: str, fault: Fault, reason: str) -> NoAnswer:
        metrics.SUBGRAPH_ERRORS.labels(name, fault.code).inc()
        _LOG.warning("subgraph_failed", subgraph=name, code=fault.code, reason=reason)
        return NoAnswer(fault)


def _result(answer: http1.Answer) -> Json:
    """The GraphQL result in an HTTP answer, whatever its status. Raises NoAnswer when there is none."""
    try:
        result = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        result = None
    if type(result) is dict:
        data, errors = result.get("data"), result.get("errors")
        if (type(data) is dict and type(errors) in (list, type(None))) or (
            data is None and type(errors) is list and errors
        ):
            return result
    raise NoAnswer(own.SUBGRAPH_UNAVAILABLE if answer.status >= 500 else own.SUBGRAPH_MALFORMED)
