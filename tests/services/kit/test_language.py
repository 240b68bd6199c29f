"""The two languages: how a request's is found, and words that have both halves."""

import pytest

from services.kit.language import Language, Words, negotiate


class TestNegotiate:
    @pytest.mark.parametrize(
        ("header", "language"),
        [
            ("", Language.EN),
            ("fr", Language.FR),
            ("FR-ca", Language.FR),
            ("en;q=0.5, fr;q=0.9", Language.FR),
            ("en, fr", Language.EN),
            ("fr, en", Language.FR),
            ("de, fr;q=0.1", Language.FR),
            ("fr;q=0, en;q=0.1", Language.EN),
            ("fr;q=0", Language.EN),
            ("*", Language.EN),
            ("french", Language.EN),
            ("fr;q=nonsense", Language.EN),
            ("fr;q=nan", Language.EN),
            ("fr;q=1e999", Language.FR),
            (";;;,,,=q", Language.EN),
            ("é\x00\x7f", Language.EN),
            ("x," * 100_000 + "fr", Language.EN),
        ],
    )
    def test_takes_the_heavier_of_the_two(self, header: str, language: Language) -> None:
        assert negotiate(header) is language


class TestWords:
    @pytest.mark.parametrize(("en", "fr"), [("", "non"), ("no", ""), ("no", "  ")])
    def test_have_both_halves(self, en: str, fr: str) -> None:
        with pytest.raises(ValueError, match="missing"):
            Words(en, fr)

    def test_are_filled_in_both_languages(self) -> None:
        filled = Words("{n} days", "{n} jours").filled(n=3)
        assert (filled.of(Language.EN), filled.of(Language.FR)) == ("3 days", "3 jours")

    def test_need_every_value(self) -> None:
        with pytest.raises(KeyError):
            Words("{n} days", "{n} jours").filled()

    def test_never_read_placeholders_in_a_value(self) -> None:
        assert Words("{name} is taken", "{name} est pris").filled(name="{0} {x}").en == "{0} {x} is taken"
