"""What the programs answer, and that they do it once in effect, whatever happens on the way."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.local import nats as nats_server
from clusters.programs import answering
from clusters.programs.answering import ProgramRequested, Programs, asked_of, decide, envelope
from clusters.programs.behaviour import PROGRAMS, REASONS, Behaviours
from services.business_registration.events import ProgramDecided as Understood
from services.business_registration.events import ProgramRequested as Sent
from tests.clusters.programs.conftest import Json, Registry, Running, enveloped, request, until

CONTRACTS = Path(__file__).parents[3] / "contracts" / "events"


def asked(**changes: Any) -> ProgramRequested:
    return ProgramRequested.model_validate(request(**changes))


def keeps_the_contract(data: Json) -> None:
    contract = json.loads((CONTRACTS / "program.decided.v1.json").read_text())
    jsonschema.Draft202012Validator(contract).validate(data)
    jsonschema.Draft202012Validator(Understood.schema_()).validate(data)


class TestDecisions:
    @pytest.mark.parametrize("program", PROGRAMS)
    @pytest.mark.parametrize("refuse", [None, *REASONS])
    def test_the_registry_understands_each(self, program: str, refuse: str | None) -> None:
        data = decide(asked(program=program), refuse).data()
        keeps_the_contract(data)
        read = Understood.model_validate(data)
        assert (read.outcome == "REFUSED", read.reason_code) == (refuse is not None, refuse)
        assert (read.account_number is None) == (refuse is not None)

    def test_a_refusal_gives_its_reason_in_both_languages(self) -> None:
        reason = decide(asked(), "ACCOUNT_IN_ARREARS").reason
        assert reason is not None
        assert reason.en.startswith("An earlier account")
        assert reason.fr.startswith("Un de vos anciens comptes")

    def test_a_request_that_comes_again_gets_the_same_account_under_the_same_event(self) -> None:
        once, again = (decide(asked(requestId="6ba7b810-9dad-41d1-80b4-00c04fd430c8"), None) for _ in range(2))
        assert once.account_number == again.account_number
        assert envelope(once)["id"] == envelope(again)["id"]

    def test_other_requests_get_other_accounts(self) -> None:
        decisions = [decide(asked(program=program), None) for program in PROGRAMS]
        assert len({d.account_number for d in decisions}) == len({envelope(d)["id"] for d in decisions}) == 4

    def test_each_program_numbers_accounts_its_own_way(self) -> None:
        numbers = [decide(asked(program=program), None).account_number or "" for program in PROGRAMS]
        assert [number.split("-")[0] for number in numbers] == ["BN", "EHT", "RST", "WC"]

    def test_the_envelope_names_the_application(self) -> None:
        wanted = asked()
        told = envelope(decide(wanted, None))
        assert (told["specversion"], told["type"], told["subject"]) == (
            "1.0",
            "program.decided.v1",
            wanted.application_id,
        )


class TestReading:
    def test_what_the_registry_sends_is_read(self) -> None:
        data = Sent.model_validate(request()).data()
        read = asked_of(enveloped(data))
        assert read is not None
        assert str(read.request_id) == data["requestId"]

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"not json",
            b"[]",
            b"null",
            b'"text"',
            b"\xff\xfe",
            b'{"data": null}',
            b'{"data": {}}',
            enveloped(request(requestId="no uuid")),
            enveloped(request(requestId=7)),
            enveloped(request(program="LOTTERY")),
            enveloped(request(applicationId=None)),
        ],
        ids=[
            *("empty", "words", "a list", "null", "text", "no UTF-8", "no data", "empty data"),
            *("no uuid", "a number", "no program", "no application"),
        ],
    )
    def test_what_is_no_request_is_none(self, body: bytes) -> None:
        assert asked_of(body) is None

    @given(st.binary(max_size=200))
    def test_no_bytes_whatever_make_it_fail(self, body: bytes) -> None:
        assert asked_of(body) is None


class TestAnswering:
    async def test_each_program_answers_for_itself(self, registry: Registry, running: Running) -> None:
        async with running():
            requests = [await registry.ask(program=program) for program in PROGRAMS]
            answers = [(await registry.answer())["data"] for _ in PROGRAMS]
        for answer in answers:
            keeps_the_contract(answer)
        assert {(a["requestId"], a["program"], a["outcome"]) for a in answers} == {
            (r["requestId"], r["program"], "APPROVED") for r in requests
        }

    async def test_a_program_told_to_refuse_refuses_and_the_others_go_on(
        self, registry: Registry, running: Running
    ) -> None:
        async with running() as programs:
            programs.behaviours.change({"RETAIL_SALES_TAX": {"refuse": "ACTIVITY_NOT_COVERED"}})
            for program in ("RETAIL_SALES_TAX", "BUSINESS_NAME"):
                await registry.ask(program=program)
            answers = [(await registry.answer())["data"] for _ in range(2)]
        assert {(a["program"], a["outcome"], a["reasonCode"]) for a in answers} == {
            ("RETAIL_SALES_TAX", "REFUSED", "ACTIVITY_NOT_COVERED"),
            ("BUSINESS_NAME", "APPROVED", None),
        }

    async def test_a_program_told_to_fail_is_asked_again_until_it_answers(
        self, registry: Registry, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(answering, "FIRST_PAUSE_S", 0.02)
        async with running() as programs:
            programs.behaviours.change({"RETAIL_SALES_TAX": {"fail": 3}})
            wanted = await registry.ask()
            assert (await registry.answer())["data"]["requestId"] == wanted["requestId"]
            assert programs.behaviours.of("RETAIL_SALES_TAX").fail == 0
            await registry.until_handled()
        assert registry.unread() == 0

    async def test_a_late_answer_holds_up_nobody_else(self, registry: Registry, running: Running) -> None:
        async with running() as programs:
            programs.behaviours.change({"RETAIL_SALES_TAX": {"delay_s": 0.5}})
            await registry.ask(program="RETAIL_SALES_TAX")
            await registry.ask(program="BUSINESS_NAME")
            order = [(await registry.answer())["data"]["program"] for _ in range(2)]
        assert order == ["BUSINESS_NAME", "RETAIL_SALES_TAX"]

    async def test_what_is_no_request_is_put_aside_and_the_next_is_answered(
        self, registry: Registry, running: Running
    ) -> None:
        async with running():
            await registry.put(b"not json")
            await registry.put(enveloped(request(program="LOTTERY")))
            wanted = await registry.ask()
            assert (await registry.answer())["data"]["requestId"] == wanted["requestId"]
            await registry.until_handled()
        assert registry.unread() == 0

    async def test_the_same_request_sent_twice_is_one_event(self, registry: Registry, running: Running) -> None:
        async with running():
            wanted = await registry.ask()
            await registry.put(enveloped(wanted))
            first = await registry.answer()
            await registry.until_handled()
            same = [first] + [await registry.answer() for _ in range(registry.unread())]
        assert len({(a["id"], a["data"]["accountNumber"]) for a in same}) == 1


class TestAbsence:
    """Nothing that was asked is lost while the programs, or the stream, are away."""

    async def test_what_was_asked_meanwhile_is_answered_afterwards(self, registry: Registry, running: Running) -> None:
        wanted = await registry.ask()
        async with running():
            assert (await registry.answer())["data"]["requestId"] == wanted["requestId"]

    async def test_what_was_late_when_they_stopped_is_answered_by_the_next(
        self, registry: Registry, running: Running, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with running() as programs:
            programs.behaviours.change({"RETAIL_SALES_TAX": {"delay_s": 600}})
            wanted = await registry.ask()
            await until(lambda: programs.working_on)
        async with running():
            assert (await registry.answer())["data"]["requestId"] == wanted["requestId"]

    async def test_they_live_through_a_restart_of_the_stream(
        self, registry: Registry, running: Running, own_nats: nats_server.Nats, nats_log: Path
    ) -> None:
        async with running() as programs:
            own_nats.stop()
            await until(lambda: not programs.connected)
            again = nats_server.start(nats_log.parent / "nats", own_nats.port, nats_log, durable=False)
            try:
                await until(lambda: programs.connected)
                wanted = await registry.ask()
                assert (await registry.answer())["data"]["requestId"] == wanted["requestId"]
            finally:
                await programs.stop()
                again.stop()

    async def test_stopping_without_a_stream_is_quiet(self) -> None:
        await Programs("nats://127.0.0.1:1", Behaviours()).stop()
