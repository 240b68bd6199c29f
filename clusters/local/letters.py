"""The letters of local mode: files in the data folder, which the service of accounts writes in place of sending them."""

from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from clusters.topology import Unknown
from services.kit.language import spoken


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter as its reader sees it. `name` is its file's, `date` as RFC 5322 writes it."""

    name: str
    date: str
    to: str
    title: str
    text: str


def read(folder: Path, beginning: str = "") -> list[Letter]:
    """The letters in a folder whose name begins so, oldest first. Raises Unknown where a beginning is given that none has."""
    files = sorted(folder.glob("*.eml"), key=lambda path: path.stat().st_mtime_ns)
    found = [_letter(path) for path in files if path.stem.startswith(beginning)]
    if beginning and not found:
        raise Unknown(
            spoken(
                f"no letter’s name begins with {beginning}; list them: onedoor mail",
                f"aucune lettre n’a un nom qui commence par {beginning}\u00a0; listez-les\u00a0: onedoor mail",
            )
        )
    return found


def shown(letters: list[Letter], *, whole: bool) -> str:
    """Letters for a terminal: a line each, or all of them whole."""
    if not letters:
        return spoken("no letter yet", "aucune lettre pour l’instant")
    if not whole:
        return "\n".join(f"{one.name[:8]}  {one.to}  {one.title}" for one in letters)
    return "\n\n".join(f"{one.date}\n{one.to}\n{one.title}\n\n{one.text}" for one in letters)


def _letter(path: Path) -> Letter:
    message = message_from_bytes(path.read_bytes(), policy=default)
    body = message.get_body(("plain",))
    text = str(body.get_content()).strip() if body else ""
    return Letter(path.stem, str(message["Date"]), str(message["To"]), str(message["Subject"]), text)
