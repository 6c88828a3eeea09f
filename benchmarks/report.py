"""How long a report of 300 runs takes: python benchmarks/report.py

One run is trained on generated characters and its folder copied into a study of 60 cells with 5 folds, each copy with
other predictions.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from emnist.runs.folder import RunFolder
from emnist.runs.identity import run_name
from emnist.runs.plan import Plan, PlannedFactor, PlannedValue

CELLS, FOLDS = 60, 5


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        train = [sys.executable, "-m", "emnist.train", "model=mlp", "data=glyphs", f"data.root={folder}"]
        train += ["data.test_per_class=400", "trainer.max_epochs=50", "patience=null"]
        train.append(f"hydra.run.dir={folder / 'one'}")
        subprocess.run(train, check=True, capture_output=True)
        spread(folder / "one", folder / "study")
        begin = time.perf_counter()
        report = [sys.executable, "-m", "emnist.report", str(folder / "study"), f"--out={folder / 'report'}"]
        subprocess.run(report, check=True, capture_output=True)
        seconds = time.perf_counter() - begin
        print(f"a report of {CELLS * FOLDS} runs with 50 epochs and 18,800 test images each: {seconds:.1f} s")


def spread(run: Path, study: Path) -> None:
    """Copies of the run as all runs of a study, with its plan."""
    random = np.random.RandomState(0)
    source = RunFolder(run)
    result, arrays = source.read_result(), source.read_predictions("label", "predicted", "probabilities")
    assert result is not None
    assert arrays is not None
    label, best, probabilities = arrays
    names = [run_name(fold, 0) for fold in range(FOLDS)]
    values = []
    for cell in range(CELLS):
        about = dict.fromkeys(("published", "rank", "claim"))
        values.append(PlannedValue(label=f"{cell}", overrides=[], cell=f"mlp/{cell}", **about))
        for fold, name in enumerate(names):
            copy = RunFolder(shutil.copytree(run, study / "mlp" / f"{cell}" / name))
            result.config["data"]["fold"] = fold
            other = random.rand(len(label)) < 0.02 * random.rand()
            predicted = np.where(other, random.randint(0, 47, len(label)), best)
            copy.write_predictions(label=label, predicted=predicted, probabilities=probabilities)
            copy.write_result(result.model_copy(update={"checksums": copy.checksums()}))
    factor = PlannedFactor(name="cell", reference="mlp/0", chosen=None, values=values)
    plan = Plan(study="mlp", mode="around", runs=names, reference="mlp/0", overrides=[], factors=[factor])
    plan.write(study / "mlp.json")


if __name__ == "__main__":
    main()
