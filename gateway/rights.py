"""Who may see what: a caller's answers to what an operation asks of it (`engine/access.py`).

Scopes and policies mean here what they mean to the owners of the data, who judge again: policies are the kit's own functions,
found by name. One that nobody knows lets nobody in; which ones these are is said when a supergraph is loaded.
"""

from dataclasses import replace

import structlog

from gateway.engine.access import Access, Denial, Requirement, Requirements
from gateway.errors import Refused
from services.kit import faults
from services.kit.caller import ANONYMOUS, Caller, citizens_scopes, from_claims
from services.kit.policies import POLICIES, judged
from services.kit.tokens import Claims

Denied = tuple[tuple[Requirement, Denial], ...]
NOBODY = "none that anybody holds"
_LOG = structlog.get_logger(__name__)


def tell_unknown(access: Access) -> None:
    """Log the policies that a supergraph names and nobody knows."""
    if unknown := sorted(access.policies - POLICIES.keys()):
        _LOG.warning("policies_unknown", policies=unknown)


def denied(requirements: Requirements, claims: Claims | None, now: float, *, for_another: bool = False) -> Denied:
    """Which requirements a caller does not meet at a time (Unix, in seconds), and why. Who acts for another has, as far as can be
    known here, what any citizen has: the grant is the owner's to read."""
    caller = ANONYMOUS if claims is None else from_claims(claims)
    if for_another and caller.signed_in:
        caller = replace(caller, scopes=citizens_scopes())
    judgements = ((requirement, _denial(requirement, caller, now)) for requirement in requirements)
    return tuple((requirement, denial) for requirement, denial in judgements if denial is not None)


def refusal(denial: Denial, scheme: bytes) -> Refused:
    """A denial of the whole request; `scheme` is the one by which the caller has signed in."""
    fault = faults.CATALOGUE[denial.code]
    refused = Refused(fault, scope=denial.missing)
    if fault is faults.STEP_UP_REQUIRED:  # RFC 9470, section 3
        told = b'%b error="insufficient_user_authentication", acr_values="%b", max_age=%d'
        refused.challenge = told % (scheme, faults.SECOND_FACTOR.encode(), faults.FRESH_S)
    return refused


def _denial(requirement: Requirement, caller: Caller, now: float) -> Denial | None:
    if requirement.kind == "policy":
        return _by_policy(requirement, caller, now)
    if requirement.kind == "requiresScopes":
        lacking = [sorted(set(names) - caller.scopes) for names in requirement.any_of]
        if [] in lacking:
            return None
        if caller.signed_in:
            return Denial(faults.FORBIDDEN.code, min(lacking, key=len)[0] if lacking else NOBODY)
    return None if caller.signed_in else Denial(faults.UNAUTHENTICATED.code)


def _by_policy(requirement: Requirement, caller: Caller, now: float) -> Denial | None:
    """What the first problem of the first alternative is, where all have one."""
    told: Denial | None = None
    for names in requirement.any_of:
        problem = next((p for name in names if (p := judged(name, caller, now)) is not None), None)
        if problem is None:
            return None
        told = told or Denial(problem.fault.code, str(problem.values.get("scope", "")))
    return told or Denial(faults.FORBIDDEN.code, NOBODY)
