"""How long a report of 300 runs takes: python benchmarks/report.py

One run is trained on generated characters, its folder copied into a study of 60 cells with 5 folds, each copy with
other answers.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CELLS, FOLDS = 60, 5


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        train = [sys.executable, "-m", "emnist.train", "model=mlp", "data=glyphs", f"data.root={folder}"]
        train += ["data.test_per_class=400", "trainer.max_epochs=50", "patience=null"]
        train.append(f"hydra.run.dir={folder / 'one'}")
        subprocess.run(train, check=True, capture_output=True)
        plan = spread(folder / "one", folder / "study")
        (folder / "study" / "mlp.json").write_text(json.dumps(plan))
        begin = time.perf_counter()
        report = [sys.executable, "-m", "emnist.report", str(folder / "study"), f"--out={folder / 'report'}"]
        subprocess.run(report, check=True, capture_output=True)
        seconds = time.perf_counter() - begin
        print(f"a report of {CELLS * FOLDS} runs with 50 epochs and 18,800 test images each: {seconds:.1f} s")


def spread(run: Path, study: Path) -> dict:
    """Copies of the run as all those of a study, of which it returns the plan."""
    random = np.random.RandomState(0)
    result = json.loads((run / "result.json").read_text())
    with np.load(run / "predictions.npz") as arrays:
        answers = dict(arrays)
    values = []
    for cell in range(CELLS):
        said = dict.fromkeys(("published", "rank", "claim"))
        values.append({"label": f"{cell}", "overrides": [], **said, "cell": f"mlp/{cell}"})
        for fold in range(FOLDS):
            copy = study / "mlp" / f"{cell}" / f"fold{fold}_seed0"
            shutil.copytree(run, copy)
            result["config"]["data"]["fold"] = fold
            (copy / "result.json").write_text(json.dumps(result))
            other = random.rand(len(answers["label"])) < 0.02 * random.rand()
            predicted = np.where(other, random.randint(0, 47, len(other)), answers["predicted"])
            np.savez(copy / "predictions.npz", **{**answers, "predicted": predicted})
    factor = {"name": "cell", "reference": "mlp/0", "chosen": None, "values": values}
    runs = [f"fold{fold}_seed0" for fold in range(FOLDS)]
    return {"study": "mlp", "mode": "around", "runs": runs, "reference": "mlp/0", "overrides": [], "factors": [factor]}


if __name__ == "__main__":
    main()
