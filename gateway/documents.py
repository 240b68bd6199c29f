"""Documents that clients name by their SHA-256 instead of sending them: trusted ones, and those that clients have registered.

Trusted documents come from a manifest that `onedoor compose` writes: by hash the text, or an object of the `text` and the
`purposes` that it carries. Where only they are accepted, everything else is refused before it is parsed. Others are registered by
being sent once with their hash; the oldest are forgotten.
Source: GraphQL over HTTP, appendix on persisted documents (`documentId`); Apollo's automatic persisted queries, version 1.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from gateway import faults as own
from gateway.errors import Json, Refused
from services.kit.language import Language
from services.kit.purposes import purposes

MOST_REGISTERED = 1_000
LONGEST_REGISTERED = 16_384  # characters
_HASH = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


def hash_of(text: str) -> str:
    """A document's name: the SHA-256 of its text in UTF-8, in lower-case hexadecimal. Raises UnicodeEncodeError."""
    return hashlib.sha256(text.encode()).hexdigest()


class Trusted(NamedTuple):
    """A trusted document: its text, and the codes of the purposes for which it may be asked, none where any will do."""

    text: str
    purposes: tuple[str, ...] = ()


def manifest(path: Path) -> Mapping[str, Trusted]:
    """The trusted documents of a file. Raises OSError, and ValueError naming an entry that is not what its hash says."""
    try:
        given = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise ValueError(f"{path} is no manifest of trusted documents: it must be an object of texts by SHA-256")
    return {name: _trusted(path, name, entry) for name, entry in given.items()}


def _trusted(path: Path, name: str, entry: object) -> Trusted:
    """An entry of a manifest. Raises ValueError."""
    match entry:
        case str(text):
            found = Trusted(text)
        case {"text": str(text), "purposes": list(codes), **rest} if not rest:
            found = Trusted(text, tuple(codes))
        case _:
            raise ValueError(f"{path}: under {name[:80]} stands neither a text nor a text with purposes")
    if hash_of(found.text) != name:
        raise ValueError(f"{path}: the text under {name[:80]} has another SHA-256")
    if unknown := [code for code in found.purposes if code not in purposes()]:
        raise ValueError(f"{path}: under {name[:80]} stand purposes that there are not: {unknown}")
    return found


def named(given: Mapping[str, Any]) -> str | None:
    """The hash by which a request names its document, None when it names none. Raises Refused for a name that is malformed."""
    name = given.get("documentId")
    if name is None:
        extensions = given.get("extensions") or {}
        persisted = extensions.get("persistedQuery")
        if persisted is None:
            return None
        name = persisted.get("sha256Hash") if isinstance(persisted, dict) and persisted.get("version") == 1 else None
    elif given.get("query") is not None:
        raise Refused(own.DOCUMENT_MISNAMED)
    found = _HASH.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise Refused(own.DOCUMENT_MISNAMED)
    return found[1]


class NotFound(Refused):
    """No document has the hash. Its message is a word of the protocol, by which clients know that they are to send the text."""

    def __init__(self) -> None:
        super().__init__(own.DOCUMENT_NOT_FOUND)

    def errors(self, request_id: str, language: Language) -> list[Json]:
        """The refusal; its sentence is in `extensions.text`."""
        return [{**error, "message": "PersistedQueryNotFound"} for error in super().errors(request_id, language)]


class Documents:
    """The documents that this process knows by hash."""

    def __init__(self, trusted: Mapping[str, Trusted], *, only_trusted: bool) -> None:
        self.only_trusted = only_trusted
        self.trusted = trusted
        self._registered: OrderedDict[str, str] = OrderedDict()

    def text(self, name: str, given: str) -> str:
        """The text of a hash, which is the given one if any. Raises Refused when unknown, or when they do not belong together."""
        if given:
            if hash_of(given) != name:
                raise Refused(own.DOCUMENT_MISNAMED)
            return given
        trusted = self.trusted.get(name)
        found = self._registered.get(name) if trusted is None else trusted.text
        if found is None:
            raise NotFound
        return found

    def purposes(self, name: str) -> tuple[str, ...]:
        """The purposes that the document of a hash carries."""
        trusted = self.trusted.get(name)
        return () if trusted is None else trusted.purposes

    def register(self, name: str, text: str) -> None:
        """Remember the text of a valid operation, unless it is long or only trusted ones are accepted."""
        if self.only_trusted or len(text) > LONGEST_REGISTERED:
            return
        self._registered[name] = text
        self._registered.move_to_end(name)
        if len(self._registered) > MOST_REGISTERED:
            self._registered.popitem(last=False)

    def admit(self, name: str) -> None:
        """Refuse a hash that is not trusted where only trusted documents are accepted. Raises Refused."""
        if self.only_trusted and name not in self.trusted:
            raise Refused(own.DOCUMENT_NOT_TRUSTED)
