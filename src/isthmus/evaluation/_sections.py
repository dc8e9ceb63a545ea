"""The parts of an evaluation: each writes its metrics, arrays and facts onto the sheet."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isthmus.core.corruption import CORRUPTIONS, DEFAULT_LEVELS, Identity
from isthmus.core.likelihoods import Likelihood
from isthmus.evaluation import (
    bounds,
    exhibits,
    latents,
    likelihood_fit,
    neighbourhood,
    robustness,
    sensitivity,
    smoothness,
)
from isthmus.evaluation._ground import Ground, Sheet
from isthmus.evaluation.exhibits import subset
from isthmus.evaluation.picture import known, picture
from isthmus.evaluation.reconstruction import LIVELY, bits_per_dimension, r2

Array = NDArray[Any]
JACOBIANS, NOISY, SMOOTH, EXAMPLES, WALKS, WALK_POINTS = 256, 1000, 500, 8, 64, 17
LEVELS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
# Up to this mean brightness, of the range, an image is ink on paper: digits 0.13, faces 0.6.
_INK = 0.5
"""Levels of noise, in units of the reference level."""


def reconstruction(g: Ground, out: Sheet) -> None:
    """Squared error per row, relative, and R² per feature; PCA's beside them."""
    own, line = g.own, g.line
    error = float(own.row.mean())
    variance = float(g.variance.sum())
    pca = None if line is None else float(line.row.mean())
    out.add("squared_error", error, pca=pca, unit=f"{g.unit} per row", n=g.rows(g.n))
    if variance > 0:
        left = float(own.feature.sum()) / variance
        pca = None if line is None else float(line.feature.sum()) / variance
        out.add("relative_squared_error", left, pca=pca, n=g.rows(g.n))
        shares = r2(own.feature, g.variance)
        pca = None if line is None else float(np.nanmedian(r2(line.feature, g.variance)))
        out.add("r2", float(np.nanmedian(shares)), pca=pca, n=g.rows(g.n))
        out.arrays["r2"] = shares
    x = g.x[g.shown]
    out.arrays |= {
        "rows": g.positions[g.shown],
        "x": x,
        "reconstruction": g.reconstruct(x),
        "squared_error": own.row[g.shown],
        "feature_error": own.feature,
        "feature_variance": g.variance,
    }
    if line is not None:
        out.arrays["pca_squared_error"] = line.row[g.shown]
        out.arrays["pca_feature_error"] = line.feature


def bound(g: Ground, out: Sheet, n_importance: int, n_rows: int | None) -> None:
    """Evidence bound, importance-weighted bound, bits per entry."""
    x = g.x[g.some]
    nats = np.asarray(g.model.score_samples(g.wrap(x)), dtype=np.float64)
    if not g.variational:
        out.add("log_likelihood_at_code", nats.mean(), n=g.rows(len(x)))
    else:
        scaled, there = g.tensors(x)
        jacobian = g.log_jacobian(there, len(x))
        if g.core.objective.needs_density:  # the score is an importance bound then
            nats = bounds.evidence(g.core, scaled, there, seed=g.seed).numpy() + jacobian
        out.add("elbo", nats.mean(), n=f"{g.rows(len(x))}, {_in_words(_error(nats))}")
        out.add("bits_per_dimension", bits_per_dimension(nats, (~np.isnan(x)).sum(1)))
        if n_importance > 0:
            _importance(g, out, n_importance, n_rows, nats)
    out.arrays["nats"] = nats[np.searchsorted(g.some, g.shown)]


def _error(values: Array) -> float:
    """The standard error of their mean; infinite of a single one, which tells of none."""
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def _in_words(error: float) -> str:
    known = math.isfinite(error)
    return f"standard error {error:.2g}" if known else "no standard error, which takes two rows"


def _importance(g: Ground, out: Sheet, n_draws: int, n_rows: int | None, nats: Array) -> None:
    """The evidence bound of all rows plus the gap of a part of them.

    The gap varies far less from row to row than the bounds do, so that a few rows tell it.
    """
    if n_rows is None:
        n_rows = bounds.affordable(sum(p.numel() for p in g.core.decoder.parameters()), n_draws)
    chosen = subset(g.n, min(n_rows, len(g.some)), g.seed)
    x, there = g.tensors(g.x[chosen])
    found = bounds.importance(g.core, x, there, n_draws=n_draws, seed=g.seed)
    values = found.log_mean.numpy() + g.log_jacobian(there, len(chosen))
    gap = values - nats[np.searchsorted(g.some, chosen)]
    of_gap, of_all = _error(gap), _error(nats)
    rows, draws = g.rows(len(chosen)), f"{n_draws:,}"
    if len(chosen) < len(nats):
        error = math.hypot(of_gap, of_all)
        words = f"evidence bound of {g.rows(len(nats))} and gap of {len(chosen):,}"
    else:
        error = _error(values)
        words = rows
    words += f", {_in_words(error)}"
    out.add("importance_bound", float(nats.mean() + gap.mean()), draws=draws, n=words)
    out.add("importance_gap", float(gap.mean()), n=f"{rows}, {_in_words(of_gap)}")
    median = float(np.median(found.effective.numpy()))
    out.add("effective_draws", median, draws=draws, high=float(n_draws), n=rows)


def codes(g: Ground, out: Sheet) -> None:
    """KL, active units, mutual information and aggregate posterior; effect of every latent."""
    z = g.codes
    n = g.rows(len(g.some))
    some = subset(len(z), exhibits.MOST_ROWS // 4, g.seed)
    effect = latents.effect(g.decode, z[some], g.weight)
    out.arrays |= {
        "code": z[np.searchsorted(g.some, g.shown)],
        "activity": latents.activity(z),
        "code_deviation": z.std(0, dtype=np.float64),
        "effect": effect,
    }
    out.arrays["map"], out.facts["map"] = exhibits.plane(out.arrays["code"])
    if not g.variational:
        return
    mean, variance = g.posterior
    kl = latents.kl_normal(mean, variance)
    out.arrays["kl"] = kl.mean(0)
    out.arrays["activity"] = latents.activity(mean)
    total = float(kl.sum(1).mean())
    out.add("kl", total, n=n)
    active = latents.n_active(out.arrays["activity"])
    out.add("active_units", active, high=float(g.k), n=n)
    ceiling = math.log(len(mean))
    told = latents.mutual_information(mean, variance, seed=g.seed)
    told = min(max(told, 0.0), ceiling)
    out.add("mutual_information", told, high=ceiling, ceiling=f"{ceiling:.2f}", n=n)
    out.add("aggregate_kl", max(0.0, total - told), n=n)
    half = subset(len(mean), NOISY, g.seed)
    marginal = latents.marginal_divergence(mean[half], variance[half], seed=g.seed)
    out.add("marginal_kl", max(0.0, float(marginal.sum())), n=g.rows(len(mean[half])))


def slopes(g: Ground, out: Sheet) -> None:
    """Mean norm of the encoder's derivative, as it is and with the code's scale taken out."""
    if g.core.likelihood.support in ("category", "mixed"):
        return
    chosen = subset(g.n, JACOBIANS, g.seed)
    x = g.x[chosen]
    n = g.rows(len(chosen))
    scaled, _ = g.tensors(x)
    found = sensitivity.jacobian(lambda rows: g.core.encode(rows).mean, scaled)
    out.add("jacobian_norm", float(sensitivity.norm(found).mean()), n=n)
    deviation = g.codes.std(0, dtype=np.float64)
    alive = np.where(deviation > 1e-6 * deviation.max(initial=0.0), deviation, 0.0)
    out.add("jacobian_norm_scaled", float(sensitivity.norm(found, alive).mean()), n=n)


def noise(g: Ground, out: Sheet) -> None:
    """Error against clean rows at rising levels of noise; PCA from the same noisy rows."""
    kind, reference = _noise_of(g)
    chosen = subset(g.n, NOISY, g.seed)
    x = g.x[chosen]
    most = math.inf if kind == "gaussian" else 1.0
    levels = np.unique(np.minimum(np.array(LEVELS) * reference, most))

    def corrupt(level: float) -> Array:
        if level == 0.0:
            return x
        return g.model.corrupt(g.wrap(x), kind, level, random_state=g.seed)

    found = robustness.noise(g.reconstruct, corrupt, x, levels, g.weight)
    line = None
    if g.pca is not None:
        pca = g.pca
        to, back = g.shift, 1.0 / g.weight
        line = robustness.noise(
            lambda y: pca.reconstruct(g.u(y)) * back + to, corrupt, x, levels, g.weight
        )
    at = int(np.argmin(np.abs(levels - reference)))
    unit = "standard deviations" if kind == "gaussian" else "of the entries"
    word = kind.replace("_", " and ")
    words = {"n": g.rows(len(chosen)), "noise": f"{word} noise of {reference:g} {unit}"}
    pca_error, pca_passed = (None, None) if line is None else (line.error[at], line.passed[at])
    out.add("noise_error", float(found.error[at]), pca=pca_error, unit=f"{g.unit} per row", **words)
    out.add("noise_passed", float(found.passed[at]), pca=pca_passed, n=g.rows(len(chosen)))
    out.facts["noise"] = {"kind": kind, "unit": unit, "reference": reference}
    few = x[:EXAMPLES]
    noisy = np.asarray(corrupt(reference))[:EXAMPLES]
    out.arrays |= {
        "noise_level": found.level,
        "noise_error": found.error,
        "noise_clean": few,
        "noise_in": noisy,
        "noise_out": g.reconstruct(noisy),
    }
    if line is not None:
        out.arrays["pca_noise_error"] = line.error


def _noise_of(g: Ground) -> tuple[str, float]:
    """The model's own corruption where it has one, and Gaussian noise where it has none.

    Outside the real line Gaussian noise leaves the support, and entries are masked instead (or
    swapped, for categories).
    """
    kind, level = "gaussian", DEFAULT_LEVELS["gaussian"]
    if not isinstance(g.core.corruption, Identity):
        names = {cls: name for name, cls in CORRUPTIONS.items()}
        own = names.get(type(g.core.corruption))  # type: ignore[arg-type]
        found = float(getattr(g.core.corruption, "level", 0.0))
        if own is not None and found > 0:
            kind, level = own, found
    support = g.core.likelihood.support
    if kind == "gaussian" and support != "real":
        kind = "swap" if support == "category" else "masking"
        level = DEFAULT_LEVELS[kind]
    return kind, level


def walks(g: Ground, out: Sheet, labels: Array | None) -> None:
    """Traversals of latents, interpolations between rows, and how smoothly they decode."""
    z = out.arrays["code"]
    order = np.argsort(-out.arrays["effect"], kind="stable")
    out.arrays |= exhibits.traversal(g.decode, z, order)
    ends = exhibits.pairs(len(z), labels, exhibits.PAIRS, g.seed)
    out.arrays["interpolation"] = exhibits.walks(g.decode, z, ends)
    out.arrays["interpolation_rows"] = g.positions[g.shown][ends].reshape(-1, 2)
    many = exhibits.pairs(len(z), None, WALKS, g.seed)
    if not len(many):
        return
    paths = exhibits.walks(g.decode, z, many, WALK_POINTS) * g.weight
    words = f"{len(many)} walks"
    detour, jump = smoothness.detour(paths), smoothness.jump(paths)
    if np.isfinite(detour).any():
        out.add("interpolation_detour", float(np.nanmean(detour)), n=words)
        out.add(
            "interpolation_jump",
            float(np.nanmean(jump)),
            n=words,
            points=str(WALK_POINTS),
            high=WALK_POINTS - 1.0,
        )
        some = z[subset(len(z), SMOOTH, g.seed)]
        change = smoothness.neighbour_change(lambda c: g.decode(c) * g.weight, some, seed=g.seed)
        out.add("neighbour_change", float(change.mean()), n=g.rows(len(some)))


def neighbours(g: Ground, out: Sheet) -> None:
    """Trustworthiness and continuity of the code; PCA's beside them."""
    k = neighbourhood.NEIGHBOURS
    if len(g.some) <= 2 * k:
        return
    rows, z = g.filled, g.codes
    line = None if g.pca is None else g.pca.codes(g.filled)
    n = f"{k} neighbours, {g.rows(len(rows))}"
    for name, of in (
        ("trustworthiness", neighbourhood.trustworthiness),
        ("continuity", neighbourhood.continuity),
    ):
        out.add(name, of(rows, z), pca=None if line is None else of(rows, line), n=n)


def _light(x: Array, channels: int, stated: bool) -> dict[str, Any]:
    """Of images that are stated to be some: their channels, and whether they are ink on paper."""
    if not stated:
        return {}
    low, high = float(np.nanmin(x)), float(np.nanmax(x))
    dark = channels == 1 and float(np.nanmean(x)) <= low + _INK * (high - low)
    return {"channels": channels, "ink": dark}


def look(g: Ground, out: Sheet) -> None:
    """How rows are drawn, whether the likelihood suits, and the scales of the features."""
    x = g.x[g.some]
    shape = g.model.sample_shape_
    drawn = picture(x, g.names) if shape is None else known(shape)
    shown = out.arrays["x"]
    out.facts["picture"] = {
        "kind": drawn.kind,
        "shape": None if drawn.shape is None else list(drawn.shape),
        "low": float(np.nanmin(shown)),
        "high": float(np.nanmax(shown)),
        **_light(x, drawn.channels, shape is not None),
    }
    out.facts["residuals"] = _residuals(g, x)
    variance = g.variance
    share = variance / max(float(variance.sum()), np.finfo(float).tiny)
    worst = np.sort(g.own.row)[::-1]
    few = max(1, len(worst) // 100)
    moved = np.abs(np.nanmean((g.filled / g.weight) / g.scale, axis=0))
    foreign = out.facts["rows"]["kind"] == "new" and g.model.scaling_.kind != "none"
    out.facts["scale"] = {
        "largest_share": float(share.max()) if g.d > 2 else 0.0,
        "largest_feature": int(share.argmax()),
        "shift": float(moved.max()) if foreign else 0.0,
        "shifted_feature": int(moved.argmax()),
        "worst_share": float(worst[:few].sum() / max(float(worst.sum()), 1e-300))
        if len(worst) >= 100
        else 0.0,
        "constant": int((variance == 0).sum()) if drawn.kind == "table" else 0,
    }


def _residuals(g: Ground, x: Array) -> dict[str, Any] | None:
    made = g.reconstruct(x)
    kind = likelihood_fit.values_kind(x)
    floor = likelihood_fit.grey_floor(x) if kind == "grey" else None
    # what hardly varies is told exactly by any model, and every density grows without bound there
    lively = g.variance > LIVELY * float(g.variance.mean())
    if not lively.any():
        return None
    x, made, scale = x[:, lively], made[:, lively], g.scale[lively]
    r = (x.astype(np.float64) - made) / scale
    found: dict[str, Any] = {
        "values": kind,
        "n_features": int(lively.sum()),
        "n_entries": float((~np.isnan(x)).sum(1).mean()),
        "kurtosis": likelihood_fit.excess_kurtosis(r),
    }
    head: Likelihood = g.core.likelihood
    if head.support == "real":
        cost = likelihood_fit.location_scale(r)
        found |= {
            "gain_feature": cost.gain("gaussian_feature"),
            "gain_laplace": cost.gain("laplace"),
        }
    if kind == "counts":
        found["dispersion"] = likelihood_fit.dispersion(x, made)
        if head.support == "real":
            units = float(((~np.isnan(x)).mean(0) * np.log(scale)).sum())
            found["gain_poisson"] = cost.gaussian + units - likelihood_fit.poisson(x, made)
    if floor is not None:
        found["grey_floor"] = floor
    return found


def generalisation(g: Ground, out: Sheet) -> None:
    """Errors on rows that were trained on beside those of rows that were not."""
    held, kind = g.model.held_out_, out.facts["rows"]["kind"]
    if kind == "training":
        if held is None or not isinstance(g.core.corruption, Identity) or g.line is None:
            return
        train, line = float(g.own.row.mean()), float(g.line.row.mean())
        other, other_line = float(held.squared_error.mean()), float(held.pca_squared_error.mean())
    elif g.reference is None or g.line is None:
        return
    else:
        seen = g.reference[subset(len(g.reference), NOISY * 2, g.seed)]
        train = float(g.errors(seen).row.mean())
        line = float(g.errors(seen, "pca").row.mean())
        other, other_line = float(g.own.row.mean()), float(g.line.row.mean())
    out.facts["generalisation"] = {
        "training": train,
        "held_out": other,
        "pca_training": line,
        "pca_held_out": other_line,
    }
