"""The language of the command line: French when the person's locale is French, else English."""

import os
from collections.abc import Mapping


def spoken(en: str, fr: str) -> str:
    """The half of a sentence that this terminal's user reads."""
    return fr if is_french() else en


def is_french(env: Mapping[str, str] = os.environ) -> bool:
    """Whether the locale asks for French. The first of the three variables that is set decides, as POSIX says."""
    for variable in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := env.get(variable):
            return value.lower().startswith("fr")
    return False
