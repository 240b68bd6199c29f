"""Verifying an export offline: what was altered, removed, inserted or cut is named, whoever did it; what expired is not."""

import io
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from joserfc.jwk import OKPKey
from sqlalchemy import select

from services.kit import access_log
from services.kit.audit import chain, tables
from services.kit.audit.announcing import Announcer
from services.kit.audit.exporting import export
from services.kit.audit.findings import Finding, Kind
from services.kit.audit.heads import Head
from services.kit.audit.sealer import Sealer
from services.kit.audit.verifying import Report, Verification, Witness, witnesses
from services.kit.database import Database
from tests.services.kit.audit.conftest import NAME, add, superuser

COUNT, BATCH = 12, 3
PLACES = pytest.mark.parametrize("at", [1, 5, COUNT], ids=["head", "middle", "tail"])
NOW = datetime(2026, 6, 1, tzinfo=UTC)
Lines = list[Any]


def entry(n: int) -> dict[str, Any]:
    return {"id": str(UUID(int=n)), "at": NOW.isoformat(), "actor": "clerk", "subject": f"ann-{n}"}


def link(n: int, prev: bytes, told: dict[str, Any] | None = None, keep_until: str = "2033-01-01") -> list[Any]:
    """The n-th seal, over an entry."""
    told, salt = told or entry(n), bytes([n]) * 16
    digest = chain.digest_of(salt, told)
    hashed = chain.linked(prev, UUID(told["id"]), digest, date.fromisoformat(keep_until))
    return [n, told["id"], digest.hex(), keep_until, prev.hex(), hashed.hex(), salt.hex(), told]


def head(count: int, hashed: str, key: OKPKey | None) -> dict[str, Any]:
    signed = Head(NAME, count, bytes.fromhex(hashed), NOW).signed(key)
    return {"head": {"count": count, "hash": hashed, "at": NOW.isoformat(), "jws": signed}}


def whole(key: OKPKey | None, count: int = COUNT, **said: Any) -> Lines:
    """An export of a chain that is as it should be, one head a batch."""
    lines: Lines = [{"audit": 1, "service": NAME, "exportedAt": NOW.isoformat(), "seals": count}]
    prev = chain.first(NAME)
    for n in range(1, count + 1):
        lines.append(link(n, prev, **said))
        prev = bytes.fromhex(lines[-1][5])
        if n % BATCH == 0:
            lines.append(head(n, lines[-1][5], key))
    return [*lines, {"end": {"seals": count}}]


def seals(lines: Lines) -> Lines:
    return [line for line in lines if isinstance(line, list)]


def place(lines: Lines, n: int) -> int:
    """Where the n-th seal stands."""
    return next(i for i, line in enumerate(lines) if isinstance(line, list) and line[0] == n)


def chained(lines: Lines, begin: int = 1) -> Lines:
    """As somebody would leave it who numbers all seals anew, and computes them from the `begin`-th on."""
    prev = chain.first(NAME)
    for n, seal in enumerate(seals(lines), start=1):
        seal[0] = n
        if n >= begin:
            seal[4] = prev.hex()
            seal[5] = chain.linked(prev, UUID(seal[1]), bytes.fromhex(seal[2]), date.fromisoformat(seal[3])).hex()
        prev = bytes.fromhex(seal[5])
    return lines


def rewritten(lines: Lines, begin: int, key: OKPKey | None = None) -> Lines:
    """As `chained`, and the heads' hashes too; they are signed by another key, or as they were."""
    by_number = {seal[0]: seal[5] for seal in seals(chained(lines, begin))}
    for line in lines:
        if isinstance(line, dict) and "head" in line and line["head"]["count"] in by_number:
            told = line["head"]
            told["hash"] = by_number[told["count"]]
            if key:
                told["jws"] = Head(NAME, told["count"], bytes.fromhex(told["hash"]), NOW).signed(key)
    return lines


@pytest.fixture
def keys(key: OKPKey) -> dict[str, Ed25519PublicKey]:
    return {str(key.kid): key.public_key}  # type: ignore[dict-item]


def verify(lines: Lines, keys: dict[str, Ed25519PublicKey], held: Sequence[Witness] = ()) -> Report:
    encoded = [orjson.dumps(line) + b"\n" for line in lines]
    return Verification(keys, held, date(2026, 7, 1)).of(encoded)


def found(lines: Lines, keys: dict[str, Ed25519PublicKey], held: Sequence[Witness] = ()) -> tuple[Kind, int, int]:
    finding = verify(lines, keys, held).finding
    assert finding is not None
    return finding.kind, finding.first, finding.last


class TestAnExport:
    def test_that_is_whole_holds_and_is_signed_to_its_end(self, key: OKPKey, keys: dict[str, Ed25519PublicKey]) -> None:
        report = verify(whole(key), keys)
        assert (report.finding, report.seals, report.heads, report.signed_to) == (None, COUNT, COUNT // BATCH, COUNT)

    def test_of_nothing_holds(self, keys: dict[str, Ed25519PublicKey]) -> None:
        assert verify(whole(None, 0), keys).finding is None

    def test_without_signatures_says_which_seals_nobody_signed(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey]
    ) -> None:
        lines = whole(key)
        for line in lines[-9:]:
            if isinstance(line, dict) and "head" in line:
                line["head"]["jws"] = ""
        assert verify(lines, keys).described()["unsigned"] == [7, COUNT]

    def test_that_ends_early_is_no_whole_one(self, key: OKPKey, keys: dict[str, Ed25519PublicKey]) -> None:
        assert found(whole(key)[:-1], keys)[0] is Kind.FILE

    @pytest.mark.parametrize("line", [b"", b"[]\n", b'{"audit": 2}\n', b'{"audit": 1}\n', b"\xff\n", b"null\n"])
    def test_that_is_none_is_said_to_be_none(self, keys: dict[str, Ed25519PublicKey], line: bytes) -> None:
        finding = Verification(keys).of([line]).finding
        assert finding is not None
        assert finding.kind is Kind.FILE

    @pytest.mark.parametrize("cell", range(8))
    @pytest.mark.parametrize("value", [None, "", "zz", -1, [], {}], ids=repr)
    def test_with_a_malformed_seal_never_holds(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey], cell: int, value: object
    ) -> None:
        lines = whole(key)
        lines[place(lines, 5)][cell] = value
        assert verify(lines, keys).finding is not None


class TestARow:
    @PLACES
    def test_whose_content_was_altered_is_named(self, key: OKPKey, keys: dict[str, Ed25519PublicKey], at: int) -> None:
        lines = whole(key)
        lines[place(lines, at)][7]["subject"] = "bob"
        assert found(lines, keys) == (Kind.ALTERED, at, at)

    @PLACES
    @pytest.mark.parametrize("cell", [1, 2, 3, 4, 5])
    def test_whose_seal_was_altered_is_named(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey], at: int, cell: int
    ) -> None:
        lines = whole(key)
        seal = lines[place(lines, at)]
        seal[cell] = {1: str(UUID(int=99)), 3: "2020-01-01"}.get(cell, "ab" * 32)
        assert found(lines, keys) == (Kind.ALTERED, at, at)

    @pytest.mark.parametrize("at", [1, 5, COUNT - 1])
    def test_that_was_altered_and_sealed_anew_is_named_by_the_next_head(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey], at: int
    ) -> None:
        lines = whole(key)
        seal = lines[place(lines, at)]
        lines[place(lines, at)] = link(at, bytes.fromhex(seal[4]), {**entry(at), "subject": "bob"})
        assert found(lines, keys) == (Kind.ALTERED, at, at) if at % BATCH else (Kind.REWRITTEN, at, at)

    @PLACES
    def test_that_was_removed_is_named(self, key: OKPKey, keys: dict[str, Ed25519PublicKey], at: int) -> None:
        lines = whole(key)
        del lines[place(lines, at)]
        assert found(lines, keys) == (Kind.CUT if at == COUNT else Kind.REMOVED, at, at)

    @PLACES
    def test_that_was_removed_and_all_numbered_anew_is_named(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey], at: int
    ) -> None:
        lines = whole(key)
        del lines[place(lines, at)]
        assert found(chained(lines, COUNT + 1), keys) == (Kind.CUT if at == COUNT else Kind.REMOVED, at, at)

    @PLACES
    def test_whose_content_alone_was_removed_is_named(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey], at: int
    ) -> None:
        lines = whole(key)
        lines[place(lines, at)][6:] = [None, None]
        assert found(lines, keys) == (Kind.REMOVED, at, at)

    @pytest.mark.parametrize("at", [1, 5, COUNT + 1], ids=["head", "middle", "tail"])
    def test_that_was_inserted_with_a_seal_is_named(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey], at: int
    ) -> None:
        lines = whole(key)
        where = place(lines, at) if at <= COUNT else len(lines) - 1
        before = [seal for seal in seals(lines) if seal[0] < at]
        prev = bytes.fromhex(before[-1][5]) if before else chain.first(NAME)
        lines.insert(where, link(at, prev, entry(77)))
        assert found(chained(lines, COUNT + 9), keys) == (Kind.INSERTED, at, at)

    def test_that_was_inserted_without_a_seal_is_named(self, key: OKPKey, keys: dict[str, Ed25519PublicKey]) -> None:
        lines = whole(key)
        lines.insert(-1, {"stray": {"id": entry(77)["id"]}})
        assert verify(lines, keys).finding == Finding(Kind.INSERTED, entry=entry(77)["id"])


class TestAChainThatWasComputedAnew:
    @PLACES
    @pytest.mark.parametrize("heads", ["as they were", "signed by another", "signed by its own name with another key"])
    def test_is_found_between_the_heads_about_it(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey], at: int, heads: str
    ) -> None:
        lines = whole(key)
        lines[place(lines, at)] = link(at, b"", {**entry(at), "subject": "bob"})
        stranger = OKPKey.generate_key("Ed25519", {"kid": "other-1" if heads == "signed by another" else str(key.kid)})
        kind, first, last = found(rewritten(lines, at, None if heads == "as they were" else stranger), keys)
        assert kind is (Kind.REWRITTEN if heads == "as they were" else Kind.HEAD_ALTERED)
        assert first <= at <= last

    def test_by_who_also_took_the_signatures_away_is_seen_by_a_witness(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey]
    ) -> None:
        held = [Witness(NAME, n, bytes.fromhex(seals(whole(key))[n - 1][5]), "") for n in (3, 7, 10)]
        lines = whole(key)
        lines[place(lines, 5)] = link(5, b"", {**entry(5), "subject": "bob"})
        lines = rewritten(lines, 5)
        for line in lines:
            if isinstance(line, dict) and "head" in line:
                line["head"]["jws"] = ""
        assert verify(lines, keys).described()["unsigned"] == [1, COUNT]
        assert found(lines, {}, held) == (Kind.REWRITTEN, 7, 7)  # its own heads agree up to 6, and say nothing

    def test_from_its_very_beginning_is_no_chain_of_its_service(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey]
    ) -> None:
        lines = whole(key)
        lines[0]["service"] = "lakes"
        assert found(lines, keys)[0] in (Kind.BROKEN, Kind.ALTERED)


class TestATailThatWasCut:
    def test_is_missed_by_the_count_of_a_head(self, key: OKPKey, keys: dict[str, Ed25519PublicKey]) -> None:
        lines = [line for line in whole(key) if not (isinstance(line, list) and line[0] > 8)]
        assert found(lines, keys) == (Kind.CUT, 9, 9)

    def test_with_its_heads_is_missed_by_a_witness_that_others_hold(
        self, key: OKPKey, keys: dict[str, Ed25519PublicKey]
    ) -> None:
        lines = whole(key)
        kept = Witness(
            NAME, COUNT, bytes.fromhex(seals(lines)[-1][5]), head(COUNT, seals(lines)[-1][5], key)["head"]["jws"]
        )
        cut = [*lines[: place(lines, 10)], lines[-1]]
        assert verify(cut, keys).finding is None
        assert found(cut, keys, [kept]) == (Kind.CUT, 10, COUNT)
        assert verify(lines, keys, [kept]).witnesses == 1


class TestAWitness:
    def test_that_nobody_known_has_signed_is_not_believed(self, key: OKPKey, keys: dict[str, Ed25519PublicKey]) -> None:
        lies = [Witness(NAME, 99, bytes(32), ""), Witness(NAME, 99, bytes(32), head(98, "00" * 32, key)["head"]["jws"])]
        report = verify(whole(key), keys, lies)
        assert (report.finding, report.witnesses) == (None, 0)

    def test_is_read_from_a_file_outside_and_from_the_export_of_another_service(self, key: OKPKey) -> None:
        told = {"service": NAME, "count": 3, "hash": "ab" * 32, "at": "2026-06-01T00:00:00Z", "jws": "x"}
        wanted = [Witness(NAME, 3, bytes.fromhex("ab" * 32), "x")]
        assert list(witnesses([orjson.dumps(told), b'{"service": "half'])) == wanted
        export_of_another = [orjson.dumps(line) for line in ({"audit": 1}, {"witness": told}, [1], {"witness": told})]
        assert list(witnesses(export_of_another)) == wanted


class TestAnExpiredEntry:
    def test_leaves_a_chain_that_holds_and_is_counted(self, key: OKPKey, keys: dict[str, Ed25519PublicKey]) -> None:
        lines = whole(key, keep_until="2026-05-31")
        for at in (1, 5, COUNT):
            lines[place(lines, at)][6:] = [None, None]
        report = verify(lines, keys)
        assert (report.finding, report.expired, report.expired_to) == (None, 3, "2026-05-31")

    def test_that_went_on_its_last_day_was_removed(self, key: OKPKey, keys: dict[str, Ed25519PublicKey]) -> None:
        lines = whole(key, keep_until="2026-06-01")  # the day of the export, whatever the day of verifying
        lines[place(lines, 5)][6:] = [None, None]
        assert found(lines, keys) == (Kind.REMOVED, 5, 5)


class TestWords:
    @pytest.mark.parametrize("kind", Kind)
    def test_are_there_in_both_languages_for_each_kind(self, kind: Kind) -> None:
        for finding in (Finding(kind, 3, 3, "id"), Finding(kind, 3, 9), Finding(kind, entry="id")):
            words = finding.words()
            assert words.en != words.fr
            assert "{" not in words.en + words.fr


async def exported(db: Database) -> Lines:
    file = io.BytesIO()
    await export(db.engine, NAME, [access_log.SEALED], file)
    return [orjson.loads(line) for line in file.getvalue().splitlines()]


K = "(SELECT entry_id FROM audit_seal WHERE seq = {at})"
ADDED = "INSERT INTO access_entry (id, request_id, fetch_id, actor, act, subject, category) VALUES ({}, '', '', '', '', '', '')"
DONE: dict[str, tuple[Callable[[int], list[str]], Kind]] = {
    "altered": (lambda at: [f"UPDATE access_entry SET subject = 'bob' WHERE id = {K.format(at=at)}"], Kind.ALTERED),
    "removed": (lambda at: [f"DELETE FROM access_entry WHERE id = {K.format(at=at)}"], Kind.REMOVED),
    "removed with its seal": (lambda at: [f"DELETE FROM audit_seal WHERE seq = {at}"], Kind.REMOVED),
    "inserted": (lambda at: [ADDED.format(f"'00000000-0000-7000-8000-00000000000{at}'")], Kind.INSERTED),
}


class TestTheDatabase:
    @pytest.mark.parametrize("at", [1, 4, 7], ids=["head", "middle", "tail"])
    @pytest.mark.parametrize("done", DONE)
    async def test_changed_by_who_may_do_anything_there_no_longer_verifies(
        self, db: Database, sealer: Sealer, postgres_url: str, keys: dict[str, Ed25519PublicKey], at: int, done: str
    ) -> None:
        for size in (3, 4):
            await add(db, size)
            await sealer.seal_some()
        assert verify(await exported(db), keys).finding is None
        statements, kind = DONE[done]
        await superuser(postgres_url, db, *statements(at))
        finding = verify(await exported(db), keys).finding
        assert finding is not None
        if done == "inserted":
            assert (finding.kind, finding.entry) == (kind, f"00000000-0000-7000-8000-00000000000{at}")
        else:
            cut = done == "removed with its seal" and at == 7
            assert (finding.kind, finding.first, finding.last) == (Kind.CUT if cut else kind, at, at)

    async def test_exports_what_waits_days_and_what_others_told(
        self, db: Database, key: OKPKey, keys: dict[str, Ed25519PublicKey]
    ) -> None:
        await add(db, 2, recipients=["catalogue"], shown_after=NOW)
        await Sealer(db, NAME, [access_log.SEALED], lambda: key, lambda: NOW).seal_some()
        await Announcer(db, NAME, lambda: key).close_a_day()
        await Announcer(db, "lakes", lambda: key).announce()
        await add(db, 1)
        report = verify(lines := await exported(db), keys)
        assert (report.finding, report.seals, report.days, report.unsealed) == (None, 2, 1, 1)
        assert [w.service for w in witnesses(orjson.dumps(line) for line in lines)] == ["lakes"]
        async with db.transaction() as inside:
            assert (await inside.execute(select(tables.days.c.last))).scalar_one() == 2
