"""Invitations: a code that is sent by e-mail or told by mouth, by which whoever has it is let in, once, within two weeks.

A code is sixty random bits, so nobody guesses one; its SHA-256 is all that is kept, by which it is found. It is shown in the
answer that makes it and never again: another one takes its place.
"""

import hashlib
import re
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import LargeBinary
from sqlmodel import Field

from services.kit.rates import Rate
from services.kit.refusals import Refusal

OPEN = timedelta(days=14)
TRIED = Rate(times=10, seconds=3600)
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no letter looks like a digit
LENGTH = 12
_SPACES = re.compile(r"[\s-]+")
_ALIKE = str.maketrans("OIL", "011")


class InvitationUnknown(
    Refusal,
    field="code",
    en="No invitation is open by this code. It may be mistyped, answered, withdrawn, or older than two weeks: ask for another.",
    fr="Aucune invitation n’est ouverte sous ce code. Il est peut-être mal saisi, déjà utilisé, retiré ou vieux de plus de deux "
    "semaines : demandez-en un autre.",
):
    """The same answer whatever the reason."""


class OwnInvitation(
    Refusal,
    field="code",
    en="This invitation is your own. It is for somebody else: give them the code.",
    fr="Cette invitation est la vôtre. Elle est destinée à quelqu’un d’autre : donnez-lui le code.",
):
    """Nobody gives themselves what they have."""


def new_code() -> tuple[str, bytes]:
    """A code in three groups of four, and the digest by which it is found."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    return "-".join(code[at : at + 4] for at in range(0, LENGTH, 4)), digest_of(code)


def digest_of(code: str) -> bytes:
    """By what a code is found, however it is written: small or large, with spaces or hyphens, O for 0, I or L for 1."""
    return hashlib.sha256(_SPACES.sub("", code).upper().translate(_ALIKE).encode()).digest()


def digest_column() -> Any:
    """By what an open invitation is found: the digest of its code; null once it is answered."""
    return Field(default=None, sa_type=LargeBinary, nullable=True, unique=True)
