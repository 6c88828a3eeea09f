"""What the event file holds, and what a TensorBoard server shows of several runs, asked as a browser asks it."""

import json
import time
import urllib.request
from urllib.parse import urlencode

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.program import TensorBoard

from tests.fixtures.jobs import train_in

PREFIX = "data/plugin"


@pytest.fixture(scope="module")
def results(tmp_path_factory, glyphs):
    """Four short runs: two factors that vary, two folds each."""
    folder = tmp_path_factory.mktemp("outputs")
    small = [
        "model=mlp",
        "model.hidden_layers=1",
        "model.neurons=16",
        "trainer.max_epochs=1",
        "trainer.accelerator=cpu",
    ]
    cells = {"adam": ["optimizer=adam", "model.dropout=0"], "sgd": ["optimizer=sgd", "model.dropout=[0.1]"]}
    results = {
        f"study/{name}/fold{fold}_seed0": train_in(
            folder / "study" / name / f"fold{fold}_seed0", *glyphs, *small, *cell, f"data.fold={fold}"
        )
        for name, cell in cells.items()
        for fold in (0, 1)
    }
    return folder, results


@pytest.fixture(scope="module")
def ask(results):
    """Requests data from the server."""
    folder, runs = results
    board = TensorBoard()
    board.configure(argv=["tensorboard", "--logdir", str(folder), "--port", "0", "--reload_interval", "1"])
    url = board.launch()

    def ask(path: str, post: dict | None = None, **query: str):
        address = f"{url}{path}" + (f"?{urlencode(query)}" if query else "")
        data = None if post is None else json.dumps(post).encode()
        request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    deadline = time.time() + 60
    while set(ask("data/runs")) != set(runs) and time.time() < deadline:
        time.sleep(0.2)
    assert set(ask("data/runs")) == set(runs)
    return ask


def test_the_event_file_has_scalars_images_and_hyperparameters(trained):
    result = trained.read_result()
    events = EventAccumulator(str(trained.path), size_guidance={"images": 0, "scalars": 0}).Reload()
    tags = events.Tags()
    accuracies = events.Scalars("accuracy/test")
    assert [event.step for event in accuracies] == [1, 2, 3]
    assert accuracies[result.best_epoch - 1].value == pytest.approx(result.test_accuracy, abs=0.01)
    scalars = {f"{metric}/{part}" for metric in ("loss", "accuracy") for part in ("train", "val", "test")}
    assert scalars <= set(tags["scalars"])
    assert {
        "figures/curves",
        "figures/confusion",
        "figures/predictions",
        "figures/mistakes",
        "figures/explanations",
    } <= set(tags["images"])
    assert events.Scalars("final/test_accuracy")[0].value == pytest.approx(result.test_accuracy)
    hparams = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    assert b"model.filters" in hparams


def test_scalars_of_all_folds_have_the_same_tag(ask, results):
    for run in results[1]:
        steps = [step for _, step, _ in ask(f"{PREFIX}/scalars/scalars", run=run, tag="accuracy/val")]
        assert steps == [1]


def test_images(ask, results):
    tags = ask(f"{PREFIX}/images/tags")
    for run in results[1]:
        assert {
            f"figures/{name}" for name in ("curves", "confusion", "predictions", "mistakes", "explanations")
        } <= set(tags[run])


def test_graph(ask, results):
    info = ask(f"{PREFIX}/graphs/info")
    for run in results[1]:
        assert info[run]["run_graph"]


def test_summary_text(ask, results):
    for run, result in results[1].items():
        tags = ask(f"{PREFIX}/text/tags")
        assert "run/text_summary" in tags[run]
        (summary,) = ask(f"{PREFIX}/text/text", run=run, tag="run/text_summary")
        assert str(result.test_accuracy) in summary["text"]
        assert "max_epochs: 1" in summary["text"]
        assert "<table>" in summary["text"]


def test_hyperparameters_that_vary_and_final_metrics(ask, results):
    experiment = ask(f"{PREFIX}/hparams/experiment", {"experimentName": "", "includeMetrics": True})
    varied = {column["name"]: column for column in experiment["hparamInfos"] if column.get("differs")}
    assert {"optimizer.name", "optimizer.lr", "model.dropout", "data.fold"} <= set(varied)
    assert not {"model.neurons", "trainer.max_epochs"} & set(varied)
    metrics = {metric["name"]["tag"] for metric in experiment["metricInfos"]}
    assert {"final/test_accuracy", "final/val_accuracy", "final/test_loss"} <= metrics
    wanted = {
        "experimentName": "",
        "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
        "colParams": [
            {"metric": {"tag": "final/test_accuracy", "group": ""}, "order": "ORDER_DESC"},
            {"hparam": "optimizer.name"},
            {"hparam": "optimizer.lr"},
        ],
        "startIndex": 0,
        "sliceSize": 100,
    }
    groups = ask(f"{PREFIX}/hparams/session_groups", wanted)["sessionGroups"]
    runs = results[1]
    assert {group["name"] for group in groups} == set(runs)
    finals = [{value["name"]["tag"]: value["value"] for value in group["metricValues"]} for group in groups]
    shown = [values["final/test_accuracy"] for values in finals]
    assert shown == sorted(shown, reverse=True)  # cells can be sorted
    for group, values in zip(groups, finals, strict=True):
        config = runs[group["name"]].config["optimizer"]
        assert group["hparams"]["optimizer.lr"] == config["lr"]  # a number, so it can be an axis
        assert group["hparams"]["optimizer.name"] == config["name"]
        assert values["final/test_accuracy"] == pytest.approx(runs[group["name"]].test_accuracy)
