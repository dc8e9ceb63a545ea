"""``isthmus VERB``: the door. What is behind it is imported when it has been opened, so that
Ctrl-C is heeded from the first moment (:mod:`isthmus.cli._interrupts`).

Exit status: see :mod:`isthmus.cli._errors`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from isthmus.cli import _interrupts

# Each is a function of this name in a module of this name; the line is the first of its docstring.
VERBS = {
    "demo": "Fit PCA and the four models on bundled data: the quickest look around.",
    "fit": "Train an autoencoder on a table.",
    "evaluate": "Measure a model, and say in words what may be wrong with it.",
    "report": "Write a page on a model: the verdict, pictures, charts, outliers, how it was made.",
    "compare": "Compare numbers of components, and recommend one.",
    "outliers": "Find the rows that stand out, and the features that make them.",
    "info": "Tell what is in a run, or in data, and what to fit to it.",
    "transform": "Write the codes of the rows of a table.",
    "reconstruct": "Write the rows of a table as a model reconstructs them.",
    "sample": "Write new rows drawn from a model.",
    "score": "Tell how well a model explains the rows of a table.",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after "isthmus"; those of the process where None.

    Returns:
        The exit status.
    """
    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    with _interrupts.handled(words, program=argv is None):
        try:
            from isthmus.cli._dispatch import run

            return run(words, VERBS)
        except KeyboardInterrupt:  # another one, while the first was being told
            return _interrupts.EXIT_STATUS
