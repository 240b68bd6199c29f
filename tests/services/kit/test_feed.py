"""The feed: live events for those who follow a subject, and nothing left when they go."""

import asyncio

import pytest

from services.kit.events import Event
from services.kit.feed import WAITING, Feed, LaggedBehind
from tests.services.kit.conftest import until


class LakeFroze(Event, type="lake.froze.v1", subject="lake"):
    """A lake froze."""

    lake: str
    n: int = 0


class LakeThawed(Event, type="lake.thawed.v1", subject="lake"):
    """A lake thawed."""

    lake: str


class TestFollowing:
    async def test_hears_its_type_and_subject_only(self) -> None:
        feed = Feed()
        async with feed.following(LakeFroze, "erie") as events:
            feed.publish(LakeFroze(lake="huron"))
            feed.publish(LakeThawed(lake="erie"))
            feed.publish(LakeFroze(lake="erie", n=7))
            assert (await anext(events)).n == 7

    async def test_hears_from_the_moment_it_begins(self) -> None:
        """What happens between the block's begin and the first look is not missed."""
        feed = Feed()
        async with feed.following(LakeFroze, "erie") as events:
            for n in range(3):
                feed.publish(LakeFroze(lake="erie", n=n))
            assert [(await anext(events)).n for _ in range(3)] == [0, 1, 2]

    async def test_reaches_every_follower(self) -> None:
        feed = Feed()
        async with feed.following(LakeFroze, "erie") as one, feed.following(LakeFroze, "erie") as other:
            assert feed.listening == 2
            feed.publish(LakeFroze(lake="erie", n=1))
            assert [(await anext(one)).n, (await anext(other)).n] == [1, 1]

    async def test_leaves_nothing_when_it_ends_in_any_way(self) -> None:
        feed = Feed()

        async def follow() -> None:
            async with feed.following(LakeFroze, "erie") as events:
                await anext(events)

        following = asyncio.create_task(follow())

        async def begun() -> bool:
            return feed.listening > 0

        await until(begun)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        assert feed.listening == 0

    async def test_too_slowly_is_cut_off(self) -> None:
        feed = Feed()
        async with feed.following(LakeFroze, "erie") as events:
            for n in range(WAITING + 1):
                feed.publish(LakeFroze(lake="erie", n=n))
            with pytest.raises(LaggedBehind, match="SUBSCRIBER_TOO_SLOW"):
                async for _ in events:
                    pass

    def test_by_nobody_costs_nothing(self) -> None:
        Feed().publish(LakeFroze(lake="erie"))
