"""How to read the report."""

from emnist.analysis.comparison import NO_DIFFERENCE, OFFICIAL_TEST_IMAGES
from emnist.reporting.document import Document

METHOD = (
    "*Validation* is the accuracy in the best epoch, averaged over the runs of a value (folds, and seeds if there are "
    "several), with a 95% t-interval from their spread; for a single run it is Wilson's interval for the number of "
    "images. Only validation chooses: the best epoch, the best value, the best cell.",
    "*Test* is the test accuracy averaged over the same runs, which share the test images, with Wilson's 95% interval "
    "for that number of images. It chooses nothing.",
    "*Difference* is the difference in test accuracy from the starting value of the factor (\\*), in points, over "
    "pairs of runs with the same fold and seed, with a 95% interval from the spread over the test images.",
    "*p* tests the hypothesis that both are equally accurate on these images: McNemar's exact test. With several "
    "pairs of runs each image counts once, by how many runs of the one were right minus how many of the other. It is "
    "corrected for all comparisons of the study (Holm).",
    "*Verdict* is better or worse if p is below 0.05 and all pairs of runs agree in sign, otherwise "
    f"{NO_DIFFERENCE}. The test is about other test images for these trained networks. It does not measure how much "
    "another training would differ; that all pairs must agree guards against this, the more pairs the better.",
    "*Published* is the test accuracy in the reference report, *reference report* what it says of a value against "
    "the starting one, by its accuracies or its order. *Within error*: two samples of "
    f"{OFFICIAL_TEST_IMAGES:,} test images can differ that much between equal classifiers (95%; published accuracies "
    "allow no paired test).",
    "*Agrees* compares directions, not sizes. *Not confirmed* is a difference that the reference report claims and "
    "this study does not detect.",
    "*Learning curves* are mean and range over the runs; a run that stopped early keeps its last value.",
)


def add_method(document: Document) -> None:
    document.heading("How to read this")
    document.points(METHOD)
