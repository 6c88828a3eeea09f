"""A study of augmentation: in which settings which kinds and strengths gain, and what goes with it."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from scipy import stats

from emnist.analysis.augmentation import (
    Confusion,
    Moved,
    Tried,
    by_kind,
    by_setting,
    calibration,
    chosen,
    confusions,
    contrasted,
    correlation,
    generalization_gap,
    moved,
    passing,
    strength_names,
    tried_of,
)
from emnist.analysis.study_result import StudyResult
from emnist.figures import augmentation as figures
from emnist.figures.style import to_png
from emnist.inference.load import load_run
from emnist.reporting.document import PAGE_WIDTH, Document
from emnist.reporting.wording import count, data_of, listed, model_name, p_value, spaced, title

SHOWN = 5  # pairs of classes a kind


def add_augmentation(document: Document, study: StudyResult) -> None:
    """Nothing if the study is about anything else, or has no comparison yet."""
    tried = tried_of(study)
    if not tried:
        return
    data = data_of(study.cells)
    document.heading(f"{title(study)}: when it helps" if study.name != "augmentation" else "When it helps", 3)
    document.text(_gains(tried))
    found = [*_overall(tried), *_contrasts(tried), *_strengths(tried), *_gaps(tried), *_epochs(tried)]
    distances = [(one, m) for one in tried if (m := moved(one)) is not None]
    document.points([*found, *_distances(distances), *_calibrations(tried)])
    document.text(
        "Left, the gap of the runs without augmentation: each point is a value, the large ones are means over the "
        "kinds. Training accuracy is that of the epoch's steps, with dropout, and the gap is that of the "
        "best epoch. Augmented runs have no place on this axis: their training accuracy is measured on augmented "
        "images. Right, how many values have passed the best validation accuracy without augmentation by then; a line "
        "ends where training does."
    )
    figure = figures.gap_and_epochs(tried, f"Gains over the gap, and epochs needed\n{data}")
    document.picture(
        f"figures/{study.name}_gap.png", to_png(figure), "Gains over the gap, and epochs needed", PAGE_WIDTH
    )
    names = {one.row.cell.model: model_name(one.row.cell.model) for one in tried}
    if (moves := figures.gain_and_movement(tried, names, f"Gains over how far images move\n{data}")) is not None:
        document.text(
            "How far training images move, by the Euclidean distance of their pixels, as each run has measured it "
            "(`augmentation.json`): left against the distance to the nearest image of the same class (1: as far), "
            "right by how many more have an image of another class as their nearest. A line goes from weak to strong; "
            "means over settings."
        )
        about = "Gains over the distance that images move"
        document.picture(f"figures/{study.name}_movement.png", to_png(moves), about, PAGE_WIDTH)
    else:
        document.text("How far images move is not known: these runs have no `augmentation.json` (before version 0.6).")
    _add_confusions(document, tried)
    with document.fold("Epochs needed, by value and setting"):
        _add_epochs(document, study, tried)
    calibrated = figures.calibrations(tried, f"Changes of calibration, means and ranges over settings\n{data}")
    if calibrated is not None:
        with document.fold("Calibration"):
            document.picture(
                f"figures/{study.name}_calibration.png", to_png(calibrated), "Changes of calibration", PAGE_WIDTH
            )


def _gains(tried: Sequence[Tried]) -> str:
    text = (
        "A gain is the difference in test accuracy from the runs without augmentation of the same setting, in points. "
        "Means are over kinds, each at the strength with the highest validation accuracy in the setting."
    )
    if all(one.row.difference is not None and one.row.difference.of_networks for one in tried):
        return f"{text} With one run a value, gains are those of two networks; other trainings may give others."
    return f"{text} What follows counts and averages these gains, whether or not a single one is beyond chance."


def _overall(tried: Sequence[Tried]) -> list[str]:
    clear = [one for one in tried if one.row.difference is not None and one.row.difference.is_clear]
    up = sum(one.gain > 0 for one in clear)
    sentences = [
        f"{_of(up, len(tried), 'gain')} {_are(up)} above zero beyond chance, {len(clear) - up} below, "
        f"{len(tried) - len(clear)} neither."
    ]
    means = _means(tried)
    if len(means) > 1:
        best, worst = max(means, key=means.__getitem__), min(means, key=means.__getitem__)
        positive = sum(mean > 0 for mean in means.values())
        sentences.append(
            f"In {positive} of {len(means)} settings the mean gain is above zero. It is highest in {best} "
            f"({_points(means[best])}), lowest in {worst} ({_points(means[worst])})."
        )
    kinds = {kind: fmean(one.gain for one in some) for kind, some in by_kind(chosen(tried)).items()}
    if len(kinds) > 1:
        ranked = sorted(kinds, key=kinds.__getitem__, reverse=True)
        first, last = ranked[0], ranked[-1]
        over = "Averaged over settings, " if len(means) > 1 else ""
        sentences.append(
            f"{over}{spaced(first)} gains most ({_points(kinds[first])}), {spaced(last)} least "
            f"({_points(kinds[last])})."
        )
    return sentences


def _contrasts(tried: Sequence[Tried]) -> list[str]:
    """Of settings that differ in the length of training alone, or in the number of images."""
    means, sentences = _means(tried), []
    for group, key, more in (
        ("trainer", "max_epochs", "with longer training"),
        ("data", "per_class", "on fewer images"),
    ):
        pairs = contrasted(tried, group, key)
        if key == "per_class":
            pairs = [(most, least) for least, most in pairs]
        if pairs:
            rises = sum(means[b] > means[a] for a, b in pairs)
            steps = "; ".join(f"{a} {_points(means[a])}, {b} {_points(means[b])}" for a, b in pairs)
            sentences.append(
                f"The mean gain is larger {more} in {_of(rises, len(pairs), 'pair')} of settings: {steps}."
            )
    return sentences


def _strengths(tried: Sequence[Tried]) -> list[str]:
    """Which strength of a kind gains most in a setting, where all of them were tried."""
    groups = [some for of_setting in by_setting(tried).values() for some in by_kind(of_setting).values()]
    number = max(map(len, groups))
    full = [some for some in groups if len(some) == number]
    if number < 2:
        return []
    best = Counter(max(some, key=lambda one: one.gain).rank for some in full)
    parts = listed([f"{name} in {best[rank]}" for rank, name in enumerate(strength_names(number))])
    none = sum(max(one.gain for one in some) <= 0 for some in full)
    cases = count(len(full), "case")
    return [f"The strength of a kind that gains most in a setting is {parts} of {cases}; in {none} none gains."]


def _gaps(tried: Sequence[Tried]) -> list[str]:
    known = {setting: generalization_gap(some[0].plain) for setting, some in by_setting(tried).items()}
    gaps = {setting: gap for setting, gap in known.items() if gap is not None}
    if len(gaps) < 2:
        return []
    means = _means(tried)
    c = correlation(list(gaps.values()), [means[setting] for setting in gaps])
    if c is None:
        return [f"{len(gaps)} settings are too few to say whether gains go with the gap of training and validation."]
    clear = "" if c.low > 0 or c.high < 0 else ", so it may be none"
    return [
        f"Mean gain and the gap between training and validation without augmentation correlate with r = {c.r:+.2f} "
        f"[{c.low:+.2f}, {c.high:+.2f}] over {c.points} settings, as if these were drawn at random{clear}."
    ]


def _epochs(tried: Sequence[Tried]) -> list[str]:
    known = {id(one): p for one in tried if (p := passing(one)) is not None}
    if not known:
        return []

    def passed(some: Sequence[Tried]) -> str:
        values = [known[id(one)] for one in some if id(one) in known]
        return f"{sum(p.epoch is not None for p in values)} of {len(values)}"

    sentence = f"{passed(tried)} values pass the best validation accuracy without augmentation within their training"
    if pairs := contrasted(tried, "trainer", "max_epochs"):
        groups = by_setting(tried)
        short, long = ([one for pair in pairs for one in groups[pair[end]]] for end in (0, 1))
        sentence += f": {passed(short)} in the short trainings, {passed(long)} in the long ones"
    shares = [p.epoch / p.epochs for p in known.values() if p.epoch is not None]
    if shares:
        sentence += f". Those that do need {fmean(shares):.0%} of their epochs on average"
    return [f"{sentence}."]


def _distances(known: Sequence[tuple[Tried, Moved]]) -> list[str]:
    sentences = []
    far = [one.gain > 0 for one, m in known if m.relative > 1]
    near = [one.gain > 0 for one, m in known if m.relative <= 1]
    if far and near:
        sentences.append(
            f"Of the values that move images farther than the nearest of their class is, {sum(far)} of {len(far)} "
            f"gain; of the others {sum(near)} of {len(near)}."
        )
    ranks = []
    for setting in dict.fromkeys(one.setting for one, _ in known):
        pairs = [(m.relative, one.gain) for one, m in known if one.setting == setting]
        x, y = zip(*pairs, strict=True)
        if len(pairs) > 3 and len(set(x)) > 1 and len(set(y)) > 1:
            ranks.append(float(stats.spearmanr(x, y).statistic))
    if ranks:
        falls = sum(rank < 0 for rank in ranks)
        between = f"{min(ranks):+.2f}" + (f" to {max(ranks):+.2f}" if len(ranks) > 1 else "")
        sentences.append(
            f"The farther images move, the smaller the gain tends to be in {_of(falls, len(ranks), 'setting')} "
            f"(Spearman's rank correlation over kinds and strengths {between})."
        )
    return sentences


def _calibrations(tried: Sequence[Tried]) -> list[str]:
    known = [change for one in tried if (change := calibration(one)) is not None]
    if not known:
        return []
    lower, cooler = sum(c.ece < 0 for c in known), sum(c.temperature < 0 for c in known)
    return [
        f"The calibration error, with the temperature, is lower than without augmentation for {lower} of {len(known)} "
        f"values ({_points(fmean(c.ece for c in known))} on average), the temperature itself for {cooler} "
        f"({fmean(c.temperature for c in known):+.2f})."
    ]


def _add_confusions(document: Document, tried: Sequence[Tried]) -> None:
    document.heading("Classes that become each other", 4)
    run = next((run for one in tried for run in one.row.cell.tested if run.folder.best.exists()), None)
    if run is None:
        document.text("The classes are not known: no run has its checkpoint any more.")
        return
    found = confusions(tried, list(load_run(run.folder.path).classes))
    kinds = by_kind(tried)
    with_pair = {one.kind for one in found if one.grew}
    document.text(
        "How often two classes are taken for each other, both ways, with a kind at its strongest and without "
        "augmentation: times over all test images and all networks. p is that of a sign test over the test images, "
        "corrected for all pairs of classes and kinds (Holm): whether these networks would differ on other images."
    )
    document.text(
        f"{_of(len(with_pair), len(kinds), 'kind')} {'has' if len(with_pair) == 1 else 'have'} a pair that grew beyond "
        f"chance (bold, the {SHOWN} that grew most). Pairs that a rotation makes alike are shown for kinds that rotate "
        "in any case."
    )
    rows = []
    for kind in kinds:
        of_kind = [one for one in found if one.kind == kind]
        top = [one for one in of_kind if one.grew][:SHOWN]
        rows += [_confusion(one) for one in [*top, *(one for one in of_kind if not one.grew)]]
        hidden = [one for one in of_kind if one.grew][SHOWN:]
        if hidden:
            rows.append(["", "", f"{count(len(hidden), 'more pair')}", *[""] * 4])
    if rows:
        document.table(
            ["kind", "strength", "classes", "times without>", "times with>", "p>", "pairs of networks>"], rows
        )


def _confusion(one: Confusion) -> list[str]:
    a, b = one.classes
    name = f"**{a}, {b}**" if one.grew else f"{a}, {b}"
    numbers = [f"{one.plain:,}", f"{one.augmented:,}", p_value(one.p), f"{one.networks}"]
    return [spaced(one.kind), one.strength, name, *numbers]


def _add_epochs(document: Document, study: StudyResult, tried: Sequence[Tried]) -> None:
    """The epoch in which each value passes the best validation accuracy without augmentation."""
    document.text(
        "The first epoch whose validation accuracy, averaged over runs, is above the best one without augmentation; "
        "first, the epoch of that best one."
    )
    settings = by_setting(tried)
    best, rows = [], []
    for some in settings.values():
        known = next((p for one in some if (p := passing(one)) is not None), None)
        best.append("–" if known is None else f"{known.plain_best} of {known.epochs}")
    for kind, of_kind in by_kind(tried).items():
        for strength in dict.fromkeys(one.strength for one in of_kind):
            here = {one.setting: passing(one) for one in of_kind if one.strength == strength}
            cells = [here.get(setting) for setting in settings]
            words = ["–" if p is None else "never" if p.epoch is None else f"{p.epoch}" for p in cells]
            rows.append([spaced(kind), strength, *words])
    names = [f"{setting or 'epoch'}>" for setting in settings]
    document.table(["kind", "strength", *names], [["**without**", "", *best], *rows])


def _means(tried: Sequence[Tried]) -> dict[str, float]:
    """The mean gain of each setting, over the strength of each kind that validation chooses."""
    return {setting: fmean(one.gain for one in some) for setting, some in by_setting(chosen(tried)).items()}


def _points(value: float) -> str:
    return f"{100 * value:+.2f}"


def _of(number: int, total: int, noun: str) -> str:
    return f"{number} of {count(total, noun)}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
