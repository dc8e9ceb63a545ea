"""What to fit to a source, from its description alone: a likelihood, a model, a width, in words.

The likelihood follows from what the entries can be:

================================================== =====================
what there is                                      p(x|z)
================================================== =====================
a column of text, Booleans, categories or dates    ``joint``
0 and 1 alone                                      ``bernoulli``
counts, median of variance / mean below 1.3        ``poisson``
counts, otherwise                                  ``negative_binomial``
any other numbers                                  ``gaussian``
================================================== =====================

Columns are counts where all hold whole numbers ≥ 0 that vary about as much as Poisson's would, or
more (variance ≥ 0.7 mean), where half of them have a mean below 10 or a skewness above 1,
and none one below −0.5: both distributions have a long tail to the right, which numbers up to a
limit (grades, grey values) have not. Bytes, images and series are never counts.
Images and series with sides of at least 8 get convolutions. Missing entries ask for a model that
hides entries while it trains, and so learns to fill them in. The width is the root of the number of
features, at most 32, and at most a tenth of the rows.

These are places to start from, told from one pass; which model and width are best on held-out rows
only fits tell (``isthmus compare``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from isthmus.data.describe import ColumnSummary, Description

FEW_ROWS = 50
_SMALLEST_SIDE = 8
_MOST_COMPONENTS = 32
_FEWEST_IDENTIFIED = 20
_DENSE = 1.1
_UNDERDISPERSED, _OVERDISPERSED = 0.7, 1.3
_SMALL_MEAN, _MOST_LEAN, _MOST_LEFT = 10.0, 0.5, -0.5
_IDENTIFIER = re.compile(r"(^|.*[^a-z])(id|uuid|guid|index|key)|unnamed: 0|.*[a-z]I[Dd]")


@dataclass(frozen=True)
class Advice:
    """What to fit.

    Args:
        likelihood: p(x|z); None where nothing can be fitted, ``reason`` says why.
        model: undercomplete or denoising.
        n_components: width of the code.
        network: "conv" for images and series that are large enough, else None.
        noise: "masking" where entries are missing, else None.
        drop: names of columns that a fit refuses, or that tell rows apart one by one.
        reason: one sentence.
        notes: sentences on what to know besides.
    """

    likelihood: str | None
    model: str
    n_components: int
    network: str | None
    noise: str | None
    drop: tuple[str, ...]
    reason: str
    notes: tuple[str, ...]


def advise(found: Description) -> Advice:
    """What to fit to what was described.

    >>> from isthmus.data.describe import describe
    >>> from isthmus.data.opening import open_data
    >>> advice = advise(describe(open_data("wine")))
    >>> advice.likelihood, advice.model, advice.n_components
    ('gaussian', 'undercomplete', 4)
    """
    columns = found.columns or ()
    out = {column.name: why for column in columns if (why := unusable(column, found.rows))}
    used = [column for column in columns if column.name not in out]
    varied = [column for column in used if not constant(column)]
    notes = [
        *_of_dropped(out),
        *(f"{column.name!r} looks {column.looks}" for column in columns if column.looks),
        *_of_constants([column.name for column in used if constant(column)]),
        *_of_few(found.rows),
    ]
    width = len(used) if columns else math.prod(found.feature_shape)
    obstacle = _obstacle(found, used, varied, width)
    if obstacle:
        return Advice(None, "", 0, None, None, tuple(out), obstacle, tuple(notes))
    likelihood, reason = _likelihood(
        used or [_overall(found)], bool(columns) and found.dtype != "uint8"
    )
    network = _network(found.feature_shape) if likelihood != "joint" else None
    if network:
        kind = "images" if len(found.feature_shape) == 3 else "series"
        reason += f"; rows are {kind}, which convolutions take as they are"
    holes = any(column.missing for column in used) if columns else found.missing > 0
    if holes:
        reason += "; entries are missing, and a model that hides some learns to fill them in"
    return Advice(
        likelihood=likelihood,
        model="denoising" if holes else "undercomplete",
        n_components=n_components(found.rows, len(varied) or width),
        network=network,
        noise="masking" if holes else None,
        drop=tuple(out),
        reason=f"{reason[0].upper()}{reason[1:]}.",
        notes=tuple(notes),
    )


def n_components(n_rows: int, n_features: int) -> int:
    """A width to start from, of N rows of D features.

    >>> n_components(178, 13), n_components(60000, 784), n_components(20, 64), n_components(9, 2)
    (4, 28, 2, 1)
    """
    most = min(_MOST_COMPONENTS, n_features - 1, n_rows // 10)
    return max(1, min(round(math.sqrt(n_features)), most))


def constant(column: ColumnSummary) -> bool:
    """Whether all entries that are there are the same."""
    return column.distinct == 1 and not column.capped


def unusable(column: ColumnSummary, n_rows: int) -> str:
    """Why a column had better be left out; empty where it should not.

    A whole number is an identifier where it is another one in every row, and either nearly all
    numbers of its range are there, or it is called one.
    """
    if column.missing == 1:
        return "has no value in any row"
    if column.infinite:
        return "has infinite entries, which may be replaced instead"
    if column.fault:
        return "names its row" if "identifier" in column.fault else column.fault
    if not column.whole or column.missing:
        return ""
    low, high = _range(column)
    different = (
        column.rising is not None
        or (not column.capped and column.distinct == n_rows)
        or _permuted(column, n_rows)
    )
    if is_identifier(column.name, n_rows, low, high, different):
        return "numbers the rows"
    if column.capped and is_called(column.name) and n_rows >= _FEWEST_IDENTIFIED:
        return f"is called an identifier, and has over {column.distinct} values"
    return ""


def is_identifier(name: str, n_rows: int, low: float, high: float, different: bool) -> bool:
    """Whether a column of whole numbers tells rows apart one by one, and says nothing of them.

    Args:
        name: of the column.
        n_rows: N.
        low: the smallest number.
        high: the largest.
        different: whether every row has another one.

    >>> is_identifier("customer_id", 100, 5, 99_000, True), is_identifier("n", 100, 1, 104, True)
    (True, True)
    >>> is_identifier("income", 100, 5, 99_000, True), is_identifier("id", 100, 1, 9, False)
    (False, False)
    """
    dense = high - low < _DENSE * n_rows
    return different and n_rows >= _FEWEST_IDENTIFIED and (dense or is_called(name))


def is_called(name: str) -> bool:
    """Whether a name is that of an identifier.

    >>> [is_called(name) for name in ("id", "userId", "order_id", "paid", "Unnamed: 0")]
    [True, True, True, False, True]
    """
    return bool(_IDENTIFIER.fullmatch(name) or _IDENTIFIER.fullmatch(name.lower()))


def _permuted(column: ColumnSummary, n_rows: int) -> bool:
    """Whether it is every number from the smallest to the largest once, in any order.

    Told by count, range, mean and variance, (N² − 1)/12, which no other column is likely to share.
    """
    low, high = _range(column)
    if high - low != n_rows - 1 or column.mean is None or column.variance is None:
        return False
    spread = (n_rows**2 - 1) / 12
    centred = abs(column.mean - (low + high) / 2) < 1e-9 * max(abs(low), abs(high), 1)
    return centred and abs(column.variance - spread) < 1e-9 * spread


def _obstacle(
    found: Description, used: Sequence[ColumnSummary], varied: Sequence[ColumnSummary], width: int
) -> str:
    """Why nothing can be learned; empty where something can."""
    if found.rows < 2:
        return "A fit needs at least 2 rows."
    if found.columns and not used:
        return "No column is left that a fit takes."
    if width < 2:
        return "A fit needs at least 2 columns: of one there is nothing to compress."
    if found.overall is not None and found.infinite:
        return f"{found.infinite} entries are infinite: replace them, or set them to NaN."
    if found.overall is not None and not used and found.minimum is None:
        return "No entry is there."
    if not varied and (used or constant(_overall(found))):
        return "Every column is constant, so there is nothing to learn."
    return ""


def _overall(found: Description) -> ColumnSummary:
    return found.overall or (found.columns or ())[0]


def _likelihood(columns: Sequence[ColumnSummary], tables: bool) -> tuple[str, str]:
    """What every column can have, constant ones too: a fit takes all or none.

    How entries are spread only the others tell.
    """
    others = [column for column in columns if column.mean is None]
    if others:
        kinds = ", ".join(dict.fromkeys(str(c.kind) for c in others))
        some = "columns are" if len(others) > 1 else "a column is"
        return "joint", f"{some} {kinds}, and joint gives each column a distribution of its kind"
    if all(column.whole and _range(column) in ((0, 0), (0, 1), (1, 1)) for column in columns):
        return "bernoulli", "every entry is 0 or 1"
    varied = [column for column in columns if not constant(column)]
    possible = tables and all(column.whole and column.minimum >= 0 for column in columns)
    dispersions = [_dispersion(column) for column in varied] if possible else [None]
    leaning = sum(_leans(column) for column in varied)
    if all(d is not None for d in dispersions) and leaning >= _MOST_LEAN * len(varied):
        middle = median(d for d in dispersions if d is not None)
        if middle < _OVERDISPERSED:
            return "poisson", "all are counts that vary about as much as Poisson's do"
        times = f"{middle:.2g} times as much as Poisson's do"
        return "negative_binomial", f"all are counts that vary {times}"
    return "gaussian", "the entries are numbers, neither all 0 or 1 nor all counts"


def _range(column: ColumnSummary) -> tuple[float, float]:
    return float(column.minimum), float(column.maximum)


def _dispersion(column: ColumnSummary) -> float | None:
    """Variance / mean of what may be counts, 0 and 1 among them; None of what is none."""
    mean, variance, skewness = column.mean, column.variance, column.skewness
    if not column.whole or not mean or variance is None or column.minimum < 0:
        return None
    fits = variance >= _UNDERDISPERSED * mean and (skewness or 0) >= _MOST_LEFT
    return variance / mean if fits or _range(column) == (0, 1) else None


def _leans(column: ColumnSummary) -> bool:
    """Whether large numbers are rarer, as those of counts are."""
    mean, skewness = column.mean, column.skewness
    return mean is not None and skewness is not None and (mean < _SMALL_MEAN or skewness > 1)


def _network(shape: tuple[int, ...]) -> str | None:
    return "conv" if len(shape) > 1 and min(shape[1:]) >= _SMALLEST_SIDE else None


def _of_dropped(out: dict[str, str]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for name, why in out.items():
        by_reason.setdefault(why, []).append(name)
    return [
        f"{_listed(names)} {'is left out: it' if len(names) == 1 else 'are left out: each'} {why}."
        for why, names in by_reason.items()
    ]


def _of_constants(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    verb = "is constant and tells" if len(names) == 1 else "are constant and tell"
    return [f"{_listed(names)} {verb} nothing, but may stay."]


def _of_few(n_rows: int) -> list[str]:
    if not 1 < n_rows < FEW_ROWS:
        return []
    return [f"{n_rows} rows are few: expect little that PCA does not find."]


def _listed(names: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(map(repr, names[:limit]))
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
