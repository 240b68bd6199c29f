"""English and French: the language of a request or of a terminal, and words that a person sees in both. No framework."""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache


class Language(Enum):
    """The two languages of the province, by their ISO 639-1 code; `tag` is that code as headers carry it."""

    EN = "en"
    FR = "fr"

    def __init__(self, code: str) -> None:
        self.tag = code.encode("ascii")


@dataclass(frozen=True, slots=True)
class Words:
    """A sentence that a person sees, in both languages. Neither half may be empty."""

    en: str
    fr: str

    def __post_init__(self) -> None:
        if not self.en.strip() or not self.fr.strip():
            raise ValueError(f"a half is missing: {self!r}")

    def of(self, language: Language) -> str:
        """The half in one language."""
        return self.fr if language is Language.FR else self.en

    def filled(self, **values: object) -> "Words":
        """Both halves with their `{placeholders}` filled. Raises KeyError for a placeholder without value."""
        return Words(self.en.format(**values), self.fr.format(**values))


request_language: ContextVar[Language] = ContextVar("request_language", default=Language.EN)


def negotiate(accept_language: str) -> Language:
    """The language of an Accept-Language header: whichever of en and fr has the higher weight, English on a tie.

    Never raises; what cannot be read counts as absent. Source: RFC 9110, section 12.5.4.
    """
    return _negotiated(accept_language[:1000])


@lru_cache(maxsize=256)
def _negotiated(accept_language: str) -> Language:
    best, found = 0.0, Language.EN
    for part in accept_language.split(","):
        tag, _, parameters = part.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        language = {"en": Language.EN, "fr": Language.FR}.get(primary)
        if language is None:
            continue
        weight = _weight(parameters)
        if weight > best:
            best, found = weight, language
    return found


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0


def spoken(en: str, fr: str) -> str:
    """The half of a sentence that whoever started this process reads: for command lines, and for why nothing starts."""
    return fr if is_french() else en


def is_french(env: Mapping[str, str] = os.environ) -> bool:
    """Whether the locale asks for French. The first of the three variables that is set decides, as POSIX says."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := env.get(variable):
            return value.lower().startswith("fr")
    return False
