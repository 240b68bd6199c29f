"""Finding services: words in both languages, distance, language, hours, age; bad questions are told what to mend."""

from typing import Any

import pytest

from services.kit.testing.client import Client

FIND = """query ($text: String, $near: NearInput, $withinM: Int, $language: String, $openAt: DateTime, $age: Int,
    $first: Int, $after: String) { findServices(text: $text, near: $near, withinM: $withinM, language: $language,
    openAt: $openAt, age: $age, first: $first, after: $after) { edges { cursor distanceM snippet node { id name { en fr } } }
    pageInfo { hasNextPage endCursor } near { postalArea precisionM } } }"""


async def find(client: Client, reader: str = "en", /, **variables: Any) -> dict[str, Any]:
    answer = await client.run(FIND, language=reader, variables=variables)
    assert not answer.errors, answer.body
    found: dict[str, Any] = answer.data["findServices"]
    return found


def names(found: dict[str, Any], language: str = "en") -> list[str]:
    return [edge["node"]["name"][language] for edge in found["edges"]]


class TestWords:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("birth certificate", "Birth certificate"),
            ("certificat de naissance", "Birth certificate"),
            ("SANTE mentale", "Mental health, addiction and gambling help"),
            ("dependances", "Mental health, addiction and gambling help"),
            ("landl", "Landlord and Tenant Board"),
            ("locat", "Landlord and Tenant Board"),
            ("d’aide aux femmes", "Helpline for assaulted women"),
            ("apprenti", "Apprenticeship registration"),
        ],
    )
    async def test_either_language_finds_it_without_accents_or_endings(
        self, client: Client, text: str, name: str
    ) -> None:
        assert name in names(await find(client, text=text, first=50))

    async def test_a_name_outranks_a_description(self, client: Client) -> None:
        assert names(await find(client, text="health card"))[0] == "Health card"

    async def test_a_whole_word_outranks_the_beginning_of_another(self, client: Client) -> None:
        found = names(await find(client, "fr", text="refuge"))
        assert found.index("Helpline for assaulted women") < found.index("Legal aid")

    async def test_a_snippet_marks_what_was_found_in_the_readers_language(self, client: Client) -> None:
        found = await find(client, "fr", text="permis de conduire", first=1)
        assert "**Permis**" in found["edges"][0]["snippet"]

    @pytest.mark.parametrize("text", ["", "   ", None])
    async def test_no_words_find_everything_by_name(self, client: Client, text: str | None) -> None:
        found = await find(client, text=text, first=3)
        assert len(found["edges"]) == 3
        assert names(found) == sorted(names(found))

    @pytest.mark.parametrize("text", ["🥐", "!!!", "' & | :* <->", "zzzzzz", "مرحبا"])
    async def test_what_matches_nothing_finds_nothing(self, client: Client, text: str) -> None:
        assert (await find(client, text=text))["edges"] == []


class TestDistance:
    async def test_the_nearest_comes_first_in_metres_from_the_postal_area(self, client: Client) -> None:
        found = await find(client, near={"postalCode": "k7l 1b6"}, first=10)
        distances = [edge["distanceM"] for edge in found["edges"]]
        assert names(found)[0].endswith("Kingston")
        assert distances == sorted(distances)
        assert found["near"]["postalArea"] == "K7L"

    async def test_a_radius_bounds_it(self, client: Client) -> None:
        near = {"latitude": 44.2298, "longitude": -76.4810}
        found = await find(client, near=near, withinM=1_000, first=50)
        assert len(found["edges"]) == 3
        assert all(edge["distanceM"] <= 1_000 for edge in found["edges"])

    @pytest.mark.parametrize(
        ("near", "code", "field"),
        [
            ({"postalCode": "H2X 1Y4"}, "POSTAL_CODE_MALFORMED", "near.postalCode"),
            ({"postalCode": "P0Y 9Z9"}, "POSTAL_CODE_UNKNOWN", "near.postalCode"),
            ({"postalCode": "x" * 10_000}, "POSTAL_CODE_MALFORMED", "near.postalCode"),
            ({"latitude": 43.6}, "BAD_USER_INPUT", "near"),
            ({}, "BAD_USER_INPUT", "near"),
            ({"latitude": 48.85, "longitude": 2.35}, "BAD_USER_INPUT", "near"),
            ({"latitude": 1e300, "longitude": -1e300}, "BAD_USER_INPUT", "near"),
        ],
    )
    async def test_a_place_that_is_none_is_told(
        self, client: Client, near: dict[str, Any], code: str, field: str
    ) -> None:
        answer = await client.run(FIND, language="fr", variables={"near": near})
        assert answer.codes == [code]
        assert answer.errors[0]["extensions"]["field"] == field
        assert answer.errors[0]["extensions"]["text"]["fr"] == answer.errors[0]["message"]


class TestFilters:
    async def test_language(self, client: Client) -> None:
        only_french = names(await find(client, language="fr", text="violence"))
        assert only_french == ["Fem’aide crisis line in French"]

    async def test_age(self, client: Client) -> None:
        assert "Kids Help Phone" in names(await find(client, text="phone counsellor", age=12))
        assert "Kids Help Phone" not in names(await find(client, text="phone counsellor", age=45))

    @pytest.mark.parametrize(
        ("moment", "is_open"),
        [
            ("2026-11-24T15:00:00Z", True),  # a Tuesday, 10:00 in Toronto
            ("2026-11-24T23:30:00Z", False),
            ("2026-11-28T15:00:00Z", False),  # a Saturday
            ("2026-12-25T15:00:00Z", False),  # a holiday
            ("2026-07-07T12:45:00Z", True),  # 08:45 in summer time
        ],
    )
    async def test_hours_are_ontarios(self, client: Client, moment: str, is_open: bool) -> None:
        found = names(await find(client, text="Business Info Line", openAt=moment))
        assert ("Business Info Line" in found) == is_open

    @pytest.mark.parametrize(
        ("moment", "is_open"),
        [
            ("2026-11-02T13:30:00Z", True),  # the day after summer time ends: 08:30 is 13:30 UTC again
            ("2026-10-30T12:30:00Z", True),
            ("2026-11-02T13:29:00Z", False),
            ("2026-11-24T22:00:00Z", False),  # closing time is closed
            ("2026-11-25T00:30:00+09:00", True),  # Tuesday morning, told from elsewhere
            ("2026-07-01T15:00:00Z", False),  # Canada Day
        ],
    )
    async def test_hours_follow_the_clock_on_the_wall(self, client: Client, moment: str, is_open: bool) -> None:
        found = names(await find(client, text="Business Info Line", openAt=moment))
        assert ("Business Info Line" in found) == is_open

    async def test_what_never_closes_is_open_on_christmas_night(self, client: Client) -> None:
        assert "Health811" in names(await find(client, text="nurse", openAt="2026-12-25T06:00:00Z"))


class TestPages:
    @pytest.mark.parametrize("given", [{"text": "a"}, {"near": {"postalCode": "M5V 2T6"}}, {}])
    async def test_pages_neither_repeat_nor_skip(self, client: Client, given: dict[str, Any]) -> None:
        whole = [edge["node"]["id"] for edge in (await find(client, first=60, **given))["edges"]]
        paged: list[str] = []
        after = None
        while len(paged) < len(whole):
            page = await find(client, first=7, after=after, **given)
            paged += [edge["node"]["id"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        assert paged[: len(whole)] == whole

    @pytest.mark.parametrize(
        "given",
        [
            {"first": 0},
            {"first": -5},
            {"first": 101},
            {"after": "x"},
            {"after": "🥐"},
            {"after": "W10"},
            {"text": "x" * 201},
            {"text": "nul\u0000"},
            {"text": "turn\u202e"},
            {"age": -1},
            {"age": 2**31 - 1},
            {"language": "klingon"},
            {"withinM": 500},
            {"withinM": -1, "near": {"postalCode": "M5V 2T6"}},
            {"openAt": "1066-10-14T09:00:00Z"},
            {"openAt": "yesterday"},
            {"age": "twelve"},
            {"first": 2**62},
        ],
    )
    async def test_a_bad_question_is_told_what_to_mend(self, client: Client, given: dict[str, Any]) -> None:
        answer = await client.run(FIND, language="fr", variables=given)
        assert answer.status < 500
        assert answer.codes == ["BAD_USER_INPUT"]


class TestReferences:
    async def test_many_businesses_ask_for_help_nearby_in_few_statements(self, client: Client) -> None:
        codes = ("M5V 2T6", "K7L 1B6", "P3E 3N4", "N6A 3K7", "L8P 1A1")
        wanted = [
            {"__typename": "Business", "businessNumber": str(i), "address": {"postalCode": code}}
            for i, code in enumerate(codes)
        ]
        selection = "... on Business { helpNearby { distanceM service { name { en } } location { id } } }"
        with client.statements() as one:
            await client.entities(selection, wanted[0], scopes=("business:read",))
        with client.statements() as many:
            answer = await client.entities(selection, *wanted, scopes=("business:read",))
        assert [len(entity["helpNearby"]) for entity in answer.data["_entities"]] == [3] * 5
        assert one.count == many.count == 3, many.texts

    async def test_an_id_that_is_none_finds_nothing(self, client: Client) -> None:
        answer = await client.run(
            '{ service(id: "nope") { id } organization(id: "🥐") { id } location(id: "") { id } }'
        )
        assert answer.data == {"service": None, "organization": None, "location": None}
        assert answer.errors == []
