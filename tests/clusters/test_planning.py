"""`onedoor plan`: the same plan for people, for programs and as a picture."""

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from clusters import plan_picture, planning
from clusters.topology import SUPERGRAPH
from gateway.settings import Limits
from tests.clusters.commands import onedoor

OVERVIEW = SUPERGRAPH.parent / "operations" / "BusinessOverview.graphql"
SVG = "{http://www.w3.org/2000/svg}"


def operation(folder: Path, text: str) -> Path:
    path = folder / "Asked.graphql"
    path.write_text(text, encoding="utf-8")
    return path


class TestThePlan:
    def test_it_prints_cost_and_requests(self) -> None:
        done = onedoor("plan", str(OVERVIEW))
        assert done.stdout.startswith(f"BusinessOverview: cost 121 of at most {Limits().cost}; 5 requests in 2 waves\n")
        assert "\n3: catalogue after 1\n" in done.stdout

    def test_it_tells_what_is_asked_of_the_caller(self, tmp_path: Path) -> None:
        asked = operation(tmp_path, '{ business(businessNumber: "1") { address { city } riskScore { band } } }')
        found = planning.explain(SUPERGRAPH, asked, None, "{}")
        assert json.loads(found.as_json())["asks"] == ["business:read", "inspection:read"]
        assert "\nasks of the caller: business:read, inspection:read\n" in str(found)
        assert planning.explain(SUPERGRAPH, operation(tmp_path, "{ clusters { code } }"), None, "{}").asks == ()

    def test_it_speaks_french(self) -> None:
        done = onedoor("plan", str(OVERVIEW), lang="fr_CA.UTF-8")
        assert "5 requêtes en 2 vagues" in done.stdout

    def test_programs_read_it_as_json(self) -> None:
        found = json.loads(onedoor("plan", str(OVERVIEW), "--json").stdout)
        assert found["waves"] == [[1, 2], [3, 4, 5]]
        assert [fetch["after"] for fetch in found["fetches"]] == [[], [], [1], [1], [1]]
        entities = found["fetches"][2]["entities"]
        assert entities == [
            {
                "variable": "representations",
                "type": "GovernmentService",
                "fields": "code",
                "at": "business.programs.service",
            }
        ]

    def test_a_condition_without_a_value_is_taken_to_be_true_and_told(self, tmp_path: Path) -> None:
        asked = operation(tmp_path, "query Q($deep: Boolean!) { clusters { code name @include(if: $deep) { fr } } }")
        open_ = planning.explain(SUPERGRAPH, asked, None, "{}")
        assert (open_.assumed, "taken to be true: $deep" in str(open_)) == (("deep",), True)
        shut = planning.explain(SUPERGRAPH, asked, None, '{"deep": false}')
        assert (shut.assumed, "name" in str(shut.plan)) == ((), False)

    def test_what_is_deferred_is_told(self, tmp_path: Path) -> None:
        text = '{ business(businessNumber: "1") { legalName ... @defer(label: "risk") { riskScore { band } } } }'
        asked, picture = operation(tmp_path, text), tmp_path / "plan.svg"
        done = onedoor("plan", str(asked), "--svg", str(picture))
        assert "\n2: inspections after 1 deferred risk\n" in done.stdout
        assert "2  inspections (deferred: risk)" in picture.read_text(encoding="utf-8")
        found = json.loads(onedoor("plan", str(asked), "--json").stdout)
        assert [fetch["deferred"] for fetch in found["fetches"]] == [[], ["risk"]]

    @pytest.mark.parametrize(
        ("text", "more", "told"),
        [
            ("{ nothing }", (), "1:3: The operation does not fit the schema"),
            ("{ clusters", (), "The operation is not well-formed GraphQL"),
            ("query A { __typename } query B { __typename }", (), "operationName"),
            ("{ clusters { code } }", ("--variables", "{"), "--variables is not JSON"),
            ("{ clusters { code } }", ("--variables", "[]"), "--variables must be an object"),
            ("{ " + "clusters { clusters: services { cluster: code } } " * 31 + "}", (), "root fields 31, at most 30"),
        ],
    )
    def test_what_the_gateway_would_refuse_is_1_with_its_reason(
        self, tmp_path: Path, text: str, more: tuple[str, ...], told: str
    ) -> None:
        done = onedoor("plan", str(operation(tmp_path, text)), *more)
        assert done.returncode == 1
        assert told in done.stderr
        assert "Traceback" not in done.stderr


class TestThePicture:
    def test_there_is_a_box_a_request_and_a_line_a_dependency(self, tmp_path: Path) -> None:
        picture = tmp_path / "plan.svg"
        assert onedoor("plan", str(OVERVIEW), "--svg", str(picture)).returncode == 0
        root = ElementTree.parse(picture).getroot()
        assert len(root.findall(f"{SVG}g")) == 5
        curves = [path for path in root.findall(f"{SVG}path") if path.get("fill") == "none"]
        assert len(curves) == 3
        assert "cost 121" in (root.findtext(f"{SVG}title") or "")
        assert "_entities" in (root.findtext(f"{SVG}desc") or "")

    def test_hostile_text_stays_text(self, tmp_path: Path) -> None:
        asked = operation(tmp_path, '{ business(businessNumber: "</text><script>alert(1)</script>") { legalName } }')
        drawn = plan_picture.picture(planning.explain(SUPERGRAPH, asked, None, "{}"))
        assert "<script" not in drawn
        ElementTree.fromstring(drawn)

    def test_an_operation_that_asks_nobody_is_drawn_too(self, tmp_path: Path) -> None:
        drawn = plan_picture.picture(planning.explain(SUPERGRAPH, operation(tmp_path, "{ __typename }"), None, "{}"))
        assert "Nothing to fetch" in drawn
