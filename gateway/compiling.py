"""Compiles the engine to machine code, each module as it stands: `python -m gateway.compiling TREE`, as the image is built.

mypyc makes an extension beside each module, and Python then loads that one. Nothing else changes: the same tests pass with
both. A tree that people edit is not compiled: its extensions would go on saying what the modules said.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gateway.engine import execution
from services.kit.language import spoken

ENGINE = Path("gateway") / "engine"
# Those that work while a request waits. Left out are those that keep cached properties, which mypyc does not know, and those that
# read a supergraph.
MODULES = (
    "access",
    "choose",
    "defer",
    "delivery",
    "document",
    "execution",
    "fetches",
    "merge",
    "normalise",
    "passing",
    "places",
    "planner",
    "projection",
    "reading",
    "representation",
    "selection",
    "shaping",
    "sharing",
    "tree",
    "walk",
    "way",
)


def is_compiled() -> bool:
    """Whether this process runs the compiled engine."""
    return not str(execution.__file__).endswith(".py")


def build(tree: Path) -> None:
    """Compile the engine of a tree in place. Needs a C compiler, Python's headers, mypy and setuptools.

    Changes the working folder of this process. Raises SystemExit where something is missing or does not compile.
    """
    from mypyc.build import mypycify
    from setuptools import setup  # type: ignore[import-untyped]

    os.chdir(tree)
    with tempfile.TemporaryDirectory() as made:
        paths = [str(ENGINE / f"{name}.py") for name in MODULES]
        extensions = mypycify(paths, opt_level="3", target_dir=made)
        setup(
            name="onedoor-engine",
            packages=[],
            ext_modules=extensions,
            script_args=["--quiet", "build_ext", "--inplace", "--build-temp", made, "--build-lib", made],
        )


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> None:
    """Command line: the tree."""
    if len(arguments) != 1 or not (Path(arguments[0]) / ENGINE).is_dir():
        usage = "python -m gateway.compiling TREE"
        sys.exit(spoken(f"usage: {usage} (a copy of this repository)", f"usage : {usage} (une copie de ce dépôt)"))
    build(Path(arguments[0]))


if __name__ == "__main__":
    main()
