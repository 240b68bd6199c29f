"""Following Keycloak's events: each told at least once, whatever breaks off in between, and of people only who acted."""

from pathlib import Path
from typing import Any

import pytest
from keycloak import KeycloakAdmin

from clusters.keycloak.events import AT_ONCE, Follower, seen, seen_of_admin
from services.accounts.security import SecurityObserved
from services.kit.events import check

Json = dict[str, Any]


class Realm(KeycloakAdmin):
    """A realm's events as Keycloak pages them: the latest first."""

    def __init__(self) -> None:
        self.happened: list[Json] = []
        self.asked: list[Json] = []

    def happens(self, count: int, kind: str = "LOGIN_ERROR") -> None:
        for _ in range(count):
            n = len(self.happened)
            event = {"id": f"e{n}", "time": 1_000_000 * n, "type": kind, "userId": "ann", "clientId": "web"}
            self.happened.append({**event, "error": "invalid_user_credentials", "ipAddress": "192.0.2.7"})

    def get_events(self, query: Any = None) -> list[Any]:
        self.asked.append(query)
        found = [event for event in reversed(self.happened) if event["time"] >= query["dateFrom"]]
        return found[query["first"] : query["first"] + query["max"]]

    def get_admin_events(self, query: Any = None) -> list[Any]:
        return []


@pytest.fixture
def realm() -> Realm:
    return Realm()


class Stream:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.fails_after = 10_000

    async def publish(self, envelope: Json) -> None:
        check(SecurityObserved, envelope)
        if self.fails_after <= 0:
            raise OSError("away")
        self.fails_after -= 1
        self.told += [event["id"] for event in envelope["data"]["events"]]


class TestAFollower:
    async def test_tells_all_pages_and_then_only_what_is_new(self, realm: Realm, tmp_path: Path) -> None:
        stream = Stream()
        follower = Follower(realm, stream.publish, tmp_path / "state")
        realm.happens(2 * AT_ONCE + 5)
        assert await follower.once() == 2 * AT_ONCE + 5
        realm.happens(3)
        stream.told.clear()
        await Follower(realm, stream.publish, tmp_path / "state").once()  # another process
        assert stream.told == ["e207", "e206", "e205", "e204"]  # and the last one again

    async def test_that_is_cut_off_tells_again_rather_than_never(self, realm: Realm, tmp_path: Path) -> None:
        stream = Stream()
        stream.fails_after = 1
        realm.happens(AT_ONCE + 1)
        with pytest.raises(OSError, match="away"):
            await Follower(realm, stream.publish, tmp_path / "state").once()
        stream.fails_after = 9
        await Follower(realm, stream.publish, tmp_path / "state").once()
        assert set(stream.told) == {event["id"] for event in realm.happened}

    async def test_begins_anew_where_it_cannot_tell_how_far_it_came(self, realm: Realm, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("half a wor")
        realm.happens(2)
        assert await Follower(realm, Stream().publish, tmp_path / "state").once() == 2

    async def test_leaves_out_what_every_session_does_every_minute(self, realm: Realm, tmp_path: Path) -> None:
        realm.happens(2, "REFRESH_TOKEN")
        realm.happens(1, "REFRESH_TOKEN_ERROR")
        assert await Follower(realm, Stream().publish, tmp_path / "state").once() == 1


class TestWhatIsKept:
    def test_of_a_user_s_event_is_who_where_and_why_not(self, realm: Realm) -> None:
        realm.happens(1)
        told = seen(realm.happened[0])
        assert (told["kind"], told["actor"], told["client"], told["detail"]) == (
            "LOGIN_ERROR",
            "ann",
            "web",
            "invalid_user_credentials",
        )
        assert "192.0.2.7" not in str(told)

    def test_of_an_administrator_s_is_what_they_did_to_what(self) -> None:
        event = {
            "time": 5,
            "operationType": "UPDATE",
            "resourceType": "USER",
            "resourcePath": "users/bob",
            "authDetails": {"userId": "root", "clientId": "onedoor-admin", "ipAddress": "192.0.2.7"},
            "representation": '{"email":"bob@example.ca"}',
        }
        told = seen_of_admin(event)
        assert (told["kind"], told["actor"], told["operation"]) == ("ADMIN_UPDATE_USER", "root", "users/bob")
        assert "example.ca" not in str(told) and "192.0.2.7" not in str(told)
        assert told["id"] == seen_of_admin(dict(event))["id"]  # one without an id of its own is known again
