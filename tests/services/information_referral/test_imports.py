"""Importing places and HSDS files: each row once, bad rows told by line, the rest kept."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import col

from services.information_referral import hsds_files, ontario_locations
from services.information_referral.models import Phone, Schedule, Service, TaxonomyTerm
from services.kit.imports import FileRefused, Report, import_file
from services.kit.testing.client import Client

HEADER = (
    "active,location_id,location_name,location_name_fr,operated_by,operated_by_fr,city,address,address_fr,postal_code,latitude,"
    "longitude,phone,website,monday,tuesday,wednesday,thursday,friday,saturday,sunday,accessible,temporarily_closed,"
    "french_language_services,asl_interpretation,additional_information,additional_information_fr,province,age_threshold,"
    "children_under_2,pharmacy,assessment_centre,appointments,walk_ins,public_transit,free_parking"
)
ROW = {
    "active": "Yes",
    "location_id": "7",
    "location_name": "Harbour Clinic",
    "location_name_fr": "Clinique du Havre",
    "operated_by": "Harbour Health",
    "city": "Kingston",
    "address": "1 Pier Street",
    "postal_code": "k7l1a1",
    "latitude": "44.23",
    "longitude": "-76.48",
    "phone": "613-555-0100 ext. 42",
    "monday": "10:00-12:30&13:00-17:30",
    "tuesday": "10:00-12:30&13:00-17:30",
    "sunday": "closed",
    "french_language_services": "Yes",
}


def places(path: Path, *rows: dict[str, str]) -> Path:
    names = HEADER.split(",")
    file = path / "places.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        csv.writer(out).writerows([names, *([row.get(name, "") for name in names] for row in rows)])
    return file


def hsds(path: Path, content: Any, name: str = "services.json") -> Path:
    file = path / name
    file.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return file


def counts(report: Report) -> tuple[int, int, int, int, int]:
    return report.read, report.added, report.changed, report.unchanged, report.rejected


SERVICE = {
    "id": "0f3a1cbb-4c9f-4a4e-9c39-0c7a7b1f0001",
    "name": "Night Shelter",
    "description": "A bed and a meal.",
    "status": "active",
    "minimum_age": 16,
    "organization": {"id": "0f3a1cbb-4c9f-4a4e-9c39-0c7a7b1f0002", "name": "Harbour House", "description": "Shelter"},
    "phones": [{"id": "p", "number": "613-555-0101"}],
    "schedules": [{"id": "s", "freq": "WEEKLY", "byday": "MO,TU", "opens_at": "18:00:00", "closes_at": "08:00:00"}],
    "languages": [{"id": "l", "code": "fr", "name": "French"}],
    "service_at_locations": [
        {
            "id": "0f3a1cbb-4c9f-4a4e-9c39-0c7a7b1f0003",
            "location": {
                "id": "0f3a1cbb-4c9f-4a4e-9c39-0c7a7b1f0004",
                "location_type": "physical",
                "name": "Old Mill",
                "latitude": 44.23,
                "longitude": -76.48,
                "addresses": [
                    {
                        "id": "a",
                        "address_1": "3 Mill Lane",
                        "city": "Kingston",
                        "state_province": "ON",
                        "postal_code": "K7L 1A1",
                        "country": "CA",
                        "address_type": "physical",
                    }
                ],
            },
        }
    ],
}


class TestOntarioLocations:
    async def test_a_place_is_found_by_words_distance_and_hours(self, empty: Client, tmp_path: Path) -> None:
        report = await import_file(ontario_locations.importer, places(tmp_path, ROW), empty.database)
        assert counts(report) == (1, 1, 0, 0, 0)
        query = """query ($at: DateTime) { findServices(text: "havre", near: {postalCode: "K7L 1A1"}, openAt: $at) {
            edges { distanceM node { name { en fr } } } } }"""
        morning = await empty.run(query, variables={"at": "2026-11-23T16:00:00Z"})  # Monday, 11:00
        lunch = await empty.run(query, variables={"at": "2026-11-23T17:45:00Z"})  # Monday, 12:45
        assert morning.data["findServices"]["edges"][0]["node"]["name"]["fr"] == "Clinique du Havre"
        assert lunch.data["findServices"]["edges"] == []

    async def test_a_second_import_changes_what_changed_and_nothing_else(self, empty: Client, tmp_path: Path) -> None:
        other = {**ROW, "location_id": "8", "location_name": "Hill Clinic"}
        await import_file(ontario_locations.importer, places(tmp_path, ROW, other), empty.database)
        again = places(tmp_path, ROW, {**other, "monday": "09:00-10:00"})
        report = await import_file(ontario_locations.importer, again, empty.database)
        async with empty.database.transaction() as db:
            hours = await db.all(select(col(Schedule.opens_at)))
        assert counts(report) == (2, 0, 1, 1, 0)
        assert sorted(str(h) for h in hours) == ["09:00", "10:00", "10:00", "13:00", "13:00"]

    async def test_what_the_row_says_is_kept_in_both_languages(self, empty: Client, tmp_path: Path) -> None:
        told = {
            "age_threshold": "6m",
            "appointments": "Yes",
            "walk_ins": "yes",
            "public_transit": "Yes",
            "pharmacy": "Yes",
        }
        other = {"website": "www.example.ca/here", "additional_information": "Bring\n\n a card.", "province": "QC"}
        file = places(tmp_path, {**ROW, **told, **other, "postal_code": "H0M 1A0"})
        await import_file(ontario_locations.importer, file, empty.database)
        answer = await empty.run(
            """{ findServices(text: "pharmacie Kingston") { edges { node { minimumAge url applicationProcess { en fr }
            description { en } serviceAtLocations { location { transportation { fr }
            phones { number extension } addresses { postalCode stateProvince } } } } } } }"""
        )
        ((edge,),) = answer.data["findServices"].values()
        assert edge["node"] == {
            "minimumAge": 0.5,
            "url": "https://www.example.ca/here",
            "applicationProcess": {
                "en": "By appointment. Walk-ins are welcome.",
                "fr": "Sur rendez-vous. Sans rendez-vous aussi.",
            },
            "description": {"en": "Bring a card."},
            "serviceAtLocations": [
                {
                    "location": {
                        "transportation": {"fr": "Près du transport en commun."},
                        "phones": [{"number": "613-555-0100", "extension": "42"}],
                        "addresses": [{"postalCode": "H0M 1A0", "stateProvince": "QC"}],
                    }
                }
            ],
        }

    @pytest.mark.parametrize(
        ("says", "status"),
        [
            ({"active": ""}, "ACTIVE"),
            ({"active": "No"}, "INACTIVE"),
            ({"active": "", "temporarily_closed": "Yes"}, "TEMPORARILY_CLOSED"),
        ],
    )
    async def test_only_what_is_marked_so_is_kept_back(
        self, empty: Client, tmp_path: Path, says: dict[str, str], status: str
    ) -> None:
        await import_file(ontario_locations.importer, places(tmp_path, {**ROW, **says}), empty.database)
        async with empty.database.transaction() as db:
            (row,) = await db.all(select(Service))
        found = await empty.run('{ findServices(text: "harbour") { edges { node { id } } } }')
        assert row.status.name == status
        assert bool(found.data["findServices"]["edges"]) == (status != "INACTIVE")

    @pytest.mark.parametrize(("hours", "is_open"), [("10:00-17:00", False), ("00:00-00:00", True)])
    async def test_nobody_is_sent_to_a_place_on_a_holiday_unless_it_never_closes(
        self, empty: Client, tmp_path: Path, hours: str, is_open: bool
    ) -> None:
        await import_file(ontario_locations.importer, places(tmp_path, {**ROW, "friday": hours}), empty.database)
        for day, expected in (("2026-12-18", True), ("2026-12-25", is_open)):  # Fridays
            found = await empty.run(
                f'{{ findServices(openAt: "{day}T12:00:00-05:00") {{ edges {{ node {{ id }} }} }} }}'
            )
            assert bool(found.data["findServices"]["edges"]) == expected

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"location_id": "x"}, "NO_IDENTIFIER"),
            ({"location_name": ""}, "NO_NAME"),
            ({"latitude": "north"}, "COORDINATES_INVALID"),
            ({"latitude": "nan"}, "COORDINATES_INVALID"),
            ({"latitude": "inf"}, "COORDINATES_INVALID"),
            ({"longitude": "76.48"}, "COORDINATES_INVALID"),
            ({"postal_code": "12345"}, "POSTAL_CODE_INVALID"),
            ({"age_threshold": "old"}, "AGE_MALFORMED"),
            ({"monday": "9 to 5"}, "HOURS_MALFORMED"),
            ({"city": "King\u0000ston"}, "HOSTILE_CHARACTER"),
        ],
    )
    async def test_a_bad_row_is_rejected_with_its_line_and_the_next_one_taken(
        self, empty: Client, tmp_path: Path, changes: dict[str, str], code: str
    ) -> None:
        file = places(tmp_path, {**ROW, **changes}, {**ROW, "location_id": "9"})
        report = await import_file(ontario_locations.importer, file, empty.database)
        (rejected,) = report.rejections
        assert (report.added, rejected.line, rejected.code) == (1, 2, code)
        assert rejected.reason.en != rejected.reason.fr

    @pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "\x00\x01"])
    async def test_a_file_that_is_something_else_is_refused_whole(
        self, empty: Client, tmp_path: Path, content: str
    ) -> None:
        file = tmp_path / "places.csv"
        file.write_text(content)
        with pytest.raises(FileRefused):
            await import_file(ontario_locations.importer, file, empty.database)


class TestHsds:
    @pytest.mark.parametrize(
        ("content", "name"),
        [
            ([SERVICE], "list.json"),
            (SERVICE, "one.json"),
            ({"contents": [SERVICE], "total_items": 1}, "page.json"),
            (json.dumps(SERVICE) + "\n", "one.jsonl"),
        ],
    )
    async def test_each_form_of_file_is_read(self, empty: Client, tmp_path: Path, content: Any, name: str) -> None:
        report = await import_file(hsds_files.importer, hsds(tmp_path, content, name), empty.database)
        assert counts(report) == (1, 1, 0, 0, 0)
        answer = await empty.run(
            "query ($id: ID!) { service(id: $id) { name { en } minimumAge schedules { byday opensAt } phones { number }"
            " languages { code }"
            " organization { name { en } } serviceAtLocations { location { name { en } addresses { city } } } } }",
            variables={"id": SERVICE["id"]},
        )
        assert answer.data["service"] == {
            "name": {"en": "Night Shelter"},
            "minimumAge": 16.0,
            "schedules": [{"byday": "MO,TU", "opensAt": "18:00"}],
            "phones": [{"number": "613-555-0101"}],
            "languages": [{"code": "fr"}],
            "organization": {"name": {"en": "Harbour House"}},
            "serviceAtLocations": [{"location": {"name": {"en": "Old Mill"}, "addresses": [{"city": "Kingston"}]}}],
        }

    async def test_json_lines_reject_a_line_and_keep_the_others(self, empty: Client, tmp_path: Path) -> None:
        other = {**SERVICE, "id": "0f3a1cbb-4c9f-4a4e-9c39-0c7a7b1f0009", "service_at_locations": []}
        text = "\n".join([json.dumps(SERVICE), "{not json", json.dumps(other)]) + "\n"
        report = await import_file(hsds_files.importer, hsds(tmp_path, text, "s.jsonl"), empty.database)
        assert counts(report) == (3, 2, 0, 0, 1)
        assert (report.rejections[0].line, report.rejections[0].code) == (2, "NOT_JSON")

    async def test_a_second_import_changes_nothing_and_a_changed_one_replaces(
        self, empty: Client, tmp_path: Path
    ) -> None:
        await import_file(hsds_files.importer, hsds(tmp_path, [SERVICE]), empty.database)
        same = await import_file(hsds_files.importer, hsds(tmp_path, [SERVICE]), empty.database)
        changed = {**SERVICE, "phones": [], "name": {"en": "Night Shelter", "fr": "Refuge de nuit"}}
        other = await import_file(hsds_files.importer, hsds(tmp_path, [changed]), empty.database)
        async with empty.database.transaction() as db:
            (row,) = await db.all(select(Service))
        assert (counts(same), counts(other)) == ((1, 0, 0, 1, 0), (1, 0, 1, 0, 0))
        assert row.name.fr == "Refuge de nuit"

    @pytest.mark.parametrize(
        "changes",
        [
            {"id": ""},
            {"name": None},
            {"name": 7},
            {"status": "asleep"},
            {"phones": [{"id": "p"}]},
            {"schedules": [{"id": "s", "freq": "DAILY"}]},
            {"schedules": [{"id": "s", "byday": "Monday"}]},
            {"schedules": [{"id": "s", "opens_at": "9 am"}]},
            {"schedules": [{"id": "s", "valid_to": "2026-13-01"}]},
            {"minimum_age": "x"},
            {"minimum_age": 1e300},
            {"phones": "613"},
            {"organization": [1]},
            {"service_at_locations": [{"location": {"latitude": 100, "longitude": 101}}]},
            {"name": "Night\u0000"},
            {"description": "\ud800"},
        ],
    )
    async def test_an_object_that_is_no_service_is_rejected_alone(
        self, empty: Client, tmp_path: Path, changes: dict[str, Any]
    ) -> None:
        other = {**SERVICE, "id": "0f3a1cbb-4c9f-4a4e-9c39-0c7a7b1f0009"}
        file = hsds(tmp_path, [{**SERVICE, **changes}, "text", other])
        report = await import_file(hsds_files.importer, file, empty.database)
        assert counts(report) == (3, 1, 0, 0, 2)

    async def test_each_kind_of_full_object_is_what_it_is(self, empty: Client, tmp_path: Path) -> None:
        organization = {
            "id": "0f3a1cbb-4c9f-4a4e-9c39-0c7a7b1f0002",
            "name": "Harbour House",
            "description": "Shelter",
            "website": "https://harbour.example.ca",
            "phones": [{"id": "o", "number": "613-555-0102"}],
            "services": [{name: value for name, value in SERVICE.items() if name != "organization"}],
        }
        taxonomy = {"id": "0f3a1cbb-4c9f-4a4e-9c39-0c7a7b1f0010", "name": "Needs", "description": "All", "version": "1"}
        term = {"id": "t", "name": "Beds", "description": "Beds", "code": "B", "taxonomy_detail": taxonomy}
        for _ in range(2):
            file = hsds(tmp_path, [organization, taxonomy, term])
            report = await import_file(hsds_files.importer, file, empty.database)
        assert counts(report) == (4, 0, 0, 4, 0)
        async with empty.database.transaction() as db:
            assert [
                row.number for row in await db.all(select(Phone).where(col(Phone.organization_id).is_not(None)))
            ] == ["613-555-0102"]
            assert [row.taxonomy_id for row in await db.all(select(TaxonomyTerm))] == [taxonomy["id"]]
            (service,) = await db.all(select(Service))
        assert service.organization_id == organization["id"]

    @pytest.mark.parametrize(
        "given",
        [
            {"id": "x", "name": "Nothing more", "description": "Is this a taxonomy?"},
            {"id": "x", "location": {"id": "y"}},
            {"id": "x", "service": {"id": "y"}},
            {"version": "3.1", "profile": "https://example.org"},
        ],
    )
    async def test_what_is_no_object_that_is_taken_says_so(
        self, empty: Client, tmp_path: Path, given: dict[str, Any]
    ) -> None:
        report = await import_file(hsds_files.importer, hsds(tmp_path, given), empty.database)
        assert (report.added, report.rejections[0].code) == (0, "NOT_HSDS")

    @pytest.mark.parametrize("content", ["", "not json", "7", "[" * 100_000])
    async def test_a_file_that_is_no_json_list_is_refused_whole(
        self, empty: Client, tmp_path: Path, content: str
    ) -> None:
        with pytest.raises(FileRefused):
            await import_file(hsds_files.importer, hsds(tmp_path, content), empty.database)
