"""Finding services: words in both languages, distance, language, hours, age; bad questions are told what to mend."""

from typing import Any

import pytest

from services.kit.testing.client import Client

FIND = """query ($text: String, $near: NearInput, $withinM: Int, $language: String, $openAt: DateTime, $age: Int,
    $first: Int, $after: String) { findServices(text: $text, near: $near, withinM: $withinM, language: $language,
    openAt: $openAt, age: $age, first: $first, after: $after) { edges { cursor distanceM snippet node { id name { en fr } } }
    pageInfo { hasNextPage endCursor } near { postalArea precisionM } wordsHeld } }"""


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


class TestASentence:
    """People ask in sentences: where no service holds all the words, those that hold most of them are found."""

    @pytest.mark.parametrize(
        ("reader", "text", "name"),
        [
            ("en", "how do I renew my health card please", "Health card"),
            ("en", "I want to get a copy of my birth certificate quickly", "Birth certificate"),
            ("fr", "comment obtenir rapidement un certificat de naissance", "Birth certificate"),
            ("fr", "je cherche une ligne d’aide pour femmes violentées svp", "Helpline for assaulted women"),
        ],
    )
    async def test_finds_first_what_holds_most_of_its_words_and_says_so(
        self, client: Client, reader: str, text: str, name: str
    ) -> None:
        found = await find(client, reader, text=text)
        assert found["wordsHeld"] == "SOME"
        assert name in names(found)[:3]

    async def test_whose_words_are_all_held_finds_nothing_that_lacks_one(self, client: Client) -> None:
        found = await find(client, text="birth certificate", first=50)
        assert found["wordsHeld"] == "ALL"
        assert len(found["edges"]) < len((await find(client, text="birth certificate zzzzzz", first=50))["edges"])

    async def test_without_words_says_nothing_of_words(self, client: Client) -> None:
        assert (await find(client, first=1))["wordsHeld"] is None

    async def test_marks_the_words_that_were_found(self, client: Client) -> None:
        found = await find(client, text="zzzzzz health card", first=1)
        assert "**Health** **card**" in found["edges"][0]["snippet"]

    async def test_near_a_place_counts_words_before_metres(self, client: Client) -> None:
        near = {"postalCode": "K7L 1B6"}
        found = await find(client, text="zzzzzz business permits", near=near, first=50)
        assert found["wordsHeld"] == "SOME"
        both = {
            edge["node"]["id"] for edge in (await find(client, text="business permits", near=near, first=50))["edges"]
        }
        first = [edge["node"]["id"] in both for edge in found["edges"]]
        assert both and first == sorted(first, reverse=True)

    @pytest.mark.parametrize(
        "given", [{"text": "zzzzzz health card"}, {"text": "zzzzzz help", "near": {"postalCode": "M5V 2T6"}}]
    )
    async def test_is_answered_page_by_page_like_any_other(self, client: Client, given: dict[str, Any]) -> None:
        whole = [edge["node"]["id"] for edge in (await find(client, first=100, **given))["edges"]]
        paged: list[str] = []
        after, more = None, True
        while more:
            page = await find(client, first=2, after=after, **given)
            assert page["wordsHeld"] == "SOME"
            paged += [edge["node"]["id"] for edge in page["edges"]]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert paged == whole
        assert len(set(paged)) == len(paged) > 2

    async def test_takes_no_cursor_of_another_list(self, client: Client) -> None:
        page = await find(client, text="zzzzzz health card", first=1)
        cursor = page["pageInfo"]["endCursor"]
        answer = await client.run(
            FIND, variables={"near": {"postalCode": "M5V 2T6"}, "text": "health", "after": cursor}
        )
        assert answer.codes == ["BAD_USER_INPUT"]


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


class TestHelpNearABusiness:
    """`Business.helpNearby` as the gateway asks for it: with the address that the registry gave, or could not give."""

    HELP = "... on Business { helpNearby(first: 2) { distanceM } }"

    async def _asked(self, client: Client, **facts: Any) -> Any:
        business = {"__typename": "Business", "businessNumber": "700000013", **facts}
        return await client.entities(self.HELP, business, scopes=("business:read",), language="fr")

    @pytest.mark.parametrize("facts", [{}, {"address": None}, {"address": {}}, {"address": {"postalCode": None}}])
    async def test_is_null_and_says_so_without_an_address(self, client: Client, facts: dict[str, Any]) -> None:
        answer = await self._asked(client, **facts)
        assert answer.data == {"_entities": [{"helpNearby": None}]}
        assert answer.codes == ["REQUIRED_FIELD_MISSING"]

    @pytest.mark.parametrize(
        ("postal_code", "code"),
        [("H2X 1Y4", "POSTAL_CODE_MALFORMED"), ("P0Y 9Z9", "POSTAL_CODE_UNKNOWN"), ("", "POSTAL_CODE_MALFORMED")],
    )
    async def test_says_that_a_place_is_unknown(self, client: Client, postal_code: str, code: str) -> None:
        answer = await self._asked(client, address={"postalCode": postal_code})
        assert answer.codes == [code]
        assert answer.errors[0]["extensions"]["text"]["fr"] == answer.errors[0]["message"]

    async def test_of_one_business_without_an_address_leaves_the_others_theirs(self, client: Client) -> None:
        asked = [
            {"__typename": "Business", "businessNumber": number, "address": address}
            for number, address in (("1", None), ("2", {"postalCode": "M5V 2T6"}), ("3", {"postalCode": "H2X 1Y4"}))
        ]
        answer = await client.entities(self.HELP, *asked, scopes=("business:read",))
        nothing, near, unknown = [entity["helpNearby"] for entity in answer.data["_entities"]]
        assert (nothing, len(near), unknown) == (None, 2, None)
        assert [(error["path"][1], error["extensions"]["code"]) for error in answer.errors] == [
            (0, "REQUIRED_FIELD_MISSING"),
            (2, "POSTAL_CODE_MALFORMED"),
        ]


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
        assert answer.errors == []
        assert [len(entity["helpNearby"]) for entity in answer.data["_entities"]] == [3] * 5
        assert one.count == many.count == 3, many.texts

    async def test_an_id_that_is_none_finds_nothing(self, client: Client) -> None:
        answer = await client.run(
            '{ service(id: "nope") { id } organization(id: "🥐") { id } location(id: "") { id } }'
        )
        assert answer.data == {"service": None, "organization": None, "location": None}
        assert answer.errors == []
