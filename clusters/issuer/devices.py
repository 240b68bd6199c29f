"""Devices without a browser of their own: they show a code, the person allows them elsewhere. Source: RFC 8628, with PKCE."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from clusters.issuer.keys import Holder
from clusters.issuer.oauth import Form, Rejected, challenge_of
from clusters.issuer.sessions import Grant, Remembered

LIFE_S, INTERVAL_S = 600, 5
# Letters and digits that nobody confuses; eight of them are 36 bits, guessed against a login page each (section 5.1).
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ23456789"


@dataclass(slots=True)
class Device:
    """One that waits: `holder` once allowed, `denied` once refused, `asked` when it last asked."""

    client: str
    challenge: str
    user_code: str
    holder: Holder | None = None
    denied: bool = False
    asked: float = field(default=float("-inf"))


class Devices:
    """Waiting devices, by their own secret code and by the short one that a person types."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting: Remembered[Device] = Remembered(LIFE_S, clock)
        self._by_user_code: dict[str, str] = {}

    def begin(self, client: str, form: Form, url: str) -> dict[str, object]:
        """The answer of the device authorization endpoint. Raises Rejected."""
        challenge = challenge_of(form)
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        user_code = f"{letters[:4]}-{letters[4:]}"
        code = self._waiting.keep(Device(client, challenge, user_code))
        self._by_user_code = {u: c for u, c in self._by_user_code.items() if self._waiting.look(c)} | {user_code: code}
        return {
            "device_code": code,
            "user_code": user_code,
            "verification_uri": url,
            "verification_uri_complete": f"{url}?user_code={user_code}",
            "expires_in": LIFE_S,
            "interval": INTERVAL_S,
        }

    def typed(self, user_code: str) -> Device | None:
        """The device that shows a code, while it waits for an answer; spaces, case and the dash do not matter."""
        plain = "".join(c for c in user_code.upper() if c in _LETTERS)
        device = self._waiting.look(self._by_user_code.get(f"{plain[:4]}-{plain[4:]}", ""))
        return device if device and not device.holder and not device.denied else None

    def answer(self, user_code: str, holder: Holder | None) -> None:
        """Let a device in for someone, or, without one, turn it away."""
        if device := self.typed(user_code):
            device.holder, device.denied = holder, holder is None

    def redeem(self, client: str, form: Form, verified: Callable[[str], bool]) -> Grant:
        """What an allowed device gets, once. `verified` judges the PKCE challenge. Raises Rejected (section 3.5)."""
        code = form.get("device_code", "")
        device = self._waiting.look(code)
        if device is None or device.client != client or not verified(device.challenge):
            raise Rejected(
                "expired_token" if device is None else "invalid_grant", "start again: the device code is not valid"
            )
        soon, device.asked = self._clock() - device.asked < INTERVAL_S, self._clock()
        if device.denied:
            self._forget(code, device)
            raise Rejected("access_denied", "the person said no")
        if device.holder is None:
            raise Rejected(
                *(("slow_down", f"ask every {INTERVAL_S} s") if soon else ("authorization_pending", "not yet"))
            )
        self._forget(code, device)
        return Grant(device.holder, client)

    def _forget(self, code: str, device: Device) -> None:
        self._waiting.take(code)
        self._by_user_code.pop(device.user_code, None)
