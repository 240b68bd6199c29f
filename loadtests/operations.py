"""The named operations of `contracts/operations`, as the text that clients send."""

from functools import lru_cache
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "contracts" / "operations"


@lru_cache
def text(name: str) -> str:
    """The operation's text. Raises FileNotFoundError for an operation that is not registered."""
    return (FOLDER / f"{name}.graphql").read_text()
