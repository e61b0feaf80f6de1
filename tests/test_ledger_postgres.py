"""A ledger in PostgreSQL, against a real server: parallel workers, lost lines, a server that hangs, and the password.

What it shares with a ledger file is tried in `test_ledger.py`, on both.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from calls import ASK, Caller
from test_ledger import HERE, answered, ask, put

import prsm_lab as lab
from prsm_lab import emulator, settings
from prsm_lab.errors import InternalError, InvalidRequestError, ProviderError
from prsm_lab.ledger import Ledger, fingerprint
from prsm_lab.ledger.votes import Ballots
from prsm_lab.ledger.windows import LedgerWindows
from prsm_lab.server import keys
from prsm_lab.settings import Secret
from prsm_lab.types import Query, Reply, Vote

WORKERS = 8


@pytest.fixture
def ledger(database):
    opened = Ledger.open(Secret(database))
    yield opened
    opened.close()


@pytest.fixture
def isolation() -> str:
    """What the database gives to transactions that ask for nothing."""
    return "read committed"


@pytest.fixture
def books(database, postgres, isolation):
    """The accounts as eight workers have them open."""
    postgres.ask(f"ALTER DATABASE {database.rpartition('/')[2]} SET default_transaction_isolation = '{isolation}'")
    ledger = Ledger.open(Secret(database))
    opened = [ledger.accounts() for _ in range(WORKERS)]
    yield opened
    for one in opened:
        one.close()
    ledger.close()


def in_parallel(books, work):
    """Let each worker do the same in a thread of its own; return what each did."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(work, range(WORKERS), books))


def backend(connection) -> int:
    """The process that serves a connection."""
    return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


def told(error: BaseException) -> str:
    """Everything that a verbose traceback prints of an error, the test's own frame left out."""
    error.__traceback__ = error.__traceback__.tb_next
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()) + repr(error)


# ------------------------------------------------------------------------------------------- parallel workers


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_parallel_workers_never_reserve_more_than_there_is(books, isolation):
    """Eight at once, credits for ten: ten seats, whatever the database's own isolation is."""
    key = keys.holder(books[0], keys.make(books[0], "ana", tier="Enterprise", credits=10.0).encode())

    seated = in_parallel(books, lambda n, book: [book.take(f"{n}-{i}", key, 1.0).seated for i in range(10)])

    assert sum(map(sum, seated)) == 10


def test_parallel_workers_never_seat_more_than_at_once(books):
    """Two of the Free tier, and a seat that is given back is free for all."""
    key = keys.holder(books[0], keys.make(books[0], "ana").encode())
    most = []

    def work(n, book):
        for i in range(10):
            taken = book.take(f"{n}-{i}", key, 0.0)
            most.append(taken.ongoing)
            if taken.seated:
                book.free(f"{n}-{i}", key, 0.0)

    in_parallel(books, work)

    assert max(most) <= 2
    assert books[0].take("last", key, 0.0).ongoing == 0


def test_what_parallel_workers_charge_adds_up(books):
    """Reserve and settle until nothing is left: all of it is spent, not a cent more."""
    key = keys.holder(books[0], keys.make(books[0], "ana", tier="Enterprise", credits=64.0).encode())

    def work(n, book):
        spent = 0
        while book.take(f"{n}-{spent}", key, 1.0).seated:
            book.free(f"{n}-{spent}", key, 1.0)
            spent += 1
        return spent

    spent = sum(in_parallel(books, work))

    assert books[0].key(key.id).credits == 64 - spent
    assert 64 - WORKERS < spent <= 64  # one that saw all reserved stops a little early


def test_settling_waits_for_who_is_reserving(books, postgres):
    """Between the look at the credits and the look at what is reserved, neither may change."""
    key = keys.holder(books[0], keys.make(books[0], "ana", tier="Enterprise", credits=10.0).encode())
    books[0].take("inf_1", key, 4.0)
    with ThreadPoolExecutor(1) as pool:
        with books[1].transaction("ana") as reserving:
            settled = pool.submit(books[0].free, "inf_1", key, 4.0)
            while not postgres.ask("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
                assert not settled.done()
            seen = reserving.execute("SELECT credits FROM api_key").fetchone()[0]
        settled.result()

    assert (seen, books[0].key(key.id).credits) == (10.0, 6.0)


def test_parallel_workers_cannot_overrun_a_limit(books):
    """Requests one by one, tokens by weight."""

    def work(_, book):
        windows = LedgerWindows(book)

        async def all_of_it():
            hits = [await windows.acquire_entry("requests", 20, 60) for _ in range(10)]
            tokens = [await windows.acquire_sliding_window_entry("tokens", 1000, 3600, 50) for _ in range(10)]
            return sum(hits), sum(tokens)

        return asyncio.run(all_of_it())

    hits, tokens = zip(*in_parallel(books, work), strict=True)

    assert (sum(hits), sum(tokens)) == (20, 20)


def test_one_of_all_gets_an_idempotency_key(books):
    """The others are told by which inference it was taken."""
    claims = in_parallel(books, lambda n, book: book.claim("ana", "k", b"asked", f"inf_{n}"))

    assert claims.count(None) == 1
    winner = f"inf_{claims.index(None)}"
    assert {claim for claim in claims if claim} == {(b"asked", winner)}
    assert sum(in_parallel(books, lambda n, book: book.reclaim("ana", "k", winner, f"again_{n}"))) == 1


def test_workers_that_start_together_make_the_tables_once(database):
    """Each finds them whole."""
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: Ledger.open(Secret(database)), range(4)))

    assert [ledger.runs() for ledger in opened] == [[]] * 4
    for ledger in opened:
        ledger.close()


# -------------------------------------------------------------------------------------------- what goes wrong


def test_a_line_that_was_cut_between_two_steps_is_not_noticed(ledger, postgres):
    """The server was restarted, or closed what was idle: looking up and writing go on over another."""
    key = put(ledger, "inf_1", ask())
    ledger.flush()
    postgres.ask(f"SELECT pg_terminate_backend({backend(ledger.connection)}, 5000)")
    assert ledger.find([key])[key].id == "inf_1"
    postgres.ask(f"SELECT pg_terminate_backend({backend(ledger.connection)}, 5000)")
    put(ledger, "inf_2", ask("other"))

    assert ledger.get("inf_2").status == "completed"


def test_a_line_that_is_cut_within_a_step_undoes_it(ledger, postgres):
    """Half a step is never kept; the next one has a line of its own."""
    with pytest.raises(InternalError, match="cannot be used"), ledger.connection.transaction() as connection:
        connection.execute("INSERT INTO idempotency VALUES ('ana', 'k', ?, 'inf_1', 1.0)", (b"",))
        postgres.ask(f"SELECT pg_terminate_backend({backend(connection)}, 5000)")
        connection.execute("SELECT 1")

    assert ledger.connection.execute("SELECT count(*) FROM idempotency").fetchone()[0] == 0


def test_a_group_that_was_committed_although_its_answer_was_lost_is_written_again(ledger):
    """Nobody can know; so writing it twice must be the same as once."""
    put(ledger, "inf_1", ask())
    queued = list(ledger._queue)
    ledger.flush()
    ledger._queue.extend(queued)
    ledger.flush()

    assert ledger.usage(Query()).total_requests == 1


@contextmanager
def away(postgres):
    """The server is down for a while."""
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


async def test_a_server_that_is_down_loses_no_row_and_no_seat(database, postgres, monkeypatch):
    """Who waits is told so, with the remedy; what is queued and owed is written when it is back."""
    monkeypatch.setattr("prsm_lab.ledger.postgres.REDIAL_SECONDS", 0.0)
    ledger = Ledger.open(Secret(database))
    book = ledger.accounts()
    key = keys.holder(book, keys.make(book, "ana", tier="Enterprise", credits=5.0).encode())
    book.take("inf_1", key, 2.0)
    with away(postgres):
        put(ledger, "inf_1", ask())
        with pytest.raises(InternalError, match=r"could not be written .*3 rows wait.*psql") as unwritten:
            await ledger.written()
        with pytest.raises(InternalError, match="could not be written") as untaken:
            book.take("inf_2", key, 1.0)
        book.free("inf_1", key, 0.5)

    assert ledger.get("inf_1").status == "completed"
    assert book.take("inf_3", key, 1.0).left == 4.5
    assert "canary" not in told(unwritten.value) + told(untaken.value)
    book.close()
    ledger.close()


def test_after_a_failed_call_the_next_ones_fail_at_once(ledger, postgres):
    """A host that swallows packets must not hold the loop up again and again."""
    with away(postgres):
        with pytest.raises(InternalError):
            ledger.runs()
        with pytest.raises(InternalError, match="a moment ago"):
            ledger.runs()


@contextmanager
def standing_still(connection):
    """The server's process of a connection neither answers nor ends a statement by itself."""
    process = backend(connection)
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


def test_a_server_that_hangs_does_not_freeze_the_loop(ledger, monkeypatch):
    """Between two steps another line is tried; within one, it fails."""
    monkeypatch.setattr("prsm_lab.ledger.postgres.ANSWER_SECONDS", 0.3)
    put(ledger, "inf_1", ask())
    began = time.monotonic()
    with standing_still(ledger._connection):
        ledger.flush()
    with (
        pytest.raises(InternalError, match="no answer within"),
        ledger.connection.transaction() as connection,
        standing_still(connection),
    ):
        connection.execute("SELECT 1")

    assert time.monotonic() - began < 3
    assert ledger.get("inf_1").status == "completed"


def test_a_statement_that_takes_too_long_is_ended_by_the_server(ledger):
    """Also one that waits for a lock that somebody holds."""
    ledger.connection.execute("SET statement_timeout = '100ms'")
    with pytest.raises(InternalError, match="statement timeout"):
        ledger.connection.execute("SELECT pg_sleep(5)")

    assert ledger.runs() == []


# ----------------------------------------------------------------------------------------------- the password


def test_the_password_is_shown_nowhere(database, postgres, caplog):
    """Not by settings, ledger, client, their errors, verbose tracebacks or logs; the host is."""
    caplog.set_level(logging.DEBUG)
    chosen = settings.settings(ledger=database, environ={})
    ledger = Ledger.open(chosen.ledger)
    client = lab.Client(ledger=database)
    wrong = postgres.url("none")
    with pytest.raises(InternalError, match='database "none" does not exist') as refused:
        lab.Client(ledger=wrong)
    said = f"{chosen!r} {ledger!r} {ledger.name} {client!r} {vars(ledger)} {vars(ledger._connection)} {caplog.text}"

    assert "canary" not in said + told(refused.value)
    assert ledger.name == f"postgresql://127.0.0.1:{postgres.port}/{database.rpartition('/')[2]}"
    client.close()
    ledger.close()


@pytest.mark.parametrize(
    "address",
    ["postgresql://lab:canary@x@127.0.0.1/db", "postgresql://lab:canary/x@127.0.0.1/db", "postgresql://lab:canary#x@h/db",
     "postgresql://lab:12/canary@127.0.0.1/db", "postgresql://lab:x%zzcanary@h/db", "postgresql://h/db?canary",
     "postgresql://lab:canary?x@h/db", "postgresql://[canary/db"],
)  # fmt: skip
def test_an_address_that_cannot_be_read_is_not_repeated(address):
    """A bare special character in a password makes any piece of it look like a host, a port, a database."""
    with pytest.raises((InvalidRequestError, InternalError)) as refused:
        lab.Client(ledger=address)

    assert "canary" not in told(refused.value)


def test_a_wrong_password_is_refused_and_not_shown(postgres):
    """With the server's own words."""
    with pytest.raises(InternalError, match="password authentication failed") as refused:
        Ledger.open(Secret(postgres.url(password="another-canary")))

    assert "canary" not in told(refused.value)


def test_another_kind_of_url_is_no_file_name():
    """`mysql://…` would become a folder."""
    with pytest.raises(InvalidRequestError, match="not another kind") as refused:
        lab.Client(ledger="mysql://lab:canary@h/db")

    assert "canary" not in told(refused.value)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    """Before it tries anything."""
    monkeypatch.setattr("prsm_lab.ledger.database.find_spec", lambda name: None)
    with pytest.raises(InvalidRequestError, match=r"pip install \"prsm-lab\[server\]\""):
        Ledger.open(Secret("postgresql://h/db"))


# -------------------------------------------------------------------------------------------------- the tables


def test_a_database_of_a_newer_version_is_refused_and_left_alone(ledger, database):
    """With the remedy in the message."""
    ledger.connection.execute("UPDATE ledger_version SET version = 99")
    with pytest.raises(InternalError, match=r"newer prsm_lab .*99.*pip install -U"):
        Ledger.open(Secret(database))


def test_a_database_of_another_encoding_is_refused(postgres):
    """An answer in another script would not fit."""
    postgres.ask("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    try:
        with pytest.raises(InternalError, match="not UTF8"):
            Ledger.open(Secret(postgres.url("latin")))
    finally:
        postgres.ask("DROP DATABASE latin")


def test_what_text_cannot_hold_is_kept_readable(ledger):
    """PostgreSQL's text has no NUL, UTF-8 no lone surrogates: they are replaced, no row is refused."""
    ledger.start("inf_1", ask("a\x00b"), fingerprint(ask(), HERE), scope=None, created=1.0)
    ledger.fail("inf_1", ProviderError("bad \x00 \ud83d"), completed=2.0, attempts=(), partial=Reply(text="Hel\x00lo"))
    put(ledger, "inf_2", ask(), answered("inf_2", "x\x00y"))

    record = ledger.get("inf_1")
    assert (record.status, record.partial) == ("failed", "Hel\u2400lo")
    assert ledger.get("inf_2").inference.content == "x\x00y"


def test_the_views_can_be_read(ledger):
    """For people: `pandas.read_sql("SELECT * FROM v_inference", …)`."""
    put(ledger, "inf_1", ask(), created=86400.0)
    ledger.flush()
    row = ledger.connection.execute("SELECT * FROM v_usage_by_day").fetchone()

    assert (str(row["day"]), row["answered"], row["unpriced"]) == ("1970-01-02", 1, 0)
    assert ledger.connection.execute("SELECT * FROM v_inference").fetchone()["id"] == "inf_1"


# ------------------------------------------------------------------------------------------------- all together


def test_a_batch_is_resumed_from_the_database(database):
    """What one notebook paid for, another finds."""
    import pandas as pd

    frame = pd.DataFrame({"q": ["one", "two", "three"]})
    with emulator.start() as emu:
        for expected in (3, 3):
            with lab.Client(ledger=database, providers=emu.providers()) as client:
                lab.batch(frame, "{q}", model="gpt-4", run="mine", client=client, progress=False)
                assert len(emu.log) == expected
                assert lab.runs(client=client)["answered"].tolist() == [3]


def test_a_share_server_keeps_all_it_needs_in_the_database(database):
    """Keys, limits, credits, idempotency, history."""
    with (
        emulator.start() as emu,
        lab.Client(ledger=database, providers=emu.providers()) as client,
        lab.serve(client) as share,
    ):
        ana = Caller(share.url, share.new_key("ana", tier="Enterprise", credits=1.0, limits={"requests_per_minute": 3}))
        first = ana.post("/v1/inference", ASK, idempotency_key="k").json
        again = ana.post("/v1/inference", ASK, idempotency_key="k").json
        statuses = [ana.post("/v1/inference", ASK).status for _ in range(3)]
        left = ana.get("/v1/keys/me").json["credits"]

        assert first["id"] == again["id"]
        assert (sorted(statuses), len(emu.log)) == ([200, 200, 429], 3)
        assert left == pytest.approx(1.0 - 3 * first["cost"]["amount"])
        assert ana.get(f"/v1/inference/{first['id']}").status == 200


async def test_votes_are_kept_by_both_databases(ledger):
    """Between answers that are asked about, oldest first; twice the same is once."""
    ballots = Ballots(ledger)
    votes = [
        Vote(id=f"v{n}", a=a, b=b, winner=winner, voter="ana", seconds=1.5, created=float(n))
        for n, (a, b, winner) in enumerate([("x", "y", "a"), ("y", "z", "both_bad"), ("x", "other", "tie")])
    ]
    for vote in (*votes, votes[0]):
        await ballots.add(vote)
    await ballots.take_back("v1")

    assert await ballots.on(["x", "y", "z"]) == [votes[0]]
    assert await ballots.on(["x", "other"]) == [votes[2]]
