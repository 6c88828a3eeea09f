"""Data, code, libraries and hardware of all runs with a result."""

from collections import Counter

from emnist.analysis.collection import Run
from emnist.reporting.document import Document
from emnist.reporting.wording import model_name, threads


def add_provenance(document: Document, runs: list[Run]) -> None:
    document.heading("Provenance")
    groups: Counter[tuple[str, ...]] = Counter()
    results = [run.result for run in runs if run.result is not None]
    for result in results:
        data, versions, device = result.data, result.versions, result.device
        libraries = ", ".join(f"{name} {v}" for name, v in versions.items() if name not in ("emnist", "commit"))
        per_run = f"{threads(device)} per run, " if "threads" in device else ""
        groups[
            (
                model_name(result.config["model"]["name"]),
                f"{data.description} (sha256 {data.fingerprint[:12]}…)",
                f"emnist {versions['emnist']}, commit {versions['commit'] or 'unknown'}",
                libraries,
                f"{device['name']}, {per_run}{device['precision']}",
            )
        ] += 1
    rows = [[*group, f"{number}"] for group, number in sorted(groups.items())]
    if any(result.data.official is False for result in results):
        document.text(
            "This is not the data of the reference report, so its accuracies are not directly comparable with these."
        )
    with document.fold("Data, code, libraries and hardware of all runs"):
        document.table(["model", "data", "code", "libraries", "hardware", "runs>"], rows)
