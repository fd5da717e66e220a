"""Hugging Face ``Trainer``: a callback that records what it trains, as a study.

::

    Trainer(model=…, callbacks=[TrainerRecorder(probes, out="results/mine")])

``probes`` is a mapping of tensors, as the network's ``forward`` takes it, or a list of batches.
Steps are the trainer's ``global_step``; losses are those that it logs (``logging_steps``).
Needs ``pip install stratigraph[transformers]``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stratigraph.integrations.begin import record
from stratigraph.integrations.recorder import Recorder
from stratigraph.renamed import takes_former

__all__ = ["TrainerRecorder"]


class TrainerRecorder(TrainerCallback):
    """Records a training.

    Args:
        probes: the fixed inputs; see `stratigraph.record`.
        out: the study's folder.
        options: those of `stratigraph.record`.

    """

    @takes_former(out="to")
    def __init__(self, probes: Any, out: str | Path, **options: Any) -> None:
        self.probes, self.out, self.options = probes, out, options
        self.recorder: Recorder | None = None

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Record the network as it is; a resumed training continues its recording."""
        if state.is_world_process_zero:
            self.recorder = record(
                kwargs["model"], self.probes, self.out, start=state.global_step, **self.options
            )

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Take the step."""
        if self.recorder is not None:
            self.recorder.reach(state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Log the losses that the trainer logs."""
        if self.recorder is None or not logs:
            return
        numbers = {k: v for k, v in logs.items() if isinstance(v, int | float)}
        if "loss" in numbers:
            self.recorder.log("training", **numbers)
        elif "eval_loss" in numbers:
            self.recorder.log("validation", **numbers, loss=numbers["eval_loss"])

    def on_train_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **kwargs: Any,
    ) -> None:
        """Keep the last step."""
        if self.recorder is not None:
            self.recorder.close()
