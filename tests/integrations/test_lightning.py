"""The Lightning callback, against the real trainer: one study, the steps of the trainer."""

import logging
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from stratigraph.cli.main import main
from stratigraph.study import load_study

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pl = pytest.importorskip("lightning.pytorch")
    from stratigraph.integrations.lightning import LightningRecorder
    from stratigraph.integrations.lightning_freezing import LightningFreezing

pytestmark = pytest.mark.filterwarnings("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 12), nn.Tanh())
        self.head = nn.Linear(12, 1)

    def forward(self, x):
        return self.head(self.body(x))

    def training_step(self, batch, index):
        x, y = batch
        return nn.functional.mse_loss(self(x), y)

    def validation_step(self, batch, index):
        self.log("val_loss", self.training_step(batch, index))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def fit(to, epochs=3, checkpoint=None, fails=False, callbacks=(), **options):
    pl.seed_everything(0, verbose=False)
    x = torch.randn(64, 6)
    data = TensorDataset(x, x.sum(1, keepdim=True))
    model, callbacks = Net(), list(callbacks)
    if to is not None:
        probes = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
        callbacks.append(LightningRecorder(probes, to, log_every=2, seed=0, name="net"))

    class Fails(pl.Callback):
        def on_train_batch_end(self, *given):
            raise RuntimeError("my own")

    trainer = pl.Trainer(
        max_epochs=epochs, callbacks=[*callbacks, *([Fails()] if fails else [])],
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, **options,
    )  # fmt: skip
    loaders = DataLoader(data, batch_size=16, shuffle=True), DataLoader(data, batch_size=32)
    trainer.fit(model, *loaders, ckpt_path=checkpoint)
    return trainer, model


def command(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code or 0


def test_a_fit_is_a_study(tmp_path, capsys):
    _, model = fit(tmp_path / "mine")
    _, same = fit(None)
    for one, other in zip(model.parameters(), same.parameters(), strict=True):
        assert torch.equal(one, other)  # recording changed no bit
    study = load_study(tmp_path / "mine")
    (run,) = study.runs.values()
    assert run.steps == [0, 10, 12]
    assert run.state["state"] == "done"
    validation = run.metrics.query("split == 'validation'")
    assert validation["step"].tolist() == [4, 8, 12]
    assert np.isfinite(validation[["loss", "val_loss"]].to_numpy()).all()
    assert command("compare", tmp_path / "mine", "--quiet", "--workers", "1") == 0
    labels = load_study(tmp_path / "mine").labels("debiased_cka")
    assert set(labels["layer"]) == {"body.0", "body.1", "body.2", "body.3", "head"}
    restored = Net()
    run.load(restored, 12)
    assert torch.equal(restored.head.weight, model.head.weight)


def test_steps_are_the_optimisers(tmp_path):
    fit(tmp_path / "mine", epochs=6, accumulate_grad_batches=2)
    (run,) = load_study(tmp_path / "mine").runs.values()
    assert run.steps == [0, 10, 12]


def test_a_fit_that_goes_on(tmp_path):
    trainer, _ = fit(tmp_path / "mine")
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    fit(
        tmp_path / "mine",
        epochs=5,
        checkpoint=tmp_path / "last.ckpt",
    )
    (run,) = load_study(tmp_path / "mine").runs.values()
    assert run.steps == [0, 10, 12, 16, 20]


def test_a_fit_that_fails(tmp_path):
    with pytest.raises(RuntimeError, match="my own"):
        fit(tmp_path / "mine", fails=True)
    (run,) = load_study(tmp_path / "mine").runs.values()
    assert run.state["state"] == "failed"
    assert "my own" in run.state["reason"]


def freezing(**settings):
    probes = torch.randn(30, 6, generator=torch.Generator().manual_seed(2))
    return LightningFreezing(probes, every=2, **settings)


def weights(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def test_layers_are_frozen_by_a_schedule():
    kept = {}

    class Keep(pl.Callback):
        def on_train_batch_end(self, trainer, module, *given):
            kept[trainer.global_step] = weights(module)

    callback = freezing(schedule=((4, 2),))
    _, model = fit(None, callbacks=[callback, Keep()])
    assert callback.freezer.told == [(4, 2)]
    assert not model.body[0].training
    assert model.head.training
    for name, value in weights(model).items():
        assert torch.equal(value, kept[4][name]) == (not name.startswith("head")), name


def test_layers_that_have_settled_are_frozen_and_a_fit_that_goes_on_knows(tmp_path):
    settled = {"threshold": 0.5, "patience": 2, "thaw": 100.0}
    whole = freezing(**settled)
    _, want = fit(None, epochs=4, callbacks=[whole])
    assert whole.freezer.frozen == 2
    first = freezing(**settled)
    trainer, _ = fit(None, epochs=2, callbacks=[first])
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    again = freezing(**settled)
    fit(None, epochs=4, checkpoint=tmp_path / "last.ckpt", callbacks=[again])
    assert again.freezer.told == whole.freezer.told
    assert not want.body[0].weight.requires_grad


class Manual(Net):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, index):
        optimiser = self.optimizers()
        optimiser.zero_grad()
        self.manual_backward(super().training_step(batch, index))
        optimiser.step()

    def validation_step(self, batch, index):
        self.log("val_loss", super().training_step(batch, index))


def test_manual_optimisation_returns_no_loss_and_a_schedule_needs_none(monkeypatch):
    monkeypatch.setitem(globals(), "Net", Manual)
    callback = freezing(schedule=((0, 1), (4, 2)))
    _, model = fit(None, callbacks=[callback])
    assert callback.freezer.told == [(0, 1), (4, 2)]
    assert not model.body[0].weight.requires_grad
    callback = freezing(threshold=-1.0, patience=1)
    with pytest.warns(UserWarning, match="training_step returned no loss"):
        fit(None, callbacks=[callback])
    assert callback.freezer.frozen == 0


def test_one_layer_cannot_be_frozen():
    with pytest.raises(Exception, match="expected two or more with their own"):
        fit(None, callbacks=[LightningFreezing(torch.randn(8, 6), ["head"])])
