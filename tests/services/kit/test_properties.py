"""Whatever comes from outside is taken as it stands or refused by name, and nothing else happens."""

import json
import unicodedata
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.faults import Faulted
from services.kit.inputs import Input, find_hostile, validated
from services.kit.inputs import rule as within
from services.kit.pages import decode_cursor, encode_cursor
from services.kit.refusals import InvalidInput
from services.kit.testing import tokens
from services.kit.testing.client import Client
from tests.services.kit.conftest import ISSUE, count

TEXTS = st.text() | st.text(st.characters(categories=["Cc", "Cs", "Cf", "Zs", "Lo", "So"]))
NUMBERS = st.integers() | st.floats() | st.sampled_from([2**31, 2**63, 2**64, 10**400, -(10**400), 1e308, -0.0])
PLAIN = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["street", "depth_m", "x"]), inner),
    max_leaves=12,
)
DATABASE = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


class Well(Input):
    """Where a well stands."""

    street: str = within(min_length=1, max_length=40)
    depth_m: int = within(ge=1, le=500)


class Drilling(Input):
    """What drilling needs."""

    name: str = within(min_length=1, max_length=40)
    wells: list[Well] = within(max_length=3)
    starts: date | None = None
    at: datetime | None = None


def drilling(**changes: Any) -> dict[str, Any]:
    return {"name": "Deep", "wells": [], **changes}


def taken_or_refused(data: dict[str, Any]) -> Drilling | str:
    """The model, or the path of the field that was refused, in both languages. Anything else that is raised fails."""
    try:
        return validated(Drilling, data)
    except InvalidInput as refused:
        assert refused.message.en != refused.message.fr
        refused.message.en.encode()  # what cannot be encoded could not be sent
        refused.message.fr.encode()
        return str(refused.at)


class TestInputs:
    @given(TEXTS)
    def test_a_text_is_taken_as_it_was_written_or_refused_by_the_name_of_its_field(self, text: str) -> None:
        found = taken_or_refused(drilling(name=text))
        if isinstance(found, str):
            assert found == "name"
        else:
            assert found.name == text.strip()
            assert "\x00" not in found.name.encode().decode()
            assert not {unicodedata.category(c) for c in found.name} & {"Cs"}

    @given(TEXTS, st.integers(0, 3))
    def test_a_hostile_text_is_found_however_deep_it_stands(self, text: str, depth: int) -> None:
        data: Any = text
        for _ in range(depth):
            data = {"a": ["fine", data]}
        assert (find_hostile(data) is None) == (find_hostile(text) is None)

    @given(st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "wells", "starts", "at", "more"), PLAIN)))
    def test_whatever_is_sent_is_taken_or_refused(self, data: dict[str, Any]) -> None:
        found = taken_or_refused(data)
        if isinstance(found, str):
            assert found.split(".")[0] in {"name", "wells", "starts", "at", "more"}

    @given(NUMBERS)
    def test_a_number_is_taken_within_its_bounds_only(self, number: float) -> None:
        found = taken_or_refused(drilling(wells=[{"street": "King", "depth_m": number}]))
        if isinstance(found, str):
            assert found == "wells.0.depthM"
        else:
            assert 1 <= found.wells[0].depth_m == number <= 500

    @given(
        st.dates().map(str) | st.datetimes().map(datetime.isoformat) | TEXTS | NUMBERS,
        st.sampled_from(["starts", "at"]),
    )
    def test_a_date_is_taken_or_refused_by_the_name_of_its_field(self, moment: Any, name: str) -> None:
        found = taken_or_refused(drilling(**{name: moment}))
        assert found == name if isinstance(found, str) else getattr(found, name) is not None


KEYS = {
    str: st.text().filter(lambda text: find_hostile(text) is None),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    date: st.dates(),
}


class TestCursors:
    @given(st.data())
    def test_give_back_the_key_that_they_were_made_of(self, data: st.DataObject) -> None:
        types = data.draw(st.lists(st.sampled_from(list(KEYS)), min_size=1, max_size=4))
        key = tuple(data.draw(KEYS[kind]) for kind in types)
        cursor = encode_cursor(key)
        assert decode_cursor(cursor, types) == key
        assert cursor.isascii() and cursor.replace("-", "").replace("_", "").isalnum()

    @given(
        TEXTS | PLAIN.map(lambda value: _forged(value)), st.lists(st.sampled_from(list(KEYS)), min_size=1, max_size=3)
    )
    def test_from_elsewhere_are_read_as_keys_of_the_list_or_refused(self, cursor: str, types: list[type]) -> None:
        try:
            key = decode_cursor(cursor, types)
        except Faulted as refused:
            assert refused.fault.code == "BAD_USER_INPUT"
        else:
            assert [type(value) for value in key] == types
            assert find_hostile(list(key)) is None


def _forged(value: Any) -> str:
    with suppress(TypeError):
        return encode_cursor([value, value])
    return encode_cursor([])


class TestIdempotencyKeys:
    @DATABASE
    @given(key=TEXTS | st.sampled_from(["", " ", "x" * 200, "x" * 201, "'", "null", "é", "e\u0301", "😀" * 200]))
    async def test_each_acts_once_or_is_refused_and_changes_nothing(self, client: Client, key: str) -> None:
        before = await count(client.database, "waterpermit")
        variables = {"input": {"lake": "Lake Erie", "businessNumber": "123456789", "idempotencyKey": key}}
        body = json.dumps({"query": ISSUE, "variables": variables}).encode()  # an unpaired surrogate as its escape
        answers = [await _sent(client, body) for _ in "ab"]
        assert answers[0] == answers[1]
        after = await count(client.database, "waterpermit")
        issued = answers[0] is not None and answers[0]["__typename"] == "WaterPermit"
        assert after - before <= issued  # a key of an earlier example is answered as it was then
        if not issued and answers[0] is not None:
            assert answers[0]["field"] == "idempotencyKey"


async def _sent(client: Client, body: bytes) -> Any:
    """What `issuePermit` answered to these bytes; None where they were refused as a whole."""
    access = tokens.token("water:issue", "water:read", username="citizen", audience=client.audience)
    headers = {"content-type": "application/json", "authorization": f"Bearer {access}"}
    answer = await client.post(body, headers)
    assert answer.status < 500 and (answer.data or answer.codes)
    return answer.data["issuePermit"] if answer.data else None
