"""What ``--help`` shows of each command: its summary in the list, and an example that works.

Values are named by what they are (``FILE``, ``N``, ``local|ray``), not by their type in Python.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperOption

__all__ = ["SUMMARIES", "Command", "epilog_of"]

# In the order of use. At most 60 letters each: a line of the list.
SUMMARIES = {
    "plan": "Say what a study will cost: disk, memory, time, power.",
    "run": "Run a whole study, from training to its report.",
    "train": "Train every unfinished run of a study.",
    "extract": "Read every layer of every snapshot on the probes.",
    "compare": "Compare a study's layers, two networks, or files.",
    "assess": "Judge every claim: estimates, intervals, verdicts.",
    "report": "Write the figures and the report.",
    "serve": "Show a study in the browser, even while it trains.",
    "list": "List the runs of a study and their progress.",
    "show": "Show one run: configuration, state, last losses.",
    "power": "Say how many replicates would decide open questions.",
    "export": "Copy what a study found, without the weights.",
    "verify": "Check every file of a study against its hash.",
    "import": "Make a study from your own checkpoints.",
    "latent-size": "Find how many latents a VAE can use on some data.",
    "measures": "List the measures: promises, cost, when to use each.",
}
EXAMPLES = {
    "plan": ("studies/paper.yaml --workers 16",),
    "run": ("studies/quick.yaml --out results/quick", "results/quick"),
    "train": ("results/quick --workers 4",),
    "extract": ("results/quick",),
    "compare": (
        "results/quick",
        "a.parquet b.h5ad:obsm/X_scVI --ids sample_id --interval --figure heat.png",
        "--model a.safetensors --model b.safetensors --factory mine:net --inputs x.npy",
    ),
    "assess": ("results/quick --published", "results/quick --out findings.csv --figure forest.pdf"),
    "report": ("results/quick --formats pdf,svg", "results/quick --out elsewhere"),
    "serve": ("results/quick --port 8000",),
    "list": ("results/quick --out runs.csv",),
    "show": ("results/quick 3f2a --figure losses.png",),
    "power": ("results/quick --figure power.png",),
    "export": ("results/quick --out kept", "results/quick --out kept --tracker tensorboard"),
    "verify": ("results/quick --repair",),
    "import": (
        "'runs/*/checkpoint-*' --factory mine:net --inputs x.npy --out results/imported "
        "--pattern 'runs/lr{lr}-seed{seed}/checkpoint-{step}'",
    ),
    "latent-size": ("--data sprites",),
    "measures": ("cka procrustes",),
}
METAVARS = {"int": "N", "float": "X", "Path": "FILE"}
NAMES = {
    "model": "FILE",
    "factory": "MODULE:FUNCTION",
    "inputs": "FILE",
    "layers": "NAME",
    "measure": "NAME",
    "mask": "NAME",
    "memory": "SIZE",
    "ids": "COLUMN|FILE",
    "null_within": "FACTOR|FILE",
    "address": "HOST:PORT",
    "device": "cpu|cuda|mps",
    "reduce": "spatial|tokens|…",
    "out": "DIR|FILE",
    "looks": "N,N,…",
    "formats": "pdf,svg,png",
    "roles": "ROLE=LAYER,…",
    "checkpoints": "PATH",
    "allow_host": "NAME",
    "host": "ADDRESS",
    "key": "KEY",
    "prefix": "PREFIX",
    "run": "RUN",
}


def epilog_of(name: str) -> str:
    """The examples of a command, under its options; nothing wraps a line that is to be copied."""
    lines = [f"  stratigraph {name} {given}" for given in EXAMPLES[name]]
    return "\b\n" + "\n".join(["Example:" if len(lines) == 1 else "Examples:", *lines])


class Command(TyperCommand):
    """A command whose help says what a value is, as in ``--workers N``."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        for one in self.params:
            if isinstance(one, TyperArgument):
                one.display_type_rich = _show_nothing  # type: ignore[method-assign]
            elif isinstance(one, TyperOption) and one.metavar is None and not one.is_flag:
                kind = one.type_descriptor.annotation
                one.metavar = NAMES.get(one.name or "") or METAVARS.get(
                    getattr(kind, "__name__", ""), (one.name or "").upper()
                )


def _show_nothing(ctx: Any) -> None:
    """The type of an argument: its name says it."""
