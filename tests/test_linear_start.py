"""Before the first step: PCA and the closed-form linear VAE; and linear models trained to them."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from core_examples import N_CATEGORIES, digits, mnist, rows, supported, total
from isthmus.core.autoencoder import Autoencoder
from isthmus.core.conditional import Conditional
from isthmus.core.corruption import GaussianNoise
from isthmus.core.likelihoods import LIKELIHOODS, MIN_SCALE, Gaussian, LocationScale
from isthmus.core.linear_start import linear_start, view
from isthmus.core.pca import linear_gaussian, linear_noise, spectrum
from isthmus.core.posteriors import LOG_VARIANCE_RANGE, Delta
from isthmus.nets.mlp import MLP
from isthmus.presets import build
from isthmus.random import fork


def started(x: Tensor, k: int, hidden: tuple[int, ...] = (8,), **options: object) -> Autoencoder:
    """An autoencoder at its linear start, in the dtype of x."""
    with fork(0):
        model = build(x.shape[1:], k, hidden, n_categories=N_CATEGORIES, **options)  # type: ignore[arg-type]
    model.to(x.dtype)
    linear_start(model, x)
    return model


@torch.no_grad()
def reconstruction(model: Autoencoder, x: Tensor) -> Tensor:
    return model.likelihood.expectation(model.decode(model.encode(x).mean))


DATA: dict[str, Callable[[], Tensor]] = {
    "digits": digits,
    "wide": lambda: rows(20, 50),
    "constant columns": lambda: torch.cat([rows(60, 4), torch.ones(60, 3)], 1),
    "mnist": lambda: mnist(1000),
}
MNIST = pytest.param("mnist", 30, marks=pytest.mark.data)


@pytest.mark.parametrize(
    ("name", "k"),
    [
        *[(name, k) for name in ("wide", "constant columns") for k in (1, 5, 80)],
        *[("digits", k) for k in (1, 5, 30, 80)],
        MNIST,
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reconstruction_is_scikit_learns_pca(name: str, k: int, dtype: torch.dtype) -> None:
    x = DATA[name]()
    n, d = x.shape
    model = started(x.to(dtype), k)
    rank = min(k, n - 1, d)
    pca = PCA(rank, svd_solver="full").fit(x.numpy())
    theirs = pca.inverse_transform(pca.transform(x.numpy()))
    ours = reconstruction(model, x.to(dtype)).double().numpy()
    atol = 1e-5 if dtype == torch.float32 else 1e-9
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)
    # and the free variance is the error per entry, so the loss is the closed form (identity 9)
    error = np.square(x.numpy() - theirs).mean()
    if error > 10 * MIN_SCALE**2:
        closed = d / 2 * (1 + math.log(2 * math.pi * error))
        assert total(model(x.to(dtype))).mean().item() == pytest.approx(closed, abs=1e-4 * d)


def test_the_code_is_white_and_components_beyond_the_rank_are_0() -> None:
    x = digits()
    model = started(x, 80)
    z = model.encode(x).mean.detach()
    rank = int((z.abs().sum(0) > 0).sum())
    assert rank == 61  # three pixels are constant
    white = torch.diag((torch.arange(80) < rank).double())
    torch.testing.assert_close(z.T @ z / len(x), white, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "k"), [("digits", 2), ("digits", 30), MNIST])
def test_the_bound_is_the_exact_likelihood_of_the_closed_form(name: str, k: int) -> None:
    # identities 1 and 2
    x = DATA[name]()
    n, d = x.shape
    model = started(x, k, beta=1.0)
    values = np.linalg.eigvalsh(np.cov(x.numpy(), rowvar=False, bias=True))[::-1]
    noise = values[k:].mean()
    closed = -0.5 * (d * math.log(2 * math.pi) + np.log(values[:k]).sum())
    closed -= 0.5 * ((d - k) * math.log(noise) + d)
    weights = started(x, k, beta=1.0, objective="importance", n_draws=3)(x)["importance"]
    assert -weights.mean().item() == pytest.approx(closed, abs=1e-6)
    # the bound itself, with the expectation over the code written out
    trace = model.trace(x)
    assert isinstance(model.likelihood, LocationScale)
    assert float(model.likelihood.log_value.exp()) ** 2 == pytest.approx(noise, rel=1e-9)
    w = model.decoder.net.linear.weight
    squared = (x - reconstruction(model, x)).square().sum(1) + trace.q.variance @ w.square().sum(0)
    log_p = -0.5 * (d * math.log(2 * math.pi * noise) + squared / noise)
    kl = model(x)["kl"]
    assert (log_p - kl).mean().item() == pytest.approx(closed, abs=1e-6)
    assert (model.evidence(trace).mean().item()) == pytest.approx(
        closed, abs=10 * math.sqrt(d * k / n)
    )


@pytest.mark.parametrize("beta", [0.5, 1.0, 4.0])
@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian_fixed"])
@pytest.mark.parametrize("k", [2, 6, 9])
def test_at_the_start_the_gradient_of_the_linear_paths_is_zero(
    beta: float, likelihood: str, k: int
) -> None:
    """Also with a weight of the divergence, a fixed scale, and more latents than features."""
    x = rows(200, 6)
    model = started(x, k, (), beta=beta, likelihood=likelihood)
    s = spectrum(x, k)
    fixed = 1.0 if likelihood == "gaussian_fixed" else None
    noise, active = linear_noise(s, k, beta, fixed)
    q = model.encode(x)
    torch.testing.assert_close(
        q.mean.detach(), (x - s.mean) @ linear_gaussian(s, k, beta, fixed).weight.T
    )
    assert int((q.variance[0] < 1).sum()) == active
    # the mean over both ends of every axis of the code is the exact expectation of a quadratic
    signs = torch.cat([torch.eye(k), -torch.eye(k)]).double() * math.sqrt(k)
    z = q.mean + signs[:, None] * q.stddev
    log_p = model.decoder(z, n_lead=2).log_prob(x).sum(-1).mean(0)
    loss = (model(x)["kl"] - log_p).mean()
    loss.backward()
    assert isinstance(model.likelihood, LocationScale)
    assert float(model.likelihood.log_value.exp()) ** 2 == pytest.approx(noise, rel=1e-9)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() < 1e-7, name


def exact_rank(n: int, d: int, rank: int) -> Tensor:
    return rows(n, rank) @ rows(rank, d, seed=1)


@pytest.mark.parametrize("beta", [0.0, 1.0])
@pytest.mark.parametrize(
    ("x", "k"), [(exact_rank(100, 8, 3), 6), (rows(6, 20), 10), (torch.ones(10, 4), 2)]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_variational_start_without_noise_in_the_data_is_finite(
    x: Tensor, k: int, beta: float, dtype: torch.dtype
) -> None:
    x = x.to(dtype)
    model = started(x, k, beta=beta)
    for name, parameter in model.named_parameters():
        assert parameter.isfinite().all(), name
    q = model.encode(x)
    # rounding errors have not become latents
    rank = np.linalg.matrix_rank((x - x.mean(0)).double().numpy(), tol=1e-4)
    assert int((q.mean.abs().max(0).values > 0).sum()) <= rank
    low = math.exp(LOG_VARIANCE_RANGE[0])
    assert (q.variance >= low * (1 - 1e-5)).all()
    terms = model(x)
    assert total(terms).isfinite().all()
    torch.testing.assert_close(reconstruction(model, x), x, rtol=0, atol=1e-2)
    if beta == 1.0 and rank:
        # σ stops at its floor, and the code is as precise as that asks for, not more
        v = MIN_SCALE**2 / spectrum(x, k).eigenvalues[0]
        assert float(q.variance.detach().min()) == pytest.approx(max(float(v), low), rel=1e-4)


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("beta", [None, 1.0])
@pytest.mark.parametrize("noise", [None, "swap"])
def test_at_the_start_every_likelihood_has_the_right_mean_in_the_space_of_its_link(
    name: str, beta: float | None, noise: str | None
) -> None:
    x = supported(name, 200, (4,), seed=3)
    model = started(x, 2, beta=beta, likelihood=name, noise=noise, noise_level=0.3)
    head = model.likelihood
    target = head.raw_target(x).movedim(-1, 1).flatten(1)
    q = model.encode(x)
    raw = model.decoder.raw(q.mean).detach()
    torch.testing.assert_close(raw.mean(0), target.mean(0), rtol=1e-6, atol=1e-8)
    if beta is None:
        # least squares: what is left over is orthogonal to the code
        left = (target - raw).T @ q.mean.detach() / len(x)
        assert left.abs().max() < 1e-8
        # the principal axes of what the encoder sees
        seen = view(model.encoder.net, x)
        whitened = PCA(2, whiten=True, svd_solver="full").fit_transform(seen.numpy())
        scale = math.sqrt((len(x)) / (len(x) - 1))
        ours = q.mean.detach().abs().numpy()
        np.testing.assert_allclose(ours, np.abs(whitened) * scale, atol=1e-7)
    assert total(model.train()(x)).isfinite().all()
    assert total(model.eval()(x)).isfinite().all()


@pytest.mark.parametrize("name", [n for n in LIKELIHOODS if n != "gaussian_fixed"])
def test_the_start_is_better_than_no_code_at_all(name: str) -> None:
    # two groups of rows, each with its own level: what a code of one latent must find
    rng = np.random.default_rng(0)
    group = rng.integers(0, 2, (300, 1)) * np.ones((1, 6))
    values = {
        "bernoulli": rng.uniform(size=group.shape) < 0.1 + 0.8 * group,
        "continuous_bernoulli": rng.beta(1 + 4 * group, 5 - 4 * group),
        "categorical": np.where(rng.uniform(size=group.shape) < 0.8, 2 * group, 1),
        "poisson": rng.poisson(1 + 9 * group),
        "negative_binomial": rng.poisson(1 + 9 * group),
    }
    x = torch.tensor(values.get(name, group + 0.3 * rng.standard_normal(group.shape))).double()
    model = started(x, 1, likelihood=name)
    with_code = total(model(x)).mean()
    with torch.no_grad():
        model.decoder.net.linear.weight.zero_()
    assert with_code < total(model(x)).mean()


@pytest.mark.parametrize(
    ("shape", "linear_path", "own"),
    [((6,), False, True), ((6,), True, False)],
    ids=["without a path", "foreign network"],
)
def test_without_a_linear_path_nothing_is_touched(
    shape: tuple[int, ...], linear_path: bool, own: bool
) -> None:
    encoder = None if own else nn.Linear(6, 2)
    model = build(shape, 2, (4,), linear_path=linear_path, encoder=encoder).double()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert linear_start(model, rows(20, 6)) is None
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace", "poisson"])
def test_the_constants_are_the_box_of_the_rows_and_the_size_of_the_residual(
    likelihood: str,
) -> None:
    x = supported(likelihood, 100, (6,))
    model = started(x, 2, likelihood=likelihood)
    seen = view(model.encoder.net, x)
    constants = model.encoder.net.state_dict()
    prefix = "net." if likelihood == "poisson" else ""
    low, high = constants[f"{prefix}low"], constants[f"{prefix}high"]
    assert torch.all(low < seen.amin(0))
    assert torch.all(high > seen.amax(0))
    span = 1 + seen.amax(0) - seen.amin(0)
    torch.testing.assert_close(low, seen.amin(0) - 1e-5 * span)
    torch.testing.assert_close(high, seen.amax(0) + 1e-5 * span)
    gain = float(model.decoder.net.gain)
    residual = x - reconstruction(model, x)
    expected = {
        "gaussian": float(residual.square().mean().sqrt()),
        "laplace": float(residual.abs().mean()),
        "poisson": 1.0,
    }
    assert gain == pytest.approx(expected[likelihood], rel=1e-6)


def test_images_start_where_their_flat_rows_do() -> None:
    x = rows(50, 12)
    flat, image = started(x, 3), started(x.view(50, 1, 3, 4), 3)
    seen = reconstruction(image, x.view(50, 1, 3, 4))
    torch.testing.assert_close(seen.flatten(1), reconstruction(flat, x))


def linear_model(d: int, k: int, noise: float = 0.0) -> Autoencoder:
    """Encoder and decoder are one random matrix each, σ = 1: half the squared error."""
    with fork(3):
        return Autoencoder(
            Conditional(MLP((d,), (), k), Delta(), (k,)),
            Conditional(MLP((k,), (), d), Gaussian("fixed"), (d,)),
            corruption=GaussianNoise(noise),
        ).double()


def trained(model: Autoencoder, x: Tensor, maps: int = 1) -> Tensor:
    """Minimise the mean loss over x, repeated ``maps`` times; returns the map R (D, D)."""
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=1000, tolerance_grad=1e-7, tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip
    every = x.repeat_interleave(maps, 0)

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss: Tensor = model(every)["reconstruction"].mean()
        loss.backward()
        return loss

    optimiser.step(closure)
    return (model.decoder.net.linear.weight @ model.encoder.net.linear.weight).detach()


@pytest.mark.parametrize("k", [1, 3, 5])
def test_a_linear_autoencoder_trained_from_a_random_start_is_pca(k: int) -> None:
    # identity 4
    x = rows(60, 6)
    s = spectrum(x, 6)
    model = linear_model(6, k)
    projector = trained(model, x)
    u = s.axes[:k].T
    torch.testing.assert_close(projector, u @ u.T, rtol=0, atol=1e-4)
    error = 2 * model(x)["reconstruction"].mean().item() - 6 * math.log(2 * math.pi)
    assert error == pytest.approx(float(s.eigenvalues[k:].sum()), abs=1e-8)


LEVEL = 0.7


@pytest.fixture
def exact_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row meets ±√D e_i once: mean 0 and covariance I exactly, not on average."""

    def draw(x: Tensor) -> Tensor:
        d = x.shape[1]
        signs = math.sqrt(d) * torch.cat([torch.eye(d), -torch.eye(d)]).to(x)
        return signs.repeat(len(x) // (2 * d), 1)

    monkeypatch.setattr(torch, "randn_like", draw)


@pytest.mark.usefixtures("exact_noise")
def test_the_loss_under_noise_is_the_clean_one_plus_the_norm_of_the_map() -> None:
    # identity 5: E‖x − R(x+ε)‖² = E‖x − Rx‖² + s²‖R‖²
    x = rows(30, 5)
    model = linear_model(5, 3, LEVEL)
    r = model.decoder.net.linear.weight @ model.encoder.net.linear.weight
    noisy = model.train()(x.repeat_interleave(10, 0))["reconstruction"].mean()
    clean = model.eval()(x)["reconstruction"].mean()
    torch.testing.assert_close(noisy, clean + 0.5 * LEVEL**2 * r.square().sum())


@pytest.mark.usefixtures("exact_noise")
@pytest.mark.parametrize("k", [2, 4])
def test_a_linear_denoising_autoencoder_shrinks_the_principal_axes(k: int) -> None:
    # identity 5: U_k diag(λ/(λ+s²)) U_kᵀ
    x = rows(40, 5)
    s = spectrum(x, k)
    r = trained(linear_model(5, k, LEVEL).train(), x, maps=10)
    shrunk = torch.diag(s.eigenvalues / (s.eigenvalues + LEVEL**2))
    torch.testing.assert_close(r, s.axes.T @ shrunk @ s.axes, rtol=0, atol=1e-4)
