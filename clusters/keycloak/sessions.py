"""Ends the sessions of a person: Keycloak then tells the gateway, which refuses their tokens at once.

Disabling somebody in Keycloak's own console tells nobody; their tokens then live until they run out.
"""

from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError

from clusters.keycloak.connection import Account, KeycloakRefused, explained
from services.kit.language import spoken


def end(admin: KeycloakAdmin, account: Account, username: str, *, disable: bool) -> int:
    """End all sessions of a user, whom `disable` keeps from signing in again. Returns how many. Raises KeycloakRefused."""
    try:
        identity = admin.get_user_id(username)
        if identity is None:
            raise KeycloakRefused(
                spoken(
                    f"nobody is called {username}; names are told as they are written at sign-in",
                    f"personne ne s’appelle {username}\u00a0; donnez le nom utilisé pour ouvrir une session",
                )
            )
        if disable:  # before the sessions end, so that no new one begins in between
            admin.update_user(identity, {**admin.get_user(identity), "enabled": False})
        sessions = admin.get_sessions(identity)
        # One by one: of a logout of the whole person Keycloak (26.4.7) tells each client of one session only.
        for session in sessions:
            admin.connection.raw_delete(f"admin/realms/{admin.connection.realm_name}/sessions/{session['id']}")
    except KeycloakError as problem:
        raise explained(problem, account) from problem
    return len(sessions)
