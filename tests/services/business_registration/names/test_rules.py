"""The rules of names on examples of each rule, and as laws that hold for any name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.business_registration.models import LegalType
from services.business_registration.names.decision import Decision, Holder, NameOutcome, decide
from services.business_registration.names.keys import keys_of, sound, stem
from services.business_registration.names.normalise import identical_key, normalised, words
from services.business_registration.names.rules import rules
from services.business_registration.names.similarity import Likeness, likeness

SOLE, CORPORATION = LegalType.SOLE_PROPRIETORSHIP, LegalType.NAMED_CORPORATION
NAMES = st.text(st.sampled_from("abcdefghij ÉéÇœŒ&'’-./019 XYZ"), min_size=1, max_size=60)


def held(name: str, *, blocks: bool = True) -> Holder:
    return Holder(name, identical_key(name), words(name), "700000013", blocks)


def alike(one: str, other: str) -> Likeness:
    return likeness(words(one), words(other))


def kinds(decision: Decision) -> list[str]:
    return [evidence.kind for evidence in decision.evidence]


class TestNormalisation:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("The Maple Leaf Bakery Ltd.", "maple leaf bakery"),
            ("RE/MAX Realty", "remax realty"),
            ("J & J Plumbing", "jj plumbing"),
            ("A.B.C. Movers", "abc movers"),
            ("Johnson & Johnson Inc.", "johnson"),
            ("Tony's Pizza", "tony pizza"),
            ("L’Atelier d'Éloïse", "atelier eloise"),
            ("Cœur de pirate", "coeur pirate"),
            ("Widgets.com", "widgets"),
            ("Kiln (2019) Pottery", "kiln pottery"),
            ("Kiln Pottery (No. 8)", "kiln pottery"),
            ("One Stop Shop", "1 stop shop"),
            ("The Of And", "the of and"),
            ("ＦＵＬＬ Width", "full width"),
        ],
    )
    def test_what_carries_no_weight_is_dropped(self, name: str, words: str) -> None:
        assert normalised(name) == words

    @given(NAMES)
    def test_case_never_matters(self, name: str) -> None:
        assert normalised(name) == normalised(name.casefold())

    @given(NAMES)
    def test_what_is_normalised_stays_as_it_is(self, name: str) -> None:
        assert normalised(normalised(name)) == normalised(name)

    @given(NAMES)
    def test_a_name_with_letters_keeps_some(self, name: str) -> None:
        assert bool(normalised(name)) == any(c.isalnum() for c in name)


class TestIdentity:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Zephyr Lantern Inc.", "ZEPHYR-LANTERN LIMITED"),
            ("Sun Rise Books", "Sunrise Books"),
            ("Salt & Pepper", "Salt and Pepper"),
            ("Sel et Poivre", "Sel & Poivre"),
            ("Hôtel Château", "Hotel Chateau"),
            ("Wheel's Cafe", "Wheels Café"),
            ("Barrie Balloons", "Barie Baloons"),
            ("Two Rivers", "2 Rivers"),
        ],
    )
    def test_spelling_that_nobody_hears_makes_no_difference(self, one: str, other: str) -> None:
        assert identical_key(one) == identical_key(other)

    @pytest.mark.parametrize(("one", "other"), [("Maple Books", "Birch Books"), ("Kiln 1", "Kiln 2"), ("Sol", "Sole")])
    def test_other_names_stay_other(self, one: str, other: str) -> None:
        assert identical_key(one) != identical_key(other)

    @given(NAMES)
    def test_the_key_is_its_own_key(self, name: str) -> None:
        key = identical_key(name)
        if not key.isdigit() and key not in rules().numbers and key not in rules().designations | rules().conjunctions:
            assert identical_key(key) == key


class TestLikeness:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Northern Lights Bakery", "Northern Light Baking"),
            ("Zephyr Lantern Bakery", "Zephyr Lantern Boulangerie"),
            ("Mackenzie Plumbing", "McKenzie Plumbing"),
            ("Phoenix Motors", "Fenix Motors"),
            ("Zephyr Lantern", "Zephyr Lantren"),
        ],
    )
    def test_sound_stem_meaning_and_slips_of_the_pen_count(self, one: str, other: str) -> None:
        assert alike(one, other).score >= rules().conflict

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Maple Bakery", "Birch Bakery"),
            ("Toronto Plumbing Services", "Zephyr Plumbing Services"),
            ("Kiln 1", "Kiln 20 Glass Blowing House"),
            ("Quiet Harbour Tea", "Cat Herbary Tea"),
        ],
    )
    def test_a_shared_trade_or_place_is_not_enough(self, one: str, other: str) -> None:
        assert alike(one, other).score < rules().conflict

    @given(NAMES, NAMES)
    def test_it_lies_from_0_to_1_and_is_symmetric(self, one: str, other: str) -> None:
        there, back = alike(one, other).score, alike(other, one).score
        assert 0.0 <= there <= 1.0
        assert there == pytest.approx(back)

    @given(NAMES.filter(lambda n: any(c.isalnum() for c in n)))
    def test_a_name_is_wholly_like_itself(self, name: str) -> None:
        assert alike(name, name).score == 1.0

    def test_words_of_one_sound_or_stem_share_it(self) -> None:
        assert sound("phoenix") == sound("fenix")
        assert stem("lights") == stem("light")
        assert keys_of("Maple Bakery").stems == keys_of("Maples Restaurant").stems

    def test_names_that_run_words_together_are_found_by_them(self) -> None:
        assert set(keys_of("Sun Rise Books").stems) > set(keys_of("Sunrise Books").stems)


class TestDecision:
    def test_a_free_name_is_available_with_the_version_of_the_rules(self) -> None:
        decision = decide("Zephyr Lantern Bakery", SOLE, [held("Quiet Harbour Tea Inc.")])
        assert (decision.outcome, decision.rule_version) == (NameOutcome.AVAILABLE, rules().version)
        assert decision.evidence == []

    def test_the_strongest_obstacle_comes_first_with_all_evidence(self) -> None:
        names = [held("Zephyr Lantern Baking", blocks=False), held("Zephyr Lantern Bakery Inc.")]
        decision = decide("Zephyr Lantern Bakery", SOLE, names)
        assert decision.outcome is NameOutcome.IDENTICAL
        assert kinds(decision) == ["identical", "similar"]

    def test_an_identical_name_that_blocks_nobody_is_an_advisory(self) -> None:
        decision = decide("Zephyr Lantern Bakery", SOLE, [held("Zephyr Lantern Bakery", blocks=False)])
        assert (decision.outcome, kinds(decision)) == (NameOutcome.SIMILAR, ["identical_not_blocking"])

    @pytest.mark.parametrize(
        ("name", "word", "kind"),
        [
            ("Zephyr Bank", "bank", "restricted_forbid"),
            ("Banque Zéphyr", "banque", "restricted_forbid"),
            ("Zephyr Engineering", "engineering", "restricted_consent"),
            ("Université du Lac", "universite", "restricted_consent"),
            ("Royal Tea", "royal", "restricted_consent"),
        ],
    )
    def test_a_restricted_word_is_told_with_its_law(self, name: str, word: str, kind: str) -> None:
        decision = decide(name, SOLE, [])
        assert decision.outcome is NameOutcome.RESTRICTED
        assert (decision.evidence[0].name, decision.evidence[0].kind) == (word, kind)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("", "empty"),
            ("   ", "empty"),
            ("x" * 121, "too_long"),
            ("Zephyr  Lantern", "spaces"),
            (" Zephyr", "spaces"),
            ("!Zephyr", "first_character"),
            ("...", "first_character"),
            ("Zephyr 🥐", "character"),
            ("مخبز", "character"),
            ("Пекарня", "character"),
            ("Zeph\u0000yr", "character"),
            ("Zeph\ud800yr", "character"),
            ("Zeph\u202eyr", "character"),
            ("Zeph\nyr", "character"),
            ("Zephyr Ltd.", "designation_not_allowed"),
        ],
    )
    def test_a_malformed_name_is_told_what_to_mend_in_both_languages(self, name: str, kind: str) -> None:
        decision = decide(name, SOLE, [])
        assert decision.outcome is NameOutcome.MALFORMED
        assert kinds(decision)[0] == kind
        assert decision.explanation.en != decision.explanation.fr

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("Zephyr", "designation_missing"),
            ("Ltd. Zephyr", "designation_misplaced"),
            ("Zephyr Ltd. Bakery", "designation_misplaced"),
            ("Zephyr Inc. Ltd.", "designation_doubled"),
            ("Inc.", "designation_alone"),
            ("Ltée / Limited", "designation_alone"),
            ("Zephyr LLC", "designation_not_allowed"),
            ("Zephyr S.A.R.L.", "designation_not_allowed"),
            ("1234567 Ontario Inc.", "numbered_form"),
        ],
    )
    def test_a_corporation_ends_in_one_designation(self, name: str, kind: str) -> None:
        assert kinds(decide(name, CORPORATION, []))[0] == kind

    @given(st.text(max_size=200))
    def test_no_text_whatever_makes_it_fail(self, name: str) -> None:
        decision = decide(name, SOLE, [held("Zephyr Lantern")])
        assert decision == decide(name, SOLE, [held("Zephyr Lantern")])
        assert decision.explanation.en
        assert decision.explanation.fr


class TestData:
    def test_each_restricted_word_is_explained_in_both_languages(self) -> None:
        for word, restricted in rules().restricted.items():
            assert restricted.rule in ("consent", "forbid"), word
            assert restricted.words.en != restricted.words.fr

    def test_words_are_folded_as_names_are(self) -> None:
        for word in (*rules().restricted, *rules().descriptive, *rules().stop):
            assert normalised(f"zz {word}") in (f"zz {word}", "zz", f"zz {word.replace('-', ' ')}"), word
