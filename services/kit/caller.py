"""Who asks, and on whose behalf: the caller of an operation, from the verified token and from a grant that the owner holds."""

import tomllib
from dataclasses import dataclass, field
from enum import Enum
from functools import cache

from services.kit import faults
from services.kit.context import SELF
from services.kit.ministries import CLUSTERS
from services.kit.tokens import Claims

ACCESS = CLUSTERS / "access.toml"
CITIZEN = "citizen"


class Kind(Enum):
    """What kind of grant a person has given."""

    DELEGATION = "delegation"
    ASSISTED = "assisted"
    CONSENT = "consent"  # lets offices see data; nobody acts on it


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose rights are used, and who uses them. An anonymous caller has an empty subject and no right.

    `subject` is whose rights they are: every rule of ownership compares with it. `actor` is the subject of the token, the same
    person unless a grant is used; `authority` is `self` or the grant's id. A grant may be limited to one `business`, by number.
    `roles` go with the subject; `offices` are those in which the actor acts, which say for what purposes and give no right.
    `ministries` are those that the person works for, by code; nobody does who acts for somebody else.
    `assurance` and `authenticated_at` say how and when the actor has signed in, `issued` when the token was given (Unix time in
    seconds).
    """

    subject: str = ""
    scopes: frozenset[str] = field(default_factory=frozenset)
    roles: frozenset[str] = field(default_factory=frozenset)
    client: str = ""
    session: str = ""
    assurance: str = ""
    authenticated_at: float = 0.0
    issued: float = 0.0
    actor: str = ""
    authority: str = SELF
    kind: Kind | None = None
    business: str = ""
    offices: frozenset[str] = field(default_factory=frozenset)
    ministries: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        if not self.actor:
            object.__setattr__(self, "actor", self.subject)
            object.__setattr__(self, "offices", self.roles)

    @property
    def signed_in(self) -> bool:
        """Whether a valid token came with the request."""
        return bool(self.subject)

    def may(self, scope: str) -> bool:
        """Whether the token, or the grant, carries the scope."""
        return scope in self.scopes

    def require(self, scope: str | None) -> None:
        """Raises Faulted UNAUTHENTICATED or FORBIDDEN when the caller lacks the scope; None asks for nothing."""
        if scope is None or scope in self.scopes:
            return
        if not self.signed_in:
            raise faults.Faulted(faults.UNAUTHENTICATED)
        raise faults.Faulted(faults.FORBIDDEN, scope=scope)

    def owns(self, person: str, business: str = "") -> bool:
        """Whether what belongs to a person is the caller's: of `business`, by number, or of none. `ownership.owned` is the same
        rule as a condition of a statement."""
        return self.signed_in and person == self.subject and self.business in ("", business)

    def require_unlimited(self) -> None:
        """Raises Faulted AUTHORITY_REFUSED for who acts in one business only: what is done is of none."""
        if self.business:
            raise faults.Faulted(faults.AUTHORITY_REFUSED)

    def require_oneself(self) -> None:
        """Raises Faulted AUTHORITY_REFUSED for who acts for somebody else: this a person does by themselves alone."""
        if self.kind is not None:
            raise faults.Faulted(faults.AUTHORITY_REFUSED)


ANONYMOUS = Caller()


def from_claims(claims: Claims) -> Caller:
    """The caller that a verified token speaks for."""
    return Caller(
        claims.subject,
        claims.scopes,
        claims.roles,
        claims.client,
        claims.session,
        claims.assurance,
        claims.authenticated_at,
        claims.issued,
        ministries=claims.ministries,
    )


@cache
def citizens_scopes(kind: Kind = Kind.ASSISTED) -> frozenset[str]:
    """What a citizen may do, which is the most that anybody may do for one on a kind of grant: an office's powers are never lent,
    and some of a citizen's are not delegated. Reads access.toml."""
    said = tomllib.loads(ACCESS.read_text(encoding="utf-8"))
    (scopes,) = (frozenset(role["scopes"]) for role in said["roles"] if role["name"] == CITIZEN)
    kept = {scope["name"] for scope in said["scopes"] if not scope.get("delegated", True)}
    return scopes - kept if kind is Kind.DELEGATION else scopes
