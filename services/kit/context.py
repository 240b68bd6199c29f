"""The context of a call, which the gateway writes and signs: which request and fetch it is, on whose behalf and for what.

`purpose` and `authority` are chosen by who asks: they select, they never grant. The service resolves them against the token
and what it holds itself. Without a signature, in local mode and tests, the same is told by plain headers.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import unquote

from services.kit.language import Language, negotiate

SELF = "self"
_TEXT = re.compile(r"[ !#-\[\]-~]{0,200}")
LONGEST_REASON = 200  # characters
_WORDS = r'%"(?:[ !#$&-~]|%[0-9a-f]{2}){0,2400}"'  # a text in any language, as a Display String. Source: RFC 9651.
# Strings without escapes, whole numbers, tokens and lists of strings: what a context holds beside. Source: RFC 8941.
_MEMBER = re.compile(
    r'(?P<name>[a-z*][a-z0-9_.*-]{0,30})=(?:"(?P<text>[ !#-\[\]-~]{0,200})"|(?P<number>[0-9]{1,15})'
    r'|(?P<token>[A-Za-z][A-Za-z0-9_.:-]{0,30})|\( *(?P<list>(?:"[ !#-\[\]-~]{0,200}"(?: +|(?=\))))*)\)'
    rf"|(?P<words>{_WORDS}))"
    r"(?:[ \t]*,[ \t]*(?=.)|\Z)"
)
_KINDS = {"lang": "token", "deadline": "number", "for": "list", "reason": "words"}
AUTHORITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")  # `self`, or a grant's id
_PURPOSE = re.compile(r"[a-z][a-z0-9-]{0,63}")
_PARAMETER = re.compile(rf'; *(?P<name>case|reason)=(?:"(?P<text>[ !#-\[\]-~]{{0,200}})"|(?P<words>{_WORDS}))')


class ContextRefused(Exception):
    """A context that cannot be read; the text says why, for logs."""


class Chosen(NamedTuple):
    """The purpose that somebody chose, by its code, empty for none; with the number of a case and the reason where it asks for
    them."""

    purpose: str = ""
    case: str = ""
    reason: str = ""

    def header(self) -> str:
        """As the value of Onedoor-Purpose."""
        case = f'; case="{self.case}"' if self.case else ""
        return self.purpose + case + (f"; reason={_display(self.reason)}" if self.reason else "")


@dataclass(frozen=True, slots=True)
class Context:
    """`rid` is the gateway's own id of the request, `op` the hash of its document; `fetch` names one fetch and stays over its
    retries, empty where nobody could tell. `authority` is `self` or the id of a grant. `deadline_ms` is Unix time in
    milliseconds; `recipients` are the services that get fields of this fetch through @requires. `case` and `reason` belong to
    the purpose."""

    rid: str = ""
    op: str = ""
    fetch: str = ""
    purpose: str = ""
    authority: str = SELF
    language: Language = Language.EN
    deadline_ms: int | None = None
    recipients: tuple[str, ...] = ()
    case: str = ""
    reason: str = ""

    @property
    def chosen(self) -> Chosen:
        """The purpose, with its case."""
        return Chosen(self.purpose, self.case, self.reason)

    def header(self) -> str:
        """As the value of Onedoor-Context, an RFC 9651 dictionary. Raises ValueError for a text that fits none."""
        texts = {
            "rid": self.rid,
            "op": self.op,
            "fetch": self.fetch,
            "purpose": self.purpose,
            "authority": self.authority,
            **({"case": self.case} if self.case else {}),
        }
        for text in (*texts.values(), *self.recipients):
            if not _TEXT.fullmatch(text):
                raise ValueError(f"{text!r} fits no context")
        members = [f'{name}="{text}"' for name, text in texts.items()]
        if self.reason:
            members.append(f"reason={_display(self.reason)}")
        members.append(f"lang={self.language.value}")
        if self.deadline_ms is not None:
            members.append(f"deadline={self.deadline_ms}")
        listed = " ".join(f'"{name}"' for name in self.recipients)
        return ", ".join([*members, f"for=({listed})"])


def read(header: str) -> Context:
    """The context in a header. Members that are not known are passed over. Raises ContextRefused."""
    found: dict[str, re.Match[str]] = {}
    at = 0
    while at < len(header):
        member = _MEMBER.match(header, at)
        if member is None or member["name"] in found:
            raise ContextRefused("form")
        found[member["name"]] = member
        at = member.end()

    def value(name: str, default: str | None = None) -> str:
        if name not in found:
            if default is not None:
                return default
            raise ContextRefused(f"no {name}")
        held: str | None = found[name][_KINDS.get(name, "text")]
        if held is None:
            raise ContextRefused(f"type of {name}")
        return held

    rid, op, fetch, purpose, authority = map(value, ("rid", "op", "fetch", "purpose", "authority"))
    if not (rid and fetch and authority):
        raise ContextRefused("empty rid, fetch or authority")
    case, reason = value("case", ""), value("reason", '%""')
    with suppress(ValueError):  # of a language, and of what is no UTF-8
        language, recipients = Language(value("lang")), tuple(value("for").split('"')[1::2])
        deadline_ms = int(value("deadline"))
        return Context(rid, op, fetch, purpose, authority, language, deadline_ms, recipients, case, _displayed(reason))
    raise ContextRefused("language, or reason")


def choice(header: str) -> Chosen | None:
    """The purpose in a header `Onedoor-Purpose`, `code; case="…"; reason="…"`: an item of RFC 8941 whose parameters may be
    Display Strings (RFC 9651), for words in any language. None for what is no such header; an empty one chooses nothing."""
    if not header:
        return Chosen()
    code = _PURPOSE.match(header)
    found: dict[str, str] = {}
    at = code.end() if code else 0
    while code and at < len(header):
        parameter = _PARAMETER.match(header, at)
        if parameter is None or parameter["name"] in found:
            return None
        text = parameter["text"]
        try:
            found[parameter["name"]] = text if text is not None else _displayed(parameter["words"])
        except ValueError:
            return None
        at = parameter.end()
    case, reason = found.get("case", ""), found.get("reason", "")
    fits = code is not None and _TEXT.fullmatch(case) and len(reason) <= LONGEST_REASON
    return Chosen(code[0], case, reason) if code is not None and fits else None


def _display(text: str) -> str:
    """A text as a Display String."""
    plain = (chr(b) if 0x20 <= b < 0x7F and b not in b'%"' else f"%{b:02x}" for b in text.encode())
    return f'%"{"".join(plain)}"'


def _displayed(written: str) -> str:
    """The text of a Display String. Raises ValueError for what is no printable text."""
    text = unquote(written[2:-1], errors="strict")
    if not text.isprintable():
        raise ValueError(text)
    return text


def unsigned(headers: Mapping[bytes, str], rid: str) -> Context:
    """The context that plain headers tell of a request, where no signature is asked for. What cannot be read counts as absent; an
    authority is nobody's then, since who meant to act for another must not act for themselves."""
    deadline = headers.get(b"onedoor-deadline", "")
    told, authority = choice(headers.get(b"onedoor-purpose", "")) or Chosen(), headers.get(b"onedoor-authority", SELF)
    return Context(
        rid=rid,
        purpose=told.purpose,
        authority=authority if AUTHORITY.fullmatch(authority) else "",
        language=negotiate(headers.get(b"accept-language", "")),
        deadline_ms=int(deadline) if deadline.isascii() and deadline.isdecimal() and len(deadline) <= 15 else None,
        case=told.case,
        reason=told.reason,
    )
