"""``isthmus transform``: rows → their codes."""

from __future__ import annotations

from isthmus.cli import _beside, _interrupts
from isthmus.cli._answer import Answer
from isthmus.cli._blocks import blocks, told_at_the_end
from isthmus.cli._options import DataFile, Force, OutFile, RunFolder
from isthmus.cli._reading import AS_USUAL, ReadingOptions
from isthmus.cli._rows import facts_of, of_run, said
from isthmus.cli._runs import open_run, recorded
from isthmus.cli._words import plural

EXAMPLES = """Example:

isthmus transform runs/a new.csv --out codes.csv
"""


def transform(
    run: RunFolder,
    data: DataFile,
    out: OutFile,
    reading: ReadingOptions = AS_USUAL,
    force: Force = False,
) -> Answer:
    """Write the codes of the rows of a table."""
    with _interrupts.starting():
        from isthmus.data.writers import check_destination

    check_destination(out, force)
    model = open_run(run, data)
    found, extra = of_run(model, recorded(run), data, reading)
    names = [str(name) for name in model.get_feature_names_out()]
    every = blocks(found, mixed=model.encoding_ is not None)
    made = told_at_the_end(model.transform(block) for block in every)
    n_rows, after = _beside.write_rows(out, made, names, _beside.files_of(found))
    n_components = len(names)
    facts = {
        "run": run,
        "data": data,
        "out": out,
        "n_rows": n_rows,
        "columns": names,
        "left_out": extra,
        **facts_of(found),
    }
    many, components = plural(n_rows, "row"), plural(n_components, "component")
    lines = [f"Codes of {many} in {components} written to {out}{after}.", *said(found, extra, data)]
    return Answer("\n".join(lines), facts)
