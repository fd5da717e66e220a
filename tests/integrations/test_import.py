"""Checkpoints that are already there become a study: which they are, and what they hold."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import stratigraph as sg
from stratigraph.activations import capture
from stratigraph.cli.main import main
from stratigraph.errors import ConfigError, DataError, InputError, UnsafeFileError
from stratigraph.integrations.neighbours import APART, Neighbours, weights_digest
from stratigraph.integrations.recorder import TrainingWarning
from stratigraph.integrations.series import find_series
from stratigraph.pairs.coordinates import read_coordinates
from stratigraph.study import load_study

ROLES = "encoder=enc.*,mean=fc_mu,log_var=fc_var,decoder=dec.*"
MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(8, 16), nn.Sequential(nn.ReLU(), nn.Linear(16, 16)))
        self.fc_mu, self.fc_var = nn.Linear(16, 3), nn.Linear(16, 3)
        self.dec = nn.Sequential(nn.Linear(3, 16), nn.ReLU(), nn.Linear(16, 8))

    def forward(self, x):
        h = self.enc(x)
        mean, log_var = self.fc_mu(h), self.fc_var(h)
        return self.dec(mean + (log_var / 2).exp() * torch.randn_like(mean))
"""
made = {"__name__": "made"}
exec(MODULE, made)
Net = made["Net"]
PROBES = torch.randn(40, 8, generator=torch.Generator().manual_seed(3))
STEPS = (0, 100, 300)


def at(step, seed=0, towards=1, scale=1.0):
    """A network on the way from its start to an end, as a training moves."""
    torch.manual_seed(seed)
    start = Net()
    torch.manual_seed(100 + towards)
    end = Net()
    with torch.no_grad():
        for p, q in zip(start.parameters(), end.parameters(), strict=True):
            p.lerp_(q, step / 400).mul_(scale)
        start.fc_var.bias.sub_(4 * scale)  # its latents are active, unless it is small
    return start


def write(path, model, prefix=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {prefix + name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def write_runs(folder, steps=STEPS):
    """Two settings and two seeds, as the Hugging Face Trainer writes them, from under DDP."""
    for beta, scale in (("0.5", 1.0), ("4", 0.01)):
        for seed in (0, 1):
            for step in steps:
                place = folder / f"beta{beta}-seed{seed}" / f"checkpoint-{step}"
                model = at(step, seed, scale=scale if step else 1.0)
                write(place / "model.safetensors", model, "module.")
                history = [
                    {"loss": 9.0 / s, "step": s, "epoch": 0.1} for s in range(50, step + 1, 50)
                ]
                history += [{"eval_loss": 1.5, "step": s} for s in (100,) if s <= step]
                state = json.dumps({"global_step": step, "log_history": history})
                (place / "trainer_state.json").write_text(state)
                (place / "optimizer.pt").write_bytes(b"not weights")


def command(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code or 0


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A study of checkpoints, from the shell; what it said."""
    folder = tmp_path_factory.mktemp("imported")
    write_runs(folder / "runs")
    (folder / "their_network.py").write_text(MODULE)
    np.save(folder / "probes.npy", PROBES.numpy())
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        code = command(
            "import", "--checkpoints", "runs/*/checkpoint-*", "--factory", "their_network:Net",
            "--inputs", "probes.npy", "--roles", ROLES, "--out", "study",
            "--measure", "debiased_cka",
            "--pattern", "beta{beta}-seed{seed}/checkpoint-{step}", "--strength", "beta",
        )  # fmt: skip
    assert code == 0
    return folder


def test_it_is_a_study_of_what_the_networks_represent(imported):
    study = load_study(imported / "study")
    assert {(run.config.objective["beta"], run.config.seed) for run in study.runs.values()} == {
        (0.5, 0), (0.5, 1), (4, 0), (4, 1),
    }  # fmt: skip
    assert {run.config.strength for run in study.runs.values()} == {0.5, 4}
    assert len(study.complete()) == 4
    run = next(
        r for r in study.runs.values() if r.config.label().endswith("5 · probes · Net · seed 1")
    )
    assert run.steps == list(STEPS)
    # The weights, and what they make of the probes, are those of the files.
    network = Net()
    run.load(network, 100)
    expected = at(100, 1)
    assert all(torch.equal(v, expected.state_dict()[k]) for k, v in network.state_dict().items())
    record = run.path / "representations" / f"{100:09d}"
    kept = read_coordinates(record / "encoder.enc.1.1.npy").numpy()
    x = capture(expected.eval(), PROBES, "enc.1.1", call=lambda b, s: expected(b))["enc.1.1"]
    x = (x - x.mean(0)).double().numpy()
    np.testing.assert_allclose(kept @ kept.T, x @ x.T, atol=1e-4)
    training = run.metrics.query("split == 'training'").set_index("step")["loss"]
    assert training[300] == pytest.approx(9 / 300)
    assert run.metrics.query("split == 'validation'")["loss"].tolist() == [1.5]


def test_roles_name_the_parts_and_give_the_posterior(imported):
    run = next(iter(load_study(imported / "study").runs.values()))
    record = run.path / "representations" / f"{300:09d}"
    about = json.loads((record / "manifest.json").read_text())["about"]
    assert [layer["name"] for layer in about["layers"]] == [
        "encoder.enc.0", "encoder.enc.1.0", "encoder.enc.1.1", "z_mean", "z_log_var", "z_sample",
        "decoder.dec.0", "decoder.dec.1", "decoder.dec.2",
    ]  # fmt: skip
    assert np.load(record / "posterior.moments").shape == (2, 40, 3)
    assert run.config.latents == 3
    assert run.config.gaussian


def test_every_command_reads_it(imported, capsys, without_ink):
    study = imported / "study"
    assert command("run", study, "--quiet", "--workers", "1") == 0
    capsys.readouterr()
    assert command("assess", study, "--json", "--workers", "1") == 0
    findings = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    for key in (
        "encoder_first", "encoder_first_weights", "lower_first", "collapse_tracked",
        "encoders_alike_across_strengths",
    ):  # fmt: skip
        assert findings[key]["verdict"] != "not asked", findings[key]["why"]
    assert (study / "report" / "index.html").is_file()


def test_done_again_it_adds_what_is_new(imported, capsys, tmp_path):
    arguments = (Net, PROBES, tmp_path / "study")
    options = {"pattern": "beta{beta}-seed{seed}/checkpoint-{step}", "roles": ROLES}
    for step in (0, 50):
        write(tmp_path / "beta1-seed0" / f"checkpoint-{step}" / "model.safetensors", at(step))
    glob = f"{tmp_path}/beta*/checkpoint-*"
    (run,) = sg.import_checkpoints(glob, *arguments, **options).runs.values()
    before = (run.path / "snapshots" / f"{50:09d}" / "manifest.json").stat().st_mtime_ns
    write(tmp_path / "beta1-seed0" / "checkpoint-300" / "model.safetensors", at(300))
    for _ in range(2):
        (run,) = sg.import_checkpoints(glob, *arguments, **options).runs.values()
        assert run.steps == [0, 50, 300]
        assert run.state["state"] == "done"
    assert (run.path / "snapshots" / f"{50:09d}" / "manifest.json").stat().st_mtime_ns == before
    write(tmp_path / "beta1-seed0" / "checkpoint-50" / "model.safetensors", at(51))
    with pytest.raises(
        ConfigError, match=r"holds other weights than those imported for step 50 \(fr"
    ):
        sg.import_checkpoints(glob, *arguments, **options)
    write(tmp_path / "beta1-seed0" / "checkpoint-50" / "model.safetensors", at(50))
    write(tmp_path / "beta1-seed0" / "checkpoint-70" / "model.safetensors", at(70))
    with pytest.raises(
        ConfigError, match="is for step 70, and the run was imported up to step 300"
    ):
        sg.import_checkpoints(glob, *arguments, **options)
    assert load_study(tmp_path / "study").complete() == [run.run_id]


def test_what_does_not_fit_is_pointed_out(tmp_path):
    for step in (10, 20, 30, 40, 50):
        write(tmp_path / f"step{step}.pt", at(20 if step == 30 else step, seed=9 * (step == 40)))
    with pytest.warns(TrainingWarning) as told:
        study = sg.import_checkpoints(tmp_path / "step*.pt", Net, PROBES, tmp_path / "study")
    (run,) = study.runs.values()
    assert len(run.state["signs"]) == len(told) == 2
    same, misfit = run.state["signs"]
    assert same == "step 30: the same weights as at step 20, bit for bit"
    assert misfit.startswith("step 40: its weights do not fit between those of steps 30 and 50")
    # The same two of two runs.
    for seed in (0, 1):
        write(tmp_path / "two" / f"seed{seed}" / "step5.pt", at(5))
    with pytest.warns(TrainingWarning, match="at step 5: the same weights as run .* seed 0"):
        sg.import_checkpoints(tmp_path / "two/*/*", Net, PROBES, tmp_path / "twice")


@pytest.mark.parametrize("path", ["line", "walk", "minimum"])
def test_nothing_that_moves_steadily_is_pointed_out(path):
    generator = torch.Generator().manual_seed(0)
    net, place = nn.Linear(50, 50), torch.zeros(50 * 51)
    neighbours = Neighbours()
    for step in range(12):
        noise = torch.randn(50 * 51, generator=generator)
        place = {
            "line": torch.ones(50 * 51) * step,
            "walk": place + noise,
            "minimum": noise,  # independent draws around a point
        }[path]
        nn.utils.vector_to_parameters(place.clone(), net.parameters())
        assert neighbours.add(step, net, weights_digest(net)) == []
    assert APART > 1


def test_the_digest_is_of_every_bit():
    net = nn.BatchNorm1d(3)
    before = weights_digest(net)
    net.num_batches_tracked += 1
    after = weights_digest(net)
    net.num_batches_tracked -= 1
    assert before == weights_digest(net) != after


NAMES = [
    (["runs/a/checkpoint-500", "runs/a/checkpoint-1000"], [500, 1000]),
    (["a/step1000.pt", "a/step2000.pt"], [1000, 2000]),
    (["a/epoch=3-step=500.ckpt", "a/epoch=4-step=700-val_loss=0.31.ckpt"], [500, 700]),
    (["a/ckpt_10k.pt", "a/ckpt_1M.pt"], [10_000, 1_000_000]),
    (["a/model_500.pt", "a/model_600.pt"], [500, 600]),
    (["a/000500.safetensors"], [500]),
    (["a/step_500/model.pt", "a/step_600/model.pt"], [500, 600]),
    (["a/epoch_3.pt", "a/epoch_12.pt"], [3, 12]),
    (["a/resnet18-iter_40.pth"], [40]),
]


def touch(folder, names):
    for name in names:
        place = folder / name
        (place.parent if place.suffix else place).mkdir(parents=True, exist_ok=True)
        if place.suffix:
            place.touch()


@pytest.mark.parametrize(("names", "steps"), NAMES)
def test_steps_by_their_usual_names(tmp_path, names, steps):
    touch(tmp_path, names)
    (series,) = find_series([tmp_path / name for name in names])
    assert [point.step for point in series.points] == steps
    assert series.settings == {}


def test_runs_by_folder_seed_and_pattern(tmp_path):
    names = [
        f"{r}/seed{s}/last/step{n}.pt" for r in ("wide", "deep") for s in (0, 3) for n in (1, 2)
    ]
    touch(tmp_path, names)
    found = find_series([f"{tmp_path}/*/*/last/*.pt"])
    assert {(s.settings["run"], s.seed, len(s.points)) for s in found} == {
        ("wide", 0, 2), ("wide", 3, 2), ("deep", 0, 2), ("deep", 3, 2),
    }  # fmt: skip
    told = find_series([f"{tmp_path}/*/*/last/*"], "{name}/seed{seed}/**/step{step}")
    assert {(s.name, s.seed) for s in told} == {(n, s) for n in ("wide", "deep") for s in (0, 3)}
    assert all(s.settings == {} for s in told)
    touch(tmp_path, ["lr1e-3_wd.1/step1.pt"])
    (one,) = find_series([tmp_path / "lr1e-3_wd.1/step1.pt"], "lr{lr}_wd{wd}/step{step}")
    assert one.settings == {"lr": 1e-3, "wd": 0.1}


@pytest.mark.parametrize(
    ("names", "pattern", "kind", "said"),
    [
        ([], None, DataError, "there is nothing at .*; expected files or folders"),
        (
            ["a/resnet18.safetensors"],
            None,
            DataError,
            "neither its name nor its contents give a step",
        ),
        (["a/model_seed_3.safetensors"], None, DataError, "neither its name nor its contents"),
        (["a/step1.pt"], "b/step{step}", ConfigError, r"a/step1\.pt is not of the form b/step"),
        (["a/step1.pt"], "a/step", ConfigError, "has no field; expected some in braces"),
        (["a/step1.pt"], "{step}/step{step}", ConfigError, "is in .* twice"),
        (["a/step1.pt", "a/epoch2.pt"], None, DataError, "are identified by their epoch and some"),
    ],
)
def test_names_that_say_too_little(tmp_path, names, pattern, kind, said):
    touch(tmp_path, names)
    with pytest.raises(kind, match=said):
        find_series([tmp_path / name for name in names or ["a/*.pt"]], pattern)


@pytest.mark.parametrize(
    ("names", "pattern", "fixed", "runs"),
    [
        (["a/lr1-step1", "b/lr1-step2"], "lr{lr}-step{step}", "{run}/lr{lr}-step{step}", 2),
        (["a/lr1/step1", "b/lr1/step2"], "*/lr{lr}/step{step}", "{run}/lr{lr}/step{step}", 2),
        (["a/lr1/step1", "b/lr1/step2"], "**/lr{lr}/*", "{run}/lr{lr}/*", 2),
        (["big-step1", "old-step2"], "*-step{step}", "{run}-step{step}", 2),
        (["big-step1", "old-step2"], None, "{_}-step{step}", 1),
        (["s1-loss0.3", "s2-loss0.2"], "s{step}-*", "s{step}-{_loss}", 1),
        (["lr1/a/step1", "lr1/b/step2"], "lr{lr}", "lr{lr}/{run}/*", 2),
        (["run1-step1", "run2-step2"], None, "run{run}-step{step}", 2),
        (["lr0.1-step1", "lr0.01-step2"], None, "lr{lr}-step{step}", 2),
    ],
)
def test_two_runs_are_not_made_one_without_a_word(tmp_path, names, pattern, fixed, runs):
    touch(tmp_path, names := [f"{name}.pt" for name in names])
    paths = [tmp_path / name for name in names]
    with pytest.raises(
        ConfigError, match=r"would belong to one run.*Put a field where they differ"
    ):
        find_series(paths, pattern)
    assert len(find_series(paths, fixed)) == runs


def test_what_differs_with_the_step_or_the_run_is_no_other_run(tmp_path):
    touch(tmp_path, names := [f"{run}/{step}/model.pt" for run in "ab" for step in (1, 2)])
    found = find_series([tmp_path / name for name in names], "{step}/model")
    assert {(one.settings["run"], len(one.points)) for one in found} == {("a", 2), ("b", 2)}
    touch(tmp_path, names := [f"seed{s}-{s + 7}/step{n}.pt" for s in (0, 1) for n in (1, 2)])
    found = find_series([tmp_path / name for name in names], "seed{seed}-*/step{step}")
    assert [(one.seed, len(one.points)) for one in found] == [(0, 2), (1, 2)]


def test_lightning_files_and_last_ones(tmp_path):
    for name, step in (
        ("epoch=0-step=10.ckpt", 10),
        ("epoch=1-step=20.ckpt", 20),
        ("last.ckpt", 20),
    ):
        state = {f"model.{k}": v for k, v in at(step).state_dict().items()}
        state["loss.weight"] = torch.ones(2)
        torch.save(
            {"state_dict": state, "global_step": step, "epoch": 1, "loops": {}}, tmp_path / name
        )
    told = []
    study = sg.import_checkpoints(
        str(tmp_path / "*.ckpt"), Net, PROBES, tmp_path / "study", tell=told.append
    )
    assert [run.steps for run in study.runs.values()] == [[10, 20]]
    assert any(
        "the file's prefix model.; 1 other tensors left out (loss.weight)" in t for t in told
    )
    assert any("last.ckpt: left out: the same as" in text for text in told)
    torch.save({"state_dict": at(30).state_dict(), "global_step": 20}, tmp_path / "last.ckpt")
    with pytest.raises(DataError, match=r"last\.ckpt are both for step 20 of one run, and differ"):
        sg.import_checkpoints(
            f"{tmp_path}/*.ckpt", Net, PROBES, tmp_path / "again", tell=told.append
        )


def test_what_cannot_be_imported(tmp_path):
    write(tmp_path / "step1.pt", nn.Linear(2, 2))
    torch.save(nn.Linear(2, 2), tmp_path / "step2.pt")
    for path, kind, said in (
        ("step1.pt", DataError, r"step1\.pt: does not fit Net: .* is missing"),
        ("step2.pt", UnsafeFileError, "If you trust it, convert it where it was made"),
    ):
        with pytest.raises(kind, match=said):
            sg.import_checkpoints(tmp_path / path, Net, PROBES, tmp_path / "study")
    for factory, inputs, said in (
        (Net, "probes.npy", r"got the path 'probes\.npy'; load it first"),
        ("made:net", PROBES, "expected a function that makes a network, got 'made:net'"),
        (lambda: 3, PROBES, "factory: made a int; expected a torch nn.Module"),
    ):
        with pytest.raises(InputError, match=said):
            sg.import_checkpoints(tmp_path / "step1.pt", factory, inputs, tmp_path / "study")
    assert not (tmp_path / "study").exists()  # nothing is begun before a run was tried
