"""The report on runs whose figures are known, since they are made up here."""

import csv
import json
import re
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from emnist.analysis.collection import collect
from emnist.analysis.comparison import compare, difference
from emnist.inference.cost import multiply_accumulates
from emnist.runs.identity import cell_id, run_name
from emnist.models import build_model
from emnist.reporting.write import write_report
from emnist.report import main
from emnist.runs.folder import RunFolder
from tests.conftest import configure, train_in

CLASSES = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"
IMAGES = 1000
LABELS = np.arange(IMAGES) % len(CLASSES)


@cache  # composing takes 60 ms
def configured(*overrides: str) -> dict:
    return OmegaConf.to_container(configure(*overrides), resolve=True)


def make_run(
    folder: Path, wrong: np.ndarray | None, val: float | None, overrides: tuple[str, ...] = (), **changes
) -> dict:
    """A run folder as training leaves it; `wrong` are the test images it gets wrong, None for no answers."""
    config = configured("model=mlp", "model.neurons=8", *overrides)
    predicted = LABELS.copy()
    accuracy = None
    if wrong is not None:
        predicted[wrong] = (LABELS[wrong] + 1) % len(CLASSES)
        accuracy = float((predicted == LABELS).mean())
    figures = dict.fromkeys(("test_top3_accuracy", "test_macro_f1", "test_ece", "test_loss"), accuracy)
    result = {
        "test_accuracy": accuracy,
        **figures,
        "val_accuracy": val,
        "best_epoch": 2,
        "epochs": 2,
        "stopped": "max_epochs",
        "parameters": 123,
        "duration_s": 1.5,
        "images_per_s": 10.0,
        "data": {
            "split": "balanced",
            "description": "made-up characters",
            "official": False,
            "train": 4000,
            "val": 1000,
            "test": IMAGES,
            "fingerprint": "f" * 64,
        },
        "config": config,
        "versions": {"emnist": "0", "commit": "abc", "torch": "2"},
        "device": {"type": "cpu", "name": "a processor", "threads": 1, "precision": "32-true"},
        **changes,
    }
    run = RunFolder(folder)
    run.write_text("config.yaml", OmegaConf.to_yaml(config))
    rows: list[dict[str, float]] = [
        {
            "epoch": e,
            **{f"{part}_{key}": 0.5 + e / 10 for part in ("train", "val", "test") for key in ("loss", "accuracy")},
        }
        for e in (1, 2)
    ]
    run.write_csv("metrics.csv", rows)
    if wrong is not None:
        probabilities = np.eye(len(CLASSES), dtype=np.float32)[predicted]
        run.write_arrays("predictions.npz", label=LABELS, predicted=predicted, probabilities=probabilities)
        network = build_model(num_classes=len(CLASSES), **config["model"])
        about = {"model": config["model"], "classes": list(CLASSES), "mean": 0.2, "std": 0.3}
        state = {f"network.{key}": value for key, value in network.state_dict().items()}
        run.best.parent.mkdir()
        torch.save({"about": about, "state_dict": state}, run.best)
    run.write_json("result.json", result)
    return result


def value(label: str, cell: str | None, **rest) -> dict:
    return {"label": label, "overrides": [], "published": None, "rank": None, "claim": None, "cell": cell, **rest}


def first(count: int) -> np.ndarray:
    return np.arange(count)


@pytest.fixture
def study(tmp_path) -> Path:
    """A study with every fate: 100 of 1,000 images wrong for the start, and so on as the labels say."""
    folder = tmp_path / "study"
    for fold in (0, 1):
        run = run_name(fold, 0)
        make_run(folder / "mlp" / "start" / run, first(100), 0.9 + fold / 100, (f"data.fold={fold}",))
        make_run(folder / "mlp" / "worse" / run, first(160 + fold), 0.8, (f"data.fold={fold}", "optimizer=sgd"))
        make_run(folder / "mlp" / "alike" / run, first(101), 0.905, (f"data.fold={fold}", "seed=0"))
        make_run(folder / "mlp" / "split" / run, first(140 if fold else 80), 0.85, (f"data.fold={fold}",))
        make_run(folder / "mlp" / "better" / run, first(40), 0.9, (f"data.fold={fold}",))
    make_run(folder / "mlp" / "half" / run_name(0, 0), first(40), 0.99)
    make_run(folder / "mlp" / "wild" / run_name(0, 0), None, None, stopped="diverged", epochs=0, best_epoch=None)
    failed = RunFolder(folder / "mlp" / "broken" / run_name(1, 0))
    config = OmegaConf.to_container(configure("model=mlp", "data.fold=1"), resolve=True)
    failed.write_json("failure.json", {"error": "no | room", "config": config})
    stopped = RunFolder(folder / "mlp" / "stopped" / run_name(0, 0))
    stopped.write_text(".hydra/config.yaml", OmegaConf.to_yaml(configure("model=mlp")))
    names = ["worse", "alike", "split", "better", "half", "wild", "broken", "stopped"]
    claims = {
        "worse": {"published": 77.50},
        "alike": {"published": 89.52},
        "split": {"rank": 2},
        "better": {"claim": "not better"},
    }
    start = value("start", "mlp/start", published=89.63, rank=1)
    factor = {
        "name": "the_factor",
        "reference": "mlp/start",
        "chosen": None,
        "values": [
            start,
            *[value(name, f"mlp/{name}", **claims.get(name, {})) for name in names],
            value("later", None),
        ],
    }
    plan = {
        "study": "mlp",
        "mode": "around",
        "runs": [run_name(0, 0), run_name(1, 0)],
        "reference": "mlp/start",
        "overrides": ["experiment=mlp_best"],
        "factors": [factor],
    }
    (folder / "mlp.json").write_text(json.dumps(plan))
    return tmp_path


@pytest.fixture
def rows(study) -> dict:
    collection = collect([study])
    ((plan, folder),) = collection.studies
    (rows,) = compare(plan, folder, collection).factors.values()
    return {row.label: row for row in rows}


def test_verdicts(rows):
    assert rows["start"].difference is None
    worse = rows["worse"].difference
    assert worse.verdict == "worse"
    assert worse.estimate.mean == pytest.approx(-0.0605)  # 160 and 161 wrong instead of 100
    assert (worse.pairs, worse.same_sign) == (2, 2)
    assert rows["better"].difference.verdict == "better"
    assert rows["half"].difference.verdict == "incomplete"
    assert rows["half"].difference.pairs == 1
    alike = rows["alike"].difference
    assert (alike.verdict, alike.p, alike.p_corrected) == ("no measurable difference", 1, 1)
    assert rows["split"].difference.verdict == "no measurable difference"  # +20 and -40: the runs contradict
    for name in ("wild", "broken", "stopped", "later"):
        assert rows[name].difference is None


def test_p_is_corrected_for_the_number_of_comparisons(rows):
    compared = sorted((row.difference for row in rows.values() if row.difference), key=lambda d: d.p)
    assert len(compared) == 5
    assert compared[0].p_corrected == pytest.approx(5 * compared[0].p)
    assert compared[1].p_corrected == pytest.approx(max(4 * compared[1].p, compared[0].p_corrected))


def test_claims_of_the_report(rows):
    worse, alike, better = rows["worse"].claim, rows["alike"].claim, rows["better"].claim
    assert (worse.direction, worse.beyond_error) == ("worse", True)
    assert worse.points == pytest.approx(-12.13)
    assert worse.agrees("worse") == "yes"
    assert worse.agrees("better") == "no"
    assert (alike.direction, alike.beyond_error) == ("worse", False)
    assert alike.agrees("no measurable difference") == "not confirmed"
    assert rows["split"].claim.direction == "worse"
    assert better.agrees("better") == "no"
    assert better.agrees("worse") == better.agrees("no measurable difference") == "yes"


def test_states(rows):
    assert rows["start"].state == ""
    assert rows["half"].state == "of 2 runs: 1 missing"
    assert rows["wild"].state == "of 2 runs: 1 diverged, 1 missing"
    assert rows["broken"].state == "of 2 runs: 1 failed, 1 missing"
    assert rows["stopped"].state == "of 2 runs: 1 unfinished, 1 missing"
    assert rows["later"].state == "missing"


def test_intervals(rows):
    val, test = rows["start"].val, rows["start"].test
    assert val.mean == pytest.approx(0.905)
    half = 12.7062 * 0.005  # t of one degree of freedom, standard error 0.01 / 2
    assert (val.low, val.high) == pytest.approx((0.905 - half, 0.905 + half), abs=1e-4)
    assert tuple(test) == pytest.approx((0.9, 0.8799, 0.9171), abs=1e-4)  # Wilson, 900 of 1,000
    one = rows["half"].val
    assert 0.98 < one.low < 0.99 < one.high < 1


def test_the_files(study, capsys):
    out = study / "report"
    write_report([study], out)
    assert capsys.readouterr().out.splitlines()[0] == "14 runs and 1 plan of studies"
    markdown = (out / "report.md").read_text()
    line = next(line for line in markdown.splitlines() if "| worse | 77.50 |" in line)
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[4:8] == ["80.00 [80.00, 80.00]", "83.95 [81.55, 86.09]", "-6.05 [-7.53, -4.57]", "<0.0001"]
    assert cells[8:12] == ["worse", "lower by 12.13", "yes", "2"]
    assert "| alike | 89.52 |" in markdown
    assert "lower by 0.11, within error" in markdown
    assert "1 of 2 pairs go this way" in markdown
    assert "the factor broken failed: no | room" in markdown
    assert "**the factor better** is better here, +6.00" in markdown
    assert "- Measured on made-up characters, 2 runs a value, 20 epochs at most." in markdown
    assert "commit abc" in markdown
    assert "best of the MLP by validation: the factor alike" not in markdown  # 90.5 as the start, which comes first
    for name in re.findall(r"\]\((figures/.*?)\)", markdown):
        assert (out / name).read_bytes().startswith(b"\x89PNG")

    html = (out / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:image/png;base64,|#)', html)
    assert "@import" not in html
    assert "<script" not in html
    assert html.count("<img") == len(re.findall(r"!\[", markdown)) >= 5
    assert '<td class="bad">worse</td>' in html

    rows = list(csv.DictReader((out / "results.csv").open()))
    states = [row["state"] for row in rows]
    assert states.count("finished") == 11
    assert {state: states.count(state) for state in ("diverged", "failed", "unfinished")} == {
        "diverged": 1,
        "failed": 1,
        "unfinished": 1,
    }
    assert states.count("missing") == 5  # 1 each of half, wild, broken and stopped, and the value to come
    assert all(row["fold"] in "01" and row["seed"] == "0" for row in rows if row["cell"])
    assert next(row for row in rows if row["state"] == "failed")["reason"] == "no | room"
    worse = next(row for row in rows if row["settings"] == "the factor worse" and row["fold"] == "1")
    assert float(worse["test_accuracy"]) == pytest.approx(0.839)
    assert not any("duration" in column or "per_s" in column for column in rows[0])


def test_runs_outside_of_studies(tmp_path):
    for activation in ("relu", "elu"):
        for fold in (0, 1):
            folder = tmp_path / "runs" / f"{activation}{fold}"
            make_run(folder, first(50), 0.9, (f"model.activation={activation}", f"data.fold={fold}"))
    write_report([tmp_path / "runs"], tmp_path / "out")
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "## Runs outside of studies" in markdown
    assert "| MLP | model.activation=relu | 90.00 [90.00, 90.00] | 95.00 [" in markdown
    assert "2 finished" in markdown


def test_families_are_compared_on_the_same_images(tmp_path):
    for fold in (0, 1):
        make_run(tmp_path / "runs" / f"mlp{fold}", first(100), 0.9, (f"data.fold={fold}",))
        cnn = configure("model=cnn", "model.filters=[4]", "model.kernel_sizes=[3]", f"data.fold={fold}")
        make_run(tmp_path / "runs" / f"cnn{fold}", first(60), 0.95, config=OmegaConf.to_container(cnn, resolve=True))
    write_report([tmp_path / "runs"], tmp_path / "out")
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "| CNN against MLP | +4.00 [+2.78, +5.22] | <0.0001 | 2 | better |" in markdown


def test_only_the_same_images_are_compared(tmp_path):
    other = {"split": "x", "description": "easier ones", "official": None, "train": 1, "val": 1000, "test": IMAGES}
    for fold in (0, 1):
        make_run(tmp_path / "runs" / f"hard{fold}", first(200), 0.8, (f"data.fold={fold}",))
    make_run(tmp_path / "runs" / "easy", first(10), 0.99, data={**other, "fingerprint": "e" * 64})
    make_run(tmp_path / "runs" / "again", first(200), 0.8, ("data.fold=1",))
    cells = collect([tmp_path / "runs"]).others(set())
    assert sorted(len(cell.distinct) for cell in cells) == [1, 2]
    write_report([tmp_path / "runs"], tmp_path / "out")
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "2 finished, 1 repeated" in markdown
    families = markdown.partition("## Runs outside")[0]
    assert "Measured on made-up characters.\n" in families  # which most runs are on
    assert "can't be compared: 1 cell. Measured on easier ones.\n" in families
    assert "99.00" not in families
    hard, easy = sorted(cells, key=lambda cell: -len(cell.distinct))
    assert difference(hard, hard).pairs == 2
    assert difference(easy, hard) is None


def test_handwriting_comes_before_its_stand_in(tmp_path):
    make_run(tmp_path / "runs" / "real", first(200), 0.8, ("data=emnist",))
    glyphs = {"split": "x", "description": "drawn ones", "official": None, "train": 1, "val": 1000, "test": IMAGES}
    for fold in (0, 1):
        overrides = ("data=glyphs", f"data.fold={fold}")
        make_run(tmp_path / "runs" / f"{fold}", first(10), 0.99, overrides, data={**glyphs, "fingerprint": "e" * 64})
    write_report([tmp_path / "runs"], tmp_path / "out")
    families = (tmp_path / "out" / "report.md").read_text().partition("## Runs outside")[0]
    assert "Measured on made-up characters.\n" in families
    assert "can't be compared: 1 cell. Measured on drawn ones.\n" in families


def test_a_run_that_failed_of_its_fold(tmp_path):
    make_run(tmp_path / "runs" / "one", first(3), 0.9)
    failed = {**configured("model=mlp"), "seed": [1, 2]}
    RunFolder(tmp_path / "runs" / "two").write_json("failure.json", {"error": "seed=[1, 2]: no", "config": failed})
    write_report([tmp_path / "runs"], tmp_path / "out")
    assert "1 failed; seed=[1, 2]: no" in (tmp_path / "out" / "report.md").read_text()


def test_a_study_without_validation(tmp_path):
    name = run_name(None, 0)
    for label in ("start", "other"):
        make_run(tmp_path / "study" / "mlp" / label / name, first(100), None, ("data.fold=null",))
    factor = {"name": "place", "reference": "mlp/start", "chosen": None}
    factor["values"] = [value("start", "mlp/start"), value("other", "mlp/other")]
    plan = {"study": "mlp", "mode": "around", "runs": [name], "overrides": [], "reference": "mlp/start"}
    (tmp_path / "study" / "mlp.json").write_text(json.dumps({**plan, "factors": [factor]}))
    write_report([tmp_path / "study"], tmp_path / "out")
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "### The reference of the MLP\n\nNo cell has a validation accuracy in all its runs" in markdown
    assert "figures/mlp_confusion.png" in markdown


def test_a_study_outweighs_what_lies_beside_it(study):
    make_run(study / "lucky", first(1), 0.999)
    write_report([study], study / "report")
    families = (study / "report" / "report.md").read_text().partition("\n## MLP\n")[0]
    assert "99.90" not in families
    assert "of those with all their runs in a study" in families


def test_two_studies_of_one_name(study, tmp_path):
    other = tmp_path / "second"
    make_run(other / "mlp" / "start" / run_name(0, 0), first(3), 0.5)
    plan = json.loads((study / "study" / "mlp.json").read_text())
    for name in ("mlp", "mlp_2"):
        (other / f"{name}.json").write_text(json.dumps({**plan, "study": name, "runs": [run_name(0, 0)]}))
    write_report([study / "study", other], tmp_path / "report")
    markdown = (tmp_path / "report" / "report.md").read_text()
    pictures = re.findall(r"\((figures/.*?)\)", markdown)
    assert len(pictures) == len(set(pictures))
    assert {f"figures/{name}_curves.png" for name in ("mlp", "mlp_2", "mlp_3")} <= set(pictures)
    studies = {row["study"] for row in csv.DictReader((tmp_path / "report" / "results.csv").open())}
    assert studies == {"mlp", "mlp_2", "mlp_3"}


def test_all_right(tmp_path):
    make_run(tmp_path / "runs" / "one", first(0), 1.0)
    write_report([tmp_path / "runs"], tmp_path / "out")
    assert "100.00 [99.62, 100.00]" in (tmp_path / "out" / "report.md").read_text()


def test_files_that_are_gone(study):
    for name in ("checkpoints/best.ckpt", "predictions.npz"):
        for path in study.rglob(name):
            path.unlink()
    write_report([study], study / "report")
    assert "| – | 2 | 1.5 | – | – |" in (study / "report" / "report.md").read_text()


PLAN = '"study": "a", "mode": "around", "runs": [], "reference": "b", "overrides": [], "factors"'
PLANS = [("plan.json", "[]"), ("plan.json", f"{{{PLAN}: 2}}"), ("plan.json", f'{{{PLAN}: [{{"name": "x"}}]}}')]


def test_files_of_others(tmp_path):
    make_run(tmp_path / "runs" / "one", first(3), 0.9)
    for name, content in [("result.json", "[1]"), ("result.json", "{}"), *PLANS]:
        run = RunFolder(tmp_path / "runs" / f"other{len(content)}")
        run.write_text("config.yaml", "a: 1")
        run.write_text(name, content)
    ghost = {**configured("model=mlp"), "study": {"mode": "around"}}
    RunFolder(tmp_path / "runs" / "ghost").write_text(".hydra/config.yaml", OmegaConf.to_yaml(OmegaConf.create(ghost)))
    collection = collect([tmp_path / "runs"])
    assert (len(collection.runs), len(collection.studies)) == (1, 0)


def test_three_hundred_runs_take_seconds(tmp_path):
    values = []
    for number in range(60):
        cell = f"mlp/{number}"
        values.append(value(f"{number}", cell))
        for fold in range(5):
            wrong = np.arange(number, number + 100)
            make_run(tmp_path / "study" / cell / run_name(fold, 0), wrong, 0.9, number=number)
    plan = {"study": "mlp", "mode": "around", "runs": [run_name(fold, 0) for fold in range(5)], "overrides": []}
    factor = {"name": "place", "reference": "mlp/0", "chosen": None, "values": values}
    (tmp_path / "study" / "mlp.json").write_text(json.dumps({**plan, "reference": "mlp/0", "factors": [factor]}))
    begin = time.perf_counter()
    write_report([tmp_path / "study"], tmp_path / "out")
    assert time.perf_counter() - begin < 10  # 2 s on two cores; with the full test set, benchmarks/report.py
    assert len(list(csv.DictReader((tmp_path / "out" / "results.csv").open()))) == 300


def test_multiply_accumulates_by_hand():
    mlp = {"name": "mlp", "hidden_layers": 2, "neurons": 10, "activation": "relu", "batch_norm": False, "dropout": 0}
    assert multiply_accumulates(mlp, 47) == 784 * 10 + 10 * 10 + 10 * 47
    cnn = {
        "name": "cnn",
        "filters": [4],
        "kernel_sizes": [3],
        "activation": "relu",
        "batch_norm": True,
        "dropout": 0,
    }
    head = build_model(num_classes=47, **cnn).state_dict()
    (linear,) = [weight.numel() for name, weight in head.items() if weight.ndim == 2]
    assert multiply_accumulates(cnn, 47) == 28 * 28 * 4 * 9 + linear


def test_a_trained_run_is_reported(tmp_path, small):
    train_in(tmp_path / "runs" / "one", *small)
    write_report([tmp_path / "runs"], tmp_path / "out")
    markdown = (tmp_path / "out" / "report.md").read_text()
    assert "glyphs" in markdown
    assert "| MLP | – |" in markdown


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: None, "no such folder; give one that holds runs"),
        (lambda folder: folder.mkdir(), "no runs in it; train one with python -m emnist.train"),
        (lambda folder: RunFolder(folder).write_text("config.yaml", "a: 1"), "no runs in it"),
        (lambda folder: (make_run(folder, first(9), 0.9), (folder.parent / "out").write_text("")), "can't be written"),
        (lambda folder: damage(folder, "result.json"), "result.json: damaged"),
        (lambda folder: damage(folder, "predictions.npz"), "predictions.npz: damaged"),
        (lambda folder: damage(folder, "checkpoints/best.ckpt"), "best.ckpt: not a checkpoint"),
    ],
)
def test_what_cannot_be_reported(tmp_path, monkeypatch, make, said):
    make(tmp_path / "runs")
    monkeypatch.setattr("sys.argv", ["report", str(tmp_path / "runs"), f"--out={tmp_path / 'out'}"])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit) as end:
        main()
    message = str(end.value.code)
    assert message.startswith("error: ")
    assert said in message
    assert "\n" not in message
    assert not (tmp_path / "out").is_dir()


def damage(folder: Path, name: str) -> None:
    for fold in (0, 1):
        make_run(folder / f"{fold}", first(10), 0.9, ("model.activation=relu",) if fold else ())
        (folder / f"{fold}" / name).write_bytes(b"half")


def test_cell_id_leaves_out_fold_seed_and_place():
    def of(*overrides: str, fingerprint: str = "") -> str:
        return cell_id(OmegaConf.to_container(configure("model=mlp", *overrides), resolve=True), fingerprint)

    assert of() == of("seed=3", "data.fold=2", "data.root=elsewhere")
    assert len({of(), of("data.folds=4"), of("optimizer.lr=0.5"), of(fingerprint="a"), of("data.batch_size=64")}) == 5
