"""The breaker's states and the retry budget, without a wire and with a clock that the test moves."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.guard import FEWEST_CALLS, LONGEST_OPEN_S, OPEN_S, RETRY_COST, TOKENS, WINDOW_S, Guard, State


def opened(at: float = 0.0) -> Guard:
    guard = Guard()
    for _ in range(FEWEST_CALLS):
        assert guard.admits(at)
        guard.failed(at)
    return guard


class TestClosed:
    def test_opens_when_half_of_enough_calls_failed(self) -> None:
        guard = Guard()
        for _ in range(FEWEST_CALLS // 2):
            guard.failed(1.0)
            guard.succeeded()
        assert guard.state.name == "CLOSED"
        guard.failed(1.0)
        assert guard.state.name == "OPEN"

    def test_judges_on_no_fewer(self) -> None:
        guard = Guard()
        for _ in range(FEWEST_CALLS - 1):
            guard.failed(1.0)
        assert guard.state is State.CLOSED

    def test_forgets_failures_of_long_ago(self) -> None:
        guard = Guard()
        for turn in range(FEWEST_CALLS * 3):
            guard.failed(turn * WINDOW_S / 4)
        assert guard.state is State.CLOSED

    def test_is_not_dulled_by_a_long_good_past(self) -> None:
        guard = Guard()
        for _ in range(100_000):
            guard.succeeded()
        for _ in range(FEWEST_CALLS):
            guard.failed(60.0)
        assert guard.state is State.OPEN

    def test_stays_closed_where_few_of_many_fail(self) -> None:
        guard = Guard()
        for turn in range(1_000):
            guard.failed(turn / 1_000)
            for _ in range(4):
                guard.succeeded()
        assert guard.state is State.CLOSED


class TestOpen:
    def test_refuses_until_its_time_is_over(self) -> None:
        guard = opened(at=5.0)
        assert not guard.admits(5.0 + OPEN_S - 0.01)
        assert guard.admits(5.0 + OPEN_S)
        assert guard.state is State.HALF_OPEN

    def test_answers_of_calls_begun_before_change_nothing(self) -> None:
        guard = opened()
        guard.succeeded()
        guard.failed(0.1)
        assert guard.state is State.OPEN
        assert guard.admits(OPEN_S)


class TestHalfOpen:
    def test_lets_one_through_at_a_time(self) -> None:
        guard = opened()
        assert guard.admits(OPEN_S)
        assert not guard.admits(OPEN_S)

    def test_closes_when_it_is_answered(self) -> None:
        guard = opened()
        guard.admits(OPEN_S)
        guard.succeeded()
        assert guard.state is State.CLOSED
        assert guard.admits(OPEN_S)
        guard.failed(OPEN_S)
        assert guard.state is State.CLOSED

    def test_opens_for_twice_as_long_when_it_fails_but_not_for_ever(self) -> None:
        guard, now, wait = opened(), 0.0, OPEN_S
        for _ in range(8):
            now += wait
            assert guard.admits(now)
            guard.failed(now)
            wait = min(wait * 2, LONGEST_OPEN_S)
            assert not guard.admits(now + wait - 0.01)

    def test_tries_anew_when_the_trial_told_nothing(self) -> None:
        guard = opened()
        guard.admits(OPEN_S)
        guard.abandoned()
        assert guard.admits(OPEN_S)

    def test_each_change_is_told(self) -> None:
        told: list[State] = []
        guard = Guard(told.append)
        for _ in range(FEWEST_CALLS):
            guard.failed(0.0)
        guard.admits(OPEN_S)
        guard.succeeded()
        assert told == [State.OPEN, State.HALF_OPEN, State.CLOSED]


class TestBudget:
    def test_is_there_in_good_times_and_gone_in_an_outage(self) -> None:
        guard = Guard()
        assert guard.may_retry()
        for _ in range(TOKENS // 2 // RETRY_COST):
            assert guard.may_retry()
            guard.failed(0.0)
        assert not guard.may_retry()

    def test_is_earned_back_by_successes(self) -> None:
        guard = Guard()
        for _ in range(TOKENS // 2 // RETRY_COST):
            guard.failed(0.0)
        guard.succeeded()
        assert guard.may_retry()

    @given(st.lists(st.booleans(), max_size=2_000))
    def test_adds_at_most_a_tenth_and_a_handful(self, outcomes: list[bool]) -> None:
        """However calls end, and though every retry fails."""
        guard = Guard()
        retries = 0
        for turn, good in enumerate(outcomes):
            now = turn * 20.0  # apart, so that the breaker does not help
            if good:
                guard.succeeded()
                continue
            guard.failed(now)
            while guard.may_retry():
                retries += 1
                guard.failed(now + 11.0)
        assert retries <= TOKENS // 2 // RETRY_COST + len(outcomes) / RETRY_COST
