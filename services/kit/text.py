"""`Text`: a bilingual value in data and in GraphQL. A missing half stays visible as null, and can be counted."""

from typing import Any

import strawberry
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field
from strawberry.federation.schema_directives import Shareable

from services.kit.language import Language, Words, request_language

LanguageEnum = strawberry.enum(Language, name="Language", description="English or French.")


@strawberry.type(directives=[Shareable()], description="The same text in both languages.")
class Text:
    """Both halves of a text; None where a translation is missing."""

    en: str | None = None
    fr: str | None = None

    @strawberry.field(  # type: ignore[untyped-decorator] # Strawberry's overloads lose the type here
        name="in", description="One language: the request's when none is named; the other half where one is missing."
    )
    def in_(self, language: LanguageEnum | None = None) -> str | None:  # type: ignore[valid-type]
        return self.of(language or request_language.get())

    def of(self, language: Language) -> str | None:
        """The half in one language, or the other half where it is missing: a text in the wrong language beats none."""
        return (self.fr or self.en) if language is Language.FR else (self.en or self.fr)

    @property
    def missing(self) -> tuple[Language, ...]:
        """The languages whose half is missing."""
        return tuple(language for language in Language if not getattr(self, language.value))

    @classmethod
    def from_words(cls, words: Words) -> "Text":
        """A text from words, which always have both halves."""
        return cls(en=words.en, fr=words.fr)


class TextType(TypeDecorator[Text]):
    """Stores a Text as JSONB `{"en": ..., "fr": ...}`."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return {"en": value.en, "fr": value.fr} if isinstance(value, Text) else value

    def process_result_value(self, value: Any, dialect: Dialect) -> Text | None:
        return None if value is None else Text(en=value.get("en"), fr=value.get("fr"))


def text_column(**options: Any) -> Any:
    """A SQLModel column that holds a Text; `nullable=True` for a text that may be absent as a whole."""
    return Field(sa_type=TextType, **options)
