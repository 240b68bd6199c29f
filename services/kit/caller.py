"""Who asks: the caller of an operation, taken from the verified token and from nothing else."""

from dataclasses import dataclass, field

from services.kit import faults
from services.kit.tokens import Claims


@dataclass(frozen=True, slots=True)
class Caller:
    """The subject of the token, with its rights. An anonymous caller has an empty subject and no right."""

    subject: str = ""
    scopes: frozenset[str] = field(default_factory=frozenset)
    roles: frozenset[str] = field(default_factory=frozenset)
    client: str = ""
    session: str = ""

    @property
    def signed_in(self) -> bool:
        """Whether a valid token came with the request."""
        return bool(self.subject)

    def may(self, scope: str) -> bool:
        """Whether the token carries the scope."""
        return scope in self.scopes

    def require(self, scope: str | None) -> None:
        """Raises Faulted UNAUTHENTICATED or FORBIDDEN when the caller lacks the scope; None asks for nothing."""
        if scope is None or scope in self.scopes:
            return
        if not self.signed_in:
            raise faults.Faulted(faults.UNAUTHENTICATED)
        raise faults.Faulted(faults.FORBIDDEN, scope=scope)


ANONYMOUS = Caller()


def from_claims(claims: Claims) -> Caller:
    """The caller that a verified token speaks for."""
    return Caller(claims.subject, claims.scopes, claims.roles, claims.client, claims.session)
