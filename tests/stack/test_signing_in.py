"""People at Keycloak's own pages in a real browser: levels, second factors and devices."""

import time
from typing import Any

import httpx
import orjson
import pyotp
import pytest
from joserfc import jws

from clusters import signin
from clusters.access import SecondFactor, access
from tests.stack.visits import PASSWORD, Person, Register, Visit, sets_app_up
from tests.stack.visits import admin as admin
from tests.stack.visits import elsewhere as elsewhere
from tests.stack.visits import register as register
from tests.stack.visits import visit as visit

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]
RULES = access()
KEY_ROLES = [role for role, factor in RULES.second_factors.items() if factor is SecondFactor.KEY]
CODE_ROLES = [role for role, factor in RULES.second_factors.items() if factor is SecondFactor.CODE]
Json = dict[str, Any]


class TestAPassword:
    @pytest.mark.parametrize(("language", "button"), [("en", "Sign In"), ("fr", "Connexion")])
    def test_is_level_one_for_a_citizen(self, register: Register, visit: Visit, language: str, button: str) -> None:
        visit.opens(ui_locales=language)
        assert visit.page.locator("#kc-login").inner_text() == button
        visit.types(register.person("citizen"))
        assert visit.session().claims["acr"] == "1"

    @pytest.mark.parametrize(("asked", "given"), [("gold", "1"), ("", "1"), ("0", "0")])
    def test_gives_no_more_whatever_is_asked_for(
        self, register: Register, visit: Visit, asked: str, given: str
    ) -> None:
        visit.opens(acr_values=asked)
        visit.types(register.person("citizen"))
        assert (
            visit.session().claims["acr"] == given
        )  # an unknown level is ignored: who needs level 2 looks at the token

    @pytest.mark.parametrize(
        ("language", "told"), [("en", "minimum length 12"), ("fr", "longueur minimale requise de 12")]
    )
    def test_that_is_too_short_is_not_taken(self, register: Register, visit: Visit, language: str, told: str) -> None:
        person = register.person("citizen", actions=("UPDATE_PASSWORD",))
        visit.opens(ui_locales=language)
        visit.types(person)
        visit.page.locator("#password-new").fill("elevenchars")
        visit.page.locator("#password-confirm").fill("elevenchars")
        visit.page.keyboard.press("Enter")
        visit.page.get_by_text(told).wait_for()


class TestStepUp:
    def test_asks_for_the_code_alone_and_keeps_the_session(self, register: Register, visit: Visit) -> None:
        person = register.person("citizen", app=True)
        visit.opens()
        visit.types(person)
        before = visit.session()
        visit.opens(acr_values="2", max_age="300")
        visit.page.locator("#otp").wait_for()
        assert visit.page.locator("#password").count() == 0
        visit.types_code(person)
        after = visit.session()
        assert (before.claims["acr"], after.claims["acr"]) == ("1", "2")
        assert after.claims["sid"] == before.claims["sid"]
        assert after.claims["auth_time"] >= before.claims["auth_time"]

    def test_a_refresh_keeps_the_level_and_the_time_of_it(self, register: Register, visit: Visit) -> None:
        person = register.person("citizen", app=True)
        visit.opens(acr_values="2")
        visit.types(person)
        visit.types_code(person)
        first = visit.session()
        again = visit.exchanged(grant_type="refresh_token", refresh_token=first.tokens["refresh_token"])
        same = ("acr", "auth_time", "sid")  # so a service that wants it fresh looks at auth_time too
        assert [again.claims[name] for name in same] == [first.claims[name] for name in same]

    def test_after_too_long_all_is_asked_again(self, register: Register, visit: Visit) -> None:
        person = register.person("citizen", app=True)
        visit.opens(acr_values="2")
        visit.types(person)
        visit.types_code(person)
        old = visit.session().claims["auth_time"]
        while time.time() <= old + 1:  # a whole second older than max_age
            time.sleep(0.1)
        visit.opens(acr_values="2", max_age="0")
        visit.page.locator("#password").fill(PASSWORD)
        visit.page.keyboard.press("Enter")
        visit.types_code(person, 1)
        assert visit.session().claims["auth_time"] > old

    def test_who_has_no_app_sets_one_up_and_is_asked_for_it_from_then_on(
        self, register: Register, visit: Visit
    ) -> None:
        person = register.person("citizen")
        visit.opens(acr_values="2")
        visit.types(person)
        secret = sets_app_up(visit)
        assert visit.session().claims["acr"] == "2"
        visit.forgets()
        visit.opens(acr_values="2")
        visit.types(person)
        visit.types_code(Person(person.id, person.name, secret), 1)
        assert visit.session().claims["acr"] == "2"


class TestStaff:
    @pytest.mark.parametrize("role", CODE_ROLES)
    def test_show_a_code_at_every_sign_in(self, register: Register, visit: Visit, role: str) -> None:
        person = register.person(role, app=True)
        for periods in (0, 1):
            visit.opens()
            visit.types(person)
            visit.types_code(person, periods)
            claims = visit.session().claims
            assert (claims["acr"], claims["realm_access"]["roles"]) == ("2", [role])
            assert set(claims["scope"].split()) == {"openid", *RULES.roles[role]}
            visit.forgets()

    @pytest.mark.parametrize("role", KEY_ROLES)
    def test_with_more_at_stake_use_a_key_and_no_code(self, register: Register, visit: Visit, role: str) -> None:
        (ministry,) = next(user.groups for user in RULES.users.values() if user.role == role)
        person = register.person(role, app=True, groups=(ministry,))
        visit.has_key()
        visit.opens()
        visit.types(person)
        visit.page.locator("#registerWebAuthn").click()
        assert visit.session().claims["acr"] == "2"
        visit.forgets()
        visit.opens()
        visit.types(person)
        visit.shows_key()
        claims = visit.session().claims
        assert (claims["acr"], claims["realm_access"]["roles"], claims["groups"]) == ("2", [role], [ministry])
        assert set(claims["scope"].split()) == {"openid", *RULES.roles[role]}

    def test_another_persons_key_does_not_open(self, register: Register, visit: Visit, elsewhere: Visit) -> None:
        person = register.person("operator")
        visit.has_key()
        visit.opens()
        visit.types(person)
        visit.page.locator("#registerWebAuthn").click()
        visit.session()
        elsewhere.has_key()
        elsewhere.opens()
        elsewhere.types(person)
        elsewhere.shows_key()
        elsewhere.page.get_by_text("a échoué").wait_for()

    def test_are_staff_though_they_are_citizens_too(self, register: Register, visit: Visit) -> None:
        person = register.person("citizen", "inspector", app=True)
        visit.opens()
        visit.types(person)
        visit.types_code(person)
        assert visit.session().claims["acr"] == "2"

    def test_a_used_code_does_not_open_again(self, register: Register, visit: Visit, elsewhere: Visit) -> None:
        person = register.person("inspector", app=True)
        code = pyotp.TOTP(person.secret).now()
        for seen in (visit, elsewhere):
            seen.opens()
            seen.types(person)
            seen.page.locator("#otp").fill(code)
            seen.page.keyboard.press("Enter")
        visit.session()
        elsewhere.page.locator("#input-error-otp").wait_for()


class TestADevice:
    def test_is_let_in_by_a_person_who_types_its_code(self, register: Register, visit: Visit) -> None:
        told, form = self._begun(visit)
        assert visit.asks(**form).json()["error"] == "authorization_pending"
        person = register.person("inspector", app=True)
        visit.page.goto(told["verification_uri"])
        visit.page.locator("#device-user-code").fill(told["user_code"])
        visit.page.keyboard.press("Enter")
        visit.types(person)
        visit.types_code(person)
        visit.page.locator("#kc-login[name=accept]").click()
        visit.page.get_by_text("Device Login Successful").wait_for()
        tokens = self._patiently(visit, told, form).json()
        found = orjson.loads(jws.extract_compact(tokens["access_token"].encode()).payload)
        assert (found["acr"], found["azp"], found["sub"]) == ("2", signin.CLIENT_ID, person.id)
        visit.opens()
        assert found.keys() == visit.session().claims.keys()

    def test_is_turned_away_by_one_who_says_no(self, register: Register, visit: Visit) -> None:
        told, form = self._begun(visit)
        visit.page.goto(told["verification_uri_complete"])
        visit.types(register.person("citizen"))
        visit.page.locator("#kc-cancel").click()
        visit.page.get_by_text("Consent denied").wait_for()
        assert self._patiently(visit, told, form).json()["error"] == "access_denied"

    def test_needs_the_proof_that_it_is_the_one_that_asked(self, visit: Visit) -> None:
        refused = httpx.post(f"{visit.endpoint}/auth/device", data={"client_id": signin.CLIENT_ID, "scope": "openid"})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")

    @staticmethod
    def _begun(visit: Visit) -> tuple[Json, dict[str, str]]:
        asked = {"client_id": signin.CLIENT_ID, "scope": "openid", **visit.challenge}
        told: Json = httpx.post(f"{visit.endpoint}/auth/device", data=asked).json()
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        return told, {"grant_type": grant, "device_code": told["device_code"], "code_verifier": visit.verifier}

    @staticmethod
    def _patiently(visit: Visit, told: Json, form: dict[str, str]) -> httpx.Response:
        """Ask as seldom as the issuer says."""
        while (answer := visit.asks(**form)).json().get("error") in ("authorization_pending", "slow_down"):
            time.sleep(told["interval"])
        return answer
