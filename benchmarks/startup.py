"""What it costs to begin: import, the command line's help, and a first fit on the bundled digits.

    python -m benchmarks.startup [--runs 7]

Whole processes, alternated A B C D A B C D …: plain ``python -c pass``, ``import isthmus``,
``isthmus --help``. The figure is the difference of the minima (what a quiet machine would take) and
of the medians. The fit is ``Autoencoder().fit(digits)`` in a process that has imported the package.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

from benchmarks import _common

FIT = """
import time
from sklearn.datasets import load_digits
from isthmus import Autoencoder
X = load_digits().data
began = time.perf_counter()
Autoencoder(random_state=0).fit(X)
print(time.perf_counter() - began)
"""
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
    fit = [
        float(subprocess.run([sys.executable, "-c", FIT], check=True, capture_output=True).stdout)
        for _ in range(3)
    ]
    rows = []
    for name, label in (("import", "import isthmus"), ("help", "isthmus --help")):
        least = min(times[name]) - min(times["python"])
        middle = statistics.median(times[name]) - statistics.median(times["python"])
        rows.append({"what": label, "least": least, "median": middle})
        print(f"{label:16} {least:6.3f} s above plain Python (median {middle:.3f})")
    rows.append({"what": "fit digits", "least": min(fit), "median": statistics.median(fit)})
    print(f"{'fit on digits':16} {min(fit):6.2f} s (median {statistics.median(fit):.2f})")
    _common.write("startup", rows, {"runs": options.runs})


if __name__ == "__main__":
    main()
