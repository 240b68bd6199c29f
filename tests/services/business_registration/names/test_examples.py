"""The rules of names as an examiner would try them: real-looking names against a held one, with the outcome expected."""

import pytest

from services.business_registration.models import LegalType
from services.business_registration.names.decision import Decision, Holder, NameOutcome, decide
from services.business_registration.names.keys import keys_of
from services.business_registration.names.normalise import designations, forms, words

SOLE, CORPORATION = LegalType.SOLE_PROPRIETORSHIP, LegalType.NAMED_CORPORATION
IDENTICAL, SIMILAR, AVAILABLE = NameOutcome.IDENTICAL, NameOutcome.SIMILAR, NameOutcome.AVAILABLE
MALFORMED, RESTRICTED = NameOutcome.MALFORMED, NameOutcome.RESTRICTED

# asked, held by a corporation, outcome
PAIRS = [
    # what an identical key ignores
    ("ZEPHYR LANTERN LTD.", "Zephyr Lantern Inc.", IDENTICAL),
    ("Zephyr-Lantern limitée", "Zephyr Lantern Inc.", IDENTICAL),
    ("ZephyrLantern Corp.", "Zephyr Lantern Inc.", IDENTICAL),
    ("Zephyr & Lantern", "Zephyr and Lantern Ltd.", IDENTICAL),
    ("Sel et Poivre inc.", "Sel & Poivre ltée", IDENTICAL),
    ("Café Éclair", "CAFE ECLAIR CORPORATION", IDENTICAL),
    ("Cafe\u0301 Eclair", "Café Eclair Inc.", IDENTICAL),
    ("Barie Baloons", "Barrie Balloons Inc.", IDENTICAL),
    ("Two Rivers", "2 Rivers Inc.", IDENTICAL),
    ("Forty Creek", "40 Creek Ltd.", IDENTICAL),
    ("Zephyr™ Lantern", "Zephyr Lantern Inc.", IDENTICAL),
    ("Zephyr Lantern L.T.D.", "Zephyr Lantern Inc.", IDENTICAL),
    ("RE/MAX Realty", "Re Max Realty Inc.", IDENTICAL),
    ("J.J. Plumbing", "J & J Plumbing Inc.", IDENTICAL),
    ("B.C. Towing", "BC Towing Ltd.", IDENTICAL),
    ("L'Atelier", "Latelier inc.", IDENTICAL),
    ("Jean-Guy Motors", "Jean Guy Motors Corp.", IDENTICAL),
    # either form of a name in two languages
    ("Lake Bakery Inc.", "Lake Bakery Inc. / Boulangerie du Lac inc.", IDENTICAL),
    ("Boulangerie du lac ltée", "Lake Bakery Inc./Boulangerie du Lac inc.", IDENTICAL),
    ("Lake Bakery Ltd. - Boulangerie du Lac ltée", "Boulangerie du Lac inc.", IDENTICAL),
    ("Lake Bakeries", "Lake Bakery Inc. / Boulangerie du Lac inc.", SIMILAR),
    # numbers that differ make another name, of a corporation too
    ("Kiln 2 Inc.", "Kiln 20 Inc.", SIMILAR),
    ("1000 Islands Kayaks", "100 Islands Kayaks Inc.", SIMILAR),
    ("Route 66 Diner", "Route 20 Diner Ltd.", SIMILAR),
    ("7 Seas Diving", "8 Bells Diving Inc.", AVAILABLE),
    # what carries no weight
    ("The Maple Leaf", "Maple Leaf Inc.", SIMILAR),
    ("Johnson & Johnson", "Johnson Inc.", SIMILAR),
    ("Maple Leaf (2019) Inc.", "Maple Leaf Inc.", SIMILAR),
    ("Maple Leaf (No. 8) Inc.", "Maple Leaf Inc.", SIMILAR),
    ("Widgets.com", "Widgets.ca Inc.", SIMILAR),
    ("www.widgets.ca", "Widgets Inc.", SIMILAR),
    ("Tony's Pizza", "Tony Pizza Inc.", SIMILAR),
    ("Harbour Data", "Data Harbour Inc.", SIMILAR),
    # run together
    ("Sunrise Books Toronto", "Sun Rise Bookstore Inc.", SIMILAR),
    ("Sun Rise Bookstore", "Sunrise Books Toronto Inc.", SIMILAR),
    # stems, in either language
    ("Great Lakes Bakery", "Great Lake Bakeries Inc.", SIMILAR),
    ("Northern Lights Baking", "Northern Light Bakery Inc.", SIMILAR),
    ("Éditions du Phare", "Édition des Phares inc.", SIMILAR),
    # sounds
    ("Phoenix Motors", "Fenix Motors Inc.", SIMILAR),
    ("Kwik Kopy", "Quick Copy Inc.", SIMILAR),
    ("Xtreme Fitness", "Extreme Fitness Inc.", SIMILAR),
    ("Mackenzie Plumbing", "McKenzie Plumbing Inc.", SIMILAR),
    ("Zebra Crossing", "Sebra Crossing Inc.", SIMILAR),
    ("Khan Foods", "Kan Foods Inc.", SIMILAR),
    ("Sean Paints", "Seen Paints Inc.", SIMILAR),
    ("Knight Owl", "Night Owl Inc.", SIMILAR),
    ("Mike Tires", "Myke Tires Inc.", SIMILAR),
    ("Quiet Harbour Tea", "Cat Herbary Tea Inc.", AVAILABLE),
    # synonyms, in both languages
    ("Tremblay Bakery", "Boulangerie Tremblay inc.", SIMILAR),
    ("Maple Leaf Aliments", "Maple Leaf Foods Inc.", SIMILAR),
    ("Cedar Point Holdings", "Cedar Point Investments Inc.", SIMILAR),
    # slips of the pen
    ("Zephyr Lantren", "Zephyr Lantern Inc.", SIMILAR),
    ("Bell Kayaks", "Belle Kayaks Inc.", SIMILAR),
    # a trade or a place is not enough
    ("Maple Bakery", "Birch Bakery Inc.", AVAILABLE),
    ("Toronto Plumbing Services", "Zephyr Plumbing Services Inc.", AVAILABLE),
    ("Amber Kiln Pottery", "Amber Fox Optics Inc.", AVAILABLE),
    ("Cedar Violin", "Cedar Compass Dental Inc.", AVAILABLE),
    ("Sol Yoga", "Sole Repairs Inc.", AVAILABLE),
]

# asked, legal type, outcome, the rule of the first evidence
ALONE = [
    ("Zephyr Lantern Company Limited", CORPORATION, AVAILABLE, None),
    ("Lanterne Zéphyr incorporée", CORPORATION, AVAILABLE, None),
    ("Lake Bakery Inc. / Boulangerie du Lac inc.", CORPORATION, AVAILABLE, None),
    ("Riverbank Tea", SOLE, AVAILABLE, None),
    ("1 Plumbing", SOLE, AVAILABLE, None),
    ("Lake Bakery Inc. / Boulangerie du Lac", CORPORATION, MALFORMED, "designation_missing"),
    ("Zephyr Lantern Co.", CORPORATION, MALFORMED, "designation_missing"),
    ("Zephyr Inc. Lantern", CORPORATION, MALFORMED, "designation_misplaced"),
    ("Zephyr Limited Corp.", CORPORATION, MALFORMED, "designation_doubled"),
    ("Limitée", CORPORATION, MALFORMED, "designation_alone"),
    ("Zephyr Lantern Inc.", SOLE, MALFORMED, "designation_not_allowed"),
    ("Zephyr Lantern L.L.P.", SOLE, MALFORMED, "designation_not_allowed"),
    ("Zephyr s.e.n.c.", LegalType.GENERAL_PARTNERSHIP, MALFORMED, "designation_not_allowed"),
    ("9000050 Ontario Inc.", CORPORATION, MALFORMED, "numbered_form"),
    ("9000050 Ontario", SOLE, MALFORMED, "numbered_form"),
    ("Zephyr", LegalType.NUMBERED_CORPORATION, MALFORMED, "name_not_chosen"),
    ("Zephır Lantern", SOLE, MALFORMED, "character"),  # a dotless i
    ("Zephyr L\u0251ntern", SOLE, MALFORMED, "character"),  # a Latin alpha
    ("Zephyr\u00a0Lantern", SOLE, MALFORMED, "character"),
    ("@Home Care", SOLE, MALFORMED, "first_character"),
    ("Zephyr Co-operative Inc.", CORPORATION, RESTRICTED, "restricted_consent"),
    ("Zephyr Co-op", SOLE, RESTRICTED, "restricted_consent"),
    ("B.A.N.K. of Zephyr", SOLE, RESTRICTED, "restricted_forbid"),
    ("Caisse populaire du Lac", SOLE, RESTRICTED, "restricted_consent"),
    ("Zephyr Police Supply", SOLE, RESTRICTED, "restricted_forbid"),
]


def held(name: str, *, blocks: bool = True) -> list[Holder]:
    """A held name, form by form, as the register keeps it."""
    return [Holder(name, keys_of(form).identical_key, words(form), "700000013", blocks) for form in forms(name)]


def decided(name: str, other: str) -> Decision:
    return decide(name, CORPORATION if designations(name)[0] else SOLE, held(other))


class TestExamples:
    @pytest.mark.parametrize(("name", "other", "outcome"), PAIRS)
    def test_a_name_beside_a_held_one(self, name: str, other: str, outcome: NameOutcome) -> None:
        decision = decided(name, other)
        assert decision.outcome is outcome, decision
        assert [e.name for e in decision.evidence] == ([] if outcome is AVAILABLE else [other])

    @pytest.mark.parametrize(("name", "other", "outcome"), [pair for pair in PAIRS if pair[2] is not AVAILABLE])
    def test_what_conflicts_is_found_by_index(self, name: str, other: str, outcome: NameOutcome) -> None:
        """A conflict that no key shares would never be compared."""
        asked, kept = [keys_of(form) for form in forms(name)], [keys_of(form) for form in forms(other)]
        assert any(
            a.identical_key == k.identical_key or {*a.stems, *a.phonetic} & {*k.stems, *k.phonetic}
            for a in asked
            for k in kept
        )

    @pytest.mark.parametrize(("name", "legal_type", "outcome", "rule"), ALONE)
    def test_a_name_by_itself(self, name: str, legal_type: LegalType, outcome: NameOutcome, rule: str | None) -> None:
        decision = decide(name, legal_type, [])
        assert decision.outcome is outcome, decision
        assert (decision.evidence[0].kind if decision.evidence else None) == rule

    @pytest.mark.parametrize(("name", "other", "outcome"), PAIRS)
    def test_each_decision_can_be_replayed_from_its_own_evidence(
        self, name: str, other: str, outcome: NameOutcome
    ) -> None:
        decision = decided(name, other)
        assert decision.replayed() == decision
