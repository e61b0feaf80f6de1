# mypy: disable-error-code="no-untyped-call,untyped-decorator"
"""`%load_ext prsm_lab`: ask models from a cell with `%%infer`, look around with `%prsm`."""

from __future__ import annotations

import argparse
import difflib
import keyword
import math
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from prsm_lab import render
from prsm_lab.errors import PRSMError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import pandas as pd
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from prsm_lab.panels.stream_column import Column
    from prsm_lab.panels.stream_panel import StreamPanel
    from prsm_lab.types import Allowance

EXAMPLE: Final = "%%infer -m gpt-4.1-mini -m claude-haiku-4-5 --temperature 0 -o answers"
OPTIONS: Final = {
    "-m": "MODEL (again for more)", "--system": '"TEXT"', "--temperature": "0 to 2", "--max-tokens": "N", "--seed": "N",
    "-o": "NAME",
}  # fmt: skip
LOOKS: Final = ("usage", "models", "runs", "budget")
SPANS: Final = ("last_24_hours", "last_7_days", "last_30_days", "all")
RUNS: Final = 20
"""Of the past, the newest, that `%prsm runs` shows."""
_NAME: Final = re.compile(r"\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_USED: Final = ["model", "total_requests", "total_cost", "unpriced_requests", "success_rate", "p50_latency_ms"]
_MODELS: Final = ["model", "provider", "input", "output", "context", "quality", "retired"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the magics, and complete models after `-m`."""
    shell.register_magics(PrsmMagics)
    matchers = getattr(shell.Completer, "custom_matchers", None)  # from IPython 8.6 on
    if matchers is not None and _matched not in matchers:
        matchers.append(_matched)


def filled(text: str, names: Mapping[str, Any]) -> str:
    """Put the values of variables in the place of their names in double braces; single braces stay as they are.

    Only names are looked up: a cell's text must not be able to call anything. What a value holds is not filled again.

    Raises:
        UsageError: If a name is unknown, or is no name.

    >>> filled('say {{word}} in {"json": 1}', {"word": "hi"})
    'say hi in {"json": 1}'
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not name.isidentifier():
            raise UsageError(
                f"{{{{{render.line(name, longest=40)}}}}} is no name of a variable. Compute it before, as x = …, and "
                "write {{x}}; text with double braces comes from a variable too."
            )
        if name not in names:
            raise UsageError(f"There is no variable {name!r} for {{{{{name}}}}}. Run the cell that makes it first.")
        return str(names[name])

    return _NAME.sub(value, text)


class Interrupted(KeyboardInterrupt):
    """The cell was stopped: so are the cells that wait behind it. A line says what is kept, in a traceback's place."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def _variable(text: str) -> str:
    if not text.isidentifier() or keyword.iskeyword(text):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be the name of a variable")
    return text


@magics_class
class PrsmMagics(Magics):
    """The magics of this package."""

    @no_var_expand
    @magic_arguments()
    @argument("-m", "--model", action="append", help="a model to ask; give it again for more, side by side")
    @argument("--system", default="", help="a system message, in quotes")
    @argument("--temperature", type=_number, help="0 to 2")
    @argument("--max-tokens", type=_whole, help="most tokens of each answer")
    @argument("--seed", type=_whole, help="for repeatable answers, where the model has it")
    @argument("-o", "--out", type=_variable, help="name of a variable for the answers, as a frame")
    @cell_magic
    def infer(self, line: str, cell: str) -> None:
        """Ask models what the cell says, and watch their answers being written.

        `{{name}}` stands for the value of a variable; single braces stay as they are. An interrupt stops all answers
        and keeps what was said. In a terminal the answers are printed as they are written.
        """
        given = _parsed(PrsmMagics.infer.parser, line)
        if not cell.strip():
            raise _explained("Which question? Write it below the line of %%infer.")
        options = {"temperature": given.temperature, "max_tokens": given.max_tokens, "seed": given.seed}
        assert self.shell is not None
        names = self.shell.user_ns
        prompt, system = filled(cell.strip(), names), filled(given.system, names)
        panel = _panel(
            given.model, prompt, system, {name: value for name, value in options.items() if value is not None}
        )
        try:
            self._watch(panel)
        except KeyboardInterrupt:
            panel.stop()
            panel.wait(5.0)
            kept = f"{given.out} holds" if given.out else "-o NAME would keep"
            raise Interrupted(f"Stopped: {kept} what was said so far.") from None
        finally:
            if given.out is not None:
                names[given.out] = panel.to_frame()

    def _watch(self, panel: StreamPanel) -> None:
        """Show the answers until they end: in a notebook as a panel, in a terminal as text."""
        if not hasattr(self.shell, "kernel"):
            for column in panel.columns:
                _print(column)
            return
        from prsm_lab.panels import board

        board.show(panel)
        panel.wait()

    @line_magic
    def prsm(self, line: str) -> pd.DataFrame | Allowance | None:
        """Look around: `%prsm usage [last_7_days]`, `%prsm models [part of a name]`, `%prsm runs`; and set what this
        kernel may spend: `%prsm budget 2.00`, `%prsm budget off`."""
        what, *rest = line.split() or [""]
        known: dict[str, Callable[..., Any]] = dict(zip(LOOKS, (_usage, _models, _runs, _budget), strict=True))
        if what not in known or len(rest) > (what != "runs"):
            raise UsageError(f"%prsm knows {', '.join(known)}, as in %prsm usage last_7_days; not {line!r:.60}.")
        try:
            found: pd.DataFrame | Allowance | None = known[what](*rest)
        except PRSMError as fault:
            raise UsageError(fault.message) from None
        except argparse.ArgumentTypeError as fault:
            raise UsageError(str(fault)) from None
        return found


def _parsed(parser: argparse.ArgumentParser, line: str) -> argparse.Namespace:
    """Read the options as a shell would, quotes and all.

    Raises:
        UsageError: What is wrong, what there is, and an example.
    """
    try:
        words = shlex.split(line)
        given = parser.parse_args(words)
        if not given.model:
            raise UsageError("Which model? Name at least one.")
    except ValueError:
        raise _explained("A quotation is not closed.") from None
    except UsageError as fault:
        said = str(fault).removeprefix("argument ")
        raise _explained(f"{said.rstrip('.')}.{_meant(said)}") from None
    return given


def _explained(fault: str) -> UsageError:
    known = ", ".join(f"{name} {value}" for name, value in OPTIONS.items())
    return UsageError(f"{fault}\n  It knows {known}.\n  For example: {EXAMPLE}")


def _meant(fault: str) -> str:
    """The option that looks like the one that is not known."""
    unknown = re.search(r"unrecognized arguments:.*?(--?[\w-]+)", fault)
    near = difflib.get_close_matches(unknown[1], OPTIONS, n=1) if unknown else []
    return f" Did you mean {near[0]}?" if near else ""


def _panel(models: list[str], prompt: str, system: str, options: dict[str, Any]) -> StreamPanel:
    from prsm_lab import panels

    try:
        return panels.stream(models, prompt=prompt, system=system, **options)
    except PRSMError as fault:
        raise UsageError(fault.message) from None


def _print(column: Column) -> None:
    """Print a model's answer while it is written; what was said before a restart is printed above it."""
    assert column.job is not None
    turn, told = column.turns[-1], 0
    print(f"{column.model.name} ({column.model.provider})")
    ended = False
    while not ended:
        ended = column.job.wait(0.05)
        text = render.plain(turn.text)
        if len(text) < told:
            print("\n[begun anew]")
            told = 0
        print(text[told:], end="", flush=True)
        told = len(text)
    fault = turn.outcome if isinstance(turn.outcome, PRSMError) else None
    print(f"\n[{render.plain(fault.message)}]\n" if fault else "\n")


def _usage(span: str = "last_30_days") -> pd.DataFrame:
    from prsm_lab.client import default_client

    frame = default_client().inference.analytics(span, group_by="model").to_frame()
    shown = [name for name in _USED if name in frame]
    return frame[shown]


def _models(part: str = "") -> pd.DataFrame:
    from prsm_lab import frames

    known = frames.models()
    return known[known["model"].str.contains(part, case=False, regex=False)][_MODELS].reset_index(drop=True)


def _runs() -> pd.DataFrame:
    from prsm_lab import frames

    return frames.runs().head(RUNS)


def _budget(usd: str = "") -> Allowance | None:
    """Show or set what this kernel may spend."""
    from prsm_lab.client import default_client

    if not usd:
        return default_client().budget()
    sum_ = math.inf if usd == "off" else _number(usd.removeprefix("$"))
    return default_client().budget(sum_, per="session")


@context_matcher()
def _matched(context: CompletionContext) -> SimpleMatcherResult:
    """Complete our lines, and keep Python's own names out of them."""
    before = context.text_until_cursor.removesuffix(context.token).split()
    ours: dict[str, Callable[[list[str]], Iterable[str]]] = {"%prsm": _looks}
    if context.cursor_line == 0:
        ours["%%infer"] = _asks
    if not before or before[0] not in ours:
        return {"completions": []}
    offered = [name for name in ours[before[0]](before[1:]) if name.startswith(context.token)]
    return {"completions": [SimpleCompletion(text=name, type="prsm") for name in offered], "suppress": True}


def _asks(before: list[str]) -> Iterable[str]:
    """Models after `-m`, options elsewhere."""
    if before and before[-1] in ("-m", "--model"):
        from prsm_lab import catalog

        return [model.name for model in catalog.all_models()]
    return OPTIONS


def _looks(before: list[str]) -> Iterable[str]:
    """What `%prsm` can look at, then the time spans of usage."""
    return () if before and before != ["usage"] else SPANS if before else LOOKS
