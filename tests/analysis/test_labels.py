import numpy as np

from emnist.analysis.labels import estimate_joint, find_label_issues, round_rows


def noisy() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, labels of which a tenth were drawn again, and true classes."""
    random = np.random.RandomState(0)
    true = random.randint(0, 5, 400)
    labels = np.where(random.rand(400) < 0.1, random.randint(0, 5, 400), true)
    logits = random.randn(400, 5) + 3 * np.eye(5)[true]
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True), labels, true


def test_the_same_as_cleanlab():
    """cleanlab 2.9: compute_confident_joint(labels, probabilities) and find_label_issues(…, "normalized_margin")."""
    probabilities, labels, _ = noisy()
    issues = find_label_issues(probabilities, labels)
    joint = [[79, 4, 3, 4, 0], [3, 70, 0, 0, 0], [1, 0, 60, 1, 2], [3, 0, 4, 86, 4], [6, 0, 1, 3, 66]]
    assert issues.joint.tolist() == joint
    suspects = [
        195,
        321,
        65,
        384,
        181,
        218,
        397,
        68,
        96,
        242,
        74,
        97,
        99,
        180,
        358,
        333,
        323,
        341,
        345,
        31,
        57,
        228,
        80,
    ]
    suspects += [322, 106, 30, 380, 24, 114, 354, 168, 288, 225, 291]
    assert issues.suspects.tolist() == suspects
    assert issues.estimated == 39


def test_planted_errors_are_found():
    probabilities, labels, true = noisy()
    issues = find_label_issues(probabilities, labels)
    wrong = np.flatnonzero(labels != true)
    assert len(set(issues.suspects) & set(wrong)) >= 0.8 * len(wrong)
    assert (labels != true)[issues.suspects].mean() >= 0.9
    assert (issues.suggested == true[issues.suspects]).mean() >= 0.9
    assert (np.diff(issues.quality) >= 0).all()


def test_right_labels_raise_no_suspicion():
    labels = np.arange(20) % 4
    issues = find_label_issues(0.9 * np.eye(4)[labels] + 0.025, labels)
    assert issues.joint.tolist() == (5 * np.eye(4, dtype=int)).tolist()
    assert (issues.estimated, len(issues.suspects)) == (0, 0)


def test_a_class_without_images():
    labels = np.array([0, 0, 0, 2, 2, 2])
    probabilities = np.array([[0.8, 0.1, 0.1]] * 3 + [[0.1, 0.2, 0.7]] * 2 + [[0.85, 0.1, 0.05]])
    assert estimate_joint(probabilities, labels).tolist() == [[3, 0, 0], [0, 0, 0], [1, 0, 2]]
    issues = find_label_issues(probabilities, labels)
    assert (issues.suspects.tolist(), issues.suggested.tolist()) == ([5], [0])


def test_rounding_keeps_the_sums_of_rows():
    values = np.array([[0.4, 0.4, 0.2], [1.6, 1.7, 0.7], [2.0, 0.0, 1.0]])
    assert round_rows(values).tolist() == [[0, 1, 0], [1, 2, 1], [2, 0, 1]]
