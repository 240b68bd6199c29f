"""Who may set which property of an input: `inspector: Annotated[ID | None, Only("inspection:review")]`.

Federation knows no `@requiresScopes` on an input's field, so the schema says it in the field's description, the table of rights
has a row for it, and the kit asks before the use case runs. Source: OWASP API Security 2023, API3 (broken object property level
authorization).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from services.kit import faults
from services.kit.caller import Caller
from services.kit.language import Words

# The code is the catalogue's; the words name what was set.
PROPERTY_FORBIDDEN = faults.Fault(
    faults.FORBIDDEN.code,
    faults.FORBIDDEN.status,
    Words(
        "You may not set {property}: leave it out. The right that is missing: {scope}.",
        "Vous ne pouvez pas indiquer {property}; omettez ce champ. Le droit qui manque : {scope}.",
    ),
)


@dataclass(frozen=True, slots=True)
class Only:
    """Whoever has the scope may set the property; with `oneself`, everybody may name themselves in it by their subject."""

    scope: str
    oneself: bool = False

    def allows(self, caller: Caller, value: object) -> bool:
        """Whether a caller may set the property to a value; null sets nothing."""
        return (
            value is None or caller.may(self.scope) or (self.oneself and caller.signed_in and value == caller.subject)
        )

    @property
    def words(self) -> str:
        """What the schema says of it."""
        others = " or to name oneself" if self.oneself else ""
        return f"Needs the right {self.scope}{others}."


def only(model: type[BaseModel], name: str) -> Only | None:
    """Who may set a property of a model, None where everybody may that may send the input."""
    return next((said for said in model.model_fields[name].metadata if isinstance(said, Only)), None)


def require(given: Any, caller: Caller, path: str = "") -> None:
    """Raises Faulted FORBIDDEN naming the first property of an input, or of what is in it, that the caller may not set."""
    if isinstance(given, list):
        for index, item in enumerate(given):
            require(item, caller, f"{path}.{index}")
    elif isinstance(given, BaseModel):
        for at, name, value in _set(given, path):
            said = only(type(given), name)
            if said is not None and not said.allows(caller, value):
                raise faults.Faulted(PROPERTY_FORBIDDEN, field=at, property=at, scope=said.scope)
            require(value, caller, at)


def _set(given: BaseModel, path: str) -> Iterator[tuple[str, str, Any]]:
    """The properties that were sent: where each stands as the client wrote it, its name and its value."""
    for name in sorted(given.model_fields_set):
        yield f"{path}.{to_camel(name)}" if path else to_camel(name), name, getattr(given, name)
