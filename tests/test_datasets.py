"""The bundled datasets: what their cards say is what is in them, and their references are right."""

from __future__ import annotations

import datetime
import json
import math
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import prsm_lab as lab
from prsm_lab import errors

ROOT = Path(__file__).parent.parent
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "eight": 8, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20}  # fmt: skip
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")  # fmt: skip


@pytest.mark.parametrize("name", lab.datasets.names())
def test_every_set_is_what_its_card_says(name):
    """Rows, columns in their order, size, how it was made, licence; no row twice, no hole."""
    data, card = lab.datasets.load(name), lab.datasets.card(name)
    stated = re.search(r"\*\*Columns\*\*: (.*)", card)[1].partition(". ")[0]
    columns = re.sub(r"\([^)]*\)", "", stated).replace("`", "").rstrip(".")

    assert int(re.match(r"(\d+)", card)[1]) == len(data)
    assert [column.strip() for column in columns.split(",")] == list(data.columns)
    assert int(re.search(r"\*\*Size\*\*: (\d+) kB", card)[1]) == round(size(name) / 1000)
    for part in ("How made", "For", "Limits", "Licence"):
        assert re.search(rf"(?m)^- \*\*{part}\*\*: \w.*\.$", card), part
    assert data.notna().all(axis=None)
    assert not data.drop(columns="id").duplicated().any()
    assert data["id"].tolist() == list(range(1, len(data) + 1))


def size(name: str) -> int:
    """Bytes of a set's file."""
    return (ROOT / "datasets" / f"{name}.csv").stat().st_size


def test_the_list_says_what_there_is():
    """Every file has a card, and the frame its first line; all together stay small."""
    listed = lab.datasets.list().set_index("name")
    cards = re.findall(r"(?m)^## (\w+)$", (ROOT / "datasets/README.md").read_text())

    assert sorted(cards) == lab.datasets.names() == list(listed.index)
    assert listed.loc["hops", "rows"] == 80
    assert listed.loc["hops", "columns"] == "id, question, answer, via, topic"
    assert listed.loc["needles", "about"].startswith("12 documents")
    assert set(listed["licence"]) == {"MIT"}
    assert sum(map(size, listed.index)) < 500_000


def test_an_installed_package_brings_them_along(tmp_path):
    """Laid out as the wheel is, away from the checkout."""
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in wheel["packages"]:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for source, target in wheel["force-include"].items():
        shutil.copytree(ROOT / source, tmp_path / target)
    code = "import prsm_lab as lab; print(lab.__file__); print(*lab.datasets.list().name, lab.datasets.schema('extraction')['type'])"
    said = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip

    assert said[0].startswith(str(tmp_path))
    assert said[1].split() == [*lab.datasets.names(), "object"]


def test_an_order_says_what_its_answer_says():
    """Read again by rules that do not come from the script that wrote it."""
    required = lab.datasets.schema("extraction")["required"]
    for row in lab.datasets.load("extraction").itertuples():
        answer, text = json.loads(row.answer), row.question
        year, month, day = answer["date"].split("-")
        dates = (
            answer["date"], f"{int(day)} {MONTHS[int(month) - 1]} {year}", f"{MONTHS[int(month) - 1]} {int(day)}, {year}",
            f"{MONTHS[int(month) - 1]} {int(day)} {year}", f"{int(day)}.{month}.{year}",
        )  # fmt: skip
        counted = re.search(
            r"(?:send|:|ship|so|it|wants) (\w+) (?:office|desk|bag|white|box|headset|monitor|potted)", text
        )[1]

        assert list(answer) == required
        assert answer["name"] in text
        assert answer["city"] in text
        assert answer["item"].split()[0].removesuffix("s")[:3] in text
        assert any(date in text for date in dates), text
        assert NUMBERS.get(counted, counted if not counted.isdigit() else int(counted)) == answer["quantity"]


def test_pairs_mean_the_same_or_are_traps_and_a_third_is_kept_back():
    """And no pair stands twice, in whichever order."""
    pairs = lab.datasets.load("lookalikes")
    same, unseen = pairs["same"], pairs["split"] == "unseen"

    assert (len(pairs), same.sum(), unseen.sum(), (unseen & same).sum()) == (507, 199, 169, 64)
    assert ((pairs["kind"] == "paraphrase") == same).all()
    assert set(pairs["split"]) == {"seen", "unseen"}
    assert len({frozenset(pair) for pair in zip(pairs["question"], pairs["other"], strict=True)}) == len(pairs)
    card = lab.datasets.card("lookalikes")
    assert "507 pairs of questions: 199 that mean the same in other words, 308" in card
    assert all(kind in card for kind in set(pairs["kind"]) - {"paraphrase"})


def test_other_peoples_pairs_are_of_the_same_form():
    """And none stands twice."""
    pairs = lab.datasets.load("lookalikes_others")
    asked = {frozenset(pair) for pair in zip(pairs["question"], pairs["other"], strict=True)}

    assert list(pairs.columns) == ["id", "question", "other", "same", "kind", "author", "split"]
    assert ((pairs["kind"] == "paraphrase") == pairs["same"]).all()
    assert len(asked) == len(pairs) == 1071
    assert pairs.groupby("author")["same"].agg(["sum", "size"]).values.tolist() == [
        [160, 320],
        [150, 297],
        [118, 296],
        [59, 158],
    ]
    card = lab.datasets.card("lookalikes_others")
    assert "1071 pairs of questions: 487 that mean the same, 584" in card
    assert all(kind in card for kind in set(pairs["kind"]) - {"paraphrase"})


def test_a_needle_is_in_its_document_once_and_where_it_is_said():
    """And the documents are as long as the card says."""
    for row in lab.datasets.load("needles").itertuples():
        assert row.document.count(row.answer) == 1
        assert abs(row.document.index(row.answer) / len(row.document) - row.depth) < 0.08
        assert 7_500 < len(row.document) < 31_000


WORDINGS = {
    r"(\w+) has (\d+) (\w+) and buys (\d+) more\. How many \3 does \1 have now\?": lambda has, buys: has + buys,
    r"(\w+) packs (\d+) boxes with (\d+) (\w+) each\. How many \4 are packed\?": lambda boxes, each: boxes * each,
    r"(\w+) had (\d+) (\w+) and gave (\d+) away\. How many \3 are left\?": lambda had, gave: had - gave,
    r"(\w+) shares (\d+) (\w+) equally among (\d+) friends\. How many \3 does each friend get\?": lambda all_, friends: all_ / friends,
    r"(\w+) buys (\d+) \w+ at (\d+) euros each and pays with a (\d+) euro note\. How many euros does \1 get back\?": lambda n, price, note: note - n * price,
    r"(\w+) collects (\d+) (\w+) a day for (\d+) days, then loses (\d+)\. How many \3 remain\?": lambda each, days, lost: each * days - lost,
}  # fmt: skip
"""The six wordings of `arithmetic`, read by their words; not how they were made."""


def test_word_problems_have_the_answers_of_their_arithmetic():
    """All of them, each wording ten times."""
    seen = []
    for row in lab.datasets.load("arithmetic").itertuples():
        (found,) = [(wording, match) for wording in WORDINGS if (match := re.fullmatch(wording, row.question))]
        seen.append(found[0])
        numbers = [int(part) for part in found[1].groups() if part.isdigit()]
        assert WORDINGS[found[0]](*numbers) == row.answer, row.question
    assert [seen.count(wording) for wording in WORDINGS] == [10] * 6


def sides(total: int) -> int:
    """Of a polygon with this sum of angles."""
    return total // 180 + 2


COMPUTED = {
    "Bastille": 1989 - 1789, "Wright brothers": 1969 - 1903,
    "in 100 days": (datetime.date(2026, 11, 24) + datetime.timedelta(100)).strftime("%A"),
    "Apollo 11": datetime.date(1969, 7, 20).strftime("%A"), "Roman numeral": "X" * 2 + "IV", "binary": f"{12:b}",
    "prime number above 10": next(n for n in range(11, 20) if all(n % k for k in range(2, n))) ** 2,
    "cube of the number": 7**3, "five prime numbers": sum([n for n in range(2, 20) if all(n % k for k in range(2, n))][:5]),
    "720 degrees": sides(720), "leap year": (datetime.date(2028, 3, 1) - datetime.date(2028, 2, 1)).days * 24 * 60,
    "six square faces": 6 * 4 // 2, "hour hand": math.floor(3 * 360 / 12), "English alphabet": chr(ord("A") + 11 - 1),
}  # fmt: skip


def test_numbers_of_hops_are_computed():
    """And the weekday it begins on is one."""
    assert datetime.date(2026, 11, 24).strftime("%A") == "Tuesday"
    numbers = lab.datasets.load("hops").query("topic == 'numbers'")
    for row in numbers.itertuples():
        (answer,) = [value for words, value in COMPUTED.items() if words in row.question]
        assert str(answer) == row.answer, row.question
    assert len(numbers) == len(COMPUTED)


def test_a_hop_gives_neither_its_answer_nor_the_fact_on_the_way_away():
    """And where the second fact is a capital, it is the one that `capitals` knows."""
    hops, capitals = lab.datasets.load("hops"), lab.datasets.load("capitals")
    of = {re.search("of (.*)\\?", row.question)[1]: row.answer for row in capitals.itertuples()}
    asked = hops[hops["question"].str.startswith("What is the capital of") & hops["via"].isin(list(of))]
    stated = dict(re.findall(r"(geography|science|arts|history|numbers) (\d+)", lab.datasets.card("hops")))

    for row in hops.itertuples():
        words = re.findall(r"\w+", row.question.lower())
        assert row.answer.lower() not in words, row.question
        assert row.via.lower() not in row.question.lower(), row.question
    assert [of[row.via] for row in asked.itertuples()] == asked["answer"].tolist()
    assert len(asked) == 11
    assert {name: int(n) for name, n in stated.items()} == hops["topic"].value_counts().to_dict()


def test_labels_are_balanced():
    """20 reviews each."""
    assert set(lab.datasets.load("sentiment")["answer"].value_counts()) == {20}


@pytest.mark.parametrize("ask", [lab.datasets.load, lab.datasets.card, lab.datasets.schema])
def test_a_set_that_is_not_there_names_those_that_are(ask):
    """Also where only the schema is missing."""
    with pytest.raises(errors.NotFoundError, match="lookalikes"):
        ask("nothing")
    with pytest.raises(errors.NotFoundError, match="plain text"):
        lab.datasets.schema("capitals")
