"""`prsm-lab`: the same functions from a terminal."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from prsm_lab import commands as commands_
from prsm_lab.errors import PRSMError

if TYPE_CHECKING:
    from collections.abc import Sequence


PIPE_CLOSED: Final = 141
"""Exit code where the reader of standard output went away: 128 + SIGPIPE, as shells have it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command: 0 all is well, 1 some rows failed, 2 it could not be done (a line says why), 130 interrupted.

    Args:
        argv: Arguments without the program's name; default the process's.
    """
    parser = _parser()
    given, rest = parser.parse_known_args(argv)
    if rest and given.command is not _emulate:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    given.rest = rest
    try:
        return _done(given)
    except BrokenPipeError:  # `| head` has read enough; what Python still holds for it must not fail at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except (PRSMError, ValueError, OSError) as error:
        print(f"prsm-lab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nprsm-lab: interrupted; what was answered is kept, the same command goes on.", file=sys.stderr)
        return 130


def _done(given: argparse.Namespace) -> int:
    code = int(given.command(given))
    sys.stdout.flush()  # a closed pipe shows here, not at exit
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="prsm-lab", description="Ask many language models from a table of rows.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    demo = _command(commands, "demo", _demo, "compare a real small model with two simulated ones; no key needed")
    demo.add_argument("--live", action="store_true", help="ask real providers with your keys, after a question")
    demo.add_argument("--rows", type=int, default=20)
    demo.add_argument("--out", type=Path, default=Path("prsm-lab-demo.html"), help="where the report goes")
    demo.add_argument("--yes", action="store_true", help="with --live: do not ask")

    commands_.add(commands, _command)
    models = _command(commands, "models", _models, "what is known of models")
    models.add_argument("--provider")
    _command(commands, "emulate", _emulate, "simulate the providers on loopback: --port, --seed, --latency-scale …")
    _serving(commands)
    ledger = _command(commands, "ledger", _ledger, "check, prune or export the ledger")
    ledger.add_argument("action", choices=("check", "prune", "export"))
    ledger.add_argument("--older-than-days", type=float, default=90.0)
    ledger.add_argument("--out", type=Path, default=Path("ledger.jsonl"))
    return parser


def _serving(commands: Any) -> None:
    serve = _command(commands, "serve", _serve, "share this machine's client over HTTP")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8765)
    serve.add_argument("--workers", type=int, default=1, help="processes that share ledger, keys and limits")
    serve.add_argument("--expose", action="store_true", help="allow an address that the network can reach")
    serve.add_argument("--allow-host", action="append", default=[], help="more values of Host, e.g. behind a proxy")
    serve.add_argument("--cors", action="append", default=[], help="site whose pages may ask")
    serve.add_argument("--router", metavar="FILE", action="append", default=[], help="a saved router that may be asked")
    serve.add_argument("--share-cache", action="store_true", help="an answer to one key may serve others too")
    serve.add_argument("--root-path", default="", help="prefix under which a proxy shows the server")
    serve.add_argument("--certfile")
    serve.add_argument("--keyfile")
    serve.add_argument("--limits", help="Redis URL for the rate limits; default: PRSM_LIMITS, then the ledger")
    serve.add_argument("--new-key", metavar="NAME", help="make a key for somebody and print it")
    serve.add_argument("--tier", default="Free")
    serve.add_argument("--ledger", help="file or postgresql:// URL; default: PRSM_LEDGER, then the platform's folder")
    serve.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    keys = _command(commands, "keys", _keys, "keys of the share server")
    keys.add_argument("action", choices=("list", "new", "revoke", "rotate", "credit"))
    keys.add_argument("name", nargs="?", default="", help="of the person, or the id of a key")
    keys.add_argument("--tier", default="Free")
    keys.add_argument("--credits", type=float, help="USD")
    keys.add_argument("--models", help="comma list; default all")
    keys.add_argument("--expires", help="12h, 7d, 2w; default never")
    keys.add_argument("--scopes", default="infer,read", help="comma list of infer, read, admin")
    keys.add_argument("--ledger")


def _command(commands: Any, name: str, function: Any, words: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = commands.add_parser(name, help=words, description=words)
    made.set_defaults(command=function)
    return made


def _demo(given: argparse.Namespace) -> int:
    from prsm_lab import demo

    return demo.run(demo.Choice(rows=given.rows, out=given.out, live=given.live, yes=given.yes))


def _models(given: argparse.Namespace) -> int:
    from prsm_lab import catalog

    frame = catalog.frame()
    shown = frame if given.provider is None else frame[frame["provider"] == given.provider]
    columns = ["model", "provider", "input", "output", "context", "quality", "retired", "successor"]
    print(shown[columns].to_string(index=False, na_rep="–"))
    return 0


def _emulate(given: argparse.Namespace) -> int:
    from prsm_lab import emulator

    return emulator.main(given.rest)


def _serve(given: argparse.Namespace) -> int:
    from prsm_lab.server import terminal

    return terminal.serve(given)


def _keys(given: argparse.Namespace) -> int:
    from prsm_lab.server import terminal

    return terminal.manage(given)


def _ledger(given: argparse.Namespace) -> int:
    from prsm_lab.ledger import Ledger, upkeep
    from prsm_lab.settings import settings

    ledger = Ledger.open(settings().ledger)
    try:
        if given.action == "check":
            problems = upkeep.check(ledger)
            print("\n".join(problems) or f"{ledger.name}: sound")
            return 1 if problems else 0
        if given.action == "prune":
            count = upkeep.prune(ledger, before=time.time() - given.older_than_days * 86400)
            print(f"{count} inferences deleted")
        else:
            print(f"{upkeep.export(ledger, given.out)} inferences written to {given.out}")
    finally:
        ledger.close()
    return 0
