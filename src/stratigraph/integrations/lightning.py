"""PyTorch Lightning: a callback that records what a ``Trainer`` fits, as a study.

::

    Trainer(callbacks=[LightningRecorder(probes, out="results/mine")])

Steps are the trainer's ``global_step``. Needs ``pip install stratigraph[lightning]``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from stratigraph.integrations.begin import record
from stratigraph.integrations.recorder import Recorder
from stratigraph.renamed import takes_former

__all__ = ["LightningRecorder"]


class LightningRecorder(Callback):
    """Records a fit.

    Args:
        probes: the fixed inputs; see `stratigraph.record`.
        out: the study's folder.
        options: those of `stratigraph.record`; ``layers`` and ``call`` refer to the module.

    """

    @takes_former(out="to")
    def __init__(self, probes: Any, out: str | Path, **options: Any) -> None:
        self.probes, self.out, self.options = probes, out, options
        self.recorder: Recorder | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Record the network as it is; a fit resumed from a checkpoint continues its recording."""
        if trainer.is_global_zero:
            self.recorder = record(
                pl_module, self.probes, self.out, start=trainer.global_step, **self.options
            )

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: torch.Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Take the step, if the optimiser took one."""
        if self.recorder is not None and trainer.global_step > self.recorder.steps:
            loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
            self.recorder.reach(trainer.global_step, loss)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the numbers that the module logged for the epoch."""
        if self.recorder is None or trainer.sanity_checking:
            return
        found = {
            name: value
            for name, value in trainer.callback_metrics.items()
            if isinstance(value, torch.Tensor) and value.numel() == 1
        }
        loss = next((found[n] for n in ("val_loss", "val/loss", "valid_loss") if n in found), None)
        if found:
            self.recorder.log("validation", **found, **({} if loss is None else {"loss": loss}))

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the last step."""
        if self.recorder is not None:
            self.recorder.close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Say how the fit ended; what was kept is whole."""
        if self.recorder is not None:
            stopped = isinstance(exception, KeyboardInterrupt)
            state = "stopped" if stopped else "failed"
            self.recorder.close(state, f"{type(exception).__name__}: {exception}")
