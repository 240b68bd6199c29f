"""Refusals: expected answers of a rule that says no, as data in the caller's language. Raising one rolls back, or says not."""

import re
from typing import ClassVar

import strawberry
from strawberry.federation.schema_directives import Shareable

from services.kit.language import Words
from services.kit.text import Text


@strawberry.type(directives=[Shareable()], description="A rule said no: why, where, and what would help.")
class Refused:
    """The refusing member of every mutation's result."""

    code: str
    field: str | None
    message: Text


class Refusal(Exception):
    """A kind of refusal. Declare one per rule:

    `class NameTaken(Refusal, field="name", en="{name} is taken; choose another.", fr="…")` has the code NAME_TAKEN.
    Placeholders are filled by keyword arguments: `raise NameTaken(name=...)`; `at` overrides the field. With `keeps=True` what
    was done before it stays, such as a try that is counted; a mutation with an idempotency key has none of that.
    """

    code: ClassVar[str]
    field: ClassVar[str | None]
    words: ClassVar[Words]
    keeps: ClassVar[bool]

    def __init_subclass__(
        cls, *, en: str, fr: str, field: str | None = None, code: str | None = None, keeps: bool = False
    ) -> None:
        cls.code = code or re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).upper()
        cls.field, cls.keeps = field, keeps
        cls.words = Words(en, fr)

    def __init__(self, *, at: str | None = None, **values: object) -> None:
        super().__init__(self.code)
        self.at = at or self.field
        self.message = self.words.filled(**values)

    def answer(self) -> Refused:
        """The refusal as the data that the caller gets."""
        return Refused(code=self.code, field=self.at, message=Text.from_words(self.message))


class InvalidInput(
    Refusal,
    en="{field}: {detail_en}. Correct this field and send it again.",
    fr="{field} : {detail_fr}. Corrigez ce champ et renvoyez-le.",
):
    """A field's value cannot be accepted as it is."""


class IdempotencyKeyReused(
    Refusal,
    field="idempotencyKey",
    en="This idempotency key came before with other input. Use a new key for a new request.",
    fr="Cette clé d’idempotence a déjà servi à une autre demande. Utilisez une nouvelle clé.",
):
    """The same key with other input would be a different act."""
