"""Numbers, counts and names as a page tells them."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from isthmus.evaluation.versus_pca import LEAST


def number(value: float, digits: int = 3) -> str:
    """Significant digits, with separators for thousands and a true minus; "–" for no number.

    Whole numbers keep four.

    >>> number(1234.56), number(-0.012345), number(3.2e-9), number(123456.7), number(math.nan)
    ('1,235', '−0.0123', '3.2e−09', '123,500', '–')
    """
    if not math.isfinite(value):
        return "–"
    size = math.floor(math.log10(abs(value))) if value else 0
    if not -4 <= size < 7:
        return f"{value:.{digits}g}".replace("-", "−")
    if size >= 4:
        value = round(value, 3 - size)
    text = f"{value:,.{max(0, digits - 1 - size)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share in percent; one more digit where it is small.

    >>> percent(0.613), percent(0.0123), percent(1.0)
    ('61%', '1.2%', '100%')
    >>> percent(2e9), percent(-1e9)
    ('∞', '-∞')
    """
    if abs(share) >= -LEAST:
        return "∞" if share > 0 else "-∞"
    value = 100.0 * share
    return f"{value:.0f}%" if abs(value) >= 9.5 or value == 0 else f"{value:.1f}%"


def plural(count: int, word: str) -> str:
    """A count and its noun.

    >>> plural(1, "row"), plural(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Words in a sentence.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def shortened(name: str, most: int = 24) -> str:
    """A name that fits beside an axis, without characters that cannot be seen.

    >>> shortened("mean fractal dimension of the nucleus")
    'mean fractal dimension …'
    """
    seen = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in name).strip()
    return seen if len(seen) <= most else seen[: most - 1] + "…"
