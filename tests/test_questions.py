"""A run's questions and outcomes are kept packed: what is looked at is what was put in, and a run's id is for ever."""

from __future__ import annotations

import msgspec
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import prsm_lab as lab
from prsm_lab import columns
from prsm_lab.errors import ProviderError
from prsm_lab.frames import asking
from prsm_lab.frames.questions import Questions
from prsm_lab.ledger.fingerprints import alike, fingerprint
from prsm_lab.types import CachePolicy, Cost, Inference, Options, Request, Routing, ToolCall, Usage

TEMPLATES = [
    Request(model="gpt-4", messages=()),
    Request(model="gpt-4", messages=(), options=Options(temperature=0.5, extra={"b": 1, "a": 2}), sample=1),
    Request(model="claude-3-opus", messages=(), routing=Routing(provider="anthropic"), run="run_1"),
    Request(model="gpt-4", messages=(), cache=CachePolicy(key_strategy="normalized")),
]
TEXT = st.text(st.characters(codec=None, categories=["L", "Zs", "P", "Cs"]), max_size=8)
MESSAGE = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXT}),
    st.fixed_dictionaries({"content": TEXT, "role": st.just("user")}),
    st.fixed_dictionaries({"role": st.just("user"), "content": st.lists(st.fixed_dictionaries({"text": TEXT}))}),
    st.fixed_dictionaries({"role": st.just("user"), "content": TEXT, "name": TEXT}),
)
CHAT = st.lists(MESSAGE, min_size=1, max_size=3).map(tuple)


@pytest.fixture(scope="module")
def client():
    with lab.Client(mock_mode=True, ledger=":memory:") as made:
        yield made


@given(st.lists(CHAT | st.none(), max_size=9))
def test_questions_come_out_as_they_went_in(chats):
    """In any shape of chat, with the order of its keys; each of its way's template."""
    questions = Questions(TEMPLATES[:3])
    for chat in chats:
        questions.add(chat)

    found = list(questions)

    for n, (one, chat) in enumerate(zip(found, chats, strict=True)):
        assert (one is None) == (chat is None)
        if one is not None:
            assert one == msgspec.structs.replace(TEMPLATES[n % 3], messages=chat)
            assert [list(message) for message in one.messages] == [list(message) for message in chat]
    assert list(questions.asked) == [one for one in found if one is not None]


@given(st.lists(CHAT, max_size=9))
def test_equal_questions_are_gathered_at_the_first_of_them(chats):
    """Ways that differ in nothing but who may answer ask the same question."""
    ways = [TEMPLATES[0], TEMPLATES[1], TEMPLATES[3]]  # the first and the last are alike but for the cache
    questions = Questions(ways)
    for chat in chats:
        questions.add(chat)

    found = questions.groups(lambda _: True, dedup=True)

    first: dict[str, int] = {}
    for n, one in enumerate(questions):
        at = first.setdefault(repr((one.model, one.messages, one.options, one.sample)), n)
        assert n in found.rows(at)
    assert found.firsts == sorted(first.values())


@given(CHAT, st.sampled_from(TEMPLATES), st.integers(0, 3))
def test_the_quick_fingerprint_is_the_fingerprint(chat, template, sample):
    """Ledgers of before are found by it."""
    asked = msgspec.structs.replace(template, messages=chat, sample=sample)

    quick = alike(template, ["https://api.openai.com/v1"])

    assert quick(asked) == fingerprint(asked, ["https://api.openai.com/v1"])


def test_a_run_has_the_id_that_it_always_had(client):
    """Figures of the version that kept every request whole: runs of ledgers written then go on."""
    rows = pd.DataFrame({"q": ["Wie geht's, Zoë?", None, "a", "a"], "n": [1, 2, 3, 4]})
    chat = [{"role": "user", "content": "{q}"}, {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "{n}"}]  # fmt: skip
    grid = {"temperature": [0, 0.7]}

    one = asking.one_model(rows, "{q}", "gpt-4", None, {"client": client, "temperature": 0.5})
    many = asking.many_models(
        rows, {"x": "{q} {n}", "y": chat}, ["gpt-4", "claude-3-opus"], "Be {n}.", grid, 2,
        {"client": client, "rpm": 100},
    )  # fmt: skip
    half = asking.one_model(["half \ud800"], "{text}", "gpt-4", None, {"client": client})
    turned = asking.one_model(
        ["x", "b"], lambda row: [{"content": row["text"], "role": "user"}], "gpt-4", None, {"client": client}
    )

    assert one.id == "run_24e8d3d1d8f01bc0"
    assert many.id == "run_ea4462c4f73ad197"
    assert half.id == "run_1b28251123649ac3"
    assert turned.id == "run_fba7007a7df93af4"


def test_outcomes_are_laid_out_from_columns_and_can_be_read_back():
    """What was paid for stays with a failed row; what is not known stays unknown."""
    good = Inference(
        id="inf_1", requested_model="m", model="m", provider="p", content="yes", finish_reason="stop",
        usage=Usage(prompt_tokens=3), cost=Cost(amount=0.5), latency_ms=2.0, served_model="m-1",
    )  # fmt: skip
    calling = msgspec.structs.replace(good, id="inf_2", tool_calls=(ToolCall(id="c", name="f", arguments="{}"),))
    failed = ProviderError("no", provider="q")
    failed.answer, failed.inference_id = good, "inf_3"

    outcomes = columns.Outcomes.of([good, None, calling, failed, ProviderError("gone")])
    found = columns.results(outcomes)

    assert outcomes[0] == good
    assert (outcomes[1], outcomes[2], outcomes[3]) == (None, calling, failed)
    assert found["inference_id"].tolist() == ["inf_1", pd.NA, "inf_2", "inf_3", pd.NA]
    assert found["provider"].tolist() == ["p", pd.NA, "p", "q", pd.NA]
    assert found["response"].tolist() == ["yes", pd.NA, "yes", "yes", pd.NA]
    assert found["prompt_tokens"].tolist() == [3, pd.NA, 3, 3, pd.NA]
    assert found["completion_tokens"].isna().all()
    assert found["cost"].tolist()[::2][:2] == [0.5, 0.5]
    assert found["cost"].isna().tolist() == [False, True, False, False, True]
    assert found["attempts"].tolist() == [0, pd.NA, 0, 0, 0]
    assert found["cached"].tolist() == [False, pd.NA, False, False, False]
    assert found.dtypes.astype(str).to_dict() == columns.TYPES


def test_a_row_that_failed_and_is_asked_again_keeps_nothing_of_its_failure():
    """Figures that the second answer does not have are unknown, not the first one's."""
    paid = Inference(id="a", requested_model="m", model="m", provider="p", usage=Usage(prompt_tokens=3))
    failed = ProviderError("no")
    failed.answer = paid
    outcomes = columns.Outcomes.of([failed])

    outcomes.forget(0)
    was_open = outcomes.is_open(0)
    outcomes.put(0, msgspec.structs.replace(paid, id="b", usage=Usage()))

    assert was_open
    assert columns.results(outcomes)[["prompt_tokens", "error"]].isna().all(axis=None)
