"""Answers that fit a schema: the mode that each target takes, the check, one repair, typed columns; over real SDKs."""

from __future__ import annotations

import json
from typing import Literal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

import prsm_lab as lab
from prsm_lab import emulator, errors, jsontext
from prsm_lab.emulator import Rule
from prsm_lab.engine import structured
from prsm_lab.engine.attempts import Answer
from prsm_lab.frames import typed
from prsm_lab.providers import fit
from prsm_lab.types import Attempt, Capabilities, Options, PriceLine, Reply, Request, Target, Usage

pytestmark = pytest.mark.filterwarnings("ignore:No price is known for 'mine")
ANN = '{"name": "Ann", "age": 3}'
THEY = (
    "Who are they, all of them, in this world?"  # the longest question that a prompt holds is the one that is answered
)
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}}}}  # fmt: skip


class Person(BaseModel):
    name: str
    age: int


class Pet(BaseModel):
    weight: float
    tame: bool
    sort: Literal["cat", "dog"]
    tags: list[str]
    owner: Person | None = None
    chip: int | None = None


@pytest.fixture(scope="module")
def emu():
    with emulator.start(
        references={
            "Who is Ann?": ANN, "Who is Bob?": "I forget.", "That does not fit the schema": '{"name": "Bob", "age": 4}',
            THEY: "They are many.",
        },
        profiles={"claude-2.1": emulator.Profile(accuracy=1.0)},
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def client(emu):
    emu.clear()
    with lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def says():
    """`says(text, text, …)`: a client whose own model says these in turn; it ignores structured modes."""
    made = []

    def client(*texts: str, **more):
        turns = iter(texts)
        asked: list = []

        def model(messages, **options):
            asked.append((messages, options))
            said = next(turns, None)
            if said is None:
                raise ConnectionError("gone")
            return said

        made.append(lab.Client(providers={"mine": model}, ledger=":memory:", max_retries=0, **more))
        made[-1].asked = asked
        return made[-1]

    yield client
    for one in made:
        one.close()


def ask(client, data, **options):
    """`lab.batch` of these questions, silent."""
    data = data if isinstance(data, pd.DataFrame) else pd.DataFrame({"q": data})
    return lab.batch(data, "{q}", **{"schema": Person, "client": client, "progress": False, **options})


# --------------------------------------------------------------------------------------------------------- modes


@pytest.mark.parametrize(
    ("model", "mode", "place"),
    [
        ("gpt-4.1-mini", "schema", "response_format"),
        ("gpt-6-sol", "schema", "text"),
        ("claude-haiku-4-5", "schema", "output_config"),
        ("gpt-4", "tool", "tool_choice"),
        ("claude-3-opus", "tool", "tool_choice"),
        ("claude-2.1", "prompt", None),
    ],
)
def test_a_target_is_asked_in_the_first_mode_that_it_takes(client, emu, model, mode, place):
    """The mode used is recorded with the answer, here and in the ledger."""
    answer = client.inference.create(model, "Who is Ann?", schema=Person)
    sent = emu.log.entries[-1].body

    assert answer.structured == mode
    assert client.inference.get(answer.id).inference.structured == mode
    assert set(json.loads(answer.content)) == {"name", "age"}
    assert (answer.finish_reason, answer.tool_calls) == ("stop", ())
    assert place is None or place in sent
    assert ("JSON schema" in json.dumps(sent["messages" if "messages" in sent else "input"])) == (mode == "prompt")


@pytest.mark.parametrize("model", ["gpt-4", "claude-3-opus", "gpt-4.1-mini"])
def test_a_stream_gives_the_document_as_text_in_every_mode(client, model):
    """What a forced tool is given is the answer's text, piece by piece."""
    with client.inference.stream(model, "Who is Ann?", schema=Person) as pieces:
        text = "".join(piece.content for piece in pieces)

        assert json.loads(text) == json.loads(pieces.result().content)


def test_no_schema_records_no_mode(client):
    """Nothing was structured."""
    assert client.inference.create("gpt-4.1-mini", "hi").structured is None


@pytest.mark.parametrize(
    ("takes", "options", "mode"),
    [
        ({}, {}, "schema"),
        ({"schema": False}, {}, "tool"),
        ({"schema": False, "tools": False}, {}, "prompt"),
        ({"schema": False, "forced_tools": False}, {}, "prompt"),
        ({"schema": False}, {"tools": (TOOL,)}, "prompt"),
        ({"schema": False}, {"extra": {"thinking": {"type": "enabled"}}}, "prompt"),
        ({}, {"schema": {"type": "array"}}, "prompt"),
        ({"wire": "text"}, {}, "prompt"),
    ],
)
def test_the_mode_follows_from_what_the_target_takes_and_the_question_uses(takes, options, mode):
    """A forced tool would crowd out the caller's own, and may not be forced while a model thinks."""
    request = Request(model="m", messages=(), options=Options(**{"schema": {"type": "object"}, **options}))
    target = Target(provider="p", model="m", name="m", capabilities=Capabilities(**takes))

    assert structured.mode(request, target) == mode


def test_a_fallback_is_asked_in_its_own_mode(client, emu):
    """The first target has a structured mode, the second has only tools."""
    emu.add(Rule("500", model="gpt-4.1-mini"))
    steps = {"strategies": [{"model": "claude-3-opus"}], "retry_attempts": 0}
    answer = client.inference.create("gpt-4.1-mini", "Who is Ann?", schema=Person, fallback_config=steps)

    assert (answer.model, answer.structured) == ("claude-3-opus", "tool")


def test_a_schema_is_closed_on_the_wire_where_strict_mode_takes_it_then(client, emu):
    """pydantic leaves objects open, which strict modes refuse; the schema that is checked stays as it was given."""
    client.inference.create("gpt-4.1-mini", "Who is Ann?", schema=Person)
    client.inference.create("gpt-4.1-mini", "Who is Ann?", schema=Pet)
    strict, loose = (entry.body["response_format"]["json_schema"] for entry in emu.log.entries)

    assert (strict["strict"], strict["schema"]["additionalProperties"]) == (True, False)
    assert (loose["strict"], "additionalProperties" in loose["schema"]) == (False, False)
    assert fit.closed({"properties": {"properties": {"enum": [{"properties": {}}]}}})["properties"] == {
        "properties": {"enum": [{"properties": {}}]}
    }


# -------------------------------------------------------------------------------------------------------- repair


def test_a_prompted_answer_that_does_not_fit_is_asked_for_once_more(client, emu):
    """The second question holds the first answer and what was wrong; both are paid, both are listed."""
    answer = client.inference.create("claude-2.1", "Who is Bob?", schema=Person)
    first, second = emu.log.entries
    single = client.inference.create("claude-2.1", "Who is Ann?", schema=Person)

    assert json.loads(answer.content) == {"name": "Bob", "age": 4}
    assert [attempt.error_code for attempt in answer.attempts] == ["schema", None]
    assert [turn["role"] for turn in second.body["messages"]] == ["user", "assistant", "user"]
    assert "it is no JSON document" in second.body["messages"][-1]["content"]
    assert first.body["messages"][0]["content"].startswith("Who is Bob?")
    assert answer.usage.prompt_tokens > single.usage.prompt_tokens * 2
    assert answer.cost.amount == pytest.approx(
        (answer.usage.prompt_tokens * 8 + answer.usage.completion_tokens * 24) / 1e6
    )
    assert answer.queued_ms >= answer.attempts[0].latency_ms


def test_words_around_the_document_are_no_fault(client, emu):
    """`The answer is {…}, as is generally known.` holds the answer; a second question would be waste."""
    answer = client.inference.create("claude-2.1", "Who is Ann?", schema=Person)

    assert answer.content == ANN
    assert len(emu.log) == 1


def test_an_answer_that_still_does_not_fit_fails_with_its_text_and_its_cost(client, emu):
    """Two questions, never a third; the row says so, and what was paid is not lost."""
    found = ask(client, ["Who is Ann?", THEY], model="claude-2.1")
    row = found.iloc[1]
    known = client.inference.get(row["inference_id"])

    assert len(emu.log) == 3
    assert (row["error_code"], known.status, row["attempts"]) == ("schema", "failed", 2)
    assert row["response"] == known.partial == known.inference.content
    assert "They are many." in row["response"]
    assert row["cost"] == known.inference.cost.amount > 0
    assert found.attrs["prsm"]["totals"]["spent_usd"] == pytest.approx(found["cost"].sum())
    assert client.inference.analytics().total_cost == pytest.approx(found["cost"].sum())
    assert found[["name", "age"]].isna().all(axis=1).tolist() == [False, True]


def test_a_failed_row_is_asked_again_and_the_others_are_not(client, emu):
    """A paid misfit is no answer that a later run could reuse."""
    for _ in range(2):
        ask(client, ["Who is Ann?", THEY], model="claude-2.1")

    assert [entry.prompt.startswith("Who is Ann?") for entry in emu.log.entries].count(True) == 1
    assert len(emu.log) == 5


def test_the_providers_own_mode_is_believed_once(client, emu):
    """An answer cut off by max_tokens cannot fit, and a second question would be cut off too."""
    with pytest.raises(errors.SchemaError, match="max_tokens") as raised:
        client.inference.create("gpt-4.1-mini", "Who is Ann?", schema=Person, max_tokens=2)

    assert len(emu.log) == 1
    assert raised.value.partial.text == raised.value.answer.content
    assert raised.value.answer.usage.completion_tokens
    assert raised.value.code == "schema"


def test_a_server_of_ones_own_may_ignore_its_structured_mode(says):
    """So it is asked once more, in words."""
    client = says("Ann, three", ANN)
    answer = client.inference.create("mine/m", "Who?", schema=Person)
    (_, options), (again, _) = client.asked

    assert (answer.structured, json.loads(answer.content)["age"]) == ("schema", 3)
    assert options["schema"]["required"] == ["name", "age"]
    assert '"required"' in again[-1]["content"]


def test_a_second_question_that_fails_leaves_the_first_answer(says):
    """It was paid for: text, cost and every attempt are kept."""
    client = says("Ann, three")
    with pytest.raises(errors.SchemaError, match="asked once more") as raised:
        client.inference.create("mine/m", "Who?", schema=Person)

    assert raised.value.partial.text == "Ann, three"
    assert [attempt.error_code for attempt in raised.value.attempts] == ["schema", "provider_unavailable"]


@pytest.mark.parametrize(("mid_stream", "asked"), [("stop", 1), ("restart", 2)])
def test_a_stream_takes_back_what_it_showed_only_when_told_to(says, mid_stream, asked):
    """`restart` announces that the text so far is void."""
    client = says("no", ANN)
    pieces = client.inference.stream("mine/m", "Who?", schema=Person, fallback_config={"mid_stream": mid_stream})
    seen = []
    try:
        seen += list(pieces)
        ended = pieces.result().content
    except errors.SchemaError as error:
        ended = error.code

    assert len(client.asked) == asked
    assert any(piece.restart for piece in seen) == (asked == 2)
    assert ended == ("schema" if asked == 1 else ANN)


def test_an_answer_that_calls_the_callers_tools_is_none_yet(client):
    """With tools and a schema, a call comes back as a call, unchecked."""
    answer = client.inference.create("gpt-4.1-mini", "hi", schema=Person, tools=[TOOL], tool_choice="required")

    assert answer.tool_calls[0].name == "look"


def test_each_request_is_paid_at_its_own_price():
    """A step for long prompts holds for the one that is long, not for the sum of two that are not."""
    line = PriceLine(input=1.0, output=0.0, steps=((100, {"input": 10.0, "output": 0.0}),))
    half = Usage(prompt_tokens=80, completion_tokens=0)
    target = Target(provider="p", model="m", name="m")
    one = Answer(Reply(usage=half), target, (Attempt(provider="p", model="m", started=1.0),), 1.0, None, 2.0)
    both = structured.summed(one, one, "why")

    assert (both.reply.usage.prompt_tokens, structured.paid(both, line)) == (160, pytest.approx(160e-6))
    assert (both.queued_ms, both.latency_ms) == (5.0, 1.0)
    assert structured.paid(both._replace(parts=(half, Usage())), line) is None


# --------------------------------------------------------------------------------------------------- over a server


def test_a_share_server_tells_the_same_and_charges_for_a_misfit(client, emu):
    """Text, mode, cost and code come through; the key's credits pay for both questions."""
    with lab.serve(client) as share, lab.Client(share.new_key("ana", tier="Enterprise", credits=5.0), share.url) as far:
        found = ask(far, ["Who is Ann?", THEY], model="claude-2.1", max_tokens=500)
        left = far.keys.me().credits
        loaded = lab.load(found.attrs["prsm"]["run"], client=far)

    assert found["error_code"].fillna("").tolist() == ["", "schema"]
    assert "does not fit the schema" in found["error"].iloc[1]
    assert found["response"].notna().all()
    assert 5.0 - left == pytest.approx(found["cost"].sum())
    pd.testing.assert_frame_equal(loaded, found)


# ------------------------------------------------------------------------------------------------------- columns


def test_fields_become_typed_columns_after_the_fixed_ones(says):
    """Named after the field; nested ones are objects; what may be null is NA there."""
    pets = [
        {"weight": 4, "tame": True, "sort": "cat", "tags": ["a"], "owner": {"name": "Ann", "age": 3}, "chip": None},
        {"weight": 4.5, "tame": False, "sort": "dog", "tags": []},
    ]
    client = says(*map(json.dumps, pets))
    found = ask(client, ["1", "2"], model="mine/m", schema=Pet, max_concurrency=1)

    assert list(found.columns[-6:]) == ["weight", "tame", "sort", "tags", "owner", "chip"]
    assert found.dtypes.astype(str).tolist()[-6:] == ["Float64", "boolean", "string", "object", "object", "Int64"]
    assert found["weight"].tolist() == [4.0, 4.5]
    assert found["owner"].tolist()[0] == {"name": "Ann", "age": 3}
    assert found[["owner", "chip"]].isna().to_numpy().tolist() == [[False, True], [True, True]]
    pd.testing.assert_frame_equal(lab.load(found.attrs["prsm"]["run"], client=client), found)


@pytest.mark.parametrize("rows", [[], [THEY], ["Who is Ann?"], [None]])
def test_the_columns_are_those_of_the_question_whatever_came(client, rows):
    """So that runs can be concatenated."""
    found = ask(client, pd.DataFrame({"q": pd.Series(rows, dtype="object")}), model="claude-2.1")

    assert found.dtypes.astype(str)[["name", "age"]].tolist() == ["string", "Int64"]


def test_a_field_with_the_name_of_an_input_column_is_refused_before_anything_is_asked(client, emu):
    """`prefix=` is the remedy, and works."""
    data = pd.DataFrame({"q": ["Who is Ann?"], "age": [1]})
    with pytest.raises(ValueError, match=r"'age'.*prefix="):
        ask(client, data, model="gpt-4.1-mini")
    found = ask(client, data, model="gpt-4.1-mini", prefix="a_")

    assert len(emu.log) == 1
    assert (found["age"].item(), found["a_age"].item()) == (1, 1)


def test_a_field_with_the_name_of_a_result_column_is_refused(client, emu):
    """Two columns of one name could not be told apart; an alias can."""

    class Bad(BaseModel):
        cost: float

    class Good(BaseModel):
        cost: float = Field(alias="cost_found")

    with pytest.raises(ValueError, match="'cost'"):
        ask(client, ["x"], model="gpt-4.1-mini", schema=Bad)

    assert len(emu.log) == 0
    assert "cost_found" in ask(client, ["x"], model="gpt-4.1-mini", schema=Good)


def test_a_whole_number_that_no_column_holds_is_kept_as_an_object(says):
    """Rather than losing the row, or its digits."""
    found = ask(says(f'{{"name": "x", "age": {10**30}}}'), ["1"], model="mine/m")

    assert found["age"].item() == 10**30


def test_tool_calls_come_in_a_column_only_where_tools_were_passed(client):
    """A list of dicts a row, NA where the model called none; laid out again by `load`."""
    options = {"model": "gpt-4.1-mini", "schema": None, "tools": [TOOL]}
    called = ask(client, ["a", "b"], **options, tool_choice="required")
    silent = ask(client, ["c"], **options)

    assert called["tool_calls"].iloc[0][0] | {"id": ""} == {"id": "", "name": "look", "arguments": {"x": 1}}
    assert silent["tool_calls"].isna().all()
    assert "tool_calls" not in ask(client, ["d"], model="gpt-4.1-mini", schema=None)
    pd.testing.assert_frame_equal(lab.load(called.attrs["prsm"]["run"], client=client), called)


def test_options_that_were_left_out_are_listed_only_where_that_was_allowed(client):
    """`on_unsupported="drop"`: a list of names a row."""
    found = ask(client, ["a"], model="claude-haiku-4-5", schema=None, seed=1, on_unsupported="drop")
    refused = ask(client, ["a"], model="claude-haiku-4-5", schema=None, seed=1)

    assert found["dropped"].tolist() == [["seed"]]
    assert "seed" in refused["error"].item()
    assert "claude-haiku-4-5" in refused["error"].item()
    assert "dropped" not in refused


# ------------------------------------------------------------------------------------------------ schemas, pure


@pytest.mark.parametrize(
    ("schema", "match"),
    [
        ({"type": "objekt"}, "objekt"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1:1/x.json"}}}, "leads to nothing"),
        ({"properties": {"a": {"$ref": "#/$defs/none"}}}, "#/\\$defs/none"),
        ({"properties": []}, "object"),
    ],
)
def test_a_schema_that_is_none_is_refused_at_the_door(client, emu, schema, match):
    """Nothing is sent, and nothing fetched for a reference to elsewhere."""
    with pytest.raises(errors.InvalidRequestError, match=match) as raised:
        client.inference.create("gpt-4.1-mini", "hi", schema=schema)

    assert raised.value.details["parameter"].startswith("schema")
    assert len(emu.log) == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1}', '{"a": 1}'),
        (' {"a": 1}\n', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ("Here:\n```\n[1]\n```\nDone.", "[1]"),
        ('It is {"a": {"b": "}"}}, I think.', '{"a": {"b": "}"}}'),
        ('{"a": 1} is it.', '{"a": 1}'),
        ("```json\n\n[1]\n\n```", "[1]"),
        ("7", "7"),
        ("7 apples", "7 apples"),
        ('{"a": NaN}', '{"a": NaN}'),
        ("", ""),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_the_document_is_taken_out_of_the_words_around_it(text, found):
    """A text without one stays as it is."""
    assert jsontext.extracted(text) == found


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_a_document_alone_is_never_changed_by_more_than_its_blanks(value):
    """Whatever is in it, braces and fences too."""
    text = json.dumps(value)

    assert jsontext.extracted(f" {text}\n") == text
    assert jsontext.problem({}, text) is None


@given(st.text())
def test_no_text_breaks_the_check(text):
    """It fits, or it is said why not."""
    said = jsontext.problem({"type": "object"}, jsontext.extracted(text))

    assert said is None or isinstance(said, str)


def test_a_field_that_refers_in_a_circle_has_no_single_type():
    """And is an object."""
    circle = {"properties": {"a": {"$ref": "#/properties/a"}, "b": {"type": ["integer", "number", "null"]}}}

    assert typed.fields(circle) == {"a": "object", "b": "Float64"}
