"""What claims are judged by: scores of pairs with their labels, and what was observed of the runs.

A claim never sees a study, only `Evidence`: so it can be asked of planted numbers as well;
`stratigraph.evidence.from_study` takes it from a study. Scores come in columns: all probes first,
then, where they are known, without each group of probes (`stratigraph.pairs.group_sums`). Pairs
within a run and pairs across runs are apart by construction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

__all__ = ["Evidence", "Pairs"]

# What is known of each side of a pair.
SIDES = (
    "run", "config", "but_strength", "but_objective", "but_data", "data", "architecture",
    "objective", "strength", "supervised", "seed", "stream", "layer", "part", "step", "last",
)  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """Pairs of representations: labels ``<name>_x`` and ``<name>_y``, and their scores.

    Attributes:
        table: one row a pair, (m, …), with the labels of `SIDES`.
        values: scores (m, 1 + g): of all probes, then without each of g groups; g may be 0.

    """

    table: pd.DataFrame
    values: np.ndarray

    @staticmethod
    def label(labels: pd.DataFrame, pairs: np.ndarray) -> pd.DataFrame:
        """The table of pairs (m, 2) of rows of labels; x is the earlier step of two of one run.

        Args:
            labels: one row a representation, with the columns of `SIDES`.
            pairs: rows of the labels.

        """
        step = labels["step"].to_numpy()
        ordered = np.where((step[pairs[:, 0]] > step[pairs[:, 1]])[:, None], pairs[:, ::-1], pairs)
        # As objects: rows are taken from these columns thousands of times, which Arrow is slow at.
        plain = labels[list(SIDES)].astype(
            {name: object for name in SIDES if isinstance(labels[name].dtype, pd.StringDtype)}
        )
        return pd.concat(
            [
                plain.iloc[ordered[:, side]].reset_index(drop=True).add_suffix(suffix)
                for side, suffix in ((0, "_x"), (1, "_y"))
            ],
            axis=1,
        )

    def split(self) -> tuple[Pairs, Pairs, Pairs]:
        """Those of one layer with its last step, of two runs, and of two layers at one step."""
        table = self.table
        same_run = table["run_x"] == table["run_y"]
        same_layer = table["layer_x"] == table["layer_y"]
        same_step = table["step_x"] == table["step_y"]
        return (
            self.where(same_run & same_layer & table["last_y"].astype(bool)),
            self.where(~same_run),
            self.where(same_run & same_step & ~same_layer),
        )

    def __len__(self) -> int:
        return len(self.table)

    def where(self, mask: pd.Series | np.ndarray) -> Pairs:
        """The pairs of a mask (m,)."""
        chosen = np.asarray(mask, dtype=bool)
        return Pairs(self.table[chosen].reset_index(drop=True), self.values[chosen])


@dataclass(frozen=True)
class Evidence:
    """All that claims read.

    Attributes:
        cka: the name of the CKA that stands first, of `to_final`, `final` and `within`.
        to_final: measure → each layer of each run at each step (x) against its last step (y).
        final: measure → one layer at the last step, across two runs (each pair once).
        within: measure → (input, mean), (input, sample), (mean, sample) of one run at one step.
        latents: run, step, active, mixed, passive: how many latents are in each regime; kl and,
            where it was observed, information of all of them.
        layers: run, step, layer and what was observed (`stratigraph.stages.observe`).
        scores: run, step, score, value: how the latents are disentangled (`Study.disentanglement`).
        runs: one row a run, and whether it learned (`stratigraph.evidence.runs`).
        probes: how many probes the scores are over.
        tolerances: measure → how wide the intervals may be that its scores are the middles of;
            measures whose scores are exact are not in it.

        across: measure → one layer of two runs that read the probes of one set of data, whichever
            they were trained on: at the last step and, by the CKA, at the first. Columns
            ``shown_x``, ``shown_y``: whose probes. Empty where no network reads another's.

    """

    cka: str
    to_final: Mapping[str, Pairs]
    final: Mapping[str, Pairs]
    within: Mapping[str, Pairs]
    latents: pd.DataFrame = field(default_factory=pd.DataFrame)
    layers: pd.DataFrame = field(default_factory=pd.DataFrame)
    scores: pd.DataFrame = field(default_factory=pd.DataFrame, kw_only=True)
    runs: pd.DataFrame = field(default_factory=pd.DataFrame)
    probes: int = 0
    tolerances: Mapping[str, float] = field(default_factory=dict)
    across: Mapping[str, Pairs] = field(default_factory=dict)

    @property
    def side_by_side(self) -> list[str]:
        """The CKA and, where it was computed, Procrustes similarity."""
        return [m for m in (self.cka, "procrustes_similarity") if m in self.to_final]

    @property
    def failed(self) -> dict[str, str]:
        """Run → why, of those that are known not to have learned."""
        if self.runs.empty:
            return {}
        failed = self.runs[self.runs["learned"].eq(False)]
        return dict(zip(failed["run"], failed["why"], strict=True))

    @property
    def duplicates(self) -> dict[str, str]:
        """Run → why, of those that are another run once more, and not counted."""
        if self.runs.empty:
            return {}
        twice = self.runs[self.runs["duplicate_of"] != ""]
        return {
            run: f"it is run {other} once more: one model, and the same random streams"
            for run, other in zip(twice["run"], twice["duplicate_of"], strict=True)
        }

    def without(self, runs: Collection[str]) -> Evidence:
        """The same evidence, had some runs not been made; `runs` still lists them."""

        def less(kind: Mapping[str, Pairs]) -> dict[str, Pairs]:
            return {
                measure: pairs.where(
                    ~pairs.table["run_x"].isin(runs) & ~pairs.table["run_y"].isin(runs)
                )
                for measure, pairs in kind.items()
            }

        def others(table: pd.DataFrame) -> pd.DataFrame:
            return table if table.empty else table[~table["run"].isin(runs)]

        return replace(
            self,
            to_final=less(self.to_final),
            final=less(self.final),
            within=less(self.within),
            across=less(self.across),
            latents=others(self.latents),
            layers=others(self.layers),
            scores=others(self.scores),
        )
