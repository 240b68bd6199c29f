"""How the simulated programs behave: approve, refuse, fail for a while, answer late. Told over HTTP, kept in memory."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from services.kit.language import Words

PROGRAMS = ("BUSINESS_NAME", "EMPLOYER_HEALTH_TAX", "RETAIL_SALES_TAX", "WORKERS_COMPENSATION")
LONGEST_DELAY_S, MOST_FAILURES = 600.0, 1_000
# Why a program may refuse, by code: what it says in its decision.
REASONS: Mapping[str, Words] = {
    "ACCOUNT_IN_ARREARS": Words(
        "An earlier account of yours is in arrears. Settle it, then apply again.",
        "Un de vos anciens comptes est en souffrance. Réglez-le, puis présentez une nouvelle demande.",
    ),
    "ACTIVITY_NOT_COVERED": Words(
        "The activity is not covered by this program. No account is needed.",
        "L’activité ne relève pas de ce programme. Aucun compte n’est nécessaire.",
    ),
    "INFORMATION_MISSING": Words(
        "The program needs more information and will write to you.",
        "Le programme a besoin de plus de renseignements et vous écrira.",
    ),
}


class BehaviourRefused(Exception):
    """A behaviour cannot be taken; `words` name the field and the remedy."""

    def __init__(self, field: str, words: Words) -> None:
        super().__init__(words.en)
        self.field, self.words = field, words


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One program's. `refuse` is a reason code or None; `fail` requests fail before the next is answered; `delay_s` passes
    between request and answer."""

    refuse: str | None = None
    fail: int = 0
    delay_s: float = 0.0


class Behaviours:
    """All programs' behaviours."""

    def __init__(self) -> None:
        self._held = {program: Behaviour() for program in PROGRAMS}

    def of(self, program: str) -> Behaviour:
        """The behaviour of a program; an unknown one approves."""
        return self._held.get(program, Behaviour())

    def failed(self, program: str) -> None:
        """One of the failures that were ordered has happened."""
        now = self._held[program]
        self._held[program] = Behaviour(now.refuse, max(now.fail - 1, 0), now.delay_s)

    def change(self, wanted: Any) -> None:
        """Take behaviours by program: `{"RETAIL_SALES_TAX": {"refuse": "ACCOUNT_IN_ARREARS"}}`; what is not named approves.

        Raises BehaviourRefused, and has then changed nothing.
        """
        if not isinstance(wanted, dict):
            raise _refused(
                "", "send an object with one entry per program", "envoyez un objet, une entrée par programme"
            )
        if strangers := sorted(set(wanted) - set(PROGRAMS)):
            known = ", ".join(PROGRAMS)
            raise _refused(strangers[0][:60], f"no such program; use {known}", f"programme inconnu; utilisez {known}")
        self._held = {program: _behaviour(program, wanted.get(program, {})) for program in PROGRAMS}

    def shown(self) -> dict[str, dict[str, Any]]:
        """The behaviours as JSON values."""
        return {program: asdict(behaviour) for program, behaviour in self._held.items()}


def _behaviour(program: str, given: Any) -> Behaviour:
    if not isinstance(given, dict) or set(given) - {"refuse", "fail", "delay_s"}:
        raise _refused(program, "use refuse, fail and delay_s", "utilisez refuse, fail et delay_s")
    refuse, fail, delay_s = given.get("refuse"), given.get("fail", 0), given.get("delay_s", 0.0)
    if refuse is not None and (not isinstance(refuse, str) or refuse not in REASONS):
        codes = ", ".join(REASONS)
        raise _refused(f"{program}.refuse", f"use null or one of {codes}", f"utilisez null ou l’un de {codes}")
    if type(fail) is not int or not 0 <= fail <= MOST_FAILURES:
        raise _refused(
            f"{program}.fail", f"a whole number from 0 to {MOST_FAILURES}", f"un entier de 0 à {MOST_FAILURES}"
        )
    if type(delay_s) not in (int, float) or not 0 <= delay_s <= LONGEST_DELAY_S:
        limit = f"{LONGEST_DELAY_S:g}"
        raise _refused(f"{program}.delay_s", f"seconds from 0 to {limit}", f"des secondes, de 0 à {limit}")
    return Behaviour(refuse, fail, float(delay_s))


def _refused(field: str, en: str, fr: str) -> BehaviourRefused:
    where = field or "body"
    return BehaviourRefused(where, Words(f"{where}: {en}.", f"{where} : {fr}."))
