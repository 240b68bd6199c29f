"""`onedoor` as a terminal of a language meets it: arguments, output, exit code. Its words are chosen when it is imported, so each
language has a process, which answers one command line after the other: to start one for each takes half a second.

That `onedoor` is a program of its own which starts and ends is shown where provinces are (`local`, `tests/journeys`).
"""

import atexit
import json
import subprocess
import sys
from functools import cache
from typing import IO

PROGRAM = """
import contextlib, io, json, sys, traceback
from clusters.__main__ import main

for line in sys.stdin:
    sys.argv = ["onedoor", *json.loads(line)]
    code = 0
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(io.StringIO()) as complained:
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        except BaseException:
            traceback.print_exc()
            code = 1
    print(json.dumps([code, said.getvalue(), complained.getvalue()]), flush=True)
"""


def onedoor(*arguments: str, lang: str = "C.UTF-8") -> "subprocess.CompletedProcess[str]":
    """What a command line says, and how it ends."""
    asked, answers = _terminal(lang)
    print(json.dumps(arguments), file=asked, flush=True)
    code, said, complained = json.loads(answers.readline())
    return subprocess.CompletedProcess(arguments, code, said, complained)


@cache
def _terminal(lang: str) -> tuple[IO[str], IO[str]]:
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": lang, "COLUMNS": "120"}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)  # its input ends, and so does it
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout
