"""What the catalogue answers: clusters, ministries, services, standards; in both languages, in few statements."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.catalogue.models import MeasuredResult
from services.catalogue.service import service
from services.kit.testing.client import Client

WHOLE = """{ clusters { code name { en fr } vision { en fr }
    ministries { code name { en fr } clusters { code } }
    services { code name { en fr } description { en fr } process { en fr } expected { en fr } duration { en fr }
        channels fees { since cents } feeCents ministry { code name { en } } cluster { code }
        standards { code name { en fr } target unit percent results { month line value volume met } achieved { met } } } } }"""
PROGRAMS = (
    "business-registration",
    "business-name-registration",
    "employer-health-tax",
    "retail-sales-tax-permit",
    "workers-compensation",
)


async def measure(client: Client, standard: str, *months: tuple[date, str, float, int]) -> None:
    async with client.database.transaction() as db:
        for month, line, value, volume in months:
            db.add(
                MeasuredResult(
                    standard_code=standard,
                    month=month,
                    line=line,
                    value=value,
                    volume=volume,
                    target=2,
                    published_at=datetime.now(UTC),
                )
            )


class TestClusters:
    async def test_the_seven_are_there_with_their_ministries(self, client: Client) -> None:
        clusters = (await client.run("{ clusters { code ministries { code } } }")).data["clusters"]
        assert {c["code"]: len(c["ministries"]) for c in clusters} == {
            "business-economic-development": 9,
            "central-agencies": 4,
            "education": 2,
            "human-services": 5,
            "intergovernmental-local-government": 2,
            "justice": 3,
            "resources": 2,
        }

    async def test_a_ministry_can_be_in_two(self, client: Client) -> None:
        answer = await client.run('{ ministry(code: "citizenship-culture-recreation") { clusters { code } } }')
        codes = [c["code"] for c in answer.data["ministry"]["clusters"]]
        assert codes == ["business-economic-development", "human-services"]

    async def test_everything_is_said_in_both_languages(self, client: Client) -> None:
        answer = await client.run(WHOLE)
        assert not answer.errors
        texts = list(halves(answer.data))
        assert len(texts) > 250
        assert [t for t in texts if not all(half and half.strip() for half in t.values())] == []

    async def test_a_text_comes_in_the_language_of_the_request(self, client: Client) -> None:
        text = '{ cluster(code: "resources") { name { in } } }'
        english = await client.run(text)
        french = await client.run(text, language="fr-CA")
        assert english.data["cluster"]["name"]["in"] == "Resources"
        assert french.data["cluster"]["name"]["in"] == "Ressources"

    async def test_the_whole_catalogue_takes_few_statements(self, client: Client) -> None:
        with client.statements() as seen:
            await client.run(WHOLE)
        assert seen.count <= 12, seen.texts


class TestServices:
    @pytest.mark.parametrize("code", PROGRAMS)
    async def test_each_program_of_a_registration_has_a_standard(self, client: Client, code: str) -> None:
        text = "query ($c: ID!) { governmentService(code: $c) { ministry { code } standards { target unit percent } } }"
        found = (await client.run(text, variables={"c": code})).data["governmentService"]
        assert found["ministry"]["code"]
        for standard in found["standards"]:
            assert standard["target"] > 0
            assert 1 <= standard["percent"] <= 100
        assert found["standards"]

    def test_the_registry_refers_to_those(self) -> None:
        from services.business_registration.register import SERVICES

        assert set(SERVICES.values()) < set(PROGRAMS)

    async def test_a_fee_is_the_one_of_the_day(self, client: Client) -> None:
        text = """{ governmentService(code: "vital-statistics") {
            before: feeCents(on: "2006-12-31") on: feeCents(on: "2007-01-01") today: feeCents fees { since cents } } }"""
        found = (await client.run(text)).data["governmentService"]
        assert found == {
            "before": None,
            "on": 2500,
            "today": 2500,
            "fees": [{"since": "2007-01-01", "cents": 2500}],
        }

    async def test_an_unknown_code_is_null_and_no_error(self, client: Client) -> None:
        answer = await client.run('{ a: cluster(code: "x") { code } b: ministry(code: "x") { code } }')
        assert (answer.data, answer.errors) == ({"a": None, "b": None}, [])


class TestMeasuredResults:
    STANDARD = "energy-line-wait"

    async def ask(self, client: Client, fields: str) -> Any:
        text = '{ governmentService(code: "energy-inquiry") { standards { ' + fields + " } } }"
        answer = await client.run(text)
        assert not answer.errors, answer.body
        return answer.data["governmentService"]["standards"][0]

    async def test_they_come_latest_first_each_with_the_target_of_its_time(self, client: Client) -> None:
        await measure(client, self.STANDARD, (date(2020, 1, 1), "a", 1.5, 10), (date(2020, 2, 1), "a", 2.5, 10))
        found = await self.ask(client, "results { month value target volume met }")
        assert found["results"] == [
            {"month": "2020-02-01", "value": 2.5, "target": 2.0, "volume": 10, "met": False},
            {"month": "2020-01-01", "value": 1.5, "target": 2.0, "volume": 10, "met": True},
        ]

    async def test_a_month_in_which_nobody_asked_neither_meets_nor_misses(self, client: Client) -> None:
        await measure(client, self.STANDARD, (date(2020, 1, 1), "a", 0, 0))
        assert await self.ask(client, "results { met } achieved { met }") == {
            "results": [{"met": None}],
            "achieved": None,
        }

    async def test_a_month_of_two_lines_is_met_when_both_met_it(self, client: Client) -> None:
        january, february = date(2020, 1, 1), date(2020, 2, 1)
        await measure(
            client,
            self.STANDARD,
            *((january, "a", 1, 5), (january, "b", 3, 5)),
            *((february, "a", 1, 5), (february, "b", 2, 5)),
        )
        found = await self.ask(client, "achieved { months monthsMet percent met }")
        assert found["achieved"] == {"months": 2, "monthsMet": 1, "percent": 50.0, "met": False}

    async def test_only_as_many_months_count_as_are_asked_for(self, client: Client) -> None:
        await measure(client, self.STANDARD, *((date(2019, m, 1), "a", 9 if m == 1 else 1, 5) for m in range(1, 13)))
        found = await self.ask(client, "few: achieved(first: 3) { months met } achieved { months percent }")
        assert found == {"few": {"months": 3, "met": True}, "achieved": {"months": 12, "percent": 91.7}}

    @pytest.mark.parametrize("first", [0, -1, 101])
    async def test_a_size_out_of_bounds_is_bad_input(self, client: Client, first: int) -> None:
        text = (
            f'{{ governmentService(code: "energy-inquiry") {{ standards {{ results(first: {first}) {{ line }} }} }} }}'
        )
        answer = await client.run(text, language="fr")
        assert answer.status == 200
        assert answer.codes == ["BAD_USER_INPUT"]
        assert "doit être de 1 à 100" in answer.errors[0]["message"]


class TestEntities:
    async def test_any_number_of_services_takes_one_statement(self, client: Client) -> None:
        text = "{ clusters { services { code } } }"
        codes = [s["code"] for c in (await client.run(text)).data["clusters"] for s in c["services"]]
        assert len(codes) > 20
        counts = []
        for some in (codes[:1], codes):
            with client.statements() as seen:
                references = [{"__typename": "GovernmentService", "code": code} for code in some]
                answer = await client.entities("... on GovernmentService { code name { fr } }", *references)
            assert [found["code"] for found in answer.data["_entities"]] == some
            counts.append(seen.count)
        assert counts == [1, 1]

    async def test_what_hangs_on_them_takes_one_more_per_step(self, client: Client) -> None:
        references = [{"__typename": "GovernmentService", "code": code} for code in PROGRAMS]
        with client.statements() as seen:
            answer = await client.entities(
                "... on GovernmentService { cluster { code } ministry { code } standards { results { value } } }",
                *references,
            )
        assert all(found["standards"] for found in answer.data["_entities"])
        assert seen.count == 5  # services, clusters, ministries, standards, results

    async def test_an_unknown_one_is_null_beside_the_others(self, client: Client) -> None:
        references = [{"__typename": "GovernmentService", "code": code} for code in ("x", PROGRAMS[0])]
        answer = await client.entities("... on GovernmentService { code }", *references)
        assert answer.data == {"_entities": [None, {"code": PROGRAMS[0]}]}


class TestHostileInput:
    @pytest.mark.parametrize("code", ["a\u0000b", "a\u202eb", "a\u0007"])
    async def test_a_character_that_is_no_text_is_refused_by_name(self, client: Client, code: str) -> None:
        for field in ("cluster", "ministry", "governmentService"):
            text = f"query ($c: ID!) {{ {field}(code: $c) {{ code }} }}"
            answer = await client.run(text, variables={"c": code})
            assert (answer.status, answer.codes) == (200, ["BAD_USER_INPUT"])
            assert answer.errors[0]["extensions"]["field"] == "code"

    @pytest.mark.parametrize("code", ["", "🐟" * 10, "مكتب", "x" * 10_000, "' OR 1=1 --", "-1"])
    async def test_other_odd_codes_find_nothing(self, client: Client, code: str) -> None:
        answer = await client.run("query ($c: ID!) { cluster(code: $c) { code } }", variables={"c": code})
        assert (answer.data, answer.errors) == ({"cluster": None}, [])

    @pytest.mark.parametrize("code", [None, ["a"], {"a": 1}, 1.5, True])
    async def test_a_code_of_another_type_is_refused(self, client: Client, code: Any) -> None:
        answer = await client.run("query ($c: ID!) { cluster(code: $c) { code } }", variables={"c": code})
        assert answer.errors
        assert answer.status < 500

    @pytest.mark.parametrize("key", [{"code": None}, {}, {"code": ["a"]}, {"code": True}, {"code": "a\u0000"}])
    async def test_a_malformed_reference_is_refused_and_the_others_are_answered(
        self, client: Client, key: dict[str, Any]
    ) -> None:
        references = [{"__typename": "GovernmentService", **k} for k in (key, {"code": PROGRAMS[0]})]
        answer = await client.entities("... on GovernmentService { code }", *references, language="fr")
        assert answer.data == {"_entities": [None, {"code": PROGRAMS[0]}]}
        assert answer.codes == ["BAD_USER_INPUT"]
        assert "GovernmentService se désigne par code" in answer.errors[0]["message"]

    async def test_a_number_as_a_code_finds_nothing(self, client: Client) -> None:
        answer = await client.entities(
            "... on GovernmentService { code }", {"__typename": "GovernmentService", "code": 5}
        )
        assert (answer.data, answer.errors) == ({"_entities": [None]}, [])

    @pytest.mark.parametrize("day", ["2020-02-30", "today", "", "99999-01-01", "2020-01-01T00:00:00Z"])
    async def test_a_day_that_is_none_is_refused(self, client: Client, day: str) -> None:
        text = "query ($d: Date) { governmentService(code: " + f'"{PROGRAMS[0]}"' + ") { feeCents(on: $d) } }"
        answer = await client.run(text, variables={"d": day})
        assert answer.errors
        assert answer.status < 500
        assert "INTERNAL_FAULT" not in answer.codes


class TestContract:
    def test_its_schema_names_its_entities(self) -> None:
        sdl = service.sdl()
        for entity in ("Cluster", "Ministry", "GovernmentService", "ServiceStandard"):
            assert re.search(rf'^type {entity}\b.*@key\(fields: "code"', sdl, re.MULTILINE), sdl

    def test_columns_that_only_bind_tables_are_not_in_it(self) -> None:
        assert not {"clusterCode", "channelNames", "feeData"} & set(service.schema.type_map["GovernmentService"].fields)  # type: ignore[attr-defined]


def halves(value: Any) -> Iterator[dict[str, str | None]]:
    """Every object that has an English and a French half."""
    if isinstance(value, dict):
        if value.keys() == {"en", "fr"}:
            yield value
        for held in value.values():
            yield from halves(held)
    elif isinstance(value, list):
        for held in value:
            yield from halves(held)
