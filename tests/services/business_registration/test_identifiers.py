"""Business numbers: nine digits whose last one tells a slip of the hand."""

from hypothesis import assume, given
from hypothesis import strategies as st

from services.business_registration.identifiers import checked, is_business_number

STEMS = st.integers(70_000_001, 79_999_999)  # those of the sequence
DIGITS = st.sampled_from("0123456789")


class TestBusinessNumbers:
    @given(STEMS)
    def test_that_are_given_out_check(self, stem: int) -> None:
        assert is_business_number(checked(stem))
        assert checked(stem)[0] == "7"

    @given(STEMS, st.integers(0, 8), DIGITS)
    def test_with_one_digit_mistyped_do_not(self, stem: int, at: int, digit: str) -> None:
        number = checked(stem)
        assume(number[at] != digit)
        assert not is_business_number(number[:at] + digit + number[at + 1 :])

    @given(STEMS, st.integers(0, 7))
    def test_with_two_neighbours_swapped_do_not_but_for_0_and_9(self, stem: int, at: int) -> None:
        number = checked(stem)
        pair = number[at : at + 2]
        assume(pair[0] != pair[1])
        swapped = number[:at] + pair[::-1] + number[at + 2 :]
        assert is_business_number(swapped) == (set(pair) == {"0", "9"})

    @given(STEMS, st.integers(0, 8))
    def test_with_a_digit_missing_or_too_many_do_not(self, stem: int, at: int) -> None:
        number = checked(stem)
        assert not is_business_number(number[:at] + number[at + 1 :])
        assert not is_business_number(number[:at] + "0" + number[at:])

    @given(st.text())
    def test_are_digits_of_ascii_and_nothing_else_is(self, text: str) -> None:
        assert not is_business_number(text) or (text.isascii() and text.isdigit() and len(text) == 9)

    def test_in_digits_of_another_script_do_not(self) -> None:
        arabic = checked(70_000_001).translate({ord("0") + n: 0x0660 + n for n in range(10)})
        assert not is_business_number(arabic)
