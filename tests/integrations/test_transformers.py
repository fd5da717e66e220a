"""The Hugging Face callback, against the real trainer and a small random network."""

import warnings

import numpy as np
import pytest
import torch

import stratigraph as sg
from stratigraph.cli.main import main
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
