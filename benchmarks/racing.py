"""How often a search prunes by images what it should keep, and what it finds: simulated races whose truth is known.

    python benchmarks/racing.py [--races 20000]

All settings are equally good but for that of the trial. Of the images of a fold, a share is right by chance in each
network, independently, so that two networks disagree on half of that share; a run moves this chance by its luck, with
the given standard deviation of accuracy. A worse trial also gets images wrong that all others get right, a better one
the contrary. The incumbent is another network or, as in a search, the best of several on all folds: selected for its
luck on the very images of the race, so an equally good trial loses to it more often than `level`. Few of these would
have become the best in the end, which is the error that costs something.
"""

import argparse
import time

import numpy as np

from emnist.analysis.racing import loses_with

FOLDS, DISAGREEMENTS, RIVALS = (2, 3, 5), (0.02, 0.04, 0.06), (1, 20, 60)
DIFFERENCES = (0.005, 0.0, -0.005, -0.01, -0.02, -0.05)  # of the trial's accuracy
IMAGES, RUN_SD, LEVEL = 5640, 0.003, 0.05


def race(random: np.random.Generator, folds: int, disagreement: float, rivals: int, difference: float, races: int):
    """The fold after which the trial lost, 0 if it didn't, and whether its accuracy on all folds is above the best."""
    flipping = round(2 * disagreement * IMAGES)

    def right(networks: int) -> np.ndarray:  # of the flipping images, [races, networks, folds]
        luck = random.normal(0, RUN_SD, (races, networks, folds))
        return random.binomial(flipping, np.clip(0.5 + luck * IMAGES / flipping, 0, 1))

    others, ours = right(rivals), right(1)[:, 0]
    best = others[np.arange(races), others.sum(2).argmax(1)]
    both = random.hypergeometric(ours, flipping - ours, best)
    other = random.binomial(IMAGES - flipping, abs(difference) * IMAGES / (IMAGES - flipping), (races, folds))
    wins = (ours - both + other * (difference > 0)).cumsum(1)
    losses = (best - both + other * (difference < 0)).cumsum(1)
    ended = np.zeros(races, int)
    for look in range(1, folds):
        lost = loses_with(wins[:, look - 1], losses[:, look - 1], look * IMAGES, look, folds - 1, LEVEL, RUN_SD)
        ended[(ended == 0) & lost] = look
    return ended, wins[:, -1] > losses[:, -1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--races", type=int, default=20_000)
    races = parser.parse_args().races
    start = time.perf_counter()
    print(f"{races:,} races a figure, {IMAGES:,} images a fold, run sd {100 * RUN_SD:g} points, level {LEVEL:.0%}\n")
    columns = [f"{100 * difference:+g}" if difference else "equal" for difference in DIFFERENCES]
    columns += ["equal, pruned, would have been best", "training saved at -2"]
    print("Pruned, in %, by the difference of the trial in points:\n")
    print("| folds | disagree on % | incumbent | " + " | ".join(columns) + " |")
    print("| ---: | ---: | --- |" + " ---: |" * len(columns))
    for folds in FOLDS:
        for disagreement in DISAGREEMENTS:
            for rivals in RIVALS:
                random = np.random.default_rng([folds, round(1000 * disagreement), rivals])
                ends = {d: race(random, folds, disagreement, rivals, d, races) for d in DIFFERENCES}
                figures = [(ended > 0).mean() for ended, _ in ends.values()]
                ended, higher = ends[0.0]
                figures.append(((ended > 0) & higher).mean())
                ended, _ = ends[-0.02]
                figures.append(np.where(ended > 0, folds - ended, 0).mean() / folds)
                incumbent = "another network" if rivals == 1 else f"best of {rivals}"
                cells = " | ".join(f"{100 * figure:.1f}" for figure in figures)
                print(f"| {folds} | {100 * disagreement:g} | {incumbent} | {cells} |")
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
