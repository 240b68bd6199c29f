"""`onedoor plan`: how the gateway would answer an operation, as text, for programs, or as a picture. Nothing is sent."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.documents import Documents, hash_of
from gateway.engine.plan import Plan
from gateway.engine.supergraph import Supergraph, load_supergraph
from gateway.errors import Refused
from gateway.incremental import Form
from gateway.operations import Operations
from gateway.settings import Limits
from services.kit.language import Language, is_french, spoken


class OperationRefused(Exception):
    """The gateway would refuse the operation; the text is what it would say."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What becomes of an operation: its plan, in parts where it defers something, its cost, what it asks of the caller, of whom
    it is taken that nothing is missing, and the conditions that were taken to be true for want of a value."""

    name: str
    document: str
    cost: float
    limit: float
    asks: tuple[str, ...]
    assumed: tuple[str, ...]
    plan: Plan
    supergraph: Supergraph

    def __str__(self) -> str:
        lines = [
            spoken(
                f"{self.name}: cost {self.cost:g} of at most {self.limit:g}; {_requests(self.plan)}",
                f"{self.name}\u00a0: coût {self.cost:g}, au plus {self.limit:g}\u00a0; {_requests(self.plan)}",
            )
        ]
        if self.asks:
            asks = ", ".join(self.asks)
            lines.append(spoken(f"asks of the caller: {asks}", f"demande à l’appelant\u00a0: {asks}"))
        if self.assumed:
            names = ", ".join(f"${name}" for name in self.assumed)
            lines.append(spoken(f"taken to be true: {names}", f"supposé vrai\u00a0: {names}"))
        return "\n".join([*lines, "", str(self.plan)])

    def as_json(self) -> str:
        """The same for programs."""
        return json.dumps(
            {
                "operation": self.name,
                "document": self.document,
                "cost": self.cost,
                "limit": self.limit,
                "asks": list(self.asks),
                "assumed": list(self.assumed),
                "waves": [[fetch.id for fetch in wave] for wave in self.plan.waves()],
                "fetches": self.plan.described(),
            },
            indent=1,
            ensure_ascii=False,
        )


def explain(supergraph: Path, file: Path, name: str | None, variables: str) -> Explained:
    """Plan the operation of a file. `variables` is a JSON object; what it lacks is needed only where it decides a price.

    Raises OperationRefused, SupergraphRefused and OSError.
    """
    held = load_supergraph(supergraph.read_text(encoding="utf-8"))
    return planned(held, file.read_text(encoding="utf-8"), file.stem, name, _variables(variables))


def planned(
    supergraph: Supergraph,
    text: str,
    stem: str,
    name: str | None = None,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> Explained:
    """Plan an operation of a text, which is called `stem` where it has no name. Raises OperationRefused."""
    limits = Limits()
    operations = Operations(supergraph, Documents({}, only_trusted=False), limits, remembered=1, shows_schema=True)
    try:
        operation = operations.find(text, name)
        values = {**operation.defaults, **given}
        assumed = tuple(condition for condition in operation.conditions if condition not in values)
        form = Form.DRAFT if operation.defers else None
        variant, cost = operation.variant({**values, **dict.fromkeys(assumed, True)}, form=form)
    except Refused as refused:
        language = Language.FR if is_french() else Language.EN
        raise OperationRefused("\n".join(map(_told, refused.errors("", language)))) from None
    asks = tuple(map(str, operation.asks))
    return Explained(operation.name or stem, hash_of(text), cost, limits.cost, asks, assumed, variant.plan, supergraph)


def _variables(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise OperationRefused(
            spoken(f"--variables is not JSON: {error}", f"--variables n’est pas du JSON\u00a0: {error}")
        ) from None
    if not isinstance(given, dict):
        raise OperationRefused(spoken("--variables must be an object", "--variables doit être un objet"))
    return given


def _told(error: dict[str, Any]) -> str:
    at = "".join(f"{place['line']}:{place['column']}: " for place in error.get("locations", ())[:1])
    message, detail = str(error["message"]), str(error["extensions"].get("detail", ""))
    return at + message + (f" ({detail})" if detail and detail not in message else "")


def _requests(plan: Plan) -> str:
    requests, waves = len(plan.fetches), len(plan.waves())
    return spoken(
        f"{requests} request{'s' if requests > 1 else ''} in {waves} wave{'s' if waves > 1 else ''}",
        f"{requests} requête{'s' if requests > 1 else ''} en {waves} vague{'s' if waves > 1 else ''}",
    )
