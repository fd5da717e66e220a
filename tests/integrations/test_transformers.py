"""The Hugging Face callback, against the real trainer and a small random network."""

import json
import warnings

import numpy as np
import pytest
import torch

import stratigraph as sg
from stratigraph.cli.main import main
from stratigraph.errors import InputError
from stratigraph.study import load_study

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from stratigraph.integrations.transformers import TrainerRecorder

pytestmark = pytest.mark.filterwarnings("ignore")


def network(seed=0):
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16, num_labels=2,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def tokens(n, seed):
    ids = torch.randint(3, 50, (n, 8), generator=torch.Generator().manual_seed(seed))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def train(to, folder, steps=12):
    model, given = network(), tokens(32, 1)
    data = [
        {"input_ids": row, "attention_mask": torch.ones_like(row), "labels": int(row[0] > 25)}
        for row in given["input_ids"]
    ]
    options = {"name": "classify", "layers": ["bert.encoder.layer.*", "classifier"]}
    callbacks = [] if to is None else [TrainerRecorder(tokens(20, 2), to, **options)]
    transformers.Trainer(
        model=model,
        args=transformers.TrainingArguments(
            output_dir=str(folder), max_steps=steps, per_device_train_batch_size=8, use_cpu=True,
            logging_steps=4, eval_strategy="steps", eval_steps=6, save_strategy="no",
            report_to=[], disable_tqdm=True, seed=3,
        ),
        train_dataset=data,
        eval_dataset=data[:8],
        callbacks=callbacks,
    ).train()  # fmt: skip
    return model


def test_a_training_is_a_study(tmp_path, capsys):
    model = train(tmp_path / "mine", tmp_path)
    same = train(None, tmp_path)
    for one, other in zip(model.parameters(), same.parameters(), strict=True):
        assert torch.equal(one, other)  # recording changed no bit
    study = load_study(tmp_path / "mine")
    (run,) = study.runs.values()
    assert run.steps == [0, 10, 12]
    metrics = run.metrics
    assert metrics.query("split == 'training'")["loss"].dropna().size == 3
    assert np.isfinite(metrics.query("split == 'validation'")["loss"]).all()
    with pytest.raises(SystemExit) as stopped:
        main(["compare", str(tmp_path / "mine"), "--quiet", "--workers", "1"])
    assert not stopped.value.code
    labels = load_study(tmp_path / "mine").labels("debiased_cka")
    assert {"bert.encoder.layer.0", "bert.encoder.layer.1", "classifier"} <= set(labels["layer"])


def test_two_networks_of_structures():
    """A BERT with its dataclasses, masks and attention, against another, half of it in bfloat16."""
    a, b = network(0), network(1).bfloat16()
    found = sg.compare(a, b, tokens(30, 2), layers=["bert.encoder.layer.*"], reduce="tokens")
    assert list(found.x.values) == ["bert.encoder.layer.0", "bert.encoder.layer.1"]
    again = sg.compare(a, a, tokens(30, 2), layers=["bert", "bert.pooler"])
    names = list(again.x.values)
    assert "bert.pooler" in names
    assert "bert[last_hidden_state]" in names
    np.testing.assert_allclose(np.diag(again), 1, atol=1e-6)


def texts(batch_size):
    """Batches of tokens, each padded to its longest, with their masks."""
    rng = torch.Generator().manual_seed(5)
    order = torch.randperm(48, generator=rng).tolist()
    rows = [torch.randint(3, 50, (2 + i % 13,), generator=rng) for i in order]
    for start in range(0, 48, batch_size):
        some = rows[start : start + batch_size]
        ids = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
        lengths = torch.tensor([len(row) for row in some])
        yield {"input_ids": ids, "attention_mask": torch.arange(ids.shape[1]) < lengths[:, None]}


def test_padding_is_left_out_and_the_batch_size_does_not_matter():
    a, b = network(0), network(1)
    (whole,) = texts(48)

    def mean(model):
        with torch.no_grad():
            last = model.eval().bert(**whole).last_hidden_state
        there = whole["attention_mask"][..., None]
        return (last * there).sum(1) / there.sum(1)

    want = sg.debiased_cka(mean(a), mean(b))
    name = "bert.encoder.layer.1.output.LayerNorm"
    for size in (4, 16, 48):
        found = sg.compare(a, b, texts(size), reduce="tokens")
        assert float(found.sel(x=name, y=name)) == pytest.approx(want, abs=1e-5)
        assert {"bert.embeddings.position_embeddings"} == set(json.loads(found.attrs["left_out"]))
    bare = [{"input_ids": batch["input_ids"]} for batch in texts(16)]
    with pytest.raises(InputError, match=r"tokens, and nothing says which .*mask="):
        sg.compare(a, b, bare, reduce="tokens")
