"""What it costs to begin: import, the command line's help, and first fits on small bundled data.

    python -m benchmarks.startup [--runs 7]

Whole processes, alternated A B C A B C …: plain ``python -c pass``, ``import isthmus``,
``isthmus --help``. The figure is the difference of the minima (what a quiet machine would take) and
of the medians. A fit is ``Autoencoder().fit(X)`` of iris (150 rows) and digits (1,797)
in a new process that has imported the package. Beside it, in the same process and before it,
scikit-learn's ``PCA(2)`` and ``MLPRegressor(sizes).fit(X, X)`` on standardised rows: its widths are
those of the autoencoder's encoder, its two latents and its decoder, all else its defaults.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from typing import Any

from benchmarks import _common

FIT = """
import json, time, warnings
from sklearn.datasets import load_{name}
from sklearn.decomposition import PCA
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from isthmus import Autoencoder
def seconds(fit):
    began = time.perf_counter()
    fit()
    return time.perf_counter() - began
X = load_{name}().data
Z = StandardScaler().fit_transform(X)
peer = MLPRegressor(hidden_layer_sizes={sizes}, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    found = {{
        "pca": seconds(lambda: PCA(2).fit(Z)),
        "mlp": seconds(lambda: peer.fit(Z, Z)),
        "autoencoder": seconds(lambda: Autoencoder(random_state=0).fit(X)),
    }}
print(json.dumps({{**found, "mlp_epochs": peer.n_iter_}}))
"""
# widths of the default autoencoder of each, its code of two latents in the middle
SETS = {"iris": (64, 64, 2, 64, 64), "digits": (128, 128, 128, 2, 128, 128, 128)}
FITS = 3
COMMANDS = {
    "python": [sys.executable, "-c", "pass"],
    "import": [sys.executable, "-c", "import isthmus"],
    "help": [sys.executable, "-m", "isthmus", "--help"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Print the three figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    for command in COMMANDS.values():
        seconds(command)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(options.runs):
        for name, command in COMMANDS.items():
            times[name].append(seconds(command))
    rows: list[dict[str, Any]] = []
    for name, label in (("import", "import isthmus"), ("help", "isthmus --help")):
        least = min(times[name]) - min(times["python"])
        middle = statistics.median(times[name]) - statistics.median(times["python"])
        rows.append({"what": label, "least": least, "median": middle})
        print(f"{label:16} {least:6.3f} s above plain Python (median {middle:.3f})")
    fits: dict[str, list[dict[str, float]]] = {name: [] for name in SETS}
    for _ in range(FITS):
        for name, sizes in SETS.items():
            code = FIT.format(name=name, sizes=sizes)
            said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            fits[name].append(json.loads(said.stdout))
    for name, found in fits.items():
        for what in ("autoencoder", "mlp", "pca"):
            times_of = [each[what] for each in found]
            least, middle = min(times_of), statistics.median(times_of)
            rows.append({"what": f"fit {name}, {what}", "least": least, "median": middle})
            print(f"{name:8}{what:14}{least:8.3f} s (median {middle:.3f})")
        rows[-2]["epochs"] = found[0]["mlp_epochs"]
    _common.write("startup", rows, {"runs": options.runs})


if __name__ == "__main__":
    main()
