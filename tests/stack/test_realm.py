"""`onedoor keycloak` on Keycloak itself: a realm from nothing, whatever is changed by hand found and mended, keys rotated."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from keycloak import KeycloakAdmin
from keycloak.exceptions import KeycloakError

from clusters.access import Access, access
from clusters.keycloak import connection, expected, rotation
from clusters.keycloak.clients import REALM_MANAGEMENT
from clusters.keycloak.connection import Account
from clusters.keycloak.differences import Difference
from clusters.keycloak.provision import Provision
from clusters.keycloak.state import KEY_TYPE
from services.kit.door import assertion
from services.kit.settings import Issuer
from services.kit.tokens import Keys, Verifier, http_source
from tests.stack.conftest import Keycloak

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("keycloak")]
LIFE_S = 4  # of an access token in the realm whose keys are rotated
REFRESH_S = 1.0  # how often its verifier fetches keys
MONITOR = "onedoor-monitor"
KEY = ECKey.generate_key("P-256", {"use": "sig"}, auto_kid=True)
KEY_SET = {"keys": [KEY.as_dict(private=False)]}
Change = Callable[[KeycloakAdmin], Any]


def rules(realm: str) -> Access:
    return replace(access("https://www.example.ca", "https://door.example.ca"), realm=realm)


def provision(keycloak: Keycloak, realm: str, **more: Any) -> Provision:
    """As the bootstrap client of an empty server does it."""
    account = Account(keycloak.base, keycloak.admin, "master", secret=keycloak.admin_secret)
    return Provision(connection.connected(account, realm), account, rules(realm), more.pop("keys", {}), **more)


@pytest.fixture(scope="module")
def broken(keycloak: Keycloak) -> Iterator[Provision]:
    """A realm that tests may break, made by `apply`; each leaves it whole."""
    made = provision(keycloak, "broken")
    assert made.carry_out() == ()
    yield made
    made.admin.delete_realm("broken")


@pytest.fixture
def turning(keycloak: Keycloak) -> Iterator[Provision]:
    """A realm of its own, in which tokens end soon."""
    made = provision(keycloak, "turning", keys={MONITOR: KEY_SET})
    made = replace(made, rules=replace(made.rules, lives=replace(made.rules.lives, access=LIFE_S)))
    assert made.carry_out() == ()
    yield made
    made.admin.delete_realm("turning")


class TestARealmFromNothing:
    def test_it_is_made_and_then_there_is_nothing_to_do(self, broken: Provision) -> None:
        assert broken.plan() == ()
        assert broken.carry_out() == ()

    def test_nobody_can_sign_in_whose_password_is_known(self, broken: Provision) -> None:
        known = {user.subject for user in access().users.values()}
        assert not known & {user["id"] for user in broken.admin.get_users({})}

    @pytest.mark.parametrize("password", ["Onedoor2026!", "motdepasse123", "short"])
    def test_a_password_that_is_guessed_first_is_refused(self, broken: Provision, password: str) -> None:
        with pytest.raises(KeycloakError, match=r"^400"):
            broken.admin.set_user_password(stranger(broken.admin), password, temporary=False)

    def test_another_is_taken(self, broken: Provision) -> None:
        broken.admin.set_user_password(stranger(broken.admin), "a door that sings", temporary=False)

    def test_what_keycloak_fills_in_is_what_was_learned_of_this_version(self, broken: Provision) -> None:
        told = expected.written(expected.learn(broken.admin))
        assert told == expected.FILE.read_text(encoding="utf-8"), f"mend it: {expected.MENDS}"


def client_id(admin: KeycloakAdmin, name: str = "onedoor-cli") -> str:
    return str(admin.get_client_id(name))


def changed_client(name: str = "onedoor-cli", **fields: Any) -> Change:
    return lambda admin: admin.update_client(client_id(admin, name), fields)


def changed_realm(**fields: Any) -> Change:
    return lambda admin: admin.update_realm(str(admin.connection.realm_name), fields)


def stranger(admin: KeycloakAdmin) -> str:
    return str(admin.create_user({"username": "stranger", "enabled": True}, exist_ok=True))


def made_administrator(admin: KeycloakAdmin) -> None:
    owner = client_id(admin, REALM_MANAGEMENT)
    admin.assign_client_role(stranger(admin), owner, [admin.get_client_role(owner, "realm-admin")])


def citizens_conduct_inspections(admin: KeycloakAdmin) -> None:
    scope = next(s["id"] for s in admin.get_client_scopes() if s["name"] == "inspection:conduct")
    path = f"admin/realms/broken/client-scopes/{scope}/scope-mappings/realm"
    admin.connection.raw_post(path, data=json.dumps([admin.get_realm_role("citizen")]))


def everybody_is_an_operator(admin: KeycloakAdmin) -> None:
    admin.add_composite_realm_roles_to_role("default-roles-broken", [admin.get_realm_role("operator")])


def a_ministry_gives_a_right(admin: KeycloakAdmin) -> None:
    group = admin.get_group_by_path("/education/education")["id"]
    admin.assign_group_realm_roles(group, [admin.get_realm_role("operator")])


def another_audience(admin: KeycloakAdmin) -> None:
    scope = next(s["id"] for s in admin.get_client_scopes() if s["name"] == "audiences")
    config = {"included.custom.audience": "elsewhere", "access.token.claim": "true"}
    mapper = {"name": "elsewhere", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper"}
    admin.add_mapper_to_client_scope(scope, {**mapper, "config": config})


def changed_mapper(name: str, **config: str) -> Change:
    def change(admin: KeycloakAdmin) -> None:
        scope, _, mapper = name.partition("/")
        held = next(s for s in admin.get_client_scopes() if s["name"] == scope)
        (found,) = [m for m in held["protocolMappers"] if m["name"] == mapper]
        path = f"admin/realms/broken/client-scopes/{held['id']}/protocol-mappers/models/{found['id']}"
        admin.connection.raw_put(path, data=json.dumps({**found, "config": {**found["config"], **config}}))

    return change


def no_policy(admin: KeycloakAdmin) -> None:
    admin.connection.raw_put("admin/realms/broken/client-policies/policies", data=json.dumps({"policies": []}))


def a_foreign_key(admin: KeycloakAdmin) -> None:
    component = {"name": "foreign", "providerId": "ecdsa-generated", "providerType": KEY_TYPE}
    config = {"priority": ["200"], "ecdsaEllipticCurveKey": ["P-256"]}
    admin.create_component({**component, "parentId": admin.get_realm("broken")["id"], "config": config})


def a_weak_key(admin: KeycloakAdmin) -> None:
    component = {"name": "weak", "providerId": "rsa-generated", "providerType": KEY_TYPE}
    config = {"priority": ["300"], "keySize": ["1024"], "algorithm": ["RS256"]}
    admin.create_component({**component, "parentId": admin.get_realm("broken")["id"], "config": config})


def a_flow_of_their_own(admin: KeycloakAdmin) -> None:
    flow = {"alias": "their own", "providerId": "basic-flow", "topLevel": True, "builtIn": False}
    admin.create_authentication_flow(flow, skip_exists=True)
    admin.create_authentication_flow_execution({"provider": "auth-cookie"}, "their own")
    admin.update_realm("broken", {"browserFlow": "their own"})


def a_step_is_left_out(admin: KeycloakAdmin) -> None:
    (step, *_) = [s for s in admin.get_authentication_flow_executions("direct grant") if s["requirement"] == "REQUIRED"]
    admin.update_authentication_flow_executions({**step, "requirement": "DISABLED"}, "direct grant")


def people_come_from_elsewhere(admin: KeycloakAdmin) -> None:
    config = {
        "clientId": "x",
        "clientSecret": "x",
        "authorizationUrl": "https://a.example",
        "tokenUrl": "https://a.example",
    }
    admin.create_idp({"alias": "elsewhere", "providerId": "oidc", "enabled": True, "config": config})


def the_service_reviews(admin: KeycloakAdmin) -> None:
    user = admin.get_client_service_account_user(client_id(admin, "catalogue"))["id"]
    admin.assign_realm_roles(user, [admin.get_realm_role("reviewer")])


def the_service_works_for_a_ministry(admin: KeycloakAdmin) -> None:
    user = admin.get_client_service_account_user(client_id(admin, "accounts"))["id"]
    admin.group_user_add(user, admin.get_group_by_path("/education/education")["id"])


def everyone_edits_their_name(admin: KeycloakAdmin) -> None:
    profile = admin.get_realm_users_profile()
    admin.update_realm_users_profile({**profile, "unmanagedAttributePolicy": "ENABLED"})


def a_required_action_goes(admin: KeycloakAdmin) -> None:
    admin.connection.raw_delete("admin/realms/broken/authentication/required-actions/UPDATE_PASSWORD")


def changed_texts(language: str, **texts: str) -> Change:
    def change(admin: KeycloakAdmin) -> None:
        admin.connection.raw_post(f"admin/realms/broken/localization/{language}", data=json.dumps(texts))

    return change


def a_scope_more(admin: KeycloakAdmin) -> None:
    scope = admin.create_client_scope({"name": "everything", "protocol": "openid-connect"})
    admin.add_client_optional_client_scope(client_id(admin), scope, {})


# What is changed → how, and the deviation that tells it: kind, name, field.
DEVIATIONS: dict[str, tuple[Change, tuple[str, str, str]]] = {
    "brute force is allowed": (changed_realm(bruteForceProtected=False), ("realm", "", "bruteForceProtected")),
    "a weak password": (changed_realm(passwordPolicy="length(4)"), ("realm", "", "passwordPolicy")),
    "a refresh token again": (changed_realm(revokeRefreshToken=False), ("realm", "", "revokeRefreshToken")),
    "anybody registers": (changed_realm(registrationAllowed=True), ("realm", "", "registrationAllowed")),
    "nothing is recorded": (changed_realm(adminEventsEnabled=False), ("realm", "", "adminEventsEnabled")),
    "what nobody said": (changed_realm(offlineSessionIdleTimeout=99), ("realm", "", "offlineSessionIdleTimeout")),
    "a page in a frame": (
        changed_realm(browserSecurityHeaders={"contentSecurityPolicy": "frame-ancestors *"}),
        ("realm", "", "browserSecurityHeaders.contentSecurityPolicy"),
    ),
    "no client policy": (no_policy, ("clientPolicies", "", "policies")),
    "the password grant": (
        changed_client(directAccessGrantsEnabled=True),
        ("client", "onedoor-cli", "directAccessGrantsEnabled"),
    ),
    "full scope": (changed_client("onedoor-web", fullScopeAllowed=True), ("client", "onedoor-web", "fullScopeAllowed")),
    "an address more": (
        changed_client("onedoor-web", redirectUris=["https://www.example.ca/callback", "https://evil.example/*"]),
        ("client", "onedoor-web", "redirectUris"),
    ),
    "no pushed requests": (
        changed_client("onedoor-web", attributes={"require.pushed.authorization.requests": "false"}),
        ("client", "onedoor-web", "attributes.require.pushed.authorization.requests"),
    ),
    "an attribute more": (
        changed_client(attributes={"access.token.lifespan": "86400"}),
        ("client", "onedoor-cli", "attributes.access.token.lifespan"),
    ),
    "tokens without a key": (
        changed_client(attributes={"dpop.bound.access.tokens": "false"}),
        ("client", "onedoor-cli", "attributes.dpop.bound.access.tokens"),
    ),
    "a built-in client awakes": (changed_client("admin-cli", enabled=True), ("client", "admin-cli", "enabled")),
    "a client more": (
        lambda admin: admin.create_client({"clientId": "theirs", "publicClient": True}),
        ("client", "theirs", ""),
    ),
    "a role more": (lambda admin: admin.create_realm_role({"name": "king"}), ("role", "king", "")),
    "everybody an operator": (everybody_is_an_operator, ("role", "default-roles", "composites.realm")),
    "a group more": (lambda admin: admin.create_group({"name": "friends"}), ("group", "/friends", "")),
    "a ministry gives a right": (a_ministry_gives_a_right, ("group", "/education/education", "realmRoles")),
    "citizens conduct": (citizens_conduct_inspections, ("scope", "inspection:conduct", "roles")),
    "a scope more": (a_scope_more, ("scope", "everything", "")),
    "an audience more": (another_audience, ("scope mapper", "audiences/elsewhere", "")),
    "ministries by their own names alone": (
        changed_mapper("ministries/ministries", **{"full.path": "false"}),
        ("scope mapper", "ministries/ministries", "config.full.path"),
    ),
    "a service works for a ministry": (
        the_service_works_for_a_ministry,
        ("service account", "accounts", "groups"),
    ),
    "a service reviews": (the_service_reviews, ("service account", "catalogue", "realmRoles")),
    "an administrator more": (made_administrator, ("holder", "realm-admin/stranger", "")),
    "a foreign key": (a_foreign_key, ("key", "ecdsa-generated", "")),
    "a weak key": (a_weak_key, ("key", "rsa-generated (weak)", "")),
    "another flow": (a_flow_of_their_own, ("realm", "", "browserFlow")),
    "a step is left out": (a_step_is_left_out, ("flow", "direct grant", "steps")),
    "people from elsewhere": (people_come_from_elsewhere, ("identity provider", "elsewhere", "")),
    "another profile": (
        everyone_edits_their_name,
        ("component", "UserProfileProvider/declarative-user-profile", "config.kc.user.profile.config"),
    ),
    "a text that hides the wait": (
        changed_texts("fr", invalidUserMessage="Non."),
        ("texts", "fr", "invalidUserMessage"),
    ),
    "a language more": (changed_texts("de", doLogIn="Los"), ("texts", "de", "")),
    "an action less": (a_required_action_goes, ("required action", "UPDATE_PASSWORD", "")),
    "a client less": (
        lambda admin: admin.delete_client(client_id(admin, "inspections")),
        ("client", "inspections", ""),
    ),
    "a role less": (lambda admin: admin.delete_realm_role("auditor"), ("role", "auditor", "")),
}


@pytest.fixture(scope="module")
def told(broken: Provision) -> tuple[Difference, ...]:
    """What `check` finds after everything above was changed by hand."""
    for change, _ in DEVIATIONS.values():
        change(broken.admin)
    return broken.plan()


class TestDeviations:
    @pytest.mark.parametrize("what", DEVIATIONS)
    def test_each_is_found_by_name(self, told: tuple[Difference, ...], what: str) -> None:
        assert DEVIATIONS[what][1] in {(d.kind, d.name, d.field) for d in told}, [str(d) for d in told]

    def test_all_are_mended(self, broken: Provision, told: tuple[Difference, ...]) -> None:
        assert [str(d) for d in broken.carry_out()] == []
        assert broken.plan() == ()


class Watch:
    """Verifies as gateway and services do, with keys by the timer alone: fetching for an unknown key is ruled out."""

    def __init__(self, keycloak: Keycloak, realm: str) -> None:
        self.issuer = f"{keycloak.base}/realms/{realm}"
        settings = Issuer(self.issuer, self.issuer)
        self.keys = Keys(http_source(settings.jwks_url), clock=lambda: 0)
        self._verifier = Verifier(settings, "onedoor", self.keys)
        self.held: list[tuple[float, str]] = []
        self.signed_by: list[str] = []
        self.verified = 0

    async def run(self, until: asyncio.Event) -> None:
        await self.keys.refresh()
        fetching = asyncio.create_task(self._fetch())
        async with httpx.AsyncClient() as client:
            while not until.is_set():
                await self._sign_in(client)
                await self._verify_all()
        fetching.cancel()

    async def _fetch(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.keys.refresh()

    async def _sign_in(self, client: httpx.AsyncClient) -> None:
        form = {"grant_type": "client_credentials", "client_id": MONITOR, **assertion(MONITOR, KEY, self.issuer)}
        answer = await client.post(f"{self.issuer}/protocol/openid-connect/token", data=form)
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        kid = jws.extract_compact(token.encode()).headers()["kid"]
        if kid not in self.signed_by:
            self.signed_by.append(kid)
        self.held.append((time.time() + LIFE_S, token))

    async def _verify_all(self) -> None:
        self.held = [(until, token) for until, token in self.held if until > time.time()]
        for _, token in self.held:
            await self._verifier.verify(token)  # raises TokenRefused
            self.verified += 1


class TestRotation:
    async def test_no_token_is_refused_while_the_keys_turn(self, keycloak: Keycloak, turning: Provision) -> None:
        watch, done = Watch(keycloak, "turning"), asyncio.Event()
        said: list[str] = []
        watching = asyncio.create_task(watch.run(done))
        waits = rotation.Waits(REFRESH_S, leeway_s=1)
        for _ in range(2):  # the second starts from what the first left
            await asyncio.to_thread(rotation.rotate, turning.admin, waits, said.append)
            assert len(published(watch.issuer)) == 1
        done.set()
        await watching
        assert len(said) == 6
        assert len(watch.signed_by) == 3
        assert watch.verified > 20
        assert watch.signed_by[-1] in published(watch.issuer)
        assert turning.plan() == ()

    def test_one_that_was_cut_off_goes_on_where_it_was(self, keycloak: Keycloak, turning: Provision) -> None:
        issuer, before = f"{keycloak.base}/realms/turning", published(f"{keycloak.base}/realms/turning")
        seen: list[set[str]] = []

        def cut_off(_: float) -> None:
            seen.append(published(issuer))
            raise KeyboardInterrupt

        def patient(_: float) -> None:
            seen.append(published(issuer))

        def cut_off_later(_: float) -> None:
            patient(_)
            if len(seen) == 3:
                raise KeyboardInterrupt

        waits = rotation.Waits(REFRESH_S, leeway_s=0)
        for sleep in (cut_off, cut_off_later):
            with pytest.raises(KeyboardInterrupt):
                rotation.rotate(turning.admin, waits, lambda _: None, sleep)
        rotation.rotate(turning.admin, waits, lambda _: None, patient)
        assert all(keys == seen[0] for keys in seen) and len(seen[0]) == 2  # one new key, however often it was cut off
        assert published(issuer) == seen[0] - before
        assert turning.plan() == ()


def published(issuer: str) -> set[str]:
    """The keys of the realm that verifiers see."""
    found = httpx.get(f"{issuer}/protocol/openid-connect/certs").json()["keys"]
    return {key["kid"] for key in found if key["use"] == "sig"}


@pytest.fixture(scope="module")
def by_hand(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of who makes the realm; the folder of keys holds that of the realm's own client."""
    folder = tmp_path_factory.mktemp("keys")
    (folder / "onedoor-admin.pem").write_bytes(KEY.as_pem(private=True))
    (folder / "onedoor-admin.jwks.json").write_text(json.dumps(KEY_SET))
    yield {
        "KEYCLOAK_URL": keycloak.base,
        "KEYCLOAK_REALM": "by-hand",
        "KEYCLOAK_CLIENT_ID": keycloak.admin,
        "KEYCLOAK_CLIENT_SECRET": keycloak.admin_secret,
        "KEYCLOAK_CLIENT_REALM": "master",
        "KEYCLOAK_CLIENT_KEYS": str(folder),
        "WEB_URL": "https://www.example.ca",
        "GATEWAY_URL": "https://door.example.ca",
    }
    with contextlib.suppress(KeycloakError):  # a test that was run alone may not have made it
        provision(keycloak, "by-hand").admin.delete_realm("by-hand")


@pytest.fixture(scope="module")
def own(by_hand: dict[str, str]) -> dict[str, str]:
    """The environment of the realm's own client."""
    kept = {name: value for name, value in by_hand.items() if not name.startswith("KEYCLOAK_CLIENT_")}
    keys = by_hand["KEYCLOAK_CLIENT_KEYS"]
    return {**kept, "KEYCLOAK_CLIENT_KEYS": keys, "KEYCLOAK_CLIENT_KEY": f"{keys}/onedoor-admin.pem"}


class TestCommands:
    """In order: nothing there, looked at, refused, made, judged by the realm's own client, changed by hand, mended."""

    def test_a_realm_that_is_not_there_deviates_in_everything(self, by_hand: dict[str, str]) -> None:
        done = onedoor("check", **by_hand)
        assert done.returncode == 1
        assert {"realm: missing", "client onedoor-web: missing", "role auditor: missing"} <= {*done.stdout.splitlines()}

    @pytest.mark.parametrize(
        ("arguments", "answer", "code"),
        [(("--dry-run", "--json"), "", 0), ((), "n\n", 1), (("--json",), "", 1)],
        ids=str,
    )
    def test_nothing_is_made_by_looking_or_without_consent(
        self, by_hand: dict[str, str], arguments: tuple[str, ...], answer: str, code: int
    ) -> None:
        done = onedoor("apply", *arguments, answer=answer, **by_hand)
        assert done.returncode == code, done.stderr
        if "--dry-run" in arguments:
            told = json.loads(done.stdout)
            assert (told["done"], told["left"]) == (False, [])
            assert {"kind": "realm", "name": "", "field": "", "expected": "present", "found": None} in told[
                "differences"
            ]
        assert onedoor("check", **by_hand).returncode == 1

    def test_it_is_made_once_and_says_which_client_has_no_key(self, by_hand: dict[str, str]) -> None:
        made = onedoor("apply", "--yes", **by_hand)
        assert (made.returncode, made.stdout.splitlines()[-1]) == (0, "Done; the realm is what the code says.")
        assert "onedoor-web has no key yet" in made.stderr and "onedoor-admin" not in made.stderr
        again = onedoor("apply", **by_hand)
        assert (again.returncode, again.stdout) == (0, "Nothing to do: the realm is what the code says.\n")

    def test_the_realms_own_client_judges_and_mends_it_by_its_key(
        self, keycloak: Keycloak, by_hand: dict[str, str], own: dict[str, str]
    ) -> None:
        first = onedoor("check", lang="fr_CA.UTF-8", **own)
        assert (first.returncode, first.stdout) == (0, "Rien à faire\u00a0: le domaine est conforme.\n"), first.stderr
        admin = provision(keycloak, "by-hand").admin
        for change in (the_service_reviews, another_audience, changed_client("onedoor-web", fullScopeAllowed=True)):
            change(admin)
        found = onedoor("check", lang="fr_CA.UTF-8", **own)
        assert found.returncode == 1
        assert "client onedoor-web\u00a0: fullScopeAllowed\u00a0: attendu false, trouvé true" in found.stdout
        mended = onedoor("apply", "--yes", "--json", **own)
        told = json.loads(mended.stdout)
        assert (mended.returncode, told["done"], told["left"]) == (0, True, [])
        assert onedoor("check", **own).returncode == 0

    def test_the_realms_own_client_takes_no_right_over_the_realm_from_anybody_and_says_so(
        self, keycloak: Keycloak, by_hand: dict[str, str], own: dict[str, str]
    ) -> None:
        admin = provision(keycloak, "by-hand").admin
        made_administrator(admin)
        changed_client("onedoor-web", fullScopeAllowed=True)(admin)
        done = onedoor("apply", "--yes", **own)
        assert done.returncode == 1
        assert "403" in done.stderr
        assert done.stderr.splitlines()[-1] == "right over the realm realm-admin/stranger: not managed here, yet there"
        assert onedoor("apply", "--yes", **by_hand).returncode == 0  # who made the realm does

    @pytest.mark.parametrize("lang", ["C.UTF-8", "fr_CA.UTF-8"])
    def test_who_may_not_is_told_in_a_sentence(self, by_hand: dict[str, str], lang: str) -> None:
        done = onedoor("check", lang=lang, **{**by_hand, "KEYCLOAK_CLIENT_SECRET": "wrong"})
        assert (done.returncode, done.stdout) == (1, "")
        assert by_hand["KEYCLOAK_CLIENT_ID"] in done.stderr and "Traceback" not in done.stderr
        assert ("may not" if lang == "C.UTF-8" else "n’en a pas le droit") in done.stderr

    @pytest.mark.parametrize("command", ["apply", "check", "rotate-keys"])
    @pytest.mark.parametrize("lang", ["C.UTF-8", "fr_CA.UTF-8"])
    def test_each_explains_itself(self, command: str, lang: str) -> None:
        shown = onedoor(command, "--help", lang=lang)
        assert shown.returncode == 0
        assert ("Usage: " if lang == "C.UTF-8" else "Usage\u00a0: ") in shown.stdout


def onedoor(*arguments: str, answer: str = "", lang: str = "C.UTF-8", **env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "clusters", "keycloak", *arguments]
    usual = {"PATH": "/usr/bin:/bin", "LC_ALL": lang, "COLUMNS": "120"}
    return subprocess.run(
        command, env={**usual, **env}, input=answer, capture_output=True, text=True, check=False, timeout=120
    )
