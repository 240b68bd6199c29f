"""For which purpose an operation is asked: settled before anything is fetched, and told to the owners of the data, who judge too.

A trusted document carries its purposes: the request's header may choose among them, and without one it is the first that is for
the caller's role. Any other document is asked for the purpose that the header names. Only who works in an office is asked for one
here: anybody else acts for themselves, or for somebody who lets them, which the owners look at. Whoever works in an office and
wants just what is their own says so (`self-service`).
"""

from collections.abc import Iterable, Sequence
from functools import cache

from gateway.errors import Refused
from gateway.exchange import Exchange
from gateway.personal import Exposed
from gateway.signing import PURPOSE, names_an_authority
from services.kit.caller import CITIZEN
from services.kit.context import Chosen
from services.kit.purposes import SELF_SERVICE, Purpose, problem, purposes


def settle(exchange: Exchange, exposed: Exposed, carried: Sequence[str]) -> None:
    """Note the purpose of an exchange, which may be none; `carried` are the codes of its document's.

    Raises Refused where the caller works in an office and the purpose does not cover what the operation exposes.
    """
    if not exposed.categories:
        return
    roles = exchange.claims.roles if exchange.claims else frozenset[str]()
    known = {code: purposes()[code] for code in carried} if carried else purposes()
    if names_an_authority(exchange):
        return
    if carried and not exchange.chosen.purpose:
        _choose(exchange, roles, known.values())
    if exchange.chosen.purpose == SELF_SERVICE or offices().isdisjoint(roles):
        return
    found = problem(exchange.chosen, roles, "", exposed.categories, exposed.recipients, known)
    if found is not None:
        refused = Refused(found.fault, in_graphql=True)
        refused.values = {**found.values, "field": found.field}
        raise refused


@cache
def offices() -> frozenset[str]:
    """The roles in which others' data are read; a person has some purposes, too, and no office."""
    return frozenset(role for purpose in purposes().values() if not purpose.kind for role in purpose.roles) - {CITIZEN}


def _choose(exchange: Exchange, roles: frozenset[str], known: Iterable[Purpose]) -> None:
    """Choose the first purpose that is for a role, or for oneself: none that has to be named with a case, or by consent."""
    fitting = (p.code for p in known if p.code == SELF_SERVICE or (p.is_for(roles, "") and not p.is_asked_for))
    exchange.chosen = Chosen(next(fitting, ""))
    if exchange.chosen.purpose:
        exchange.headers[PURPOSE] = exchange.chosen.purpose.encode()  # for owners to whom nothing is signed
