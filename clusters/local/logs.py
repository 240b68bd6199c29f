"""`onedoor logs`: the end of a part's log, and what comes after it."""

import sys
import time
from collections import deque
from pathlib import Path

from clusters.local.folder import locate
from clusters.topology import BY_NAME, Unknown
from services.kit.language import spoken


def show(name: str, data: Path | None, lines: int, *, follow: bool) -> None:
    """Print the last lines of a log; with `follow`, go on until interrupted. Raises Unknown."""
    folder = locate(data)
    log = folder.log(name)
    if name not in (*BY_NAME, "onedoor") or not log.exists():
        held = ", ".join(sorted(path.stem for path in folder.logs.glob("*.log"))) or "-"
        raise Unknown(
            spoken(
                f"there is no log of {name!r} in {folder.logs}; there are: {held}",
                f"il n’y a pas de journal de {name!r} dans {folder.logs}\u00a0; il y a\u00a0: {held}",
            )
        )
    with log.open(errors="replace") as file:
        sys.stdout.writelines(deque(file, maxlen=lines))
        while follow:
            if text := file.read():
                sys.stdout.write(text)
                sys.stdout.flush()
            else:
                time.sleep(0.3)  # a file cannot tell when it grows
