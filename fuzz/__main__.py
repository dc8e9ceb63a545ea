"""Fuzz one reader: whatever the bytes, a value or our own error, in five seconds and in 1 GB more.

    pip install -c constraints.txt -e '.[fuzz]'
    python -m fuzz TARGET [--seconds 600]

TARGET is csv, npy, npz, parquet (data files), config (TOML of the command line), run (a run
directory: configuration, history, tensors), evaluation (what is attached to one) or checkpoint.
Coverage-guided (atheris, libFuzzer). The corpus in fuzz/corpus/TARGET is what it starts from and
where it puts what reached new code; a crash, a hang or too much memory ends it with the input
written to fuzz/found. tests/test_fuzz_corpus.py runs every kept input once.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).parent
LIMITS = ["-timeout=5", "-rss_limit_mb=1700", "-max_len=20000", "-print_final_stats=1"]


def main() -> None:
    """Run libFuzzer on one target until its time is over."""
    import atheris

    with atheris.instrument_imports(include=["isthmus"], exclude=["isthmus.core", "isthmus.nets"]):
        from fuzz.targets import TARGETS
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--seconds", type=int, default=600)
    options, more = parser.parse_known_args()
    corpus, found = HERE / "corpus" / options.target, HERE / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(exist_ok=True)
    words = [*LIMITS, f"-max_total_time={options.seconds}", f"-artifact_prefix={found}/", *more]
    atheris.Setup([sys.argv[0], *words, str(corpus)], TARGETS[options.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
