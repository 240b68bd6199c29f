"""`onedoor plan --privacy`: what an operation tells about people, to whom and for what, before anything runs."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from clusters import planning, privacy, privacy_page
from clusters.compose import CompositionRefused, privacy_reports
from clusters.privacy import Passing, Report, UnknownPurpose
from clusters.privacy_picture import picture
from clusters.topology import SUPERGRAPH
from gateway.engine.supergraph import load_supergraph
from gateway.personal import Told
from services.kit.purposes import purposes
from tests.clusters.commands import onedoor

HELD = load_supergraph(SUPERGRAPH.read_text(encoding="utf-8"))
OVERVIEW = SUPERGRAPH.parent / "operations" / "BusinessOverview.graphql"
PUBLIC, ADDRESS = "{ clusters { code } }", '{ business(businessNumber: "1") { address { city } } }'


def reported(text: str) -> Report:
    return privacy.report(planning.planned(HELD, text, "Asked"), text)


class TestAReport:
    def test_says_who_tells_what_and_what_passes_to_whom(self) -> None:
        found = reported(OVERVIEW.read_text(encoding="utf-8"))
        assert [telling.service for telling in found.tellings] == [
            "business_registration", "inspections", "information_referral",
        ]  # fmt: skip
        assert found.passings == (
            Passing(
                "business_registration",
                "information_referral",
                (Told("BusinessAddress.postalCode", "business-address"),),
            ),
        )
        assert [purpose.code for purpose in found.chosen] == ["program-delivery", "self-service"]

    def test_names_for_what_carries_none_the_purposes_that_cover_it(self) -> None:
        assert {"registration-verification", "inspection-conduct"} <= {p.code for p in reported(ADDRESS).chosen}
        help_ = reported('{ business(businessNumber: "1") { helpNearby { distanceM } } }')
        assert [p.code for p in help_.chosen] == ["registration-counter", "program-delivery", "business-advice"]

    def test_of_what_is_public_is_short(self) -> None:
        assert str(reported(PUBLIC)) == "Asked: nothing about people"
        assert reported(PUBLIC).chosen == ()

    def test_is_told_as_text_in_both_languages(self) -> None:
        done = onedoor("plan", str(OVERVIEW), "--privacy")
        assert "\ninspections (Ministry of Labour) tells\n  inspections: Business.inspections," in done.stdout
        assert "business_registration passes to information_referral\n  business-address:" in done.stdout
        french = onedoor("plan", str(OVERVIEW), "--privacy", lang="fr_CA.UTF-8").stdout
        assert "business_registration transmet à information_referral" in french
        assert "inspections (Ministère du Travail) dit" in french

    def test_is_told_to_programs(self) -> None:
        found = json.loads(onedoor("plan", str(OVERVIEW), "--privacy", "--json").stdout)
        assert found["passes"][0]["fields"] == [{"field": "BusinessAddress.postalCode", "category": "business-address"}]
        assert found["tells"][1]["ministry"] == {"en": "Ministry of Labour", "fr": "Ministère du Travail"}
        assert found["recipients"] == ["information_referral"]

    def test_is_drawn_with_its_text_as_description(self) -> None:
        found = reported(OVERVIEW.read_text(encoding="utf-8"))
        drawn = ElementTree.fromstring(picture(found))
        texts = [element.text or "" for element in drawn.iter()]
        assert str(found) in texts
        assert {"business_registration", "inspections", "information_referral"} <= set(texts)
        assert "Nothing about people" in picture(reported(PUBLIC))

    def test_of_a_purpose_that_there_is_not_is_refused_by_name(self, tmp_path: Path) -> None:
        file = tmp_path / "Asked.graphql"
        file.write_text(f"# Purpose: fun\n{ADDRESS}", encoding="utf-8")
        with pytest.raises(UnknownPurpose, match="no purpose fun"):
            reported(file.read_text(encoding="utf-8"))
        done = onedoor("plan", str(file), "--privacy")
        assert (done.returncode, done.stderr) == (1, "onedoor: there is no purpose fun\n")


class TestATrustedDocument:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            (ADDRESS, "tells about people and carries no purpose"),
            (
                f"# Purpose: oversight, self-service\n{ADDRESS}",
                "is for oversight, which does not cover business-address",
            ),
            (
                '# Purpose: inspection-conduct\n{ business(businessNumber: "1") { helpNearby { distanceM } } }',
                "does not cover business-address → information_referral",
            ),
        ],
        ids=["none", "other data", "another recipient"],
    )
    def test_that_carries_no_purpose_that_covers_it_is_told(self, text: str, told: str) -> None:
        (problem,) = reported(text).problems()
        assert told in problem

    def test_is_refused_at_composition(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "operations"
        folder.mkdir()
        (folder / "Asked.graphql").write_text(ADDRESS, encoding="utf-8")
        monkeypatch.setattr("clusters.compose.CONTRACTS", tmp_path)
        with pytest.raises(CompositionRefused, match="Asked tells about people and carries no purpose"):
            privacy_reports(SUPERGRAPH.read_text(encoding="utf-8"))


class TestThePage:
    def test_has_every_purpose_and_every_document_that_tells_about_people(self) -> None:
        reports = privacy_reports(SUPERGRAPH.read_text(encoding="utf-8"))
        page = privacy_page.page(reports)
        assert page.count("\n### ") == len(purposes()) + sum(bool(report.tellings) for report in reports)
        assert "with a case number and a reason, reviewed by sample" in page
        assert "`CheckName`" in page
