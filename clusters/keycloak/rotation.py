"""Gives a realm a new signing key without a refused request.

The new key is published before it signs, for two refresh periods of whoever verifies; then it signs, and the old one stays
published until the last token that it signed has ended. Where it stands is in Keycloak itself, so that a rotation that was
cut off goes on where it was. Refresh tokens and cookies are Keycloak's own, signed by other keys that stay.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError

from clusters.keycloak.connection import KeycloakRefused
from clusters.keycloak.state import KEY_TYPE, RSA, Json
from services.kit.language import spoken

STEP = 10  # between priorities: the highest active one signs


@dataclass(frozen=True, slots=True)
class Waits:
    """In seconds: how often verifiers fetch the keys, and how long after its end they still take a token."""

    refresh_s: float = 60
    leeway_s: float = 30


def rotate(
    admin: KeycloakAdmin,
    waits: Waits,
    say: Callable[[str], Any],
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Publish a new key, wait, sign with it, wait, take the old ones away. Raises KeycloakRefused."""
    try:
        _rotate(admin, waits, say, sleep)
    except (KeycloakError, requests.RequestException) as problem:
        raise KeycloakRefused(
            spoken(
                f"Keycloak refused: {problem}. Run the command again: it goes on where it was",
                f"Keycloak a refusé\u00a0: {problem}. Relancez la commande\u00a0: elle reprend où elle en était",
            )
        ) from problem


def _rotate(admin: KeycloakAdmin, waits: Waits, say: Callable[[str], Any], sleep: Callable[[float], None]) -> None:
    signing = max((key for key in _keys(admin) if _is_active(key)), key=_priority)
    fresh = [key for key in _keys(admin) if _priority(key) > _priority(signing)]
    old = [key for key in _keys(admin) if _priority(key) < _priority(signing)]
    if not fresh and not old:
        _publish(admin, _priority(signing) + STEP)
        fresh = [key for key in _keys(admin) if _priority(key) > _priority(signing)]
    if fresh:
        wait_s = 2 * waits.refresh_s
        say(
            spoken(
                f"The new key is published; it signs in {wait_s:.0f} s.",
                f"La nouvelle clé est publiée\u00a0; elle signera dans {wait_s:.0f} s.",
            )
        )
        sleep(wait_s)
        _set(admin, max(fresh, key=_priority), active=True)
        old = [*old, signing]
    for key in old:
        _set(admin, key, active=False)
    longest_s = admin.get_realm(str(admin.connection.realm_name))["accessTokenLifespan"] + waits.leeway_s
    say(
        spoken(
            f"The new key signs; the old one goes in {longest_s:.0f} s, when the last token that it signed has ended.",
            f"La nouvelle clé signe\u00a0; l’ancienne disparaîtra dans {longest_s:.0f} s, après la fin du dernier jeton signé.",
        )
    )
    sleep(longest_s)
    for key in old:
        admin.delete_component(key["id"])
    say(spoken("The keys are rotated.", "La rotation des clés est faite."))


def _keys(admin: KeycloakAdmin) -> list[Json]:
    held = admin.get_components({"type": KEY_TYPE})
    return [component for component in held if component["providerId"] == RSA]


def _priority(key: Json) -> int:
    return int(key["config"].get("priority", ["0"])[0])


def _is_active(key: Json) -> bool:
    return bool(key["config"].get("active", ["true"])[0] == "true")


def _publish(admin: KeycloakAdmin, priority: int) -> None:
    config = {"priority": [str(priority)], "algorithm": ["RS256"], "keySize": ["2048"]}
    admin.create_component(
        {
            "name": f"{RSA}-{priority}",
            "providerId": RSA,
            "providerType": KEY_TYPE,
            "parentId": admin.get_realm(str(admin.connection.realm_name))["id"],
            "config": {**config, "active": ["false"], "enabled": ["true"]},
        }
    )


def _set(admin: KeycloakAdmin, key: Json, *, active: bool) -> None:
    held = admin.get_component(key["id"])
    admin.update_component(key["id"], {**held, "config": {**held["config"], "active": [str(active).lower()]}})
