"""Answers `program.requested.v1` with `program.decided.v1`, as four programs of three ministries would.

A request that comes again is answered alike, under the same event id: what the programs decide follows from the request alone.
"""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid5

import orjson
import structlog
from faststream import AckPolicy
from faststream.nats.annotations import NatsMessage
from prometheus_client import Counter
from pydantic import BaseModel

from clusters.programs.behaviour import REASONS, Behaviours
from services.kit.broker import STREAM, SignIn, durable_of, subject_of
from services.kit.bus import AWAY, NOBODY, begin, declared_stream, end, inbox, one_by_one, opened
from services.kit.events import Event, check

USER = "programs"
NAMESPACE = UUID("6f6e6564-6f6f-4272-8072-6f6772616d73")
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
_PREFIXES = {
    "BUSINESS_NAME": "BN",
    "EMPLOYER_HEALTH_TAX": "EHT",
    "RETAIL_SALES_TAX": "RST",
    "WORKERS_COMPENSATION": "WC",
}
DECISIONS = Counter("onedoor_program_decisions", "Decisions that the simulated programs sent", ("program", "outcome"))
_LOG = structlog.get_logger(__name__)


class ProgramRequested(Event, type="program.requested.v1", subject="application_id"):
    """What the programs read of a request."""

    request_id: UUID
    application_id: str
    business_number: str
    program: Literal["BUSINESS_NAME", "EMPLOYER_HEALTH_TAX", "RETAIL_SALES_TAX", "WORKERS_COMPENSATION"]


class Reason(BaseModel):
    """Why a program refuses, in both languages."""

    en: str
    fr: str


class ProgramDecided(Event, type="program.decided.v1", subject="application_id"):
    """What a program decided."""

    request_id: str
    application_id: str
    program: str
    outcome: Literal["APPROVED", "REFUSED"]
    decided_at: datetime
    account_number: str | None = None
    reason_code: str | None = None
    reason: Reason | None = None


def decide(asked: ProgramRequested, refuse: str | None) -> ProgramDecided:
    """The decision about a request. The account number follows from the request, so that asking twice opens one account."""
    common = {
        "request_id": str(asked.request_id),
        "application_id": asked.application_id,
        "program": asked.program,
        "decided_at": datetime.now(UTC),
    }
    if refuse is not None:
        words = REASONS[refuse]
        return ProgramDecided(**common, outcome="REFUSED", reason_code=refuse, reason=Reason(en=words.en, fr=words.fr))
    number = uuid5(NAMESPACE, f"account:{asked.request_id}").int % 10_000_000
    return ProgramDecided(**common, outcome="APPROVED", account_number=f"{_PREFIXES[asked.program]}-{number:07}")


def envelope(decided: ProgramDecided) -> dict[str, Any]:
    """The CloudEvents envelope of a decision; its id follows from the request's."""
    held = {
        "specversion": "1.0",
        "id": str(uuid5(NAMESPACE, f"decision:{decided.request_id}")),
        "source": "/programs",
        "type": ProgramDecided.type,
        "subject": decided.subject,
        "time": decided.decided_at.isoformat(),
        "datacontenttype": "application/json",
        "dataschema": f"{ProgramDecided.type}.json",
        "data": decided.data(),
    }
    check(ProgramDecided, held)
    return held


def asked_of(body: bytes) -> ProgramRequested | None:
    """The request in an envelope, or None for what is none."""
    try:
        held = orjson.loads(body)
        check(ProgramRequested, held)
        return ProgramRequested.model_validate(held["data"])
    except (ValueError, TypeError):  # not JSON, no object, or not what the contract says
        return None


def trace_of(body: bytes) -> dict[str, str]:
    """The trace that a request belongs to, which its decision goes on. Source: CloudEvents, distributed tracing extension."""
    held = orjson.loads(body)
    return {name: str(held[name]) for name in ("traceparent", "tracestate") if held.get(name)}


class Programs:
    """Listens and answers until it is stopped. Requests wait in the stream while it is away."""

    def __init__(self, url: str, behaviours: Behaviours, sign_in: SignIn = NOBODY) -> None:
        self.behaviours = behaviours
        self.broker = opened(url, sign_in)
        self._stream = declared_stream()
        self._late: dict[asyncio.Task[None], NatsMessage] = {}
        self._subscriber = self.broker.subscriber(
            subject_of(ProgramRequested.type),
            stream=self._stream,
            durable=durable_of(USER, ProgramRequested.type),
            pull_sub=one_by_one(),
            inbox_prefix=inbox(sign_in),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
        )

        async def answer(message: NatsMessage) -> None:
            asked = asked_of(message.body)
            if asked is None:
                _LOG.error("not_a_request")
                await message.reject()  # never comes again: another try would read the same bytes
                return
            behaviour = behaviours.of(asked.program)
            if behaviour.fail:
                behaviours.failed(asked.program)
                pause_s = _pause_s(message)
                _LOG.warning("failed_as_told", program=asked.program, again_in_s=pause_s)
                await message.nack(delay=pause_s)
                return
            task = asyncio.create_task(self._decide(asked, behaviour.delay_s, message))
            self._late[task] = message
            task.add_done_callback(lambda done: self._late.pop(done, None))

        self._subscriber(answer)

    async def _decide(self, asked: ProgramRequested, delay_s: float, message: NatsMessage) -> None:
        """Decide when it is time. What cannot be sent stays in the stream and is asked again."""
        try:
            await self._decide_late(asked, delay_s, message)
        except AWAY as error:
            pause_s = _pause_s(message)
            _LOG.warning("decision_waits", program=asked.program, again_in_s=pause_s, error=repr(error))
            with contextlib.suppress(*AWAY):  # without it the request comes again when its time is up
                await message.nack(delay=pause_s)

    async def _decide_late(self, asked: ProgramRequested, delay_s: float, message: NatsMessage) -> None:
        """Decide, then acknowledge: what is cut off between is asked again and decided alike."""
        remaining = delay_s
        while remaining > 0:  # a request that is being worked on must not be given to another
            await asyncio.sleep(min(remaining, 10.0))
            remaining -= 10.0
            await message.in_progress()
        decided = decide(asked, self.behaviours.of(asked.program).refuse)
        told = {**envelope(decided), **trace_of(message.body)}
        await self.broker.publish(
            orjson.dumps(told),
            subject_of(ProgramDecided.type),
            headers={"Nats-Msg-Id": told["id"], "content-type": "application/cloudevents+json"},
            stream=STREAM,
            timeout=5,
        )
        await message.ack()
        DECISIONS.labels(decided.program, decided.outcome).inc()
        _LOG.info("decided", program=decided.program, outcome=decided.outcome)

    async def start(self) -> None:
        """Begin to listen as soon as NATS answers."""
        await begin(self.broker, self._stream)
        _LOG.info("ready")

    @property
    def connected(self) -> bool:
        """Whether the connection to NATS stands now."""
        client = self.broker._connection
        return bool(client and client.is_connected)

    @property
    def working_on(self) -> int:
        """Requests that are taken and not yet answered."""
        return len(self._late)

    async def stop(self) -> None:
        """Stop listening; what is late is given back, and asked again at the next start."""
        late = dict(self._late)
        await end(*late)
        with contextlib.suppress(*AWAY):
            await self._subscriber.stop()  # first, or what is given back comes straight to us again
            for message in late.values():
                await message.nack()  # nothing happens to one that is answered
            await self.broker.stop()


def _pause_s(message: NatsMessage) -> float:
    """1, 2, 4 … 300 s by the number of times that the request has come."""
    times = message.raw_message.metadata.num_delivered or 1
    return float(min(FIRST_PAUSE_S * 2.0 ** (times - 1), LONGEST_PAUSE_S))
