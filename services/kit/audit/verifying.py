"""Verifies an exported chain, offline, in one pass and flat memory: names the first row that was altered, removed or inserted.

An export is JSON Lines: a header; each seal with its entry, as an array; heads and days after the seal that they count to, what
is not sealed, and a trailer, as objects. A head that others hold, a witness, is believed like one of the chain's own.

Where whoever changed a row did not compute the chain anew, the row is named. Where they did, no hash tells which row it was:
the seals between the last head that agrees and the first that does not are named instead, which one of a batch's heads, signed or
held by others, bounds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.kit.audit import heads
from services.kit.audit.chain import NO_PAYLOAD, digest_of, first, linked
from services.kit.audit.findings import Finding, Kind
from services.kit.audit.merkle import Tree
from services.kit.language import Words
from services.kit.statements import NotSigned

FORMAT = 1
SIGNED_EVERY = 1_000  # seals: a signature that holds covers all before it, so few need be looked at
LOOKED_AHEAD = 10_000  # seals after a break, in which a head may tell what it was


@dataclass
class Report:
    """What was seen. `signed_to` is the last seal that a verified signature covers."""

    service: str = ""
    seals: int = 0
    heads: int = 0
    days: int = 0
    expired: int = 0
    expired_to: str = ""
    unsealed: int = 0
    witnesses: int = 0
    signed_to: int = 0
    finding: Finding | None = None

    def described(self) -> dict[str, Any]:
        """For programs."""
        told = {name: value for name, value in vars(self).items() if name not in ("finding", "signed_to", "expired_to")}
        return {
            **told,
            "expiredTo": self.expired_to or None,
            "signedTo": self.signed_to,
            "unsigned": [self.signed_to + 1, self.seals] if self.signed_to < self.seals else None,
            "holds": self.finding is None,
            "finding": self.finding.described() if self.finding else None,
        }


@dataclass(frozen=True, slots=True)
class Witness:
    """A head as somebody holds it."""

    service: str
    count: int
    hash: bytes
    jws: str


def witnesses(lines: Iterable[bytes]) -> Iterator[Witness]:
    """The heads that a file holds: one that was kept outside, or another service's export, up to its first seal. Lines that are
    none are passed by."""
    for line in lines:
        try:
            told = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue  # a line that was being written when its machine stopped
        if isinstance(told, list):
            return
        told = told.get("witness", told) if isinstance(told, dict) else {}
        try:
            yield Witness(told["service"], int(told["count"]), bytes.fromhex(told["hash"]), told["jws"])
        except (KeyError, TypeError, ValueError):
            continue


@dataclass
class Verification:
    """One pass over an export. `keys` are the public keys of services, without which no signature is looked at."""

    keys: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)
    held: Iterable[Witness] = ()
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    told: Callable[[int], None] = lambda _: None

    def of(self, lines: Iterable[bytes]) -> Report:
        """Verify. Never raises for what a file holds: the report says it."""
        self._report, self._hash, self._prev = Report(), b"", b""
        self._agreed = 0  # the last seal at which a head, or a witness, agreed
        self._signed: heads.Head | None = None
        self._unverified: tuple[int, str] | None = None
        self._break: _Break | None = None
        self._tree, self._ended = Tree(), False
        try:
            self._pass(lines)
        except Finding as finding:
            self._report.finding = finding
        except (KeyError, ValueError, TypeError, IndexError, AttributeError) as problem:
            what = f"{type(problem).__name__} after seal {self._report.seals}"
            self._report.finding = Finding(Kind.FILE, what=Words(what, what))
        return self._report

    def _pass(self, lines: Iterable[bytes]) -> None:
        reading = iter(lines)
        self._begin(orjson.loads(next(reading, b"null")))
        read = 0
        for line in reading:
            read += len(line)
            told = orjson.loads(line)
            if type(told) is list:
                self._seal(told)
                if not self._report.seals & 0xFFF:
                    self.told(read)
            else:
                for kind, value in told.items():
                    self._other(kind, value)
        self._end()

    def _begin(self, header: Mapping[str, Any]) -> None:
        if header["audit"] != FORMAT:
            raise Finding(Kind.FILE, what=Words("another format", "un autre format"))
        self._report.service = header["service"]
        self._hash = first(header["service"])
        self._today = min(self.today, datetime.fromisoformat(header["exportedAt"]).date())
        self._witnesses: dict[int, set[bytes]] = {}
        for witness in self.held:
            if witness.service == header["service"] and self._is_believed(witness):
                self._witnesses.setdefault(witness.count, set()).add(witness.hash)
        self._report.witnesses = sum(map(len, self._witnesses.values()))

    def _is_believed(self, witness: Witness) -> bool:
        if not self.keys:
            return True
        try:
            head = heads.read(witness.jws, self.keys)
        except NotSigned:
            return False
        return (head.service, head.count, head.hash, head.day) == (witness.service, witness.count, witness.hash, None)

    # -- seals

    def _seal(self, told: Sequence[Any]) -> None:
        seq, entry_id, digest, keep_until, prev, hashed, salt, entry = told
        digest, prev, hashed = bytes.fromhex(digest), bytes.fromhex(prev), bytes.fromhex(hashed)
        if seq != self._report.seals + 1:
            raise (
                Finding(Kind.REMOVED, self._report.seals + 1, seq - 1)
                if seq > self._report.seals
                else Finding(Kind.INSERTED, seq, seq, entry_id)
            )
        if linked(prev, UUID(entry_id), digest, date.fromisoformat(keep_until)) != hashed:
            raise Finding(Kind.ALTERED, seq, seq, entry_id)
        if prev != self._hash and self._break is None:
            if prev == self._prev:  # it follows what the one before follows
                raise Finding(Kind.INSERTED, seq - 1, seq - 1)
            self._break = _Break(seq)
        self._payload(seq, entry_id, digest, keep_until, salt, entry)
        self._report.seals, self._prev, self._hash = seq, prev, hashed
        self._tree.add(hashed)
        if self._break is not None:
            self._break.seen(seq, prev, hashed)
        elif seq in self._witnesses:
            self._agree(seq, self._witnesses[seq])

    def _payload(self, seq: int, entry_id: str, digest: bytes, keep_until: str, salt: str | None, entry: Any) -> None:
        if entry is None:
            if digest == NO_PAYLOAD or keep_until >= self._today.isoformat():
                raise Finding(Kind.REMOVED, seq, seq, entry_id)
            self._report.expired += 1
            self._report.expired_to = max(self._report.expired_to, keep_until)
        elif entry["id"] != entry_id or salt is None or digest_of(bytes.fromhex(salt), entry) != digest:
            raise Finding(Kind.ALTERED, seq, seq, entry_id)

    # -- heads

    def _agree(self, count: int, hashes: set[bytes]) -> None:
        if hashes != {self._hash}:
            raise Finding(Kind.REWRITTEN, self._agreed + 1, count)
        self._agreed = count

    def _other(self, kind: str, value: Mapping[str, Any]) -> None:
        match kind:
            case "head":
                self._head(value)
            case "day":
                self._day(value)
            case "unsealed":
                self._report.unsealed += 1
            case "stray":  # neither sealed nor waiting
                raise Finding(Kind.INSERTED, entry=value["id"])
            case "end":
                self._ended = True

    def _head(self, told: Mapping[str, Any]) -> None:
        count, hashed = told["count"], bytes.fromhex(told["hash"])
        self._report.heads += 1
        if self._break is not None:
            self._break.bounded(count, hashed)
            return
        if count > self._report.seals:
            raise Finding(Kind.CUT, self._report.seals + 1, count)
        if told["jws"]:
            self._claim(count, told["jws"])
            if hashed != self._hash and self.keys:  # what is signed agrees, what stands beside it does not
                raise Finding(Kind.HEAD_ALTERED, count, count)
        self._agree(count, {hashed})

    def _claim(self, count: int, jws: str) -> None:
        """Look at what a signed head says, and now and then at its signature."""
        if not self.keys:
            return
        self._unverified = (count, jws)
        agrees = heads.claimed(jws) == (self._report.service, count, self._hash)
        if not agrees or count - self._report.signed_to >= SIGNED_EVERY:
            self._verify()
        if not agrees:
            raise Finding(Kind.HEAD_ALTERED, count, count)

    def _verify(self) -> None:
        """Hold the last signed head to its signature and to the chain."""
        if self._unverified is None:
            return
        count, jws = self._unverified
        self._unverified = None
        try:
            head = heads.read(jws, self.keys)
        except NotSigned:
            raise Finding(Kind.HEAD_ALTERED, self._report.signed_to + 1, count) from None
        if (head.service, head.count) != (self._report.service, count):
            raise Finding(Kind.HEAD_ALTERED, self._report.signed_to + 1, count)
        if head.hash != self._hash:
            raise Finding(Kind.REWRITTEN, self._agreed + 1, count)
        self._report.signed_to = count

    def _day(self, told: Mapping[str, Any]) -> None:
        """The root over the seals since the day before; the tree begins anew."""
        root, self._tree = self._tree.root(), Tree()
        self._report.days += 1
        if self._break is None and (told["last"] != self._report.seals or bytes.fromhex(told["root"]) != root):
            raise Finding(Kind.REWRITTEN, told["first"], told["last"])
        if told["jws"] and self.keys:
            try:
                head = heads.read(told["jws"], self.keys)
            except NotSigned:
                raise Finding(Kind.HEAD_ALTERED, told["first"], told["last"]) from None
            if (head.hash, str(head.day), head.count) != (root, told["day"], told["last"]):
                raise Finding(Kind.REWRITTEN, told["first"], told["last"])

    def _end(self) -> None:
        if self._break is not None:
            raise self._break.unknown()
        self._verify_last()
        if not self._ended:
            raise Finding(Kind.FILE, what=Words("its end is missing", "la fin manque"))
        if self._report.heads and self._agreed < self._report.seals:  # each batch ends with a head
            raise Finding(Kind.INSERTED, self._agreed + 1, self._report.seals)
        if later := [count for count in self._witnesses if count > self._report.seals]:
            raise Finding(Kind.CUT, self._report.seals + 1, max(later))

    def _verify_last(self) -> None:
        if self._unverified is None:
            return
        count, jws = self._unverified
        try:
            if heads.read(jws, self.keys).count != count:
                raise Finding(Kind.HEAD_ALTERED, self._report.signed_to + 1, count)
        except NotSigned:
            raise Finding(Kind.HEAD_ALTERED, self._report.signed_to + 1, count) from None
        self._report.signed_to = count


class _Break:
    """A seal that does not follow the one before it: what it was is told by a head that comes after."""

    def __init__(self, at: int) -> None:
        self._at, self._counted, self._wanted = at, dict[bytes, int](), dict[bytes, int]()
        self._hash, self._altered = (
            b"",
            at - 1,
        )  # the seal before was computed anew, or, where the next breaks too, this one

    def seen(self, seq: int, prev: bytes, hashed: bytes) -> None:
        """A seal after the break, or the one at it. Raises Finding."""
        if seq == self._at + 1 and prev != self._hash:
            self._altered = self._at
        self._counted[hashed], self._hash = seq, hashed
        if hashed in self._wanted:
            raise self._told(seq, self._wanted[hashed])
        if len(self._counted) > LOOKED_AHEAD:
            raise self.unknown()

    def bounded(self, count: int, hashed: bytes) -> None:
        """A head after the break. Raises Finding."""
        if hashed in self._counted:
            raise self._told(self._counted[hashed], count)
        self._wanted[hashed] = count

    def unknown(self) -> Finding:
        """No head tells."""
        return Finding(Kind.BROKEN, max(self._at - 1, 1), self._at)

    def _told(self, stands: int, counted: int) -> Finding:
        """The hash that a head gave to the `counted`-th seal is that of the one that `stands` there now."""
        if stands == counted:
            return Finding(Kind.ALTERED, self._altered, self._altered)
        if stands < counted:
            return Finding(Kind.REMOVED, self._at, self._at + counted - stands - 1)
        return Finding(Kind.INSERTED, self._at - (stands - counted), self._at - 1)
