"""Joint: one likelihood for a table whose columns are of different kinds.

    log p(x|z) = Σ_j log p_j(x_j|z)      entry by entry, nats

================== ==================================================== ===================
kind               p_j                                                  raw outputs
================== ==================================================== ===================
real, date         N(m_j(z), σ_j²), σ_j free                            1
positive           the same, of the logarithm (the encoding takes it)   1
count              negative binomial, mean exp(raw), r_j free           1
binary             Bernoulli(sigmoid(raw))                              1
categorical        softmax over C_j codes                               C_j
ordinal            P(x ≤ k) = sigmoid(θ_jk − raw), θ_j rising and free  1
================== ==================================================== ===================

The ordinal one is the proportional-odds model (McCullagh 1980, *Regression Models for Ordinal
Data*). Each real column has a σ of its own: with a shared one, a column that follows from others
would be told no better than one that nothing explains.

**Squared error.** A likelihood of categories has no x̂ to subtract. What the held-out error and PCA
are compared by is the squared error of *features* T(x): real columns as they are (in standard
deviations), counts and ordinal codes divided by their standard deviation, binary codes, and
categories as one-hot columns. The model predicts E[T(x)|z], its probabilities; PCA is that of
T(x) on the training rows. For one-hot columns that error is Brier's score (Brier 1950).

The linear start regresses on the codes, around the marginal of each column: the start's biases are
the columns' base rates, and an entry moves its raw output by (T − E T) / max(Var T, 0.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Categorical, Distribution, NegativeBinomial

from isthmus.core.densities import Normal
from isthmus.core.likelihoods import GAIN, LOG_MEAN_RANGE, MIN_SCALE, Likelihood
from isthmus.core.product import JointDistribution, mean_of
from isthmus.errors import DataError, InvalidParameterError

KINDS = ("real", "positive", "count", "binary", "categorical", "ordinal", "date")
_REAL = ("real", "positive", "date")
_GROUPS = ("real", "count", "binary", "ordinal", "categorical")
_LEAST_VARIANCE = 0.1
_LEAST_GAP = 1e-3
_NEVER = -1e9
_MOST_LOGITS = 10_000_000
_RATE = 1e-3
# Features whose moments are taken together: 64 MiB.
_VALUES = 1 << 24


class Joint(Likelihood):
    """p(x|z) of a table of D columns of different kinds.

    Args:
        columns: kind and number of categories of each column; the number counts for "categorical"
            and "ordinal" (at least 1 and 2) and is ignored elsewhere.

    Raws are one group after the other: real (with positive and date), count, binary, ordinal, then
    the logits of each categorical column; in each group in the order of the columns.

    Raises:
        InvalidParameterError: no column, an unknown kind, or too few categories.

    >>> head = Joint([("real", 0), ("categorical", 3)])
    >>> p = head.distribution(torch.zeros(5, head.n_outputs((2,))), (2,))
    >>> p.log_prob(torch.zeros(5, 2)).exp()[0].detach()
    tensor([0.3989, 0.3333])
    """

    support = "mixed"
    power = 2
    _order: Tensor
    _place: Tensor
    _logit_place: Tensor
    _no_threshold: Tensor
    _unseen: Tensor
    feature_column: Tensor
    continuous: Tensor
    log_value: Tensor
    log_r: Tensor
    log_most: Tensor
    first: Tensor
    gaps: Tensor
    unit: Tensor
    base: Tensor
    slope: Tensor
    _centre: Tensor

    def __init__(self, columns: Sequence[tuple[str, int]]) -> None:
        super().__init__()
        self.columns = [(str(kind), int(n)) for kind, n in columns]
        if not self.columns:
            raise InvalidParameterError("columns=()", "must name at least one column")
        for kind, n in self.columns:
            least = {"categorical": 1, "ordinal": 2}.get(kind, 0)
            if kind not in KINDS or n < least:
                raise InvalidParameterError(
                    f"column ({kind!r}, {n})",
                    f"must be one of {', '.join(KINDS)}, categories with at least {least or 1}",
                )
        self.members = {name: self._of(name) for name in _GROUPS}
        place = [j for name in _GROUPS for j in self.members[name]]
        self.sizes = {
            "categorical": [self.columns[j][1] for j in self.members["categorical"]],
            "ordinal": [self.columns[j][1] for j in self.members["ordinal"]],
        }
        self.n_single = len(place) - len(self.members["categorical"])
        self._index("_place", torch.tensor(place))
        self._index("_order", torch.tensor(place).argsort())
        widest = max(self.sizes["categorical"], default=0)
        if widest * len(self.sizes["categorical"]) > _MOST_LOGITS:
            raise InvalidParameterError(
                f"{len(self.sizes['categorical'])} columns of up to {widest} categories",
                f"must have at most {_MOST_LOGITS} logits",
            )
        starts, at = [], self.n_single
        for size in self.sizes["categorical"]:
            starts.append([at + k if k < size else -1 for k in range(widest)])
            at += size
        self.width = at
        logits = torch.tensor(starts, dtype=torch.long)
        self._index("_logit_place", logits.where(logits >= 0, self.width))
        levels = max(self.sizes["ordinal"], default=2)
        self._index("_no_threshold", _beyond([n - 1 for n in self.sizes["ordinal"]], levels - 1))
        single = torch.tensor(place[: self.n_single], dtype=torch.long)
        hot = [j for j in self.members["categorical"] for _ in range(self.columns[j][1])]
        self._index("feature_column", torch.cat([single, torch.tensor(hot, dtype=torch.long)]))
        kinds = [kind for kind, _ in self.columns]
        self._index("continuous", torch.tensor([kind in _REAL for kind in kinds]))
        n_real, n_count = len(self.members["real"]), len(self.members["count"])
        n_ordinal = len(self.members["ordinal"])
        self.register_buffer("log_value", torch.zeros(n_real))
        self._index("_unseen", torch.zeros(n_real, dtype=torch.bool))
        self.theta = nn.Parameter(torch.zeros(n_real))
        self.register_buffer("log_r", torch.zeros(n_count))
        self.dispersion = nn.Parameter(torch.zeros(n_count))
        self.register_buffer("log_most", torch.full((n_count,), LOG_MEAN_RANGE[1]))
        self.register_buffer("first", torch.zeros(n_ordinal))
        self.register_buffer("gaps", torch.ones(n_ordinal, max(0, levels - 2)).log())
        self.shift = nn.Parameter(torch.zeros(n_ordinal, levels - 1))
        self.register_buffer("unit", torch.ones(self.width))
        self.register_buffer("base", torch.zeros(self.width))
        self.register_buffer("slope", torch.ones(self.width))
        self.register_buffer("_centre", torch.zeros(self.width))

    def _of(self, group: str) -> list[int]:
        kinds = _REAL if group == "real" else (group,)
        return [j for j, (kind, _) in enumerate(self.columns) if kind in kinds]

    def _index(self, name: str, value: Tensor) -> None:
        self.register_buffer(name, value, persistent=False)

    def n_outputs(self, shape: tuple[int, ...]) -> int:
        return self.width

    @property
    def free_scale(self) -> bool:
        """Whether a column has a σ."""
        return bool(self.members["real"])

    def distribution(self, raw: Tensor, shape: tuple[int, ...]) -> Distribution:
        """From (..., width) raw outputs, batch shape (..., D)."""
        if raw.dtype in (torch.bfloat16, torch.float16):
            raw = raw.float()
        groups: dict[str, Distribution] = {}
        at = 0
        for name in _GROUPS[:-1]:
            n = len(self.members[name])
            if n:
                groups[name] = self._single(name, raw[..., at : at + n])
            at += n
        if self.members["categorical"]:
            groups["categorical"] = Categorical(logits=self._padded(raw), validate_args=False)
        return JointDistribution(groups, self._order, len(self.columns))

    def _padded(self, raw: Tensor) -> Tensor:
        """(..., J, C) logits of J columns of categories, :data:`_NEVER` where one has fewer."""
        given = nn.functional.pad(raw, (0, 1), value=_NEVER)
        # the gradient of an index costs ten times that of a gather
        found = given.gather(-1, self._logit_place.flatten().expand(*raw.shape[:-1], -1))
        return found.view(*raw.shape[:-1], *self._logit_place.shape)

    def _single(self, name: str, raw: Tensor) -> Distribution:
        if name == "real":
            log_scale = (self.log_value + GAIN * self.theta).clamp(math.log(MIN_SCALE), 10.0)
            return Normal(raw, log_scale.exp())
        if name == "count":
            log_r = (self.log_r + GAIN * self.dispersion).clamp(-10.0, 10.0)
            # no mean above the largest count of the training rows: exp would go far beyond it
            log_mean = torch.minimum(raw, self.log_most).clamp(*LOG_MEAN_RANGE)
            return NegativeBinomial(
                log_r.exp().expand_as(log_mean), logits=log_mean - log_r, validate_args=False
            )
        if name == "binary":
            return Bernoulli(logits=raw, validate_args=False)
        return Categorical(logits=self._ordinal(raw), validate_args=False)

    def _thresholds(self) -> tuple[Tensor, Tensor]:
        """θ (J, C−1) and their gaps (J, C−2), above 0."""
        gaps = (self.gaps + self.shift[:, 1:]).clamp(-6.0, 4.0).exp() + _LEAST_GAP
        first = (self.first + self.shift[:, 0])[:, None]
        return torch.cat([first, first + gaps.cumsum(1)], 1), gaps

    def _ordinal(self, raw: Tensor) -> Tensor:
        """Log-probabilities (..., J, C) of the codes.

        sigmoid(a) − sigmoid(b) = sigmoid(a) sigmoid(−b) (1 − e^{b−a}), without cancellation.
        """
        theta, gaps = self._thresholds()
        above = theta - raw[..., None]
        log_below = nn.functional.logsigmoid(above).masked_fill(self._no_threshold, 0.0)
        log_above = nn.functional.logsigmoid(-above)
        between = torch.log(-torch.expm1(-gaps)).masked_fill(self._no_threshold[:, 1:], 0.0)
        one = torch.zeros_like(log_below[..., :1])
        found = torch.cat([log_below, one], -1) + torch.cat([one, log_above], -1)
        none = torch.zeros_like(between[:, :1])
        found = found + torch.cat([none, between, none], 1)
        pad = torch.cat([torch.zeros_like(self._no_threshold[:, :1]), self._no_threshold], 1)
        return found.masked_fill(pad, _NEVER)

    def expectation(self, p: Distribution) -> Tensor:
        """E[x|z] of numbers, the mode of codes."""
        assert isinstance(p, JointDistribution)  # noqa: S101  (what distribution gives)
        return p.mode

    def features(self, x: Tensor) -> Tensor:
        """T(x), (N, D_T), NaN where an entry is missing."""
        given = x[..., self._place]
        found = x.new_empty(*x.shape[:-1], self.width)
        found[..., : self.n_single] = given[..., : self.n_single]
        at = self.n_single
        for i, size in enumerate(self.sizes["categorical"]):
            code = given[..., self.n_single + i, None]
            hot = (code == torch.arange(size, device=x.device, dtype=x.dtype)).to(x.dtype)
            found[..., at : at + size] = torch.where(code.isnan(), code, hot)
            at += size
        return found.div_(self.unit.to(x.dtype))

    def by_feature(self, entries: Tensor) -> Tensor:
        """An entry's value for each feature that stands for it, (..., D) → (..., D_T)."""
        return entries[..., self.feature_column]

    def expected_features(self, p: Distribution) -> Tensor:
        """E[T(x)|z]."""
        assert isinstance(p, JointDistribution)  # noqa: S101
        parts = [mean_of(q) for name, q in p.groups.items() if name != "categorical"]
        q = p.groups.get("categorical")
        if isinstance(q, Categorical):
            parts += [q.probs[..., i, :n] for i, n in enumerate(self.sizes["categorical"])]
        found = torch.cat(parts, -1)
        return found / self.unit.to(found.dtype)

    def raw_target(self, x: Tensor) -> Tensor:
        """(N, width): what the linear start regresses, the base rate where an entry is missing."""
        t = self.features(x) * self.unit.to(x.dtype)
        n_real, n_count = len(self.members["real"]), len(self.members["count"])
        counts = slice(n_real, n_real + n_count)
        t = torch.cat(
            [t[..., :n_real], t[..., counts].clamp(min=0).log1p(), t[..., n_real + n_count :]], -1
        )
        moved = (t - self._centre) * self.slope.to(t.dtype)
        return self.base.to(t.dtype) + moved.nan_to_num(0.0)

    def flat_target(self, x: Tensor) -> Tensor:
        return self.raw_target(x)

    @torch.no_grad()
    def reach(self, high: Tensor) -> None:
        """Counts are decoded up to the largest of all training rows."""
        counts = high[torch.as_tensor(self.members["count"], dtype=torch.long)]
        self.log_most.copy_(torch.maximum(self.log_most, counts.clamp(min=1.0).log()))

    def prepare(self, x: Tensor) -> None:
        """Base rates, thresholds and units from training rows (N, D), NaN where missing.

        Of a column without an entry nothing is known: every code is as probable, a count is 1 on
        average, a number N(0, 1).
        """
        self.unit.fill_(1.0)
        n_real, n_count, n_binary = (len(self.members[name]) for name in _GROUPS[:3])
        counts = slice(n_real, n_real + n_count)
        ordinals = slice(n_real + n_count + n_binary, self.n_single)
        t = x[..., self._place]  # of which the single ones are features

        def logs(rows: Tensor) -> Tensor:
            found = self.features(rows)
            found[:, counts] = found[:, counts].clamp(min=0).log1p()
            return found

        # some rows at a time: one-hot they may be a hundred times as large
        parts = torch.split(x, max(1, _VALUES // self.width))
        mean, variance, unseen = _moments(self.features, parts)
        centre, spread, _ = _moments(logs, parts)
        even = self._even().to(t.dtype)
        mean = torch.where(unseen, even, mean)
        even[counts] = even[counts].log1p()
        centre = torch.where(unseen, even, centre)
        self._unseen.copy_(unseen[:n_real])
        self._centre.copy_(centre)
        self.slope.copy_(1 / spread.clamp(min=_LEAST_VARIANCE))
        self.slope[:n_real] = 1.0
        self.slope[counts] = 1 / spread[counts].clamp(min=1.0)
        self.slope[ordinals] = 1 / spread[ordinals].clamp(min=_LEAST_VARIANCE).sqrt()
        self.base.copy_(centre)
        self.base[counts] = mean[counts].clamp(min=1e-6).log()
        self.log_r.copy_(
            (mean[counts].square() / (variance[counts] - mean[counts]).clamp(min=1e-3))
            .clamp(1e-4, 1e4)
            .log()
        )
        most = t[:, counts].nan_to_num(0.0).amax(0).clamp(min=1.0)
        self.log_most.copy_(most.log())
        rates = centre.clamp(_RATE, 1 - _RATE)
        binary = slice(n_real + n_count, n_real + n_count + n_binary)
        self.base[binary] = rates[binary].logit()
        self.base[self.n_single :] = centre[self.n_single :].clamp(min=0.5 / max(len(x), 1)).log()
        self.base[ordinals] = 0.0
        for i, size in enumerate(self.sizes["ordinal"]):
            code = t[:, ordinals.start + i]
            code = code[~code.isnan()]
            if not len(code):
                code = torch.arange(size, dtype=t.dtype, device=t.device)
            below = torch.stack([(code <= k).to(t.dtype).mean() for k in range(size - 1)])
            theta = below.clamp(_RATE, 1 - _RATE).logit()
            self.first[i] = theta[0]
            gaps = (theta.diff() - _LEAST_GAP).clamp(min=0.01)
            self.gaps[i, : size - 2] = gaps.log()
        for of in (counts, ordinals):
            self.unit[of] = variance[of].sqrt().masked_fill(variance[of] <= 0, 1.0)

    def _even(self) -> Tensor:
        """E[T(x)], (D_T,), of a column of which nothing is known."""
        found = [
            {"count": 1.0, "binary": 0.5, "ordinal": (self.columns[j][1] - 1) / 2}.get(name, 0.0)
            for name in _GROUPS[:-1]
            for j in self.members[name]
        ]
        found += [1 / size for size in self.sizes["categorical"] for _ in range(size)]
        return torch.tensor(found, device=self.base.device)

    def log_variance(self) -> Tensor:
        """σ² of each positive column, of its scaled logarithm, 0 elsewhere: (D,).

        A log-normal x has E[x] = exp(E[log x] + Var[log x] / 2).
        """
        found = self.log_value.new_zeros(len(self.columns))
        scale = (self.log_value + GAIN * self.theta).clamp(math.log(MIN_SCALE), 10.0).exp()
        for i, j in enumerate(self.members["real"]):
            if self.columns[j][0] == "positive":
                found[j] = scale[i].square()
        return found

    @torch.no_grad()
    def calibrate(self, mean_residual: Tensor) -> None:
        """σ of each real column from its mean squared residual, (D,); 1 of one without an entry."""
        real = mean_residual.to(self.log_value.dtype)[self.members["real"]]
        real = real.masked_fill(self._unseen, 1.0)
        self.log_value.copy_(0.5 * real.clamp(min=MIN_SCALE**2).log())
        self.theta.zero_()

    def rescaled(self, p: Distribution) -> Distribution:
        assert isinstance(p, JointDistribution)  # noqa: S101  (what distribution gives)
        groups = dict(p.groups)
        if "real" in groups:
            groups["real"] = self._single("real", groups["real"].mean)
        return JointDistribution(groups, self._order, len(self.columns))

    def check(self, x: Tensor) -> None:
        for j, (kind, n) in enumerate(self.columns):
            if kind in _REAL:
                continue
            column = x[:, j]
            most = {"count": float("inf"), "binary": 2}.get(kind, n)
            inside = (column >= 0) & (column < most) & (column == column.round())
            if not bool((inside | column.isnan()).all()):
                raise DataError(
                    f"column {j} of X as kind {kind!r}",
                    "must hold whole numbers from 0" + ("" if kind == "count" else f" to {n - 1}"),
                )


def _moments(
    view: Callable[[Tensor], Tensor], parts: Sequence[Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of each feature over the rows that have it, and which no row has."""
    seen = ((t.nan_to_num(0.0).sum(0), (~t.isnan()).sum(0)) for t in map(view, parts))
    total, there = (torch.stack(each).sum(0) for each in zip(*seen, strict=True))
    mean = total / (n := there.clamp(min=1))
    squares = [(view(rows) - mean).nan_to_num(0.0).square().sum(0) for rows in parts]
    return mean, torch.stack(squares).sum(0) / n, there == 0


def _beyond(sizes: list[int], widest: int) -> Tensor:
    """(J, widest) bool, True at the places that a column has not."""
    return torch.arange(widest) >= torch.tensor(sizes, dtype=torch.long)[:, None]
