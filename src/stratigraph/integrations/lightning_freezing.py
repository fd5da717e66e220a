"""PyTorch Lightning: a callback that freezes layers that have settled.

::

    Trainer(callbacks=[LightningFreezing(probes, layers=["encoder.*", "head"])])

See `stratigraph.training.freezing` for when. Layers are frozen in the order in which the module
defines them, which has to be that in which data pass them. A frozen layer is in ``eval`` mode, so
that its batch normalisation keeps its statistics. What the callback knows is in the trainer's
checkpoints. One process: under DDP the gradients that stop coming have to be allowed for
(``find_unused_parameters``).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from stratigraph.activations import capture, select_layers
from stratigraph.activations.batches import run
from stratigraph.activations.layers import Layers
from stratigraph.errors import InputError
from stratigraph.integrations.probes import same_draws
from stratigraph.similarity.settled import unit_vectors
from stratigraph.training import Freezer, Freezing, trainable_layers

__all__ = ["LightningFreezing"]


class LightningFreezing(Callback):
    """Freezes layers of a fit.

    Args:
        probes: the fixed inputs by which layers are judged; see `stratigraph.capture`.
        layers: names, globs or types, of modules with weights; by default the leaves that have any.
        settings: those of `stratigraph.training.Freezing`.

    """

    def __init__(self, probes: Any, layers: Layers = None, **settings: Any) -> None:
        self.probes, self.layers = probes, layers
        self.settings = Freezing.from_mapping(settings)
        self.freezer: Freezer | None = None
        self._kept: Mapping[str, Tensor] | None = None
        self._step = 0
        self._warned = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the layers; continue from a checkpoint's state."""
        layers = trainable_layers(pl_module, select_layers(pl_module, self.layers))
        if len(layers) < 2:
            raise InputError(
                f"layers: expected two or more with their own weights, got {list(layers)}; the "
                "last is never frozen."
            )
        names = list(layers)

        def read() -> Mapping[str, Tensor]:
            with same_draws():
                found = capture(
                    pl_module, self.probes, names, call=lambda batch, rows: run(pl_module, batch)
                )
            return unit_vectors(found.items())

        self.freezer = Freezer(self.settings, layers, None if self.settings.schedule else read)
        self._step = trainer.global_step
        if self._kept is not None:
            self.freezer.restore(self._kept)
        self.freezer.start(self._step)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep frozen layers out of training mode."""
        for module in self.freezer.frozen_modules() if self.freezer is not None else ():
            module.eval()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Tensor | Mapping[str, Any] | None,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Tell the freezer of the update, if the optimiser made one."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if self.freezer is None or trainer.global_step == self._step:
            return
        self._step = trainer.global_step
        if loss is None and not self.settings.schedule:
            # Under manual optimisation updates are made whether or not the loss is returned.
            if not self._warned:
                warnings.warn(
                    "LightningFreezing: training_step returned no loss, without which nothing is "
                    "frozen or thawed; return it, or give a schedule.",
                    stacklevel=2,
                )
            self._warned = True
            return
        before = set(self.freezer.frozen_modules())
        self.freezer.step(self._step, loss)
        for module in before - set(self.freezer.frozen_modules()):
            module.train()

    def state_dict(self) -> dict[str, Any]:
        """What the freezer knows, for the trainer's checkpoint."""
        return {} if self.freezer is None else {"freezer": self.freezer.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore a checkpoint's state at the start of the fit."""
        self._kept = state_dict.get("freezer")
