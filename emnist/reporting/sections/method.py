"""How to read the report."""

from emnist.analysis.comparison import OFFICIAL_TEST_IMAGES
from emnist.reporting.document import Document

COLUMNS = (
    "*Validation* is the accuracy in the best epoch, averaged over the runs of a value (its folds and seeds). Its 95% "
    "t-interval is from their spread, corrected for the overlap of folds. *Test* is the test accuracy of the same "
    "epochs. Only validation chooses: the best epoch, the best value, the best cell. The test set chooses nothing.",
    "*Difference* is the mean test accuracy of the value less that of the starting value of its factor (\\*), in "
    "points.",
    "*p* is that of no difference, corrected for all comparisons of the study.",
    "*Published* is the test accuracy in the reference report, *reference report* what it says of a value against "
    "the starting one, by its accuracies or its order. *Within error*: two samples of "
    f"{OFFICIAL_TEST_IMAGES:,} test images can differ that much between equal classifiers (95%; published accuracies "
    "allow no paired test).",
    "*Agrees* compares the verdict with the published direction, not the sizes. *Equal* contradicts a published "
    "difference.",
    "*Learning curves* are mean and range over the runs; a run that stopped early keeps its last value.",
)
VERDICTS = (
    "A verdict is about the *setting*: it would hold for other trainings and other test images of the same kind.",
    "*Better* and *worse*: the 95% interval of the difference excludes zero.",
    "*Equal*: the interval lies within ±δ, the largest difference that does not matter. The study sets δ.",
    "*Undecided*: neither. Then the table says what would probably settle it if the difference stayed the same: more "
    "runs of the value, with as many more of the reference in proportion, or more test images.",
    "*Incomplete*: runs of the value are missing.",
    "*One run*: interval and p are McNemar's, of these two networks on other test images, p corrected by Holm. "
    "Another training may differ, so there is no verdict.",
)
MODEL = (
    "Right and wrong answers form a table of runs × test images, both of them random (two crossed random effects; "
    "Gallas 2006). So a mean varies from training to training and from test set to test set, and the variance of a "
    "difference is the sum of both.",
    "The runs of K folds share training images, so k runs are less than k samples of trainings. Their variance v "
    "counts as v/k plus 1/(K - 1) of its part that does not come from answers that flip on single images (Nadeau and "
    "Bengio 2003; Bouckaert and Frank 2004).",
    "A few runs say little about v. The variances of all cells of a study moderate each other, by empirical Bayes "
    "(Smyth 2004).",
    "The intervals of a study cover all its true differences together with 95% probability. They reach to the "
    "quantile of the largest of correlated deviates (Dunnett 1955; Hasler and Hothorn 2008), with degrees of freedom "
    "by Satterthwaite (1946).",
    "A study that decides looks at its differences several times. Its intervals cover them at all looks together, "
    "with one limit for all (group-sequential tests; Pocock 1977).",
    "The interval of a single validation or test accuracy is not corrected for the number of values. With one run it "
    "is Wilson's (1927), about other images alone.",
    "Assumptions: the runs of a cell are exchangeable, their accuracies are nearly normal, and those of two cells are "
    "independent given the test images. The images are a random sample; those of one writer may be alike.",
    "`benchmarks/verdicts.py` measures how often the verdicts are wrong; `docs/verdicts.md` has the table.",
)


def add_method(document: Document) -> None:
    document.heading("How to read this")
    for summary, points in (
        ("What the columns mean", COLUMNS),
        ("What a verdict means", VERDICTS),
        ("The statistical model, its assumptions and sources", MODEL),
    ):
        with document.fold(summary):
            document.points(points)
