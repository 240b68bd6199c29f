"""Sessions at Keycloak itself: their end, also by a changed factor; whose they are to see; and what guessing does to them."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode

import httpx
import pytest
from joserfc import jws
from keycloak import KeycloakAdmin

from clusters import own_sessions, signin
from services.kit.dpop import Prover
from tests.stack.conftest import Keycloak
from tests.stack.test_door_on_keycloak import told_at
from tests.stack.visits import PASSWORD, Person, Register, Session, Visit, sets_app_up
from tests.stack.visits import admin as admin
from tests.stack.visits import elsewhere as elsewhere
from tests.stack.visits import register as register
from tests.stack.visits import visit as visit

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]


class TestSessions:
    def test_signing_out_ends_it(self, register: Register, visit: Visit) -> None:
        person = register.person("citizen")
        visit.opens()
        visit.types(person)
        session = visit.session()
        visit.page.goto(f"{visit.endpoint}/logout?{urlencode({'id_token_hint': session.tokens['id_token']})}")
        visit.page.get_by_role("heading", name="You are logged out").wait_for()
        assert visit.refreshed(session).json()["error"] == "invalid_grant"
        visit.opens()
        visit.page.locator("#username").wait_for()

    def test_all_of_a_persons_end_everywhere(
        self, register: Register, admin: KeycloakAdmin, visit: Visit, elsewhere: Visit
    ) -> None:
        person = register.person("citizen")
        sessions = []
        for seen in (visit, elsewhere):
            seen.opens()
            seen.types(person)
            sessions.append(seen.session())
        assert len(admin.get_sessions(person.id)) == 2
        admin.user_logout(person.id)
        assert [visit.refreshed(session).json()["error"] for session in sessions] == ["invalid_grant"] * 2
        elsewhere.opens()
        elsewhere.page.locator("#username").wait_for()

    def test_refreshes_at_once_end_it(self, register: Register, visit: Visit) -> None:
        visit.opens()
        visit.types(register.person("citizen"))
        session = visit.session()
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: visit.refreshed(session), range(4)))
        given = [answer.json() for answer in answers if answer.status_code == 200]
        assert len(given) < len(answers)  # Keycloak may answer two in one moment, and then takes back what it gave
        for tokens in given:
            again = visit.asks(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
            assert again.json()["error"] == "invalid_grant"


@pytest.fixture
def ended(admin: KeycloakAdmin) -> Iterator[list[str]]:
    """The sessions whose end Keycloak has told the command line's server."""
    heard: list[str] = []

    class Told(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            heard.append(json.loads(jws.extract_compact(form["logout_token"][0].encode()).payload)["sid"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Told) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with told_at(admin, f"http://127.0.0.1:{server.server_port}/"):
            yield heard
        server.shutdown()


def opened(visit: Visit, person: Person) -> Session:
    visit.opens()
    visit.types(person)
    return visit.session()


def over(visit: Visit, session: Session) -> bool:
    return bool(visit.refreshed(session).json().get("error") == "invalid_grant")


def sets_key_up(visit: Visit) -> None:
    visit.has_key()
    visit.page.locator("#registerWebAuthn").click()


def chooses_password(visit: Visit) -> None:
    for field in ("#password-new", "#password-confirm"):
        visit.page.locator(field).fill("another passphrase of hers")
    visit.page.keyboard.press("Enter")


CHANGES: dict[str, Callable[[Visit], object]] = {
    "CONFIGURE_TOTP": sets_app_up,
    "webauthn-register": sets_key_up,
    "UPDATE_PASSWORD": chooses_password,
}


class TestAChangedFactor:
    @pytest.mark.parametrize("action", CHANGES)
    def test_ends_the_persons_other_sessions_unasked(
        self, register: Register, visit: Visit, elsewhere: Visit, ended: list[str], action: str
    ) -> None:
        person = register.person("citizen")
        others, own = [opened(elsewhere, person)], opened(visit, person)
        elsewhere.forgets()
        others.append(opened(elsewhere, person))
        elsewhere.forgets()
        bystander = opened(elsewhere, register.person("citizen"))
        visit.opens(kc_action=action)
        visit.page.get_by_text("Your sessions elsewhere end with this").wait_for()
        assert visit.page.locator("input[type=checkbox]").count() == 0
        CHANGES[action](visit)
        visit.page.wait_for_url(f"{visit.callback}**")
        assert all(over(elsewhere, other) for other in others) and not over(visit, own)
        assert not over(elsewhere, bystander)
        assert {*ended} and {*ended} <= {
            other.claims["sid"] for other in others
        }  # Keycloak tells a client of one of them only

    def test_says_so_in_french(self, register: Register, elsewhere: Visit) -> None:
        opened(elsewhere, register.person("citizen"))
        elsewhere.opens(kc_action="UPDATE_PASSWORD", ui_locales="fr")
        elsewhere.page.get_by_text("Vos autres sessions prennent fin").wait_for()


class TestSigningOut:
    @pytest.mark.parametrize("bound", [True, False])
    def test_ends_the_session_of_bound_and_of_plain_tokens(
        self, keycloak: Keycloak, register: Register, ended: list[str], bound: bool
    ) -> None:
        person, prover = register.person("citizen"), Prover() if bound else None
        tokens = signin.sign_in(keycloak.issuer, person.name, PASSWORD, prover=prover)
        signin.sign_out(keycloak.issuer, tokens)
        with pytest.raises(signin.SignInFailed, match="Session not active"):
            signin.refresh(keycloak.issuer, tokens, prover)
        assert ended == [tokens["session_state"]]

    @pytest.mark.parametrize("hint", ["", "guessed"])
    def test_is_not_said_to_be_done_where_nothing_was_ended(self, keycloak: Keycloak, hint: str) -> None:
        with pytest.raises(signin.SignInFailed):
            signin.sign_out(keycloak.issuer, {"id_token": hint})


class TestOnesOwnSessions:
    def test_are_seen_and_one_of_them_ended(
        self, keycloak: Keycloak, register: Register, visit: Visit, elsewhere: Visit, ended: list[str]
    ) -> None:
        person = register.person("citizen")
        one, other = opened(visit, person), opened(elsewhere, person)
        with own_sessions.looking(keycloak.issuer, person.name, PASSWORD) as own:
            seen = {session.id: session for session in own.all()}
            assert seen.keys() == {one.claims["sid"], other.claims["sid"]}
            assert seen[one.claims["sid"]].clients == (signin.CLIENT_ID,)
            assert "Chrome" in seen[one.claims["sid"]].browser
            own.end(other.claims["sid"])
            assert [session.id for session in own.all()] == [one.claims["sid"]]
        assert over(visit, other) and not over(visit, one)
        assert ended == [other.claims["sid"]]

    def test_are_ended_all_at_once(
        self, keycloak: Keycloak, register: Register, visit: Visit, elsewhere: Visit, ended: list[str]
    ) -> None:
        person = register.person("inspector", app=True)
        sessions = []
        for seen, periods in ((visit, -1), (elsewhere, 0)):
            seen.opens()
            seen.types(person)
            seen.types_code(person, periods)
            sessions.append(seen.session())
        with own_sessions.looking(keycloak.issuer, person.name, PASSWORD, person.secret) as own:
            assert own.end_all() == 2
            assert own.all() == []
        assert all(over(visit, session) for session in sessions)
        assert sorted(ended) == sorted(session.claims["sid"] for session in sessions)

    def test_another_persons_are_neither_seen_nor_ended(
        self, keycloak: Keycloak, register: Register, visit: Visit
    ) -> None:
        other, person, prover = opened(visit, register.person("citizen")), register.person("citizen"), Prover()
        session = str(other.claims["sid"])
        with own_sessions.looking(keycloak.issuer, person.name, PASSWORD) as own:
            assert own.all() == []
            with pytest.raises(signin.SignInFailed, match="you have no session"):
                own.end(session)
        tokens = signin.sign_in(keycloak.issuer, person.name, PASSWORD, prover=prover, client=own_sessions.CLIENT_ID)
        for name in (session, "no-such-session"):  # past the command: answered alike
            address = f"{keycloak.issuer}/account/sessions/{name}"
            headers = prover.headers("DELETE", address, str(tokens["access_token"]))
            answer = httpx.delete(address, headers={**headers, "accept": "application/json"})
            assert (answer.status_code, answer.content) == (204, b"")
        assert not over(visit, other)

    def test_are_shown_to_no_token_for_services_and_to_no_bound_one_without_its_proof(
        self, keycloak: Keycloak, register: Register
    ) -> None:
        person, prover, address = register.person("citizen"), Prover(), f"{keycloak.issuer}/account/sessions"
        for client in (signin.CLIENT_ID, own_sessions.CLIENT_ID):
            token = str(
                signin.sign_in(keycloak.issuer, person.name, PASSWORD, prover=prover, client=client)["access_token"]
            )
            tried = [{"authorization": f"{scheme} {token}"} for scheme in ("Bearer", "DPoP")]
            tried += [Prover().headers("GET", address, token)]
            tried += [prover.headers("GET", address, token)] if client == signin.CLIENT_ID else []
            for headers in tried:
                assert httpx.get(address, headers={**headers, "accept": "application/json"}).status_code == 401

    def test_the_command_shows_and_ends_them(self, keycloak: Keycloak, register: Register, visit: Visit) -> None:
        person = register.person("citizen")
        other = opened(visit, person)
        asked = [sys.executable, "-m", "clusters", "sessions", "--user", person.name, "--password", PASSWORD]
        env = {**os.environ, "ISSUER_URL": keycloak.issuer}
        shown = subprocess.run([*asked, "--json"], env=env, capture_output=True, text=True, check=True)
        assert [session["id"] for session in json.loads(shown.stdout)] == [other.claims["sid"]]
        done = subprocess.run([*asked, "--end-all"], env=env, capture_output=True, text=True, check=True)
        assert done.stdout == "no session is open\n"
        assert over(visit, other)


class TestGuessing:
    @pytest.mark.parametrize(("language", "wait"), [("en", "has to wait"), ("fr", "doit attendre")])
    def test_makes_the_account_wait_and_says_so(
        self, register: Register, visit: Visit, language: str, wait: str
    ) -> None:
        person = register.person("citizen")
        visit.opens(ui_locales=language)
        for _ in range(8):
            visit.types(person, "wrong")
            visit.page.locator("#input-error-username").wait_for()
        visit.types(person)
        visit.page.locator("#input-error-username").wait_for()
        assert wait in visit.page.locator("#input-error-username").inner_text()

    def test_does_not_touch_another(self, register: Register, visit: Visit, elsewhere: Visit) -> None:
        guessed, other = register.person("citizen"), register.person("citizen")
        visit.opens()
        for _ in range(8):
            visit.types(guessed, "wrong")
            visit.page.locator("#input-error-username").wait_for()
        elsewhere.opens()
        elsewhere.types(other)
        assert elsewhere.session().claims["sub"] == other.id

    def test_leaves_a_session_that_is_open_alone(self, register: Register, visit: Visit, elsewhere: Visit) -> None:
        person = register.person("citizen")
        visit.opens()
        visit.types(person)
        session = visit.session()
        elsewhere.opens()
        for _ in range(8):
            elsewhere.types(person, "wrong")
            elsewhere.page.locator("#input-error-username").wait_for()
        assert visit.refreshed(session).status_code == 200

    def test_at_once_has_one_try_looked_at(self, keycloak: Keycloak, register: Register, admin: KeycloakAdmin) -> None:
        """Keycloak judges one try of an account at a time and refuses the others unseen: guessing in parallel gains nothing."""
        person = register.person("citizen")
        with ThreadPoolExecutor(12) as pool:
            told = list(pool.map(lambda number: _tried(keycloak, person, f"wrong {number}"), range(12)))
        assert not any(told)
        events = admin.get_events({"user": person.id, "max": 100})
        errors = Counter(event["error"] for event in events if event["type"] == "LOGIN_ERROR")
        looked_at = errors["invalid_user_credentials"]
        assert errors.total() == 12
        assert errors["user_temporarily_disabled"] == 12 - looked_at
        assert looked_at == admin.get_bruteforce_detection_status(person.id)["numFailures"] <= 8


def _tried(keycloak: Keycloak, person: Person, password: str) -> bool:
    """Whether a password lets in."""
    try:
        return bool(signin.sign_in(keycloak.issuer, person.name, password))
    except signin.SignInFailed:
        return False
