"""Fitting: who is held out, which state is kept, and that it is never worse than PCA."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from torch import Tensor, nn
from torch.distributions import Distribution, Normal

from estimator_examples import CLASSES, SMALL, D, N, curved, fitted, options, same_bits, with_holes
from isthmus import (
    Autoencoder,
    ContractiveAutoencoder,
    DenoisingAutoencoder,
    DivergedError,
    VariationalAutoencoder,
    load,
)
from isthmus.core.likelihoods import Gaussian, Likelihood
from isthmus.data.batches import TensorBatches
from isthmus.data.rows.split import folds, hold_out
from isthmus.engine.loop import Training
from isthmus.estimators import Progress
from isthmus.estimators._material import shares_memory
from isthmus.estimators._parameters import to_train
from isthmus.estimators._validation import Validation
from isthmus.presets import undercomplete

X = curved()
K = 2
each_class = pytest.mark.parametrize("cls", CLASSES)
HELD = SMALL | {"early_stopping": True, "patience": None}


def noise(n: int = 200, d: int = 8) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, d)) * np.geomspace(1, 2, d)


def bend(n: int = 300) -> np.ndarray:
    """A curve in five dimensions: one number says all."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, n)
    x = np.stack([t, t**2, t**3, np.sin(3 * t), np.cos(3 * t)], 1)
    return x + 0.01 * rng.normal(size=x.shape)


def parts(model: Any, n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The training and held-out rows of that fit, drawn again from its seed."""
    order = model._seeds(model.random_state).order
    if model.early_stopping is True:
        pairs = [hold_out(n, round(model.validation_fraction * n), order)]
    else:
        pairs = folds(n, 5, order)
    return [(train.numpy(), held.numpy()) for train, held in pairs]


def pca_residual(x: np.ndarray, train: np.ndarray, held: np.ndarray, k: int) -> np.ndarray:
    pca = PCA(k).fit(x[train])
    return x[held] - pca.inverse_transform(pca.transform(x[held]))


# --------------------------------------------------------------------------- never worse


@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_noise_stays_at_pca_of_all_rows(early_stopping: Any) -> None:
    x = noise()
    model = Autoencoder(3, **(SMALL | {"early_stopping": early_stopping, "max_epochs": 4})).fit(x)
    assert model.stayed_linear_
    assert model.n_steps_ == 0
    pca = PCA(3).fit(x)
    np.testing.assert_allclose(
        model.reconstruct(x), pca.inverse_transform(pca.transform(x)), atol=1e-5
    )
    codes = pca.transform(x) / np.sqrt(pca.explained_variance_ * (len(x) - 1) / len(x))
    np.testing.assert_allclose(np.abs(model.transform(x)), np.abs(codes), atol=1e-5)


@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_a_curve_beats_pca_by_far(early_stopping: Any) -> None:
    x = bend()
    change = {"early_stopping": early_stopping, "max_epochs": 50, "learning_rate": 0.02}
    model = Autoencoder(1, **(SMALL | change)).fit(x)
    assert not model.stayed_linear_
    assert model.squared_error_ < 0.3 * model.pca_squared_error_
    new = bend(500)[300:]
    pca = PCA(1).fit(x)
    theirs = np.square(new - pca.inverse_transform(pca.transform(new))).sum(1).mean()
    assert np.square(new - model.reconstruct(new)).sum(1).mean() < 0.3 * theirs


@each_class
@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_the_state_that_is_kept_is_the_best_on_held_out_rows(
    cls: type, early_stopping: Any
) -> None:
    model = cls(K, **(options(cls) | {"early_stopping": early_stopping, "max_epochs": 6})).fit(X)
    best = min(model.history_, key=lambda row: row["validation"])
    if model.stayed_linear_:
        best = model.history_[0]
    assert model.n_steps_ == best["step"]
    assert model.validation_ == best["validation"]
    assert model.squared_error_ == best["squared_error"]
    assert model.n_epochs_ == best["epoch"]


# ------------------------------------------------------------- figures checked by hand


@pytest.mark.parametrize("scaling", ["common", "standard"])
@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_before_the_first_step_it_is_pca_on_the_same_split(
    scaling: str, early_stopping: Any
) -> None:
    model = Autoencoder(K, scaling=scaling, **(HELD | {"early_stopping": early_stopping})).fit(X)
    unit = model.scaling_.scale.numpy()
    residuals = [pca_residual(X / unit, *rows, K) for rows in parts(model, N)]
    first = model.history_[0]
    assert first["step"] == 0
    told_in = model.scaling_.unit.numpy()
    error = np.mean(np.concatenate([np.square(r * told_in).sum(1) for r in residuals]))
    assert first["squared_error"] == pytest.approx(error, rel=1e-5)
    assert first["pca_squared_error"] == pytest.approx(error, rel=1e-5)
    losses = []
    for residual in residuals:  # each part is judged at its own best σ
        sigma = np.sqrt(np.square(residual).mean())
        losses.append(-stats.norm.logpdf(residual * unit, 0, sigma * unit).sum(1))
    assert first["validation"] == pytest.approx(np.concatenate(losses).mean(), rel=1e-5)


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("name", ["gaussian", "gaussian_feature", "laplace"])
def test_the_final_scale_is_the_optimum_of_the_held_out_rows(name: str, holes: bool) -> None:
    x = bend()
    if holes:  # in one feature, so that entries and features do not count alike
        x[np.arange(300) % 3 > 0, 4] = np.nan
    model = Autoencoder(
        1, likelihood=name, **(HELD | {"max_epochs": 50, "learning_rate": 0.02})
    ).fit(x)
    assert not model.stayed_linear_
    ((_, held),) = parts(model, len(x))
    residual = np.abs(model.reconstruct(x[held]) - x[held]) / model.scaling_.scale.numpy()
    power = 1 if name == "laplace" else 2
    axis = 0 if name == "gaussian_feature" else None
    best = np.nanmean(residual**power, axis=axis) ** (1 / power)
    ours = model.autoencoder_.likelihood.scale(torch.zeros(1, 5, 1)).detach().numpy()
    np.testing.assert_allclose(ours, best, rtol=1e-4)
    if not holes:
        assert model.validation_ == pytest.approx(-model.score(x[held]), rel=1e-4)


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
def test_history_is_in_nats_of_the_data(early_stopping: Any) -> None:
    change = {"early_stopping": early_stopping}
    scale = 2.0**80  # its square is too large for float32
    small, large = (Autoencoder(K, **(SMALL | change)).fit(s * X) for s in (1.0, scale))
    for a, b in zip(small.history_, large.history_, strict=True):
        for name in ("validation", "reconstruction", "loss"):
            if name in a:
                shifted = a[name] + D * math.log(scale)
                assert b[name] == pytest.approx(shifted, rel=1e-9, nan_ok=True)
        for name in ("squared_error", "pca_squared_error"):
            assert b[name] == pytest.approx(scale**2 * a[name], rel=1e-6, nan_ok=True)


@each_class
def test_the_loss_is_the_sum_of_its_terms(cls: type) -> None:
    fixed = {"step", "epoch", "seconds", "loss", "validation", "squared_error", "pca_squared_error"}
    extra = {"VariationalAutoencoder": {"kl"}, "ContractiveAutoencoder": {"contraction"}}
    for row in fitted(cls).history_[1:]:
        terms = set(row) - fixed
        assert terms == {"reconstruction", *extra.get(cls.__name__, set())}
        assert row["loss"] == pytest.approx(sum(row[name] for name in terms))


# ------------------------------------------------------------------ how long, and who stops


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
@pytest.mark.parametrize(("max_epochs", "batch_size"), [(1, 32), (3, 50), (2, 1000)])
def test_steps_are_epochs_of_whole_batches(
    early_stopping: Any, max_epochs: int, batch_size: int
) -> None:
    change = {"early_stopping": early_stopping, "max_epochs": max_epochs, "batch_size": batch_size}
    model = Autoencoder(K, **(SMALL | change | {"patience": None})).fit(X)
    n_train = 108 if early_stopping is True else N
    assert model.history_[-1]["step"] == max_epochs * max(1, n_train // batch_size)
    assert model.history_[-1]["epoch"] <= max_epochs * 1.3
    if early_stopping is False:
        assert model.n_steps_ == model.history_[-1]["step"]
        assert math.isnan(model.validation_)
    else:
        assert all(math.isfinite(row["validation"]) for row in model.history_)


def test_patience_ends_a_fit_that_no_longer_improves() -> None:
    model = Autoencoder(3, **(HELD | {"max_epochs": 200, "patience": 2})).fit(noise())
    steps = [row["step"] for row in model.history_]
    assert steps[-1] < 200 * (180 // 32)
    best = np.argmin([row["validation"] for row in model.history_])
    assert len(steps) - 1 - best == 2


def test_a_callback_hears_of_every_round(capsys: pytest.CaptureFixture[str]) -> None:
    heard: list[Progress] = []
    model = Autoencoder(K, **(HELD | {"verbose": 1})).fit(X, callback=heard.append)
    assert [p.as_dict() for p in heard] == model.history_
    assert all(isinstance(p, Progress) for p in heard)
    steps = [p.step for p in heard]
    assert steps == sorted(set(steps))
    assert math.isnan(heard[0].seconds_left)
    assert heard[-1].seconds_left == 0
    assert heard[-1].step == heard[-1].steps
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(heard)
    assert all(line.startswith("[Autoencoder] step ") and "PCA" in line for line in lines)
    Autoencoder(K, **SMALL).fit(X)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("early_stopping", ["auto", True, False])
@pytest.mark.parametrize("at", [0, 1, 4])
def test_ctrl_c_keeps_the_best_state_so_far(early_stopping: Any, at: int) -> None:
    def stop(progress: Progress) -> None:
        if progress.step >= at:
            raise KeyboardInterrupt

    model = Autoencoder(K, **(SMALL | {"early_stopping": early_stopping, "max_epochs": 20}))
    with pytest.warns(UserWarning, match="interrupted"):
        model.fit(X, callback=stop)
    assert model.interrupted_
    assert len(model.history_) == at + 1
    assert model.n_steps_ <= at
    assert np.isfinite(model.score(X))
    assert model.reconstruct(X).shape == X.shape
    model.set_params(max_epochs=1).fit(X)
    assert not model.interrupted_


def test_an_error_in_a_callback_is_the_callers() -> None:
    def fail(progress: Progress) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        Autoencoder(K, **SMALL).fit(X, callback=fail)

    # a fit that fails leaves the estimator as it was, whatever made it fail
    model = Autoencoder(K, **SMALL).fit(X)
    codes = model.transform(X)
    with pytest.raises(LookupError):
        model.fit(1000 * X, callback=fail)
    with pytest.raises(ValueError, match="n_components"):
        model.fit(X[:, :K])
    assert same_bits(model.transform(X), codes)
    model.set_params(likelihood="poisson")
    with pytest.raises(ValueError, match="whole numbers"):  # refused before anything changes
        model.fit(X)
    assert same_bits(model.transform(X), codes)


@pytest.mark.parametrize("rate", [1e6, 1e3])
@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_a_diverging_loss_keeps_the_best_state_and_says_so(
    rate: float, early_stopping: Any
) -> None:
    change = {"early_stopping": early_stopping, "learning_rate": rate, "max_epochs": 60}
    with pytest.warns(UserWarning, match="no finite number after step .* lower learning_rate"):
        model = Autoencoder(K, **(SMALL | change)).fit(X)
    pca = PCA(K).fit(X)
    theirs = np.square(X - pca.inverse_transform(pca.transform(X))).sum(1).mean()
    assert np.square(X - model.reconstruct(X)).sum(1).mean() <= 1.001 * theirs


def test_without_held_out_rows_weights_that_are_no_numbers_are_not_kept() -> None:
    change = {"early_stopping": False, "learning_rate": 3e38, "max_epochs": 1, "batch_size": N}
    with pytest.warns(UserWarning, match="no finite number after step 1; the state of step 0"):
        model = Autoencoder(K, **(SMALL | change)).fit(X)
    assert np.isfinite(model.reconstruct(X)).all()


def test_a_loss_that_is_never_finite_is_an_error() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(K, D)

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.linear(z) / 0.0
            return out

    with pytest.raises(DivergedError, match="the loss before the first step is not a finite"):
        Autoencoder(K, decoder=Broken(), **HELD).fit(X)


# ------------------------------------------------------------------------ one more pass


@each_class
def test_partial_fit_improves_and_keeps_the_scaling(cls: type, tmp_path: Any) -> None:
    model = cls(K, **(options(cls) | {"learning_rate": 0.02})).partial_fit(X)
    shift = model.scaling_.shift.clone()
    noisy = model.corrupt(X, random_state=0) if cls is DenoisingAutoencoder else X

    def error() -> float:
        return float(np.square(model.reconstruct(noisy) - X).sum(1).mean())

    first = error()
    for _ in range(30):
        model.partial_fit(X[:60]).partial_fit(X[60:] + 0.0)
    assert error() < 0.97 * first
    assert torch.equal(model.scaling_.shift, shift)
    again = load(model.save(tmp_path / "run"))
    assert same_bits(again.transform(X), model.transform(X))
    before = again.transform(X)
    again.partial_fit(X[:1])
    assert again.n_steps_ == model.n_steps_ + 1
    assert not same_bits(again.transform(X), before)
    assert np.isfinite(again.sample(4, random_state=0)).all()


def test_partial_fit_sees_every_row_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch size that does not divide the rows must not leave the same rows out for ever."""
    # a step that is played back does not come by the listener
    monkeypatch.setattr("isthmus.engine.loop.can_tape", lambda module: False)
    model = Autoencoder(K, **(SMALL | {"batch_size": 50})).partial_fit(X)
    seen: set[float] = set()
    forward = model.autoencoder_.forward

    def listen(x: torch.Tensor, *mask: torch.Tensor) -> Any:
        seen.update(x[:, 0].tolist())
        return forward(x, *mask)

    model.autoencoder_.forward = listen
    for _ in range(12):
        model.partial_fit(X)
    assert len(seen) == N


def test_partial_fit_moves_what_is_computed_and_sampled() -> None:
    model = Autoencoder(K, **(SMALL | {"learning_rate": 0.1})).fit(X)
    codes, codes32 = model.transform(X), model.transform(X.astype(np.float32))
    drawn = model.sample(5, random_state=0)
    model.partial_fit(X)
    assert not same_bits(model.transform(X), codes)
    assert not same_bits(model.transform(X.astype(np.float32)), codes32)
    assert not same_bits(model.sample(5, random_state=0), drawn)
    assert not model.autoencoder_.training


def test_partial_fit_is_the_same_for_the_same_seed() -> None:
    a, b = (Autoencoder(K, **SMALL).partial_fit(X).partial_fit(X) for _ in range(2))
    assert same_bits(a.transform(X), b.transform(X))
    a.fit(X).partial_fit(X)
    b = copy.deepcopy(fitted(Autoencoder)).partial_fit(X)
    assert same_bits(a.transform(X), b.transform(X))  # nothing is left of what was before


# ------------------------------------------------------------------------ networks of one's own


def encoder(out: int = K) -> nn.Sequential:
    return nn.Sequential(nn.Linear(D, 8), nn.Tanh(), nn.Linear(8, out))


def decoder(out: int = D) -> nn.Sequential:
    return nn.Sequential(nn.Linear(K, 8), nn.Tanh(), nn.Linear(8, out))


@each_class
@pytest.mark.parametrize("early_stopping", ["auto", False])
def test_networks_of_ones_own_are_trained_and_not_changed(cls: type, early_stopping: Any) -> None:
    torch.manual_seed(0)
    ours = encoder(2 * K if cls is VariationalAutoencoder else K), decoder()
    before = [p.detach().clone() for net in ours for p in net.parameters()]
    change = {"early_stopping": early_stopping, "encoder": ours[0], "decoder": ours[1]}
    change |= {"learning_rate": 0.03, "max_epochs": 6}
    model = cls(K, **(options(cls) | change)).fit(X)
    assert model.history_[-1]["loss"] < model.history_[1]["loss"]
    after = [p for net in ours for p in net.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert model.get_params()["encoder"] is ours[0]
    assert model.jacobian_norm(X).shape == (N,)
    assert same_bits(cls(K, **(options(cls) | change)).fit(X).transform(X), model.transform(X))


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(8), nn.Dropout(0.3), nn.LayerNorm(8)])
@pytest.mark.parametrize("early_stopping", ["auto", True])
def test_layers_with_states_and_noise_train_too(layer: nn.Module, early_stopping: Any) -> None:
    net = nn.Sequential(nn.Linear(D, 8), layer, nn.Tanh(), nn.Linear(8, K))
    change = {"early_stopping": early_stopping, "encoder": net, "max_epochs": 5}
    model = Autoencoder(K, **(SMALL | change)).fit(X)
    assert np.isfinite(model.score(X))
    assert same_bits(model.transform(X[:5]), model.transform(X[:5]))


# ---------------------------------------------------------------------------- the judge


def test_validation_leaves_the_module_as_it_was() -> None:
    core = copy.deepcopy(fitted(VariationalAutoencoder).autoencoder_)
    before = {name: t.clone() for name, t in core.state_dict().items()}
    data = fitted(VariationalAutoencoder)._scaled(X, torch.float32)
    judge = Validation([TensorBatches(*data)], torch.ones(D), noise_seed=0)
    with torch.no_grad():
        first, again = judge(core), judge(core)
    assert torch.equal(first["loss"], again["loss"])
    assert first["loss"].shape == first["squared_error"].shape == (N,)
    assert all(torch.equal(t, before[name]) for name, t in core.state_dict().items())


def test_missing_entries_do_not_count_in_held_out_errors() -> None:
    x = with_holes(X)
    model = Autoencoder(K, **HELD).fit(x)
    ((train, held),) = parts(model, N)
    mean = np.nanmean(x[train], 0)
    filled = np.where(np.isnan(x), mean, x)
    residual = pca_residual(filled, train, held, K)
    error = np.square(np.where(np.isnan(x[held]), 0, residual)).sum(1).mean()
    assert model.history_[0]["squared_error"] == pytest.approx(error, rel=1e-4)
    assert model.history_[0]["pca_squared_error"] == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_either_precision_trains(precision: str) -> None:
    model = ContractiveAutoencoder(K, **(HELD | {"precision": precision})).fit(X)
    assert np.isfinite(model.score(X))
    assert model.autoencoder_.encoder.net.linear.weight.dtype == torch.float32


def test_the_denoising_one_starts_at_the_best_linear_denoiser() -> None:
    """U diag(λ/(λ+s²)) Uᵀ for Gaussian noise of deviation s: below PCA on the same noisy rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 6)) * [2.0, 1.5, 1.0, 0.7, 0.5, 0.3]
    model = DenoisingAutoencoder(
        4, noise_level=1.0, max_epochs=1, learning_rate=1e-30, random_state=0
    ).fit(x)
    unit = float(model.scaling_.scale[0])
    eigenvalues = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1] / unit**2
    s2 = 1.0
    kept = (eigenvalues[:4] * s2 / (eigenvalues[:4] + s2)).sum()  # λ(1−w)² + s²w², w = λ/(λ+s²)
    best = (kept + eigenvalues[4:].sum()) * unit**2
    pca = (4 * s2 + eigenvalues[4:].sum()) * unit**2
    assert model.history_[0]["squared_error"] == pytest.approx(best, rel=0.06)
    assert model.history_[0]["pca_squared_error"] == pytest.approx(pca, rel=0.06)


def test_partial_fit_widens_the_box_of_the_rows() -> None:
    model = Autoencoder(K, **SMALL).partial_fit(X)
    net = model.autoencoder_.encoder.net
    low, high = net.low.clone(), net.high.clone()
    model.partial_fit(10 * X)
    assert bool((net.low <= low).all() and (net.high >= high).all())
    assert bool((net.high > 2 * high).any())


def _bits(model: Any) -> dict[str, bytes]:
    """All that a model and torch's generator are, attribute by attribute."""
    found = {name: pickle.dumps(value) for name, value in vars(model).items() if name[-1] == "_"}
    found["codes"] = pickle.dumps(getattr(model, "_codes", None))
    found["generator"] = torch.get_rng_state().numpy().tobytes()
    return found


@pytest.mark.parametrize("end", [DivergedError, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("begun", [False, True])
def test_partial_fit_that_fails_leaves_all_as_it_was(
    end: type[BaseException], begun: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    X = np.random.default_rng(0).normal(size=(200, 4))
    model = Autoencoder(2, max_epochs=2, batch_size=50, random_state=0).fit(X)
    if begun:
        model.partial_fit(X)
    torch.rand(1)
    twin, before = copy.deepcopy(model), _bits(model)
    rows = np.full((64, 4), 1e150) if end is DivergedError else X
    with monkeypatch.context() as patch:
        if end is not DivergedError:
            step, calls = Training.step, iter(range(2))

            def cut(self: Training, batch: Any) -> Any:
                if next(calls):
                    self._gradients(batch)  # gradients are there, and no step is made of them
                    raise end
                return step(self, batch)

            patch.setattr(Training, "step", cut)
        with pytest.raises(end):
            model.partial_fit(rows)
    assert {name for name, bits in _bits(model).items() if before[name] != bits} == set()
    assert same_bits(model.partial_fit(X).transform(X), twin.partial_fit(X).transform(X))


def test_partial_fit_whose_first_call_fails_leaves_no_model() -> None:
    X = np.random.default_rng(0).normal(size=(60, 4))
    model = Autoencoder(2, learning_rate=1e30, batch_size=10, random_state=0)
    before = dict(vars(model))
    with pytest.raises(DivergedError):
        model.partial_fit(X)
    assert vars(model) == before
    with pytest.raises(NotFittedError):
        model.transform(X)


def test_rounds_of_a_long_training_are_short_and_patience_is_as_long_as_before() -> None:
    """Ctrl-C and a crash keep the last round, which must not lie far back."""
    from isthmus import Autoencoder
    from isthmus.estimators import _parameters
    from isthmus.estimators._defaults import recipe

    n = 5000
    auto = recipe(n, 10, 2)
    for epochs, patience in ((5000, "auto"), (5000, 30)):
        model = Autoencoder(2, max_epochs=epochs, patience=patience)
        plan, _ = _parameters.plan(model, auto, n)
        assert plan.evaluate_every == _parameters.MOST_STEPS_A_ROUND
        rounds = plan.steps / plan.evaluate_every
        asked = auto.patience(auto.evaluations) if patience == "auto" else patience
        assert plan.patience is not None
        assert plan.patience / rounds == pytest.approx(asked / auto.evaluations, rel=0.02)


class Wide(Gaussian):
    """A head of one's own, whose scale no one can change in a distribution that is there."""

    def forward(self, raw: Tensor) -> Distribution:
        return Normal(2.0 * raw[..., 0], 3.0 * self.scale(raw))

    def rescaled(self, p: Distribution) -> Distribution | None:
        return Likelihood.rescaled(self, p)


def test_held_out_rows_are_judged_at_the_scale_of_a_head_of_ones_own() -> None:
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    module = undercomplete((5,), 2).eval()
    module.decoder.head = Wide("shared")
    part = TensorBatches(x)
    validation = Validation([part], torch.ones(5), 0)
    with torch.no_grad():
        loss = validation(module)["loss"]
        assert validation.residual is not None
        module.likelihood.calibrate(validation.residual)
        expected = -module.decode(module.encode(x).mean).log_prob(x).sum(1)
    torch.testing.assert_close(loss, expected)


def test_rows_that_are_a_view_of_the_callers_are_not_the_fits_own() -> None:
    given = np.zeros((8, 4), np.float32)
    for view in (given, given[1:], given[::2], given[:, 1:], given.T):
        assert shares_memory(torch.from_numpy(view), given)
        assert not shares_memory(torch.from_numpy(view.copy()), given)


def test_a_network_that_was_used_before_is_trained_and_its_frozen_parts_are_not() -> None:
    used = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).eval()
    frozen = nn.Sequential(nn.Linear(2, 2), nn.Dropout().eval())
    assert all(part.training for part in to_train(used).modules())
    assert [part.training for part in to_train(frozen)] == [True, False]
    assert not used.training
    assert to_train(None) is None
