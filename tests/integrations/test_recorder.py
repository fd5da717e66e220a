"""A recorded training is a study: the commands read it, and the training does not notice."""

import json
import random
import shutil
import subprocess
import sys
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import stratigraph as sg
from stratigraph.activations import capture
from stratigraph.cli.main import main
from stratigraph.errors import BusyError, ConfigError, InputError, IntegrityError
from stratigraph.integrations.probes import ProbeReader
from stratigraph.integrations.recorder import TrainingWarning
from stratigraph.integrations.schedule import as_schedule
from stratigraph.records import locked, write_json
from stratigraph.study import load_study


class TinyVAE(nn.Module):
    """A VAE of somebody else's, which draws its noise in forward, in eval mode too."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.1))
        self.z_mean, self.z_log_var = nn.Linear(16, 3), nn.Linear(16, 3)
        self.decoder = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 8))

    def encode(self, x):
        h = self.encoder(x)
        return self.z_mean(h), self.z_log_var(h)

    def forward(self, x):
        mean, log_var = self.encode(x)
        return self.decoder(mean + (log_var / 2).exp() * torch.randn_like(mean)), mean, log_var


def train(to, seed=0, steps=25, **options):
    """Some steps of the VAE, recorded if there is a folder; the losses and the final weights."""
    torch.manual_seed(seed)
    model = TinyVAE()
    data = torch.randn(200, 8) @ torch.randn(8, 8)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    recorder = None
    if to is not None:
        probes = torch.randn(60, 8, generator=torch.Generator().manual_seed(9))
        options = {"posterior": lambda m, x: m.encode(x), "log_every": 5, **options}
        recorder = sg.record(model, probes, out=to, name="tiny vae", seed=seed, **options)
    losses = []
    model.train()
    for _ in range(steps):
        x = data[torch.randint(200, (32,))]
        out, mean, log_var = model(x)
        kl = -0.5 * (1 + log_var - mean**2 - log_var.exp()).sum(1).mean()
        loss = (out - x).square().sum(1).mean() + kl
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if recorder is not None:
            recorder.step(loss=loss, kl=kl.detach())
    if recorder is not None:
        recorder.log(loss=losses[-1])
        recorder.close()
    return losses, {name: value.clone() for name, value in model.state_dict().items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    to = tmp_path_factory.mktemp("recorded") / "mine"
    for seed in (0, 1):
        train(to, seed)
    return to


def command(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code or 0


def test_the_training_does_not_notice(folder, tmp_path):
    losses, weights = train(None)
    recorded, same = train(tmp_path / "again")
    assert recorded == losses
    assert all(torch.equal(weights[name], same[name]) for name in weights)


def test_what_is_kept(folder):
    study = load_study(folder)
    assert study.config.recorded
    assert len(study.runs) == len(study.complete()) == 2
    run = next(iter(study.runs.values()))
    assert run.steps == [0, 10, 16, 25]
    assert run.state["state"] == "done"
    assert run.config.label() == "tiny vae · probes · TinyVAE · seed 0"
    rows = run.metrics.query("split == 'training'")
    assert rows["step"].tolist() == [0, 5, 10, 15, 16, 20, 25]  # nothing is logged at 0
    assert np.isfinite(rows[["loss", "kl"]].to_numpy()[1:]).all()
    # The weights go back into a network of the caller's, and read as they were read then.
    model = TinyVAE()
    run.load(model, 25)
    assert all(torch.equal(v, train(None)[1][k]) for k, v in model.state_dict().items())
    with pytest.raises(InputError, match=r"was recorded .* run\.load\(network, step\)"):
        run.model(25)


def test_every_command_reads_it(folder, capsys, tmp_path, without_ink):
    run = next(iter(load_study(folder).runs.values()))
    state = {key: value for key, value in run.state.items() if key != "seal"}
    signs = ["step 10: dead layer: one", "step 16: dead layer: two"]
    write_json(run.path / "state.json", {**state, "signs": signs})
    assert command("run", folder, "--quiet", "--workers", "1") == 0
    assert "report" in capsys.readouterr().out
    assert command("list", folder) == 0
    told = capsys.readouterr().out
    assert "tiny vae" in told
    assert "seed 0  [warning: step 16: dead layer: two (and 1 before)]\n" in told  # no reason
    assert command("show", folder, run.run_id[:6]) == 0
    told = capsys.readouterr().out
    assert "state      done at step 25 of 25" in told
    assert "nan" not in told
    assert "".join(f"warning    {sign}\n" for sign in signs) in told
    assert "reason  " not in told
    assert command("show", folder, run.run_id[:6], "--json") == 0
    facts = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # NaN is no JSON
    assert facts["losses"]["training"]["regulariser"] is None
    assert command("assess", folder, "--json", "--workers", "1") == 0
    findings = json.loads(capsys.readouterr().out)
    assert {row["verdict"] for row in findings} <= {
        "supported", "contradicted", "negligible", "undecided", "not asked",
    }  # fmt: skip
    assert any(row["verdict"] != "not asked" for row in findings)
    assert command("compare", folder, "--explain", "--workers", "1") == 0
    assert "debiased_cka: " in capsys.readouterr().out
    assert command("export", folder, "--out", tmp_path / "kept") == 0
    assert command("verify", folder) == 0
    html = (folder / "report" / "index.html").read_text()
    assert "tiny vae" in html
    assert ">warning: step 16: dead layer: two (and 1 before)<" in html
    assert (folder / "figures" / "losses.webp").is_file()
    assert "Recorded while the networks were trained elsewhere" in html


def test_the_matrix_is_that_of_the_captured_layers(folder):
    command("compare", folder, "--quiet", "--workers", "1")
    study = load_study(folder)
    probes = torch.randn(60, 8, generator=torch.Generator().manual_seed(9))
    model, run = TinyVAE(), next(iter(study.runs.values()))
    layers = {}
    for step in (0, 25):
        run.load(model, step)
        layers[step] = capture(model, probes, ["encoder.0", "z_mean"])
    want = sg.similarity_matrix(layers[0], layers[25])
    labels = study.labels("debiased_cka")
    mine = labels[(labels["run"] == run.run_id) & labels["layer"].isin(["encoder.0", "z_mean"])]
    rows, columns = (mine.index[mine["step"] == step] for step in (0, 25))
    found = study.similarity("debiased_cka").values[np.ix_(rows, columns)]
    np.testing.assert_allclose(found, want, atol=1e-5)


def test_observed(folder):
    command("extract", folder, "--quiet", "--workers", "1")
    from stratigraph.evidence.from_study import observations

    latents, layers = observations(load_study(folder))
    assert len(latents) == 8
    moved = layers[layers["layer"] == "encoder.0"].groupby("step")["remaining"].mean()
    assert moved[0] == 1
    assert moved[25] == 0


def test_what_cannot_be_asked_of_a_recorded_study(folder, capsys, tmp_path):
    assert command("plan", folder / "study.yaml") == 2
    assert "only what stratigraph trains can be planned" in capsys.readouterr().err
    mixed = tmp_path / "mixed.yaml"
    mixed.write_text("name: x\nrecorded: true\ngrid: {data: sprites}\n")
    assert command("run", mixed) == 2
    assert "grid is for studies that stratigraph trains" in capsys.readouterr().err
    mixed.write_text("name: x\nrecorded: yes please\n")
    assert command("run", mixed) == 2
    assert "recorded: expected true, or nothing, got 'yes please'" in capsys.readouterr().err
    # Other measures may be asked of what was recorded.
    more = tmp_path / "more.yaml"
    more.write_text("name: mine\nrecorded: true\nmeasures: [rsa_pearson]\n")
    assert command("compare", more, "--out", folder, "--quiet", "--workers", "1") == 0
    assert load_study(folder).measures() == ["rsa_pearson"]
    text = "name: mine\nrecorded: true\nmeasures: [debiased_cka, procrustes_similarity]\n"
    more.write_text(text)  # as it was, for the tests that follow
    assert command("compare", more, "--out", folder, "--quiet", "--workers", "1") == 0


def test_the_published_way_and_repairs_are_refused(folder, capsys, tmp_path):
    command("compare", folder, "--quiet", "--workers", "1")
    assert command("assess", folder, "--published", "--workers", "1") == 2
    assert "was recorded" in capsys.readouterr().err
    to = tmp_path / "hurt"
    train(to)
    weights = next(to.glob("runs/*/snapshots/000000010/weights.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    assert command("verify", to, "--repair", "--workers", "1") == IntegrityError.exit_code
    told = " ".join(capsys.readouterr().err.split())
    assert "nothing can make it again. To do without it, remove both" in told
    assert "makes it again" not in told
    # Half of what it says leaves a step without representations, and verify says so.
    shutil.rmtree(weights.parents[2] / "representations" / "000000010")
    assert command("verify", to) == IntegrityError.exit_code
    assert "000000010: missing" in "".join(capsys.readouterr().out.split("\n"))
    shutil.rmtree(weights.parent)
    assert command("verify", to) == 0
    assert load_study(to).complete()


def test_representations_that_are_gone_are_said_to_be(tmp_path, capsys):
    model, probes = small()
    with sg.record(model, probes, out=tmp_path / "mine", snapshots=[0, 1, 2]) as recorder:
        recorder.step(loss=1.0)
        recorder.step(loss=1.0)
    read = recorder.path / "representations"
    shutil.rmtree(read / "000000000")  # the first alone: it was left out, or a file was missing
    told = (
        f"1 of 3 snapshots have no representations: run {recorder.run_id} at step 0. They were "
        "read while the network trained, and cannot be read here without the network and its data"
    )
    for stage in ("run", "compare", "assess"):
        assert command(stage, tmp_path / "mine", "--quiet", "--workers", "1") == 3
        assert told in capsys.readouterr().err, stage
    shutil.rmtree(read)
    assert command("run", tmp_path / "mine", "--quiet", "--workers", "1") == 3
    told = capsys.readouterr().err
    assert "at step 0, run" in told
    assert "record the training again. `stratigraph verify" in told
    # And that names each.
    assert command("verify", tmp_path / "mine") == 3
    assert "000000002: missing. It was recorded" in "".join(capsys.readouterr().out.split("\n"))


def test_a_run_twice_and_going_on(tmp_path):
    to = tmp_path / "mine"
    train(to)
    with pytest.raises(ConfigError, match=r"recorded already, up to step 25; .* start=STEP"):
        train(to)
    train(to, steps=15, start=16)
    run = next(iter(load_study(to).runs.values()))
    assert run.steps == [0, 10, 16, 25, 31]
    assert run.metrics["step"].is_monotonic_increasing
    assert run.config.steps == 31


def small():
    return nn.Sequential(nn.Linear(2, 2)), torch.randn(8, 2)


def test_one_writer(tmp_path):
    recorder = sg.record(*small(), out=tmp_path / "mine")
    recorder.close()
    with locked(recorder.path), pytest.raises(BusyError):
        sg.record(recorder.inputs.model, recorder.inputs.batches[0][0], tmp_path / "mine")


def test_a_training_that_left_its_recorder_open_can_be_begun_again(tmp_path):
    model, probes = small()
    left = sg.record(model, probes, out=tmp_path / "mine")
    left.step(loss=1.0)
    again = sg.record(model, probes, out=tmp_path / "mine", start=1)
    with pytest.raises(ConfigError, match=r"is closed, so step 2 is not recorded; .*start=1"):
        left.step(loss=1.0)
    left.log(loss=5.0)
    again.close()
    run = next(iter(load_study(tmp_path / "mine").runs.values()))
    assert (run.state["state"], run.steps) == ("done", [0, 1])  # a snapshot at its start
    assert 5.0 not in run.metrics["loss"].tolist()


def test_a_training_that_diverged_says_so(tmp_path):
    with (
        pytest.warns(TrainingWarning, match="the loss is nan"),
        sg.record(*small(), out=tmp_path / "mine") as recorder,
    ):
        recorder.step(loss=1.0)
        recorder.step(loss=float("nan"))
    state = _state(tmp_path / "mine")
    assert (state["state"], state["reason"]) == ("diverged", "the loss is nan")


def test_what_was_told_is_not_told_again_by_one_that_goes_on(tmp_path):
    model, probes = small()
    with pytest.warns(TrainingWarning):
        nn.init.zeros_(model[0].weight)
        sg.record(model, probes, out=tmp_path / "mine").close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recorder = sg.record(model, probes, out=tmp_path / "mine", start=3)
    recorder.close()
    assert len(_state(tmp_path / "mine")["signs"]) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"start": -1}, r"^start: expected a whole number ≥ 0, got -1"),
        ({"seed": "first"}, r"^seed: expected a whole number ≥ 0, got 'first'"),
        ({"log_every": 0}, r"^log_every: expected a whole number ≥ 1, got 0"),
        ({"name": ""}, r"^name: expected a word, got ''"),
        ({"settings": [1]}, r"^settings: expected a mapping"),
        ({"measures": "cka"}, r"^measures: expected a list of names, got 'cka'"),
        (
            {"strength": "beta"},
            r"^strength: expected the name of a setting that is a number, got 'beta'",
        ),
        ({"settings": {"name": "mine"}}, r"^settings: `name` is the objective's name"),
        ({"out": "file:///tmp/mine"}, r"^out: expected a folder on this machine, got file:///tmp"),
    ],
)
def test_options_that_are_none(tmp_path, options, text):
    with pytest.raises(ConfigError, match=text):
        sg.record(*small(), **{"out": tmp_path / "mine", **options})


def test_a_training_that_fails_says_so(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2))
    with (
        pytest.raises(RuntimeError, match="my own"),
        sg.record(model, torch.randn(8, 2), out=tmp_path / "mine") as recorder,
    ):
        recorder.step(loss=1.0)
        raise RuntimeError("my own")
    state = next(iter(load_study(tmp_path / "mine").runs.values())).state
    assert (state["state"], state["reason"]) == ("failed", "RuntimeError: my own")


def test_signs_are_told_with_their_numbers(tmp_path):
    model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    recorder = sg.record(model, torch.randn(8, 2), out=tmp_path / "mine", snapshots=[0, 3])
    nn.init.constant_(model[0].bias, -100)
    recorder.step(loss=1.0)
    recorder.step(loss=1.0)
    with pytest.warns(TrainingWarning) as told:
        recorder.step(loss=1.0)
    assert [str(one.message).partition(" ")[2] for one in told] == [
        f"step 3: dead layer: 100% of the units of {layer} answer every probe alike"
        for layer in ("1", "2")
    ]
    with pytest.warns(TrainingWarning, match="divergence: the loss is nan"):
        for _ in range(50):
            recorder.step(loss=float("nan"))
    recorder.close("diverged", "the loss is nan")
    assert len(_state(tmp_path / "mine")["signs"]) == 3


def _state(folder):
    return next(iter(load_study(folder).runs.values())).state


def test_schedules():
    assert [s for s in range(2000) if as_schedule("log")(s)] == [
        0, 10, 16, 25, 40, 63, 100, 158, 251, 398, 631, 1000, 1580,
    ]  # fmt: skip
    assert [s for s in range(10) if as_schedule(3)(s)] == [0, 3, 6, 9]
    assert [s for s in range(10) if as_schedule([0, 4])(s)] == [0, 4]
    for wrong in ("often", 0, True, [1.5], None):
        with pytest.raises(ConfigError, match=r"^snapshots: expected \"log\""):
            as_schedule(wrong)


def test_bad_arguments(tmp_path):
    model, probes = nn.Sequential(nn.Linear(2, 2)), torch.randn(8, 2)
    with pytest.raises(InputError, match="Did you mean 'cka'"):
        sg.record(model, probes, out=tmp_path / "a", measures=["ckaa"])
    with pytest.raises(ConfigError, match="settings: expected plain values"):
        sg.record(model, probes, out=tmp_path / "a", settings={"net": model})
    with pytest.raises(InputError, match="no layer 'conv'"):
        sg.record(model, probes, out=tmp_path / "a", layers=["conv"])
    for posterior in (lambda m, b: m(b), lambda m, b: (m(b),), lambda m, b: (m(b)[0], m(b)[0])):
        with pytest.raises(InputError, match="posterior: expected mean and log-variance, two"):
            sg.record(model, probes, out=tmp_path / "a", posterior=posterior)
    with pytest.raises(InputError, match="at least 4 inputs, got 3"):
        sg.record(model, probes[:3], out=tmp_path / "a")
    assert not list((tmp_path / "a").glob("runs/*"))


def test_the_core_needs_no_framework():
    """Importing all of stratigraph but the frameworks' own files imports none of them."""
    code = (
        "import sys, stratigraph as sg\n"
        "for name in sg.__all__: getattr(sg, name)\n"
        "import stratigraph.integrations, stratigraph.cli.main, torch\n"
        # Nor does a network that is built and read bring torch's compiler, a second of every start.
        "vae = sg.models.build_vae('convolutional', (1, 32, 32), 3)\n"
        "sg.capture(vae.encoder, torch.zeros(4, 1, 32, 32))\n"
        "print([m for m in ('lightning', 'pytorch_lightning', 'transformers', 'diffusers', "
        "'torchmetrics', 'torch._dynamo') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_recording_changes_no_buffer_and_no_stream(tmp_path):
    class Counts(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)
            self.register_buffer("passes", torch.zeros(()))

        def forward(self, x):
            self.passes += 1
            return self.layer(x) + random.random() + np.random.rand()  # noqa: NPY002

    model = Counts()
    random.seed(0)
    random.random()

    def streams():  # of Python's, not the place: the type checks of the tests draw from it too
        numpy = np.random.get_state()  # noqa: NPY002
        return random.getstate()[1][:-1], numpy[1:3], torch.get_rng_state().tolist()

    before = streams()
    sg.record(
        model,
        torch.randn(8, 2, generator=torch.Generator().manual_seed(0)),
        out=tmp_path / "mine",
        posterior=lambda m, x: (m(x), m(x)),
    ).close()
    assert model.passes == 0
    np.testing.assert_equal(streams(), before)


def test_a_single_run_is_not_trained_into_a_url():
    config = {
        "data": "sprites",
        "objective": "vae",
        "architecture": "convolutional_k4",
        "steps": 1,
        "seed": 0,
    }
    with pytest.raises(ConfigError, match=r"^out: expected a folder on this machine, got s3://b"):
        sg.train(config, out="s3://b/run")


def test_the_parts_and_the_reduction_that_were_read_tell_runs_apart(tmp_path):
    model, probes = nn.Sequential(nn.LSTM(3, 4)), torch.randn(8, 5, 3)

    def reading(layers=None, reduce=None):
        return ProbeReader(model, probes, layers, reduce, None, None, 8).reading

    assert reading("0[0]") == reading("0[0]") != reading("0[1]")

    def of(factor):
        return lambda x: x * factor

    same = [lambda x: x * 2, lambda x: x * 3, of(2), of(3), partial(torch.mul, other=2), torch.abs]
    again = [lambda x: x * 2, lambda x: x * 3, of(2), of(3), partial(torch.mul, other=2), torch.abs]
    assert [reading("0", one) for one in same] == [reading("0", one) for one in again]
    assert len({reading("0", one) for one in same}) == len(same)
    with pytest.raises(InputError, match=r"^reduce: .* cannot be distinguished"):
        reading("0", of(object()))


def test_a_layer_called_posterior(tmp_path):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.posterior = nn.Linear(2, 4)

        def forward(self, x):
            return self.posterior(x)

    recorder = sg.record(
        Named(),
        torch.randn(8, 2),
        out=tmp_path / "mine",
        posterior=lambda m, x: m(x).chunk(2, 1),
    )
    recorder.close()
    (record,) = recorder.path.glob("representations/*")
    assert np.load(record / "posterior.npy").ndim == 2  # the layer's coordinates
    command("extract", tmp_path / "mine", "--quiet", "--workers", "1")
    table = pd.read_parquet(recorder.path / "observed" / "tables" / "latents.parquet")
    assert len(table) == 2


def test_networks_and_layers_that_are_none():
    with pytest.raises(InputError, match=r"^model: 0.weight is on the meta dev"):
        capture(nn.Sequential(nn.Linear(2, 2, device="meta")), torch.randn(8, 2))
    # In another process, where the type checks of the tests do not come first.
    code = """
import stratigraph as sg, torch
from stratigraph.errors import InputError
model, x = torch.nn.Sequential(torch.nn.Linear(2, 2)), torch.randn(8, 2)
for model, layers in ((3, None), (model, [0]), (model, 0)):
    try:
        sg.capture(model, x, layers)
    except InputError as error:
        print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [
        "model: expected a torch.nn.Module, got 3.",
        *2 * ["layers: expected names, globs or types, such as '0', got 0."],
    ]


def test_a_compiled_network_is_refused():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of what is going out of use
        model = torch.jit.trace(nn.Sequential(nn.Linear(2, 2)), torch.zeros(1, 2))
    with pytest.raises(InputError, match=r"^model: a TorchScript module \(Sequential\)"):
        capture(model, torch.randn(8, 2))


def test_a_network_without_parameters_and_a_term_that_is_no_number(tmp_path):
    recorder = sg.record(nn.Sequential(nn.Tanh()), torch.randn(8, 2), out=tmp_path / "mine")
    with pytest.raises(InputError, match=r"^error: expected a number or a tensor of one.*\(3,\)"):
        recorder.log(error=torch.zeros(3))
    recorder.log(error=torch.zeros(1, requires_grad=True))
    recorder.close()
