"""What the SDKs' HTTP clients remember between requests, and what a run does to the garbage collector."""

from __future__ import annotations

import gc

import anthropic
import httpx2
import openai
import pytest

import prsm_lab as lab
from prsm_lab import emulator
from prsm_lab.engine import garbage
from prsm_lab.providers import transport

TIMEOUT = httpx2.Timeout(60, connect=5)
HEAD = [("Authorization", "Bearer x"), ("Content-Type", "application/json")]


@pytest.fixture(params=[openai, anthropic], ids=["openai", "anthropic"])
def client(request):
    return transport.client(request.param, pool=4, timeout=TIMEOUT)


def seen(request: httpx2.Request) -> tuple:
    return request.method, str(request.url), sorted(request.headers.raw), request.read(), request.extensions


def plain(method: str, url: str, **parts) -> httpx2.Request:
    return openai.DefaultAioHttpClient(timeout=TIMEOUT).build_request(method, url, **parts)


def test_what_is_remembered_makes_the_request_that_the_sdk_makes(client):
    """The first of its kind, the second, and one of another length."""
    for content in (b"{}", b"[1, 2]", "é".encode()):
        parts = {"headers": HEAD, "timeout": TIMEOUT, "content": content}

        made = client.build_request("POST", "https://api.example.com/v1/chat", **parts)

        assert seen(made) == seen(plain("POST", "https://api.example.com/v1/chat", **parts))


@pytest.mark.parametrize(
    ("method", "url", "headers"),
    [
        ("POST", "https://api.example.com/v1/other", HEAD),
        ("PUT", "https://api.example.com/v1/chat", HEAD),
        ("POST", "https://api.example.com/v1/chat", [("Authorization", "Bearer y"), HEAD[1]]),
    ],
)
def test_another_kind_of_request_is_not_taken_for_a_known_one(client, method, url, headers):
    """Another address, method or header; the known one is as it was afterwards."""
    known = {"headers": HEAD, "timeout": TIMEOUT, "content": b"{}"}
    first = seen(client.build_request("POST", "https://api.example.com/v1/chat", **known))

    other = client.build_request(method, url, headers=headers, timeout=TIMEOUT, content=b"{}")
    other.headers["X-Mine"] = "1"

    assert seen(plain(method, url, headers=headers, timeout=TIMEOUT, content=b"{}"))[:2] == seen(other)[:2]
    assert other.headers["Authorization"] == dict(headers)["Authorization"]
    assert seen(client.build_request("POST", "https://api.example.com/v1/chat", **known)) == first


@pytest.mark.parametrize("parts", [{"json": {"a": 1}}, {"content": b"{}", "params": {"a": "1"}}, {}])
def test_a_request_of_another_shape_is_made_by_the_sdk(client, parts):
    """Parameters, a file, no body: nothing of them is remembered."""
    given = {"headers": HEAD, "timeout": TIMEOUT, **parts}

    assert seen(client.build_request("POST", "https://h/v1", **given)) == seen(plain("POST", "https://h/v1", **given))
    assert client._kinds == {}


def test_only_so_many_kinds_are_remembered(client):
    """A header that differs in each request fills no memory."""
    for n in range(3 * transport.MOST_KINDS):
        made = client.build_request("POST", "https://h/v1", headers=[("X-N", str(n))], timeout=TIMEOUT, content=b"{}")
        assert made.headers["X-N"] == str(n)

    assert len(client._kinds) <= transport.MOST_KINDS


# ------------------------------------------------------------------------------------------------------ collecting


@pytest.fixture
def threshold():
    """`gc.set_threshold`, undone afterwards."""
    before = gc.get_threshold()
    yield gc.set_threshold
    gc.set_threshold(*before)


@pytest.mark.filterwarnings("ignore:No price")
def test_a_run_collects_seldom_and_leaves_the_collector_as_it_was(threshold):
    """Seen from the run's inside; a run within a run ends neither."""
    threshold(700, 10, 10)
    found = []

    def answer(prompt: str) -> str:
        found.append(gc.get_threshold()[0])
        return prompt

    with lab.Client(providers={"mine": answer}, ledger=":memory:") as client:
        lab.batch(["a", "b"], "{text}", model="mine/x", client=client, progress=False)

    assert (found, gc.get_threshold()) == ([garbage.OBJECTS] * 2, (700, 10, 10))


def test_runs_side_by_side_end_in_any_order(threshold):
    """The last one gives the collector back."""
    threshold(700, 10, 10)
    one, other = garbage.seldom(), garbage.seldom()
    one.__enter__()
    other.__enter__()

    one.__exit__(None, None, None)
    assert gc.get_threshold()[0] == garbage.OBJECTS
    other.__exit__(None, None, None)

    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [0, 50_000])
def test_who_has_set_the_collector_keeps_it(threshold, own):
    """Off, or rarer still."""
    threshold(own, 5, 5)

    with garbage.seldom():
        assert gc.get_threshold() == (own, 5, 5)

    assert gc.get_threshold() == (own, 5, 5)


def test_what_a_user_sets_during_a_run_stays(threshold):
    """It is not undone at the run's end."""
    threshold(700, 10, 10)

    with garbage.seldom():
        threshold(100, 10, 10)

    assert gc.get_threshold() == (100, 10, 10)


# -------------------------------------------------------------------------------------------------- a run's list


def test_the_list_of_a_run_is_written_once(tmp_path):
    """Begun again, it is read and compared; other questions under its name replace it."""
    with emulator.start(latency_scale=0) as emu:
        with lab.Client(providers=emu.providers(), ledger=tmp_path / "ledger.db") as client:
            options = {"model": "gpt-4.1-mini", "client": client, "progress": False, "run": "mine"}
            first = lab.batch(["a", "b", None], "{text}", **options)
            connection = client.engine._ledger.connection
            marks = []
            connection.set_trace_callback(lambda sql: marks.append(sql) if "run_item" in sql else None)
            again = lab.batch(["a", "b", None], "{text}", **options)
            assert not [sql for sql in marks if not sql.startswith("SELECT")]
            lab.batch(["b", "c", "d"], "{text}", **options)
            lab.batch(["b", "c"], "{text}", **options)
            connection.set_trace_callback(None)

            assert [sql for sql in marks if sql.startswith("DELETE")]
            assert lab.load("mine", client=client)["text"].tolist() == ["b", "c"]
        assert len(emu.log.entries) == 4
    assert again["inference_id"].fillna("").tolist() == first["inference_id"].fillna("").tolist()
