import copy

from omegaconf import OmegaConf

from emnist.runs.config import flatten
from emnist.runs.identity import cell_id, fold_and_seed, run_name
from tests.fixtures.configuration import configure


def cell(*overrides: str, fingerprint: str = "") -> str:
    return cell_id(OmegaConf.to_container(configure("model=mlp", *overrides), resolve=True), fingerprint)


def test_a_cell_leaves_out_fold_seed_and_location():
    assert cell() == cell("seed=3", "data.fold=2", "data.root=elsewhere") == cell("model.dropout=[0.25,0.25,0.0]")
    others = [cell("data.folds=4"), cell("optimizer.lr=0.5"), cell(fingerprint="a"), cell("data.batch_size=64")]
    assert len({cell(), *others}) == 5


def test_a_cell_keeps_its_name_from_version_to_version():
    """Studies find what earlier versions trained by this name."""
    config = {"data": {"name": "glyphs", "root": "/a", "fold": 1}, "model": {"name": "mlp", "dropout": 1.0}, "seed": 3}
    assert cell_id(config, "f") == "mlp/a2760a3ba80a"


def test_a_neutral_key_of_a_later_version_is_no_other_cell():
    config = OmegaConf.to_container(configure("model=mlp"), resolve=True)
    later = ("sampling", "per_class", "classes")
    before = copy.deepcopy(config)
    before["data"] = {key: value for key, value in config["data"].items() if key not in later}
    del before["scheduler"]["interval"], before["loss"], before["averaging"], before["evaluation"]
    del before["trainer"]["compile"]
    assert cell_id(config) == cell_id(before)
    others = [cell("data.sampling=balanced"), cell("data.per_class=5"), cell("data.classes=digits")]
    others += [cell("scheduler.interval=step"), cell("loss.label_smoothing=0.1")]
    others += [cell("averaging=ema"), cell("evaluation.views=4"), cell("trainer.compile=off")]
    assert len({cell(), *others}) == 9


def test_names_of_runs():
    for fold, seed in [(0, 0), (4, 12), (None, 3)]:
        assert fold_and_seed(run_name(fold, seed)) == (fold, seed)
    assert run_name(None, 3) == "all_seed3"


def test_flat_configuration():
    assert flatten({"a": {"b": 1, "c": [1, 2]}, "d": None}) == {"a.b": 1, "a.c": "[1, 2]", "d": "None"}
