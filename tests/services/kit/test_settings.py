"""Settings: what is missing or malformed is named, with what it should hold; what is forgotten fails safe."""

import pytest

from services.kit.settings import Mode, SettingMissing, database_url, mode, service_settings

ENV = {
    "WATER_PERMITS_DATABASE_URL": "postgresql://a:b@c:5/d",
    "NATS_URL": "nats://127.0.0.1:4222",
    "ISSUER_URL": "http://127.0.0.1:8080/realms/onedoor/",
    "GATEWAY_KEYS": "/keys/gateway.json",
    "AUDIT_KEYS": "/keys/audit.json",
    "GRANT_KEYS": "/keys/grants.json",
    "SUBGRAPH_URL_WATER_PERMITS": "http://water.test/graphql",
}


class TestServiceSettings:
    def test_are_read_from_the_environment(self) -> None:
        found = service_settings("water_permits", {**ENV, "PORT": "8199", "ISSUER_INTERNAL_URL": "http://issuer/x"})
        assert (found.port, found.host, found.audience) == (8199, "127.0.0.1", "water-permits")
        assert found.database_url == "postgresql+asyncpg://a:b@c:5/d"
        assert found.issuer.url == "http://127.0.0.1:8080/realms/onedoor"
        assert found.issuer.jwks_url == "http://issuer/x/protocol/openid-connect/certs"

    def test_are_those_of_production_when_nobody_says(self) -> None:
        assert service_settings("water_permits", ENV).mode is Mode.PRODUCTION

    @pytest.mark.parametrize("mode", ["local", "test"])
    def test_let_anybody_call_outside_production_where_no_keys_are_set(self, mode: str) -> None:
        env = {name: text for name, text in ENV.items() if name not in ("GATEWAY_KEYS", "SUBGRAPH_URL_WATER_PERMITS")}
        assert service_settings("water_permits", {**env, "ONEDOOR_MODE": mode}).gateway_keys is None
        with pytest.raises(SettingMissing, match="SUBGRAPH_URL_WATER_PERMITS"):
            service_settings("water_permits", {**env, "ONEDOOR_MODE": mode, "GATEWAY_KEYS": "k"})

    @pytest.mark.parametrize("variable", list(ENV))
    @pytest.mark.parametrize("value", [None, "", "  "])
    def test_name_what_is_missing(self, variable: str, value: str | None) -> None:
        env = {name: text for name, text in {**ENV, variable: value}.items() if text is not None}
        with pytest.raises(SettingMissing, match=variable):
            service_settings("water_permits", env)

    @pytest.mark.parametrize("port", ["eighty", "", "8_0x", "1.5"])
    def test_refuse_a_port_that_is_no_number(self, port: str) -> None:
        with pytest.raises(SettingMissing, match="PORT"):
            service_settings("water_permits", {**ENV, "PORT": port})


class TestWhatIsMissing:
    @pytest.fixture(autouse=True)
    def in_french(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LC_ALL", "fr_CA.UTF-8")

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"NATS_URL": ""}, "NATS_URL n’est pas définie; elle doit indiquer le serveur NATS, "),
            ({"PORT": "1.5"}, "PORT vaut '1.5'; il faut un nombre entier"),
            ({"ONEDOOR_MODE": "x"}, "ONEDOOR_MODE vaut 'x'; il faut local, test ou production"),
            ({"WATER_PERMITS_DATABASE_URL": "x"}, "WATER_PERMITS_DATABASE_URL doit commencer par postgresql://"),
        ],
    )
    def test_is_said_in_french_where_the_locale_is(self, changes: dict[str, str], said: str) -> None:
        with pytest.raises(SettingMissing) as refused:
            service_settings("water_permits", {**ENV, **changes})
        assert str(refused.value).startswith(said)


class TestMode:
    def test_that_nobody_knows_is_refused(self) -> None:
        with pytest.raises(SettingMissing, match="'staging'"):
            mode({"ONEDOOR_MODE": "staging"})


class TestTheDatabase:
    @pytest.mark.parametrize("url", ["mysql://a/b", "sqlite:///x", "c:5/d"])
    def test_is_postgresql(self, url: str) -> None:
        with pytest.raises(SettingMissing, match="postgresql://"):
            database_url("water_permits", {"WATER_PERMITS_DATABASE_URL": url})
