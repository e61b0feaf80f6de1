"""The state of the usage panel: what was asked and what it cost, against the ledger's own figures."""

from __future__ import annotations

import datetime

import pytest

import prsm_lab as lab
from prsm_lab import emulator, errors
from prsm_lab.emulator import Rule
from prsm_lab.panels import periods


@pytest.fixture(scope="module")
def emu():
    with emulator.start() as running:
        yield running


@pytest.fixture
def client(emu):
    """Somebody who asked two models, once in vain, and shared with ana."""
    emu.clear()
    with lab.Client(ledger=":memory:", providers=emu.providers(), max_retries=0) as made:
        frame = lab.batch([f"row {n}" for n in range(4)], "{text}", model="gpt-4", client=made, progress=False)
        made.inference.create("claude-haiku-4-5", "hi")
        emu.add(Rule("400", times=1))
        with pytest.raises(errors.PRSMError):
            made.inference.create("gpt-4", "in vain")
        made.spent = frame["cost"].sum()
        with lab.serve(made) as share, lab.Client(share.new_key("ana"), share.url) as ana:
            ana.inference.create("gpt-4", "from ana")
        yield made


def test_the_figures_are_the_ledgers(client):
    """In all, by day, by model, by key."""
    panel = lab.panels.usage("last_24_hours", client=client)
    shown, report = panel.snapshot(), client.inference.analytics("last_24_hours")

    assert shown["whole"]["total_requests"] == report.total_requests == 7
    assert shown["whole"]["total_cost"] == report.total_cost
    assert shown["whole"]["success_rate"] == pytest.approx(6 / 7)
    assert [day["total_requests"] for day in shown["days"]] in ([7], [6, 1], [1, 6])
    assert [(one["name"], one["total_requests"]) for one in shown["by_model"]] == [
        ("gpt-4", 6),
        ("claude-haiku-4-5", 1),
    ]
    assert {one["name"]: one["total_requests"] for one in shown["by_key"]} == {"this notebook": 6, "ana": 1}


def test_filters_narrow_everything(client):
    """A model, a provider, a key; what can be chosen stays."""
    panel = lab.panels.usage(client=client)
    panel.look(model="claude-haiku-4-5")
    assert panel.snapshot()["whole"]["total_requests"] == 1
    assert panel.snapshot()["models"] == ["claude-haiku-4-5", "gpt-4"]

    panel.look(key="ana")
    assert panel.snapshot()["whole"]["total_requests"] == 1
    panel.look(provider="openai")
    assert panel.snapshot()["whole"]["total_requests"] == 6
    panel.look("2020-01-01/2020-02-01")
    assert (panel.snapshot()["whole"]["total_requests"], panel.snapshot()["whole"]["total_cost"]) == (0, None)


def test_a_wrong_time_is_a_notice_and_changes_nothing(client):
    """With what there is."""
    panel = lab.panels.usage("last_7_days", client=client)
    panel.obey("look", {"timeframe": "yesterday"})

    assert "last_24_hours" in panel.snapshot()["notice"]
    assert panel.filters.timeframe == "last_7_days"


def test_refresh_sees_what_came_since(client):
    """The panel does not ask by itself."""
    panel = lab.panels.usage(client=client)
    client.inference.create("gpt-4", "one more")
    panel.obey("refresh", {})
    panel.wait()

    assert panel.snapshot()["whole"]["total_requests"] == 8


def test_frames_and_a_figure_for_those_who_want_them(client):
    """By day, model or key; the figure has the same numbers."""
    panel = lab.panels.usage(client=client)
    days, figure = panel.to_frame("day"), panel.figure()

    assert panel.to_frame("model")["model"].tolist() == ["claude-haiku-4-5", "gpt-4"]
    assert list(figure.data[0].y) == days["total_cost"].tolist()
    assert list(figure.data[1].y) == days["total_requests"].tolist()


@pytest.mark.filterwarnings("ignore:.*price:UserWarning")
def test_a_cost_that_is_not_known_is_a_dash_and_counted(emu):
    """Never a nought."""
    with lab.Client(ledger=":memory:", providers={"mine": {"base_url": f"{emu.url}/v1", "api_key": "k"}}) as client:
        client.inference.create("mine/any", "hi")
        panel = lab.panels.usage(client=client)

    assert (panel.snapshot()["whole"]["total_cost"], panel.snapshot()["whole"]["unpriced_requests"]) == (None, 1)
    assert "– + 1 unpriced" in panel.html()


def test_a_key_sees_its_own(client):
    """Through a share server."""
    with lab.serve(client) as share, lab.Client(share.new_key("bob"), share.url) as bob:
        bob.inference.create("gpt-4", "from bob")
        panel = lab.panels.usage(client=bob)

    assert panel.snapshot()["whole"]["total_requests"] == 1


def test_an_admin_looks_at_one_persons_key_through_the_server(client):
    """Nobody else does."""
    with lab.serve(client) as share:
        with lab.Client(share.new_key("olga", scopes=["admin"]), share.url) as olga:
            panel = lab.panels.usage(client=olga).look(key="ana")
            assert panel.snapshot()["whole"]["total_requests"] == 1
            assert panel.snapshot()["keys"] == ["ana"]
        with lab.Client(share.new_key("bob"), share.url) as bob, pytest.raises(errors.AuthenticationError):
            lab.panels.usage(client=bob).look(key="ana")


def test_a_server_that_is_gone_leaves_what_was_found(client):
    """With a notice, and the filters of what is shown."""
    with lab.serve(client) as share, lab.Client(share.new_key("olga", scopes=["admin"]), share.url) as olga:
        panel = lab.panels.usage("last_7_days", client=olga)
        share.stop()
        panel.obey("look", {"timeframe": "all", "model": "gpt-4"})
        panel.wait()
        shown = panel.snapshot()

    assert shown["notice"]
    assert (shown["timeframe"], shown["model"], shown["whole"]["total_requests"]) == ("last_7_days", None, 7)


def test_the_last_choice_wins(client):
    """Whoever clicks through the filters sees the last."""
    panel = lab.panels.usage(client=client)
    for model in ("gpt-4", "claude-haiku-4-5", "gpt-4", "claude-haiku-4-5"):
        panel.obey("look", {"model": model})
    panel.wait()

    assert panel.snapshot()["model"] == "claude-haiku-4-5"
    assert panel.snapshot()["whole"]["total_requests"] == 1


def test_a_frame_and_a_figure_of_nothing(client):
    """Empty, not the whole in disguise."""
    panel = lab.panels.usage(client=client).look("2020-01-01/2020-02-01")

    assert panel.to_frame("model").empty
    assert len(panel.figure().data[0].y) == 0
    with pytest.raises(errors.InvalidRequestError, match="day, model, key"):
        panel.to_frame("colour")


@pytest.mark.parametrize("by", ["day", "model", "key"])
def test_figures_are_drawn_by_each_group(client, by):
    """A name is drawn as a name."""
    figure = lab.panels.usage(client=client).figure(by)

    assert sum(figure.data[1].y) == 7
    assert f"Usage by {by}" in figure.layout.title.text


def test_the_code_line_names_the_filters(client):
    """Where the plain report has none, the panel itself."""
    panel = lab.panels.usage("all", client=client)

    assert panel.code() == "client.inference.analytics('all', group_by=\"day\").to_frame()"
    assert panel.look(model="gpt-4").code().startswith("client.inference.performance('gpt-4', timeframe='all'")
    assert "look(model=None, provider=None, key='ana')" in panel.look(key="ana").code()


def day(name: str, requests: int = 1, cost: float | None = 0.5, unpriced: int = 0) -> dict:
    """A day's figures."""
    return {"name": name, "total_requests": requests, "total_cost": cost, "unpriced_requests": unpriced}


NOON = datetime.datetime(2026, 3, 10, 12, tzinfo=datetime.UTC).timestamp()


@pytest.mark.parametrize(
    ("days", "span", "first", "last", "n"),
    [
        (["2026-03-08", "2026-03-10"], (None, None), "2026-03-08", "2026-03-10", 3),
        (["2026-03-09"], (NOON - 7 * 86400, None), "2026-03-03", "2026-03-10", 8),
        (["2026-03-09"], (NOON - 7 * 86400, NOON - 43200), "2026-03-03", "2026-03-09", 7),
        (["2026-03-09"], (NOON, NOON + 9e9), "2026-03-09", "2026-03-10", 2),
        (["2026-03-09"], (0.0, None), "2026-01-08", "2026-03-10", 62),
        (["2025-11-30", "2026-03-09"], (None, None), "2025-11", "2026-03", 5),
    ],
)
def test_the_axis_has_no_gaps(days, span, first, last, n):
    """Days without requests have their place; a long time is read by month."""
    per, found = periods.of([day(name) for name in days], *span, now=NOON)

    assert (found[0]["name"], found[-1]["name"], len(found)) == (first, last, n)
    assert per == ("day" if len(first) == 10 else "month")
    assert sum(one["total_requests"] for one in found) == len(days)


def test_months_add_up_what_is_known():
    """A month of which no cost is known has none."""
    days = [
        day("2025-01-01", 2, None, 2), day("2025-02-01", 3, 0.25), day("2025-02-02", 1, None, 1), day("2025-02-03"),
    ]  # fmt: skip
    _, (january, february, march, *_) = periods.of(days, None, None, now=NOON)

    assert (january["total_cost"], january["unpriced_requests"]) == (None, 2)
    assert (february["total_cost"], february["unpriced_requests"], february["total_requests"]) == (0.75, 1, 5)
    assert (march["total_cost"], march["total_requests"]) == (0.0, 0)
