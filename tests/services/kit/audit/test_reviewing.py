"""The sample of statutory looks: one in ten, always the same, of nothing else."""

from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from services.kit.audit.reviewing import is_sampled, sampled

IDS = [UUID(int=n) for n in range(5_000)]


def line(entry_id: UUID, purpose: str = "statutory-investigation") -> bytes:
    entry: dict[str, Any] = {"id": str(entry_id), "purpose": purpose, "case_number": "2026-7"}
    return orjson.dumps([1, str(entry_id), "", "2030-01-01", "", "", "", entry])


class TestTheSample:
    def test_is_one_in_ten(self) -> None:
        assert 430 < sum(map(is_sampled, IDS)) < 570

    def test_is_the_same_whoever_draws_it(self) -> None:
        chosen = [UUID(entry["id"]) for entry in sampled(map(line, IDS))]
        assert chosen == [i for i in IDS if is_sampled(i)]
        again = [UUID(entry["id"]) for entry in sampled(map(line, reversed(IDS)))]
        assert again == chosen[::-1]

    def test_is_of_looks_with_a_case_only(self) -> None:
        assert list(sampled(line(i, "inspection-conduct") for i in IDS[:200])) == []

    def test_passes_over_what_is_no_entry_and_what_has_had_its_time(self) -> None:
        gone = orjson.dumps([1, str(uuid4()), "", "2030-01-01", "", "", None, None])
        assert list(sampled([b'{"audit": 1}', gone, b"[]", b'{"end": {"seals": 1}}'])) == []

    def test_of_no_export_is_refused(self) -> None:
        with pytest.raises(ValueError, match="line 1 column 1"):
            list(sampled([b"not JSON"]))
