"""`onedoor demo` as people read it: no codes, in the language of their terminal."""

import re

import pytest

from clusters import demo
from clusters.journeys.door import Json, Step
from services.business_registration.models import Program
from services.inspections.business import RiskBand
from services.kit.language import Words

ANSWERS: dict[str, Json] = {
    "register": {"business": {"legalName": "Boulangerie Inc.", "businessNumber": "700000013"}},
    "programs": {"programs": [{"program": p.value, "state": "APPROVED", "accountNumber": "BN-1"} for p in Program]},
    "inspection": {"scheduledFor": "2026-12-09", "status": "SCHEDULED"},
    "overview": {
        "business": {
            "riskScore": {"score": 4.5, "band": "LOW"},
            "helpNearby": [{"distanceM": 1234, "service": {"name": {"in": "Guichet"}}}],
        },
        "governmentService": {"standards": [{"name": {"in": "Réponse"}}]},
    },
    "delegates": {"offeredAs": "Olive", "acceptedAs": "Ledger", "ends": "2026-12-01T00:00:00Z"},
    "files": {"business": {"legalName": "Boulangerie Inc.", "businessNumber": "700000013"}},
    "sees": {"sentence": {"en": "Ledger looked.", "fr": "Ledger a consulté."}},
    "revokes": {"refused": {"en": "No.", "fr": "Non."}},
    "moves": {"address": {"street": "5 Queen Street", "city": "Toronto", "postalCode": "M5H 2N2"}},
    "asks": {"reference": "Q-1", "due": "2026-12-11"},
    "answered": {"answer": "No."},
}


def told(code: str) -> str:
    return "\n".join(demo._details(Step(code, Words("a", "b"), 0.1, ANSWERS[code])))


class TestWhatTheDemoSays:
    @pytest.mark.parametrize("code", ANSWERS)
    @pytest.mark.parametrize("locale", ["C", "fr_CA.UTF-8"])
    def test_holds_no_code(self, monkeypatch: pytest.MonkeyPatch, code: str, locale: str) -> None:
        monkeypatch.setenv("LC_ALL", locale)
        assert not re.search(r"[A-Z]{3,}", told(code)), told(code)

    def test_is_french_where_the_terminal_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LC_ALL", "fr_CA.UTF-8")
        assert told("inspection") == "2026-12-09, prévue"
        assert "permis de taxe de vente au détail, approuvé" in told("programs")
        assert told("sees") == "Ledger a consulté."
        assert told("overview").splitlines() == ["risque 4,5 (faible)", "1,2 km  Guichet", "Réponse"]

    def test_has_words_for_each_band_of_risk(self) -> None:
        assert {band.value for band in RiskBand} <= demo._WORDS.keys()
