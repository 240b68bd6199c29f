"""How people sign in at Keycloak: the password page, the second factor, and when it is asked. `realm.py` includes it.

Level 1 is a password, level 2 a second factor; `acr` says which. A citizen reaches level 1 and is asked for more when an
application requests it (`acr_values=2`, RFC 9470). Everyone with a role of staff is asked at every sign-in: with the code of
an app, or with a key (WebAuthn) where the role says so. Who holds both a citizen's role and one of staff counts as staff.

Keycloak's conditions can be joined by AND only, and it asks for an unrequested level only while a sign-in has none. So the
password by itself gives no level (NONE); whoever has no role of staff then gets level 1; and level 2 follows for whoever
asked for it or still has no level, which is staff, in any role, also one that is added later.
"""

import json
from collections.abc import Mapping
from typing import Any

from clusters.access import Access, SecondFactor

TOP, CLIENTS, NOBODY = "one door sign-in", "one door clients", "one door nobody"
FORMS = "one door forms"  # a flow of Keycloak’s own is called forms; two of one name are mistaken for each other
NONE, PASSWORD, SECOND_FACTOR = -1, 1, 2
SESSION_S = 12 * 3600  # for how long a password counts
FRESH_S = 300  # for how long a second factor counts, as for the policy `second_factor`
PASSKEY, CODE = "webauthn-authenticator", "auth-otp-form"
Json = dict[str, Any]


def flows(rules: Access) -> Json:
    """The parts of the realm that say how people and clients prove who they are."""
    made = _Flows()
    keys = [role for role, factor in rules.second_factors.items() if factor is SecondFactor.KEY]
    made.flow(TOP, made.step("auth-cookie", "ALTERNATIVE"), made.inside(FORMS, "ALTERNATIVE"), top=True)
    made.flow(FORMS, *(made.inside(name, "CONDITIONAL") for name in ("password", "level 1", "level 2")))
    made.flow("password", made.level("password", NONE, SESSION_S), made.step("auth-username-password-form"))
    made.flow(
        "level 1",
        *(made.without("level 1", role) for role in rules.second_factors),
        made.level("level 1", PASSWORD, SESSION_S),
        made.step("allow-access-authenticator"),
    )
    made.flow("level 2", made.level("level 2", SECOND_FACTOR, FRESH_S), made.inside("second factor", "REQUIRED"))
    _second_factor(made, keys)
    made.flow(CLIENTS, *(made.step(name, "ALTERNATIVE") for name in ("client-secret", "client-jwt")), top=True)
    made.flow(NOBODY, made.step("deny-access-authenticator"), top=True)
    return {
        "authenticationFlows": made.flows,
        "authenticatorConfig": made.configs,
        "browserFlow": TOP,
        "clientAuthenticationFlow": CLIENTS,
        **dict.fromkeys(
            ("registrationFlow", "directGrantFlow", "resetCredentialsFlow", "dockerAuthenticationFlow"), NOBODY
        ),
        "firstBrokerLoginFlow": NOBODY,
        "attributes": {"acr.loa.map": '{"1":1,"2":2}'},
        "requiredActions": _required_actions(),
        "localizationTexts": _texts(),
        **_codes(),
        **_passkeys(),
    }


def _second_factor(made: "_Flows", keys: list[str]) -> None:
    """A passkey if the person has one; else a code, or the enrolment of a passkey where a role demands one."""
    demanded = {f"passkey of {role}": role for role in keys}
    names = ["passkey", *demanded, "code"]
    made.flow("second factor", *(made.inside(name, "CONDITIONAL") for name in names))
    made.flow("passkey", made.step("conditional-user-configured"), made.step(PASSKEY))
    for name, role in demanded.items():
        made.flow(name, made.unless(name, "passkey"), made.having(name, role), made.step(PASSKEY))
    made.flow("code", made.unless("code", "passkey"), *(made.without("code", role) for role in keys), made.step(CODE))


class _Flows:
    """Collects flows, their executions in order, and the settings of these."""

    def __init__(self) -> None:
        self.flows: list[Json] = []
        self.configs: list[Json] = []

    def flow(self, alias: str, *executions: Json, top: bool = False) -> None:
        numbered = [{**execution, "priority": 10 * (at + 1)} for at, execution in enumerate(executions)]
        self.flows.append(
            {
                "alias": alias,
                "description": "",
                "providerId": "client-flow" if alias == CLIENTS else "basic-flow",
                "topLevel": top,
                "builtIn": False,
                "authenticationExecutions": numbered,
            }
        )

    def step(self, authenticator: str, requirement: str = "REQUIRED", config: str | None = None) -> Json:
        return {
            "authenticator": authenticator,
            "authenticatorFlow": False,
            "requirement": requirement,
            "userSetupAllowed": False,
            **({"authenticatorConfig": config} if config else {}),
        }

    def inside(self, alias: str, requirement: str) -> Json:
        return {"flowAlias": alias, "authenticatorFlow": True, "requirement": requirement, "userSetupAllowed": False}

    def level(self, flow: str, level: int, counts_s: int) -> Json:
        config = {"loa-condition-level": str(level), "loa-max-age": str(counts_s)}
        return self._condition("conditional-level-of-authentication", f"{flow} at level {level}", config)

    def having(self, flow: str, role: str) -> Json:
        return self._role(flow, role, "false")

    def without(self, flow: str, role: str) -> Json:
        return self._role(flow, role, "true")

    def _role(self, flow: str, role: str, negate: str) -> Json:
        config = {"condUserRole": role, "negate": negate}
        return self._condition("conditional-user-role", f"{flow} by {role}", config)

    def unless(self, flow: str, other: str) -> Json:
        config = {"flow_to_check": other, "check_result": "not-executed"}
        return self._condition("conditional-sub-flow-executed", f"{flow} unless {other}", config)

    def _condition(self, authenticator: str, alias: str, config: dict[str, str]) -> Json:
        self.configs.append({"alias": alias, "config": config})
        return self.step(authenticator, config=alias)


def app_credential(secret: str) -> Json:
    """An app that a person has set up already, as Keycloak imports it. `secret` in base32."""
    kind = {
        "subType": "totp",
        "period": 30,
        "digits": 6,
        "counter": 0,
        "algorithm": "HmacSHA1",
        "secretEncoding": "BASE32",
    }
    held = {"secretData": json.dumps({"value": secret}), "credentialData": json.dumps(kind)}
    return {"type": "otp", "userLabel": "demo", **held}


def _codes() -> Json:
    """Codes of an app (RFC 6238), each good for one sign-in; SHA-1 since the common apps know no other."""
    return {
        "otpPolicyType": "totp",
        "otpPolicyAlgorithm": "HmacSHA1",
        "otpPolicyDigits": 6,
        "otpPolicyPeriod": 30,
        "otpPolicyLookAheadWindow": 1,
        "otpPolicyCodeReusable": False,
    }


def _passkeys() -> Json:
    return {
        "webAuthnPolicyRpEntityName": "One Door · Guichet unique",
        "webAuthnPolicySignatureAlgorithms": ["ES256", "Ed25519", "RS256"],
        "webAuthnPolicyAttestationConveyancePreference": "none",
        "webAuthnPolicyRequireResidentKey": "No",
        "webAuthnPolicyUserVerificationRequirement": "preferred",
        "webAuthnPolicyAvoidSameAuthenticatorRegister": True,
    }


def _texts() -> Json:
    """What Keycloak says of a wrong password or code and of an account that waits after guesses: the same to everyone, so that
    nobody learns which accounts there are, and a person who waits knows it. And what a changed factor does to other sessions,
    which the theme leaves to nobody's choice."""
    password = (
        "Invalid username or password. After several wrong tries an account has to wait a minute or more, even with the "
        "right password.",
        "Nom d’utilisateur ou mot de passe invalide. Après plusieurs essais erronés, un compte doit attendre une minute ou "
        "plus, même avec le bon mot de passe.",
    )
    code = (
        "Invalid code. A code works once: wait for the next. After several wrong tries an account has to wait a minute or more.",
        "Code invalide. Un code ne sert qu’une fois : attendez le suivant. Après plusieurs essais erronés, un compte doit "
        "attendre une minute ou plus.",
    )
    others = (
        "Your sessions elsewhere end with this: whoever is signed in as you has to sign in again.",
        "Vos autres sessions prennent fin : toute personne connectée sous votre nom devra se reconnecter.",
    )
    said = {
        "logoutOtherSessions": others,
        "invalidUserMessage": password,
        "accountTemporarilyDisabledMessage": password,
        "invalidTotpMessage": code,
        "accountTemporarilyDisabledMessageTotp": code,
    }
    return {language: {key: words[at] for key, words in said.items()} for at, language in enumerate(("en", "fr"))}


def _required_actions() -> list[Json]:
    """What a person may be sent to do at sign-in; Keycloak's others are off."""
    kept: Mapping[str, str] = {
        "CONFIGURE_TOTP": "Set up codes of an app · Configurer les codes d’une application",
        "webauthn-register": "Register a key · Inscrire une clé",
        "UPDATE_PASSWORD": "Choose a new password · Choisir un nouveau mot de passe",
    }
    return [
        {
            "alias": alias,
            "name": name,
            "providerId": alias,
            "enabled": True,
            "defaultAction": False,
            "priority": 10 * (at + 1),
            "config": {},
        }
        for at, (alias, name) in enumerate(kept.items())
    ]
