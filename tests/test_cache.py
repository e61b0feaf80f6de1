"""The cache by meaning: what it serves, what never, what it writes down, and how it is measured and taken along."""

from __future__ import annotations

import gzip
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pandas as pd
import pytest

import prsm_lab as lab
from prsm_lab import embedders, emulator, errors
from prsm_lab.cache.calibrating import THRESHOLDS
from prsm_lab.engine import shelves
from prsm_lab.engine.shelves import Shelf, packed
from prsm_lab.ledger import fingerprints, upkeep
from prsm_lab.types import Options, Request

pytestmark = pytest.mark.filterwarnings("ignore:No price is known")
MODEL = "gpt-4.1-mini"
MOONS, MOONS_TOO, SATURN = (
    "How many moons does Jupiter have?", "What is the number of moons of Jupiter?", "How many moons does Saturn have?",
)  # fmt: skip
NEAR = {"key_strategy": "semantic_similarity"}
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


@pytest.fixture
def client():
    with lab.Client(mock_mode=True, ledger=":memory:") as made:
        yield made


def ask(client, text, near=NEAR, model=MODEL, **options):
    return client.inference.create(model, text, cache_config={**NEAR, **near}, **options)


def outcomes(client):
    return lab.cache.hits(client=client)["outcome"].tolist()


# -------------------------------------------------------------------------------------------------- what is served


def test_a_hit_says_what_it_matched_and_how_near(client):
    """On the inference, in the receipts and in the ledger; it costs nothing."""
    first, again = ask(client, MOONS), ask(client, MOONS_TOO)
    frame = pd.DataFrame({"model": [MODEL], "inference_id": [again.id]})
    (receipt,) = lab.receipts(frame, client=client).to_dict("records")
    (hit,) = lab.cache.hits(client=client).to_dict("records")

    assert (again.cached, again.content, again.cost.amount) == (True, first.content, 0.0)
    assert (again.similar.id, again.similar.prompt) == (first.id, MOONS)
    assert 0.9 < again.similar.similarity < 1
    assert again.similar.embedder.startswith("minilm@")
    assert (receipt["source_id"], receipt["matched_prompt"]) == (first.id, MOONS)
    assert receipt["similarity"] == hit["similarity"] == again.similar.similarity
    assert (hit["outcome"], hit["asked"], hit["matched"]) == ("served", MOONS_TOO, MOONS)
    assert hit["embed_ms"] > 0 < hit["search_ms"]
    assert MOONS in again._repr_html_()


def test_the_very_question_is_an_exact_hit(client):
    """Nothing is embedded for it."""
    ask(client, MOONS)
    again = ask(client, MOONS)

    assert (again.cached, again.similar, outcomes(client)) == (True, None, [])


def test_the_gate_stops_what_only_looks_alike(client):
    """And says what differs."""
    ask(client, MOONS)
    assert not ask(client, SATURN).cached
    assert lab.cache.hits(client=client)[["outcome", "reason"]].to_numpy().tolist() == [["gate", "name"]]


def test_a_stream_is_served_in_one_piece(client):
    """As an exact hit is."""
    ask(client, MOONS)
    with client.inference.stream(MODEL, MOONS_TOO, cache_config=NEAR) as stream:
        assert len(list(stream)) == 1
    assert stream.result().similar.prompt == MOONS


def test_off_unless_asked_for(client):
    """An exact cache finds no paraphrase, and what was asked without a cache is not found."""
    client.inference.create(MODEL, MOONS)
    assert not ask(client, MOONS_TOO).cached
    assert not client.inference.create(MODEL, MOONS_TOO.upper(), cache_config=True).cached


@pytest.mark.parametrize("change", [
    {"model": "gpt-4"}, {"max_tokens": 50}, {"temperature": 0}, {"seed": 1}, {"tools": [TOOL]},
    {"schema": {"type": "object"}}, {"near": {"namespace": "other"}}, {"user": "bo"}, {"stop": ["x"]},
])  # fmt: skip
def test_everything_but_the_last_turn_must_be_equal(change):
    """Model, options, tools, schema and namespace are part of the scope."""
    base = lab.Client(mock_mode=True, ledger=":memory:")
    question = base.question(MODEL)
    near = change.pop("near", {})
    other = base.question(change.pop("model", MODEL), **change)

    def scope(template, namespace=""):
        asked = Request(**{name: getattr(template, name) for name in template.__struct_fields__} | {
            "messages": ({"role": "user", "content": MOONS},)})  # fmt: skip
        return fingerprints.scopes(asked, ["https://a"], namespace).scope

    assert scope(question) == scope(base.question(MODEL))
    assert scope(question) != scope(other, near.get("namespace", ""))


@pytest.mark.parametrize("messages", [
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": MOONS_TOO}],
    [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}, {"role": "user", "content": MOONS_TOO}],
])  # fmt: skip
def test_what_comes_before_the_last_turn_is_compared_exactly(client, messages):
    """A system prompt and earlier turns."""
    ask(client, MOONS)
    assert not ask(client, messages).cached
    assert ask(client, [*messages[:-1], {"role": "user", "content": MOONS}]).similar.prompt == MOONS_TOO


def test_another_models_answer_serves_only_where_that_is_said(client):
    """`cross_model`."""
    ask(client, MOONS)
    assert not ask(client, MOONS_TOO, model="gpt-4").cached
    assert (
        ask(client, "Tell me how many moons Jupiter has", {"cross_model": True}, model="claude-3-haiku-20240307").model
        == MODEL
    )


def test_nothing_from_this_machine_stands_for_a_real_provider():
    """An emulator's answers stay apart across models too."""
    asked = Request(model=MODEL, messages=({"role": "user", "content": MOONS},))
    real, other, here = (
        fingerprints.scopes(asked, [place], "").wide for place in ("https://a", "https://b", "http://127.0.0.1:1")
    )
    assert real == other != here


def test_people_have_scopes_of_their_own():
    """As their exact answers have."""
    asked = [
        Request(model=MODEL, messages=({"role": "user", "content": MOONS},), person=who, options=Options())
        for who in ("ana", "bo", None)
    ]
    found = [fingerprints.scopes(one, [], "") for one in asked]
    assert len({one.scope for one in found}) == len({one.wide for one in found}) == 3


def test_an_answer_expires(client, monkeypatch):
    """By the time at which it was asked."""
    ask(client, MOONS)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 100)
    assert not ask(client, MOONS_TOO, {"ttl": 99}).cached


def test_errors_and_cut_answers_are_never_served():
    """Nor withheld ones."""
    with emulator.start() as emu, lab.Client(providers=emu.providers(), ledger=":memory:", max_retries=0) as client:
        emu.add(emulator.Rule("400", times=1))
        with pytest.raises(errors.InvalidRequestError):
            ask(client, MOONS)
        assert not ask(client, MOONS_TOO).cached
        ask(client, "What is the capital of France?", max_tokens=2)
        assert not ask(client, "Which city is the capital of France?", max_tokens=2).cached
        assert lab.cache.stats(client=client)["entries"].sum() == 1


def test_an_altered_answer_is_not_served(client):
    """Its digest tells."""
    ask(client, MOONS)
    client.engine.ledger.connection.execute("UPDATE inference SET digest = x'00'")
    assert not ask(client, MOONS_TOO).cached


def table(near):
    """An embedder that puts a text as far from the others as it is told."""
    return lambda texts: [[1.0, next((far for word, far in near.items() if word in text), 0.0)] for text in texts]


def test_if_the_nearest_does_not_do_the_next_may(client):
    """Stopped by the gate, or altered."""
    near = {
        "embedder": lab.cache.embedder(table({"Saturn": 0.1, "Tell": 0.2, "number": 0.3}), name="table"),
        "force": True,
    }
    kept = ask(client, MOONS_TOO, {**near, "shadow": True})
    altered = ask(client, "Tell me how many moons Jupiter has", {**near, "shadow": True})
    ask(client, SATURN, {**near, "shadow": True})
    client.engine.ledger.connection.execute("UPDATE inference SET digest = x'00' WHERE id = ?", (altered.id,))

    assert ask(client, MOONS, {**near, "similarity_threshold": 0.5}).similar.id == kept.id


def test_vectors_of_two_embedders_never_meet(client):
    """Also where they have as many numbers."""
    first, second = (lab.cache.embedder(table({}), name=name) for name in ("first", "second"))
    ask(client, MOONS, {"embedder": first, "force": True})
    assert not ask(client, MOONS_TOO, {"embedder": second, "force": True}).cached
    assert ask(client, "Tell me how many moons Jupiter has", {"embedder": first, "force": True}).cached


def test_an_entrys_answer_is_its_persons(client):
    """Even if scopes met."""
    first = ask(client, MOONS)
    book = client.engine.caches.book
    assert book.answer(first.id, person=None, since=None).id == first.id
    assert book.answer(first.id, person="ana", since=None) is None


# ------------------------------------------------------------------------------------------------ where it is refused


def test_where_answers_should_be_the_models_own_it_is_refused(client):
    """At a temperature above 0, by compare and by judges, unless it is forced."""
    options = {"client": client, "progress": False, "cache_config": NEAR}
    with pytest.raises(errors.InvalidRequestError, match="meant to vary"):
        ask(client, MOONS, temperature=0.7)
    with pytest.raises(errors.InvalidRequestError, match="meant to vary"):
        ask(client, MOONS, {"key_strategy": "exact", "namespace": "faq"}, temperature=0.7)
    with pytest.raises(errors.InvalidRequestError, match="compare takes"):
        lab.compare([MOONS], "{text}", models=[MODEL], **options)
    results = lab.infer(MOONS, model=MODEL, client=client, progress=False)
    with pytest.raises(errors.InvalidRequestError, match="judge takes"):
        lab.judge(results, "Is it right?", model=MODEL, **options)
    assert client.engine.ledger.runs()[0].kind == "infer"

    options["cache_config"] = {**NEAR, "force": True}
    found = lab.compare([MOONS, MOONS_TOO], "{text}", models=[MODEL], max_concurrency=1, temperature=0.7, **options)
    assert found["cached"].tolist() == [False, True]


def test_a_batch_takes_it(client):
    """Result frames keep their columns."""
    found = lab.batch(
        [MOONS, MOONS_TOO], "{text}", model=MODEL, cache_config=NEAR, max_concurrency=1, client=client, progress=False
    )
    assert found["cached"].tolist() == [False, True]
    assert "similarity" not in found


@pytest.mark.parametrize(("near", "why"), [
    ({"similarity_threshold": 0.7}, "below 0.8"), ({"embedder": "nobody"}, "No embedder 'nobody'"),
    ({"key_strategy": "exact", "namespace": "faq"}, "not enabled"), ({"shadow": 1}, "shadow"),
    ({"similarity_treshold": 0.9}, "Did you mean"), ({"embedder": 3}, "function from texts"),
])  # fmt: skip
def test_what_is_wrong_is_named(client, near, why):
    """Before anything is asked."""
    with pytest.raises(errors.InvalidRequestError, match=why):
        ask(client, MOONS, near)


def test_a_low_threshold_can_be_forced(client):
    """Somebody said so."""
    assert not ask(client, MOONS, {"similarity_threshold": 0.5, "force": True}).cached


def test_without_the_extra_it_names_it(client, monkeypatch):
    """And is not answered by something else."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr("prsm_lab.embeddings._loaded", {})
    with pytest.raises(errors.InvalidRequestError, match=r'pip install "prsm-lab\[semantic\]"'):
        ask(client, MOONS)


# ------------------------------------------------------------------------------------------- shadow, verification


def test_shadow_writes_down_and_serves_nothing(client):
    """Not even what it found before."""
    ask(client, MOONS, {"shadow": True})
    assert [ask(client, MOONS_TOO, {"shadow": True}).cached, outcomes(client)] == [False, ["shadow"]]


@pytest.mark.parametrize(("says", "served"), [("Yes.", True), ("no", False), ("Yes, if you ask me", False)])
def test_a_cheap_model_may_have_a_say(says, served):
    """Its question is in the ledger with its cost; only a plain yes lets a hit pass."""
    asked = []

    def check(messages, **_):
        asked.append(messages)
        return says

    with lab.Client(
        mock_mode=False, ledger=":memory:", providers={"mine": lambda messages, **_: "79", "cheap": check}
    ) as client:
        ask(client, MOONS, {"verify": "cheap/x"}, model="mine/x")
        again = ask(client, MOONS_TOO, {"verify": "cheap/x"}, model="mine/x")
        (hit,) = lab.cache.hits(client=client).to_dict("records")

        assert (again.cached, len(asked)) == (served, 1)
        assert hit["outcome"] == ("served" if served else "verification")
        assert client.inference.get(hit["reason"]).model.endswith("x")


def test_where_nobody_can_verify_nothing_is_served():
    """And the model is asked."""

    def check(messages, **_):
        raise RuntimeError("down")

    with lab.Client(
        ledger=":memory:", max_retries=0, providers={"mine": lambda m, **_: "79", "cheap": check}
    ) as client:
        ask(client, MOONS, model="mine/x")
        with pytest.warns(UserWarning, match="cannot be verified"):
            assert not ask(client, MOONS_TOO, {"verify": "cheap/x"}, model="mine/x").cached


class Judge:
    """A model that verifies: it says what the test knows, and remembers what it was asked."""

    def __init__(self, same):
        self.same, self.asked = same, []

    def __call__(self, messages, **_):
        pair = json.loads(messages[-1]["content"])
        self.asked.append((pair["first"], pair["second"]))
        said = self.same(pair["first"], pair["second"])
        return said if isinstance(said, str) else "yes" if said else "no"


@pytest.fixture
def judged():
    """A client whose cheap model finds that whatever has `tower` in it means the same."""
    judge = Judge(lambda one, other: "tower" in one and "tower" in other)
    with lab.Client(ledger=":memory:", providers={"mine": lambda messages, **_: "330 m", "cheap": judge}) as made:
        made.judge = judge
        yield made


TOWER, TOWER_TOO, TOWER_NOT = (
    "How tall is the famous tower in Paris?", "How tall is the well-known tower in Paris?",
    "How tall is the famous tower in Pisa?",
)  # fmt: skip


def test_where_the_gate_only_doubts_the_model_decides(judged):
    """`famous` and `well-known` are other words, which without the model is no hit."""
    ask(judged, TOWER, model="mine/x")
    again = ask(judged, TOWER_TOO, {"verify": "cheap/x"}, model="mine/x")

    assert (again.cached, again.similar.prompt) == (True, TOWER)
    assert judged.judge.asked == [(TOWER, TOWER_TOO)]
    assert not ask(judged, f"{TOWER_TOO} ", model="mine/x").cached
    assert outcomes(judged) == ["gate", "served"]


def test_what_the_gate_is_sure_of_no_model_is_asked(judged):
    """Another name is another question, whatever a model would say."""
    ask(judged, TOWER, model="mine/x")
    assert not ask(judged, TOWER_NOT, {"verify": "cheap/x"}, model="mine/x").cached
    assert judged.judge.asked == []


def test_a_look_up_asks_once(judged):
    """Of several that are near: what the gate lets pass, else the nearest that it doubts."""
    near = {"verify": "cheap/x"}
    texts = [
        "How tall is the tower in Paris now?",
        "How tall is the tower in Paris today?",
        "the height of the tower in Paris",
    ]
    judged.judge.same = lambda one, other: False
    for text in texts:
        assert not ask(judged, text, near, model="mine/x").cached
    judged.judge.asked.clear()
    assert not ask(judged, "What is the height of the tower in Paris?", near, model="mine/x").cached
    assert judged.judge.asked == [("the height of the tower in Paris", "What is the height of the tower in Paris?")]


def test_a_verifier_that_says_neither_lets_nothing_pass(judged):
    """As a model that reasons first does, being cut at 16 tokens."""
    judged.judge.same = lambda one, other: "Yes, if the tower is meant"
    ask(judged, TOWER, model="mine/x")
    assert not ask(judged, TOWER_TOO, {"verify": "cheap/x"}, model="mine/x").cached
    with pytest.raises(errors.PRSMError, match="neither yes nor no"):
        lab.cache.calibrate(PAIRS, verify="cheap/x", client=judged)


PAIRS = [(TOWER, TOWER_TOO, True), (MOONS, MOONS_TOO, True), (MOONS, SATURN, False), (TOWER, TOWER_NOT, False)]


def test_a_calibration_with_a_verifier_measures_both_together_and_pays_once(judged):
    """Asked about what the gate lets pass or doubts; said again it costs nothing."""
    judged.judge.same = lambda one, other: True
    alone = lab.cache.calibrate(PAIRS)
    both, again = (lab.cache.calibrate(PAIRS, verify="cheap/x", client=judged) for _ in range(2))

    rows = [found.table.set_index("threshold").loc[0.8] for found in (alone, both, again)]
    assert [row["hits"] for row in rows] == [1, 2, 2]
    assert [row["false_hits"] for row in rows] == [0, 0, 0]
    assert sorted(judged.judge.asked) == sorted([(TOWER, TOWER_TOO), (MOONS, MOONS_TOO)])
    assert "verified by cheap/x" in repr(both)


def test_a_threshold_that_was_measured_with_a_verifier_holds_with_it_only(judged):
    """The gate alone keeps its own."""
    pairs = [(f"How tall is tower {n}?", f"How tall is the tower {n}?", True) for n in range(9)]
    pairs += [(f"How tall is tower {n}?", f"How tall is the tower {n + 1}?", False) for n in range(400)]
    found = lab.cache.calibrate(pairs, verify="cheap/x", keep=True, client=judged)

    assert found.threshold == THRESHOLDS[-1]
    near = {"similarity_threshold": THRESHOLDS[-1]}
    assert not ask(judged, TOWER, {**near, "verify": "cheap/x"}, model="mine/x").cached
    with pytest.raises(errors.InvalidRequestError, match="is below"):
        ask(judged, TOWER, near, model="mine/x")


def test_a_calibration_whose_verifier_cannot_say_is_none(judged):
    """Silence is no `no`: it would flatter the false hits."""
    judged.judge.same = lambda one, other: 1 / 0
    with pytest.warns(UserWarning, match="cannot be verified"), pytest.raises(errors.PRSMError):
        lab.cache.calibrate(PAIRS, verify="cheap/x", client=judged)


# ------------------------------------------------------------------------------------------------------- embedders


def letters(texts):
    return [[text.count(letter) + 0.01 for letter in "aehijmnoprstu"] for text in texts]


def test_a_function_gives_vectors_after_it_was_measured(client):
    """Until then no threshold is known for it."""
    lab.cache.embedder(letters, name="letters")
    with pytest.raises(errors.InvalidRequestError, match="No threshold was measured"):
        ask(client, MOONS, {"embedder": "letters"})
    pairs = [(f"Who is {n}?", f"who is {n}", True) for n in "abc"] + [
        (f"Is {n} up?", f"Is {n} down?", False) for n in range(60)
    ]
    found = lab.cache.calibrate(pairs, embedder="letters", budget=0.05, keep=True, client=client)
    assert found.threshold == THRESHOLDS[-1]
    ask(client, MOONS, {"embedder": "letters"})
    assert ask(client, MOONS + " Please", {"embedder": "letters"}).similar.embedder == "letters"


def test_nobody_takes_the_name_of_the_packages_own(client):
    """Its threshold was measured for its own vectors."""
    with pytest.raises(errors.InvalidRequestError, match="a name of its own"):
        lab.cache.embedder(letters, name="minilm")


def test_an_embedder_that_breaks_is_no_reason_not_to_answer(client):
    """It warns once."""

    def broken(texts):
        raise OSError("no network")

    near = {"embedder": lab.cache.embedder(broken, name="broken"), "force": True}
    with pytest.warns(UserWarning, match="OSError") as said:
        assert [ask(client, text, near).cached for text in (MOONS, MOONS_TOO)] == [False, False]
    assert len(said) == 1


class Vectors(BaseHTTPRequestHandler):
    """OpenAI's embeddings and Hugging Face's feature extraction, on a real socket."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers["Authorization"], body))
        made = letters(body.get("input") or body["inputs"])
        said = (
            made if "inputs" in body else {"data": [{"index": n, "embedding": one} for n, one in enumerate(made)][::-1]}
        )
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def vectors():
    server = HTTPServer(("127.0.0.1", 0), Vectors)
    server.seen, server.status = [], 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("which", "path"), [
    ("openai/text-embedding-3-small", "/v1/embeddings"),
    ("huggingface/me/mini", "/hf-inference/models/me/mini/pipeline/feature-extraction"),
])  # fmt: skip
def test_a_providers_vectors(vectors, which, path):
    """In the order of the texts, with the key in the header and nowhere else."""
    url = f"http://127.0.0.1:{vectors.server_port}/v1"
    name = lab.cache.embedder(which, name="far-" + which, base_url=url, api_key="sk-canary")
    texts = ["Jupiter", "moons"]
    expected = np.array(letters(texts))

    made = embedders.find(name)(texts)
    np.testing.assert_allclose(made, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5)
    assert vectors.seen[0][:2] == (path, "Bearer sk-canary")
    assert "canary" not in repr(vars(embedders.find(name))) + repr(embedders.find(name)._function)


@pytest.mark.parametrize(("status", "kind"), [(401, errors.AuthenticationError), (500, errors.ProviderError)])
def test_a_provider_that_refuses_is_our_error(vectors, status, kind):
    """Of the class that everything else has."""
    from prsm_lab.providers.vectors import Remote

    vectors.status = status
    with pytest.raises(kind):
        Remote("openai", "x", base_url=f"http://127.0.0.1:{vectors.server_port}/v1", api_key="sk-1")(["a"])


# ------------------------------------------------------------------------------------------------------ lab.cache


def test_a_namespace_is_enabled_for_all_processes_of_a_ledger(tmp_path):
    """And disabled again."""
    with (
        lab.Client(mock_mode=True, ledger=tmp_path / "l.db") as one,
        lab.Client(mock_mode=True, ledger=tmp_path / "l.db") as two,
    ):
        faq = {"key_strategy": "exact", "namespace": "faq"}
        with pytest.raises(errors.InvalidRequestError, match=r"below 0\.8"):
            lab.cache.enable("faq", threshold=0.5, client=one)
        lab.cache.enable("faq", threshold=0.85, client=one)
        ask(one, MOONS, faq)
        assert ask(two, MOONS_TOO, faq).similar.id
        lab.cache.disable("faq", client=two)
        with pytest.raises(errors.InvalidRequestError, match="not enabled"):
            ask(two, SATURN, faq)


def test_calibration_says_what_a_threshold_costs(client):
    """On all look-alikes the default keeps one false hit in a hundred, with 95 % confidence."""
    found = lab.cache.calibrate("lookalikes", client=client)
    table = found.table

    assert found.threshold <= 0.80
    assert found.pairs == 507
    assert (table["false_low"] <= table["false_hit_rate"]).all()
    assert (table["hit_low"] <= table["hit_rate"]).all()
    assert (table["hit_rate"] <= table["hit_high"]).all()
    assert table["hits"].is_monotonic_increasing
    assert "false hits at most" in repr(found)
    assert set(found.rejected["same"]) == {True, False}


def test_too_few_pairs_recommend_nothing_and_then_it_is_refused(client):
    """Kept in the ledger, it holds until it is forced or measured anew."""
    found = lab.cache.calibrate([("Is it a?", "Is it b?", False)] * 20, keep=True, client=client)
    assert found.threshold is None
    assert "299 pairs" in repr(found)
    with pytest.raises(errors.InvalidRequestError, match="calibration of 'minilm' on 20 pairs"):
        ask(client, MOONS)


def test_a_ledgers_own_questions_are_labelled_by_their_answers():
    """Each with its nearest, where the rest of the question is equal."""
    said = {"Jupiter": "95", "Saturn": "146"}
    answer = lambda messages, **_: next(v for k, v in said.items() if k in messages[-1]["content"])  # noqa: E731
    with lab.Client(ledger=":memory:", providers={"mine": answer}) as client:
        for text in (MOONS, MOONS_TOO, SATURN):
            client.inference.create("mine/x", text)
        client.inference.create("mine/x", MOONS_TOO + " Please", max_tokens=5)
        found = lab.cache.calibrate(client=client)
    assert (found.pairs, found.same) == (2, 1)


@pytest.mark.parametrize(
    "pairs", [[], pd.DataFrame({"a": ["x"]}), pd.DataFrame({"a": ["x"], "b": ["y"], "same": ["?"]})]
)
def test_pairs_without_labels_are_refused(pairs):
    """Naming the parameter."""
    with pytest.raises(errors.InvalidRequestError) as caught:
        lab.cache.calibrate(pairs)
    assert caught.value.details["parameter"] in ("pairs", "data")


def test_a_bad_hit_is_evicted_in_every_process(tmp_path):
    """By meaning: the entry goes; exact: the answer is not served again, though runs keep it."""
    with (
        lab.Client(mock_mode=True, ledger=tmp_path / "l.db") as one,
        lab.Client(mock_mode=True, ledger=tmp_path / "l.db") as two,
    ):
        first = ask(one, MOONS)
        assert ask(two, "how many moons does jupiter have").cached
        lab.cache.report_bad(ask(one, MOONS_TOO).id, client=one)
        assert not ask(two, MOONS_TOO).cached
        assert ask(one, MOONS).cached
        lab.cache.report_bad(ask(one, MOONS).id, client=one)
        assert not ask(two, MOONS, {"key_strategy": "exact"}).cached
        with pytest.raises(errors.InvalidRequestError, match="came from no cache"):
            lab.cache.report_bad(first.id, client=one)
        with pytest.raises(errors.NotFoundError):
            lab.cache.report_bad("inf_0", client=one)
        assert lab.cache.hits(client=one)["reported"].notna().sum() == 1


def test_a_run_keeps_what_a_cache_may_not_serve(client):
    """Resumed, it is the answer that was paid for."""
    options = {"model": MODEL, "client": client, "progress": False}
    first = lab.batch([MOONS], "{text}", **options)
    lab.cache.report_bad(ask(client, MOONS).id, client=client)

    assert lab.batch([MOONS], "{text}", **options)["inference_id"].tolist() == first["inference_id"].tolist()
    assert not ask(client, MOONS).cached


def test_stats_count_what_was_served_and_saved(client):
    """In USD of the answers that were served again."""
    first = ask(client, MOONS)
    for text in (MOONS, MOONS_TOO, SATURN):
        ask(client, text)
    exact, near = lab.cache.stats(client=client).to_dict("records")

    assert (exact["served"], exact["saved_usd"]) == (1, first.cost.amount)
    assert (near["entries"], near["served"], near["gate"], near["saved_usd"]) == (2, 1, 1, first.cost.amount)
    assert near["embed_ms_p95"] >= near["embed_ms_p50"] > 0


def test_clear_forgets_what_is_there_and_not_what_comes(client):
    """A part, or all; exact answers too."""
    ask(client, MOONS, {"namespace": "a"})
    ask(client, MOONS, {"namespace": "b", "ttl": 0})
    assert lab.cache.clear(namespace="a", client=client) == 1
    assert lab.cache.clear(client=client) == 3
    assert not ask(client, MOONS).cached
    assert ask(client, MOONS).cached


def test_a_share_servers_cache_is_its_owners(client):
    """A person's hits stay theirs; verify would be the owner's money."""
    with (
        lab.serve(client) as share,
        lab.Client(share.new_key("ana", tier="Enterprise"), share.url) as ana,
        lab.Client(share.new_key("bo"), share.url) as bo,
    ):
        ask(ana, MOONS)
        assert not ask(bo, MOONS_TOO).cached
        assert ask(ana, MOONS_TOO).similar.prompt == MOONS
        with pytest.raises(errors.InvalidRequestError, match="not offered"):
            ask(ana, SATURN, {"verify": MODEL})
        with pytest.raises(errors.InvalidRequestError, match="share server"):
            lab.cache.stats(client=ana)


SPAIN = "What is the capital of Spain?"


@pytest.mark.parametrize("place", ["sqlite", "postgresql"])
def test_a_server_that_says_so_serves_one_keys_answers_to_others(place, request):
    """Exact and by meaning, by the key's own bill; the owner's own answers stay the owner's."""
    ledger = ":memory:" if place == "sqlite" else request.getfixturevalue("database")
    with (
        lab.Client(mock_mode=True, ledger=ledger) as owner,
        lab.serve(owner, share_cache=True) as share,
        lab.Client(share.new_key("ana", tier="Enterprise"), share.url) as ana,
        lab.Client(share.new_key("bo", tier="Enterprise"), share.url) as bo,
    ):
        ask(owner, SPAIN)
        first = ask(ana, MOONS)
        exact, near = ask(bo, MOONS), ask(bo, MOONS_TOO)

        assert (exact.cached, exact.cost.amount, exact.similar) == (True, 0.0, None)
        assert (near.cached, near.similar.id) == (True, first.id)
        assert not ask(bo, SPAIN).cached
        assert not ask(owner, SATURN).cached
        assert not ask(owner, MOONS_TOO).cached
        assert not bo.inference.create(MODEL, MOONS, cache_config=False).cached
        with pytest.raises(errors.NotFoundError):
            bo.inference.get(first.id)


def test_in_postgresql_it_is_the_same(database, tmp_path):
    """Two servers of one database share it."""
    with lab.Client(mock_mode=True, ledger=database) as one, lab.Client(mock_mode=True, ledger=database) as two:
        ask(one, MOONS)
        again = ask(two, MOONS_TOO)
        assert again.similar.prompt == MOONS
        assert lab.cache.stats(client=one)["served"].tolist() == [0, 1]
        assert lab.cache.export(tmp_path / "c.jsonl.gz", client=one) == (1, 1)
        lab.cache.report_bad(again.id, client=two)
        lab.cache.report_bad(ask(two, MOONS).id, client=two)
        assert not ask(one, MOONS).cached
        assert lab.cache.clear(client=one) == 2
        assert lab.cache.restore(tmp_path / "c.jsonl.gz", client=two) == (0, 1)
        assert ask(two, MOONS).cached


def test_pruning_takes_vectors_and_prompts_with_it(client):
    """What a person asked is gone everywhere."""
    for text in (MOONS, MOONS_TOO):
        ask(client, text)
    upkeep.prune(client.engine.ledger, before=time.time() + 1)

    assert (len(lab.cache.hits(client=client)), client.engine.caches.book.counts()) == (0, [])
    assert not ask(client, MOONS_TOO).cached


# -------------------------------------------------------------------------------------------------- taking it along


def test_a_colleague_runs_the_notebook_at_no_cost_and_without_a_key(tmp_path):
    """With nobody to ask: the rows of a run, an exact question, and one in other words."""
    file = tmp_path / "cache.jsonl.gz"
    with emulator.start() as emu:
        places = emu.providers()
        with lab.Client(providers=places, ledger=":memory:") as mine:
            there = lab.batch([MOONS, SATURN], "{text}", model=MODEL, client=mine, progress=False)
            ask(mine, "Why is the sky blue?")
            assert lab.cache.export(file, client=mine) == (3, 1)
    keyless = {name: {k: v for k, v in place.items() if k != "api_key"} for name, place in places.items()}
    with lab.Client(providers=keyless, ledger=":memory:", max_retries=0) as yours:
        assert lab.cache.restore(file, client=yours) == (3, 1)
        assert lab.cache.restore(file, client=yours) == (0, 0)
        here = lab.batch([MOONS, SATURN], "{text}", model=MODEL, client=yours, progress=False)
        assert here["response"].tolist() == there["response"].tolist()
        assert ask(yours, MOONS).cached
        assert ask(yours, "please tell me, why is the sky blue").similar
        usage = yours.inference.analytics()
        assert (usage.total_cost, usage.total_requests) == (0, 2)


def test_no_key_and_no_person_is_in_the_file(tmp_path, client):
    """Nor a mark of the machine."""
    with lab.serve(client) as share, lab.Client(share.new_key("ana"), share.url) as ana:
        ask(ana, SATURN)
    with lab.Client(
        "sk-canary", mock_mode=True, ledger=":memory:", providers={"openai": {"api_key": "sk-canary"}}
    ) as mine:
        ask(mine, MOONS)
        lab.cache.export(tmp_path / "one", client=mine)
    lab.cache.export(tmp_path / "two", client=client)
    text = b"".join(gzip.decompress((tmp_path / name).read_bytes()) for name in ("one", "two")).decode()

    assert MOONS in text
    for secret in ("canary", "ana", "Saturn", client.engine.ledger._owner):
        assert secret not in text


def spoiled(lines, how):
    head, line = lines
    answer = json.loads(line)
    return {
        "another format": [json.dumps({"format": "zip"}), line], "no json": [head, line[:-9]],
        "another's answer": [head, json.dumps({**answer, "id": "inf_1"})],
        "short digest": [head, json.dumps({**answer, "question": "00"})],
        "no vector": [head, json.dumps({**answer, "near": {**answer["near"], "vector": "?"}})], "empty": [],
    }[how]  # fmt: skip


@pytest.mark.parametrize("how", ["another format", "no json", "another's answer", "short digest", "no vector", "empty"])
def test_a_damaged_file_is_refused_whole(tmp_path, client, how):
    """Nothing of it is taken over."""
    file = tmp_path / "c.gz"
    with lab.Client(mock_mode=True, ledger=":memory:") as mine:
        ask(mine, MOONS)
        lab.cache.export(file, client=mine)
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    file.write_bytes(gzip.compress("\n".join(spoiled(lines, how)).encode()))

    with pytest.raises(errors.InvalidRequestError, match="no cache file, or damaged"):
        lab.cache.restore(file, client=client)
    assert client.engine.ledger.history(5) == []


@pytest.mark.parametrize(
    "content", [b"", b"plain text", gzip.compress(b"{}", mtime=0)[:-6]], ids=["empty", "text", "cut"]
)
def test_what_is_no_such_file_is_refused(tmp_path, client, content):
    """Whatever it is."""
    (tmp_path / "c.gz").write_bytes(content)
    with pytest.raises(errors.InvalidRequestError):
        lab.cache.restore(tmp_path / "c.gz", client=client)
    with pytest.raises(errors.NotFoundError):
        lab.cache.restore(tmp_path / "none.gz", client=client)


# ------------------------------------------------------------------------------------------------------------ shelves


def test_a_search_finds_what_a_plain_product_finds():
    """The nearest first, however many were put when."""
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shelf = Shelf(8)
    for start in (0, 1, 70, 200):
        end = {0: 1, 1: 70, 70: 200, 200: 300}[start]
        shelf.put([str(n) for n in range(start, end)], vectors[start:end])
    near = vectors @ vectors[7]
    expected = [str(n) for n in np.argsort(-near) if near[n] >= 0.3][:5]

    assert [one for _, one in shelf.search(vectors[7], 0.3, 5)] == expected
    shelf.drop(expected[1])
    assert [one for _, one in shelf.search(vectors[7], 0.3, 4)] == [expected[0], *expected[2:]]
    assert Shelf(8).search(vectors[0], 0.0, 3) == []


@pytest.mark.parametrize("threshold", [0.2, 0.6, 0.9])
def test_with_many_entries_nothing_near_is_missed(threshold):
    """The bound leaves out only what cannot reach the threshold."""
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(50, 256))[rng.integers(50, size=6_000)] + rng.normal(size=(6_000, 256))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    shelf = Shelf(256)
    for start in range(0, 6_000, 1_500):
        shelf.put([str(n) for n in range(start, start + 1_500)], vectors[start : start + 1_500])

    assert shelf._parts is not None
    assert (shelf._likely(vectors[9], threshold) is None) == (threshold == 0.2)
    near = vectors @ vectors[9]
    expected = [(str(n)) for n in np.argsort(-near) if near[n] >= threshold][:40]
    assert [one for _, one in shelf.search(vectors[9], threshold, 40)] == expected


def test_a_large_scope_is_read_in_pieces(client, monkeypatch):
    """And is complete in the end."""
    monkeypatch.setattr(shelves, "PIECE", 2)
    for text in ("Who is Ann?", "Who is Ben?", "Who is Cy?", "Who is Di?", MOONS):
        ask(client, text)
    client.engine.caches.shelves.clear()
    assert ask(client, MOONS_TOO).cached


def test_vectors_are_kept_in_half_precision_without_harm():
    """Two bytes a number; a similarity moves by less than a thousandth."""
    vector = np.random.default_rng(0).normal(size=384)
    vector /= np.linalg.norm(vector)
    back = np.frombuffer(packed(vector), "<f2").astype(np.float32)
    assert (len(packed(vector)), abs(float(back @ vector) - 1) < 1e-3) == (768, True)
