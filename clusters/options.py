"""Options that several commands have alike."""

from typing import Annotated

import typer

from services.kit.language import spoken

AsJson = Annotated[bool, typer.Option("--json", help=spoken("For programs", "Pour les programmes"))]
