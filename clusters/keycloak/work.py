"""What one resource of a realm is mended with."""

import json
from dataclasses import dataclass
from typing import Any

from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakPostError, raise_error_from_response

from clusters.keycloak.state import Json, Resource, State


@dataclass(frozen=True, slots=True)
class Work:
    """What one resource is mended with: how it must be and how it is; None where it must not be, or is not."""

    admin: KeycloakAdmin
    expected: State
    resource: Resource
    wanted: Json | None
    found: Json | None

    @property
    def name(self) -> str:
        return self.resource[1]

    @property
    def realm(self) -> str:
        return str(self.admin.connection.realm_name)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """One call below the realm's address, for what has no method of its own. Raises KeycloakError."""
        send = getattr(self.admin.connection, f"raw_{method}")
        address = f"admin/realms/{self.realm}/{path}"
        answer = send(address) if method == "get" else send(address, data=None if body is None else json.dumps(body))
        return raise_error_from_response(answer, KeycloakPostError, expected_codes=[200, 201, 204])
