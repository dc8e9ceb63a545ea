"""The joint likelihood: entry by entry equal to torch's distributions, sums to one, finite."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import distributions as dist

from isthmus import presets
from isthmus.core.joint import Joint
from isthmus.core.linear_start import linear_start
from isthmus.core.product import JointDistribution
from isthmus.errors import CombinationError, InvalidParameterError
from isthmus.nets.views import Columns

COLUMNS = [
    ("categorical", 3), ("real", 0), ("ordinal", 4), ("count", 0), ("binary", 2), ("positive", 0),
    ("categorical", 5), ("ordinal", 2), ("date", 0),
]  # fmt: skip
N, S = 40, 3


def rows(seed: int = 0, n: int = N) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    columns = []
    for kind, c in COLUMNS:
        if kind in ("categorical", "ordinal"):
            column = torch.randint(0, c, (n,), generator=g).float()
        elif kind == "binary":
            column = torch.randint(0, 2, (n,), generator=g).float()
        elif kind == "count":
            column = torch.poisson(torch.full((n,), 4.0), generator=g)
        else:
            column = torch.randn(n, generator=g)
        columns.append(column)
    return torch.stack(columns, 1)


def head_and_raw(scale: float = 1.0) -> tuple[Joint, Tensor]:
    torch.manual_seed(1)
    head = Joint(COLUMNS)
    head.prepare(rows())
    assert float(head.log_most[0].exp()) == pytest.approx(float(rows()[:, 3].max()))
    return head, scale * torch.randn(S, N, head.n_outputs((len(COLUMNS),)))


def test_log_density_equals_that_of_torch_entry_by_entry() -> None:
    head, raw = head_and_raw()
    x = rows(1)
    found = head.distribution(raw, (9,)).log_prob(x)
    assert found.shape == (S, N, 9)
    sigma = head.log_value.exp()
    for i, j in enumerate([1, 5, 8]):  # real, positive, date: the first raw outputs
        wanted = dist.Normal(raw[..., i], sigma[i]).log_prob(x[:, j])
        torch.testing.assert_close(found[..., j], wanted)
    r = head.log_r[0].exp()
    log_mean = torch.minimum(raw[..., 3], head.log_most[0])
    wanted = dist.NegativeBinomial(r, logits=log_mean - head.log_r[0]).log_prob(x[:, 3])
    torch.testing.assert_close(found[..., 3], wanted)
    wanted = dist.Bernoulli(logits=raw[..., 4]).log_prob(x[:, 4])
    torch.testing.assert_close(found[..., 4], wanted)
    theta, _ = head._thresholds()
    for i, (j, c) in enumerate([(2, 4), (7, 2)]):
        below = torch.sigmoid(theta[i, : c - 1] - raw[..., 5 + i, None])
        edges = [torch.zeros(S, N, 1), below, torch.ones(S, N, 1)]
        probs = torch.cat(edges, -1).diff(dim=-1)
        wanted = dist.Categorical(probs=probs).log_prob(x[:, j])
        torch.testing.assert_close(found[..., j], wanted, atol=1e-4, rtol=1e-4)
    for j, part in ((0, slice(7, 10)), (6, slice(10, 15))):
        wanted = dist.Categorical(logits=raw[..., part]).log_prob(x[:, j])
        torch.testing.assert_close(found[..., j], wanted)


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_probabilities_of_codes_sum_to_one(scale: float) -> None:
    head, raw = head_and_raw(scale)
    p = head.distribution(raw.double(), (9,))
    for j, (kind, c) in enumerate(COLUMNS):
        most = {"binary": 2, "count": 400}.get(kind, c)
        if not most or (kind == "count" and scale > 1):
            continue
        x = torch.zeros(most, 1, N, 9, dtype=torch.float64)
        x[..., j] = torch.arange(most, dtype=torch.float64)[:, None, None]
        total = torch.stack([p.log_prob(v)[..., j] for v in x]).exp().sum(0)
        torch.testing.assert_close(total, torch.ones_like(total), atol=1e-6, rtol=0)


def test_gradients_are_finite_at_extremes() -> None:
    head, raw = head_and_raw(1e4)
    raw.requires_grad_(True)
    head.distribution(raw, (9,)).log_prob(rows(2)).sum().backward()
    assert raw.grad is not None
    assert bool(raw.grad.isfinite().all())
    assert all(bool(p.grad.isfinite().all()) for p in head.parameters() if p.grad is not None)


def test_samples_and_modes_lie_in_the_support() -> None:
    head, raw = head_and_raw()
    p = head.distribution(raw, (9,))
    assert isinstance(p, JointDistribution)
    head.check(p.sample()[0])
    assert p.batch_shape == p.mean.shape == p.sample().shape == (S, N, 9)
    mode = head.expectation(p)[0]
    codes = [
        j for j, (kind, _) in enumerate(COLUMNS) if kind in ("categorical", "ordinal", "binary")
    ]
    assert torch.equal(mode[:, codes], mode[:, codes].round())


def test_a_rescaled_distribution_is_the_one_of_the_same_raw_outputs() -> None:
    head, raw = head_and_raw()
    p, x = head.distribution(raw, (len(COLUMNS),)), rows()
    head.calibrate(torch.full((len(COLUMNS),), 3.0))
    now = head.rescaled(p).log_prob(x)
    torch.testing.assert_close(now, head.distribution(raw, (len(COLUMNS),)).log_prob(x))
    assert not torch.equal(now.nan_to_num(), p.log_prob(x).nan_to_num())


def test_mean_of_samples_is_the_expectation_of_features() -> None:
    torch.manual_seed(0)
    head, raw = head_and_raw()
    p = head.distribution(raw[0, :2], (9,))
    draws = head.features(p.sample((20_000,)))
    error = (draws.mean(0) - head.expected_features(p)).abs()
    assert bool((error < 5 * draws.std(0) / 20_000**0.5 + 1e-6).all())


def test_features_of_a_missing_entry_are_missing() -> None:
    head, _ = head_and_raw()
    x = rows()
    x[0, 0] = torch.nan
    gone = head.features(x)[0].isnan()
    assert torch.equal(gone, head.feature_column == 0)


@pytest.mark.parametrize("columns", [[], [("word", 0)], [("ordinal", 1)]])
def test_bad_columns_are_refused(columns: list[tuple[str, int]]) -> None:
    with pytest.raises(InvalidParameterError):
        Joint(columns)


SPECS = [(kind, n, True) for kind, n in COLUMNS]


def test_missing_entries_reach_no_loss_and_no_gradient() -> None:
    module = presets.build((9,), 3, (8,), likelihood="joint", columns=SPECS, noise="masking")
    x, mask = rows(3), torch.rand(N, 9, generator=torch.Generator().manual_seed(0)) > 0.3
    module.prepare(x, mask)
    linear_start(module, x, mask)
    for p in module.parameters():
        torch.nn.init.normal_(p, std=0.1)
    losses = []
    for other in (x, torch.where(mask, x, rows(4))):
        torch.manual_seed(0)
        module.zero_grad()
        loss = sum(term.sum() for term in module(other, mask).values())
        loss.backward()
        losses.append(loss.detach())
        assert all(bool(p.grad.isfinite().all()) for p in module.parameters() if p.grad is not None)
    assert torch.equal(losses[0], losses[1])
    hidden = module.trace(x, mask).x_tilde.isnan()
    assert bool(hidden[~mask].all())
    assert 0.1 < float(hidden[mask].float().mean()) < 0.4  # masking hides entries as missing


def test_linear_start_without_information_is_the_base_rates() -> None:
    module = presets.build((9,), 1, (8,), likelihood="joint", columns=SPECS)
    x = rows(0, 2000)
    module.prepare(x)
    linear_start(module, x)
    p = module.decode(torch.zeros(1, 1))
    head = module.likelihood
    assert isinstance(head, Joint)
    wanted = head.features(x).mean(0)
    torch.testing.assert_close(head.expected_features(p)[0], wanted, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("j", range(9))
def test_of_a_column_without_an_entry_every_code_is_as_probable(j: int) -> None:
    module = presets.build((9,), 1, (8,), likelihood="joint", columns=SPECS, noise="masking")
    x, mask = rows(0, 200), torch.ones(200, 9, dtype=torch.bool)
    mask[:, j] = False
    module.prepare(x, mask)
    linear_start(module, x, mask)
    assert [name for name, value in module.state_dict().items() if value.isnan().any()] == []
    p = module.decode(torch.zeros(1, 1))
    kind, n = COLUMNS[j]
    many = {"categorical": n, "ordinal": n, "binary": 2}.get(kind, 0)
    x = rows(1, many or 5)
    x[:, j] = torch.arange(float(len(x)))
    found = p.log_prob(x)[:, j]
    assert bool((found > -20).all())
    if many:
        torch.testing.assert_close(found.exp(), torch.full((many,), 1 / many))


def test_view_sees_the_mean_and_an_indicator_where_an_entry_is_missing() -> None:
    view = Columns([("real", 0), ("categorical", 2), ("ordinal", 3)], [True, False, True])
    x = torch.tensor([[1.0, 0.0, 2.0], [torch.nan, 1.0, torch.nan], [3.0, torch.nan, 0.0]])
    view.prepare(x)
    wanted = [[1, 1, 0, 1, 1, 0, 0], [2, 0, 1, 0.5, 0.5, 1, 1], [3, 0.5, 0.5, 0, 0, 0, 0]]
    torch.testing.assert_close(view(x), torch.tensor(wanted))


def test_contraction_is_refused() -> None:
    with pytest.raises(CombinationError, match="category"):
        presets.build((9,), 3, (8,), likelihood="joint", columns=SPECS, contraction=1.0)
