"""`client.keys`: what a key may do, and an admin's care for everybody's, over a real socket."""

from __future__ import annotations

import asyncio

import pytest

import prsm_lab as lab
from prsm_lab import errors
from prsm_lab.types import Key, Limits


@pytest.fixture
def share():
    with lab.Client(mock_mode=True, ledger=":memory:") as near, lab.serve(near) as running:
        yield running


@pytest.fixture
def admin(share):
    """A client of the server's owner."""
    with lab.Client(share.new_key("olga", scopes=["admin"]), share.url) as client:
        yield client


def test_a_key_tells_what_it_may_do(share):
    """Whose it is, tier, limits, what is left; and nothing of the secret."""
    key = share.new_key("ana", tier="Basic", credits=5.0, models=["gpt-4"])
    with lab.Client(key, share.url) as ana:
        mine = ana.keys.me()

    assert isinstance(mine, Key)
    assert (mine.person, mine.tier, mine.credits, mine.models) == ("ana", "Basic", 5.0, ("gpt-4",))
    assert mine.limits == Limits(requests_per_minute=100, tokens_per_minute=200_000, concurrent=5)
    assert key.rpartition("_")[2] not in repr(mine)


def test_an_admin_makes_lists_rotates_and_revokes_keys(share, admin):
    """From another machine as in the owner's notebook."""
    first = admin.keys.create("ben", tier="Enterprise", limits={"concurrent": 3}, expires="7d")
    second = admin.keys.rotate(first)

    assert [key.person for key in admin.keys.list()] == ["ben", "ben", "olga"]
    assert lab.Client(second, share.url).keys.me().limits.concurrent == 3
    with pytest.raises(errors.AuthenticationError):
        lab.Client(first, share.url).keys.me()

    ended = admin.keys.revoke(second)
    assert ended.revoked is not None
    with pytest.raises(errors.AuthenticationError):
        lab.Client(second, share.url).keys.me()


def test_only_an_admin_may(share):
    """Others are refused, whatever they name."""
    with lab.Client(share.new_key("ana"), share.url) as ana:
        for attempt in (ana.keys.list, lambda: ana.keys.create("eve", scopes=["admin"]), lambda: ana.keys.rotate("x")):
            with pytest.raises(errors.AuthenticationError, match="admin"):
                attempt()


def test_terms_that_cannot_be_are_refused_by_name(admin):
    """With the parameter, as in the owner's notebook."""
    with pytest.raises(errors.InvalidRequestError, match="tier must be one of") as caught:
        admin.keys.create("ben", tier="Gold")

    assert caught.value.details["parameter"] == "tier"
    with pytest.raises(errors.NotFoundError):
        admin.keys.revoke("000000000000")


def test_async_clients_have_the_same_desk(share):
    """To be awaited."""
    key = share.new_key("olga", scopes=["admin"])

    async def main():
        async with lab.AsyncClient(key, share.url) as olga:
            made = await olga.keys.create("ben")
            made = await olga.keys.rotate(made)
            await olga.keys.revoke(made)
            return [key.revoked is None for key in await olga.keys.list()], await olga.keys.me()

    good, mine = asyncio.run(main())
    assert good == [False, False, True]
    assert mine.scopes == ("admin",)


def test_a_client_of_its_own_process_says_where_keys_are():
    """With what to do instead."""
    with (
        lab.Client(mock_mode=True, ledger=":memory:") as client,
        pytest.raises(errors.InvalidRequestError, match=r"lab\.serve\(\)"),
    ):
        client.keys.me()


def test_usage_is_grouped_by_who_asked(share, admin):
    """An admin sees everybody, ana herself."""
    with lab.Client(share.new_key("ana"), share.url) as ana:
        ana.inference.create("gpt-4", "hi")
        admin.inference.create("gpt-4", "hi")
        admin.inference.create("gpt-4.1", "hi")
        frame = admin.inference.analytics("last_24_hours", group_by=["key", "model"]).to_frame()
        hers = ana.inference.performance(group_by="key").to_frame()

    asked = dict(zip(zip(frame["key"], frame["model"], strict=True), frame["total_requests"], strict=True))
    assert asked == {("ana", "gpt-4"): 1, ("olga", "gpt-4"): 1, ("olga", "gpt-4.1"): 1}
    assert hers[["key", "total_requests"]].values.tolist() == [["ana", 1]]


def test_a_group_that_does_not_exist_is_refused(admin):
    """With those that do."""
    with pytest.raises(errors.InvalidRequestError, match="model, provider, key, day"):
        admin.inference.analytics(group_by="colour")


def test_one_model_is_looked_up_where_it_is_served(admin):
    """By alias; the nearest is named otherwise."""
    assert admin.models.get("gpt-4").name == "gpt-4"
    with pytest.raises(errors.NotFoundError):
        admin.models.get("gpt-nonsense")
