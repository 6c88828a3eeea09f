import json

import pytest
from omegaconf import OmegaConf

from emnist.analysis.collection import collect
from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from tests.fixtures.runs import configured, first, images, make_plan, make_run, value

PLAN = '"study": "a", "mode": "around", "runs": [], "reference": "b", "overrides": [], "factors"'
OTHERS = [
    ("result.json", "[1]"),
    ("result.json", "{}"),
    ("plan.json", "[]"),
    ("plan.json", "not json"),
    ("plan.json", f"{{{PLAN}: 2}}"),
    ("plan.json", f'{{{PLAN}: [{{"name": "x"}}]}}'),
]


def test_files_of_other_programs_are_skipped(tmp_path):
    make_run(tmp_path / "one", first(3), 0.9)
    for number, (name, content) in enumerate(OTHERS):
        other = tmp_path / f"other{number}"
        other.mkdir()
        (other / "config.yaml").write_text("a: 1")
        (other / name).write_text(content)
    ghost = RunFolder(tmp_path / "ghost")  # what Hydra leaves of a study without -m
    ghost.hydra_config.parent.mkdir(parents=True)
    ghost.hydra_config.write_text(OmegaConf.to_yaml({**configured(), "study": {"mode": "around"}}))
    collection = collect([tmp_path])
    assert (len(collection.runs), len(collection.studies)) == (1, 0)


@pytest.mark.parametrize(("name", "kind"), [("result.json", "result"), ("mlp.json", "plan")])
def test_a_newer_format_is_an_error(tmp_path, name, kind):
    make_run(tmp_path / "one", first(3), 0.9)
    make_plan(tmp_path / "one", [value("start", "mlp/0")], ["fold0_seed0"])
    path = tmp_path / "one" / name
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": f"emnist.{kind}/2"}))
    with pytest.raises(UserError, match=f"{name}: format emnist.{kind}/2, but this version of emnist reads"):
        collect([tmp_path])


def test_runs_of_version_0_1(tmp_path):
    make_run(tmp_path / "one", first(3), 0.9)
    make_plan(tmp_path, [value("start", "mlp/0")], ["fold0_seed0"])
    for path in (tmp_path / "one" / "result.json", tmp_path / "mlp.json"):
        content = json.loads(path.read_text())
        del content["format"]
        path.write_text(json.dumps(content))
    collection = collect([tmp_path])
    assert (len(collection.runs), len(collection.studies)) == (1, 1)
    assert collection.runs[0].status == "finished"


def test_a_cell_counts_repeated_runs_once(tmp_path):
    for name in ("a", "b"):
        make_run(tmp_path / name, first(200), 0.8)
    make_run(tmp_path / "c", first(10), 0.99, data=images("other characters", "e"))
    cells = collect([tmp_path]).others(set())
    assert sorted((len(cell.runs), len(cell.distinct)) for cell in cells) == [(1, 1), (2, 1)]


def test_an_unfinished_run_belongs_to_the_cell_of_its_configuration(tmp_path):
    make_run(tmp_path / "done", first(200), 0.8)
    RunFolder(tmp_path / "unfinished").write_config({**configured(), "seed": 1})
    (cell,) = collect([tmp_path]).others(set())
    assert sorted(run.status for run in cell.runs) == ["finished", "unfinished"]


@pytest.mark.parametrize(("make", "message"), [(False, "no such folder; give one"), (True, "no runs in it; train one")])
def test_a_folder_without_runs_is_named(tmp_path, make, message):
    if make:
        (tmp_path / "runs").mkdir()
    with pytest.raises(UserError, match=f"runs: {message}"):
        collect([tmp_path / "runs"])
