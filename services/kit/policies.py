"""Policies, and what a field asks of its caller altogether.

A policy is a small function of the caller and of the time, known by its name; schemas say the name:
`@policy(policies: [["second_factor"]])`. The owner of the data asks it before it answers, and the gateway asks the same function,
so that nobody is asked in vain. Nothing here needs a database or a library for schemas: a gateway stays light.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from services.kit import faults
from services.kit.caller import Caller
from services.kit.faults import Faulted
from services.kit.tokens import LEEWAY_S

Policy = Callable[[Caller, float], Faulted | None]
POLICIES: dict[str, Policy] = {}


def policy(function: Policy) -> Policy:
    """Makes a function a policy under its own name. Of a caller who has signed in it gives the fault, one of the kit's
    catalogue, that such a caller is told, or None where it may."""
    POLICIES[function.__name__] = function
    return function


@policy
def second_factor(caller: Caller, now: float) -> Faulted | None:
    """The person has shown a second factor just now. Source: RFC 9470."""
    fresh = now - caller.authenticated_at <= faults.FRESH_S + LEEWAY_S
    return None if caller.assurance == faults.SECOND_FACTOR and fresh else Faulted(faults.STEP_UP_REQUIRED)


def judged(name: str, caller: Caller, now: float) -> Faulted | None:
    """What a caller is told by the policy of a name at a time (Unix, in seconds), None where it may. One that nobody knows, and
    whoever is not signed in, is told no."""
    if not caller.signed_in:
        return Faulted(faults.UNAUTHENTICATED)
    known = POLICIES.get(name)
    return known(caller, now) if known is not None else Faulted(faults.FORBIDDEN, scope=name)


@dataclass(frozen=True, slots=True)
class Guard:
    """What a field or a type asks of its caller: all of the scopes and all of the policies, each in name order."""

    scopes: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()

    @classmethod
    def of(cls, scope: str | None = None, policy: str | None = None) -> "Guard":
        """The guard of a scope and a policy. Raises TypeError for a policy that nobody knows."""
        if policy is not None and policy not in POLICIES:
            raise TypeError(
                f"There is no policy {policy!r}; services/kit/policies.py has {', '.join(sorted(POLICIES))}."
            )
        return cls((scope,) if scope else (), (policy,) if policy else ())

    def __add__(self, other: "Guard") -> "Guard":
        return Guard(tuple(sorted({*self.scopes, *other.scopes})), tuple(sorted({*self.policies, *other.policies})))

    def require(self, caller: Caller, clock: Callable[[], float] = time.time) -> None:
        """Raises Faulted with the first thing that the caller lacks: UNAUTHENTICATED, FORBIDDEN, or what a policy says."""
        for scope in self.scopes:
            caller.require(scope)
        for name in self.policies:
            problem = judged(name, caller, clock())
            if problem is not None:
                raise problem


NO_GUARD = Guard()
