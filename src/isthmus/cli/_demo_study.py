"""The demo's experiment: PCA and the four autoencoders on the bundled handwritten digits.

Noise level, contraction and β were chosen on held-out training rows (300 of them, seeds 0 to 2),
not on the test rows: at 0.75 the denoising model loses nothing on clean images; at 3 the
contraction costs no squared error; at 2 the variational model's held-out bound is as good as at 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sklearn
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from isthmus import __version__, estimators
from isthmus.data import bundled
from isthmus.estimators import Estimator, Progress
from isthmus.evaluation import sensitivity, smoothness
from isthmus.evaluation.reconstruction import nearest_squared_distance, squared_error
from isthmus.report.charts import square
from isthmus.report.study import Plane, Result, Study

Array = NDArray[Any]
Listener = Callable[[Progress], None]
Bar = Callable[[str], AbstractContextManager[Listener | None]]

N_COMPONENTS = 8
N_TEST = 450
SHAPE, INK = (8, 8), 16.0
NOISE_LEVEL = 0.75
MODELS: dict[str, tuple[str, dict[str, float]]] = {
    "undercomplete": ("Autoencoder", {}),
    "denoising": ("DenoisingAutoencoder", {"noise_level": NOISE_LEVEL}),
    "contractive": ("ContractiveAutoencoder", {"contraction": 3.0}),
    "variational": ("VariationalAutoencoder", {"beta": 2.0}),
}
WALKS = ((0, 6), (1, 7), (3, 8))
N_SAMPLES, N_POINTS, N_PAIRS, SIDE = 20, 10, 500, 15


@dataclass(frozen=True)
class Codec:
    """What every model here can do, PCA included.

    Args:
        settings: the call that makes it.
        encode: (N, D) → (N, K).
        decode: (N, K) → (N, D).
        nats: (N, D) → (N,), nats per image, higher is better.
        jacobian: (N, D) → (N, K, D), units of code per deviation of the pixels.
        sample: a number → so many new images.
        seconds: of the fit.
        history: rows of training.
        stayed_linear: whether it is PCA after all.
    """

    settings: str
    encode: Callable[[Array], Array]
    decode: Callable[[Array], Array]
    nats: Callable[[Array], Array]
    jacobian: Callable[[Array], Array]
    sample: Callable[[int], Array]
    seconds: float
    history: list[dict[str, float]] = field(default_factory=list)
    stayed_linear: bool = False


@dataclass(frozen=True)
class Digits:
    """Training and test images (·, 64) with what the test images show, and their noisy copies."""

    train: Array
    test: Array
    labels: Array
    noisy: Array
    deviation: float


def digits(seed: int) -> Digits:
    """A random split; noise in standard deviations of the training pixels, all pixels alike."""
    values, labels = bundled.load("digits").values, load_digits().target
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(values))
    test, train = order[:N_TEST], order[N_TEST:]
    deviation = float(np.sqrt(values[train].var(axis=0).mean()))
    noise = NOISE_LEVEL * deviation * rng.standard_normal((N_TEST, values.shape[1]))
    return Digits(values[train], values[test], labels[test], values[test] + noise, deviation)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Products of these sizes gain nothing from a second thread, and where other programs keep
    the cores busy the threads' waiting for each other costs a hundredfold."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def run(
    seed: int, command: str, bar: Bar, settings: Mapping[str, Any] | None = None
) -> tuple[Study, dict[str, Estimator]]:
    """Train, measure and draw from all models.

    Args:
        seed: of the split, the noise and the models.
        command: that is being run, for the page.
        bar: given a model's name, tells of its training.
        settings: further parameters of all autoencoders, for tests.

    Returns:
        What was found, and the trained estimators by the name of their run.

    Raises:
        KeyboardInterrupt: Ctrl-C; half-trained models would compare nothing.
    """
    with _one_thread():
        return _run(seed, command, bar, settings or {})


def _run(
    seed: int, command: str, bar: Bar, settings: Mapping[str, Any]
) -> tuple[Study, dict[str, Estimator]]:
    started = time.perf_counter()
    data = digits(seed)
    models: dict[str, Estimator] = {}
    codecs = {"PCA": _pca(data, seed)}
    more = {"random_state": seed, **settings}
    for name, (kind, own) in MODELS.items():
        given = {"n_components": N_COMPONENTS, **own, **more}
        models[name], codecs[name] = _autoencoder(name, kind, given, data, bar)
    two = {"n_components": 2, **more}
    name = "variational-2d"
    models[name], map_codec = _autoencoder(name, "VariationalAutoencoder", two, data, bar)
    shown = np.array([int(np.flatnonzero(data.labels == digit)[0]) for digit in range(10)])
    study = Study(
        seed=seed,
        n_components=N_COMPONENTS,
        n_train=len(data.train),
        n_test=len(data.test),
        noise_deviation=NOISE_LEVEL * data.deviation,
        noise_level=NOISE_LEVEL,
        ink=INK,
        shape=SHAPE,
        labels=data.labels[shown],
        shown=data.test[shown],
        noisy=data.noisy[shown],
        walk_labels=WALKS,
        results=tuple(_result(name, codec, data, shown) for name, codec in codecs.items()),
        pca_level=float(codecs["undercomplete"].history[0]["pca_squared_error"]),
        plane=_plane(map_codec, data),
        seconds=time.perf_counter() - started,
        versions={
            "isthmus": __version__,
            "torch": str(torch.__version__),
            "scikit-learn": str(sklearn.__version__),
            "numpy": np.__version__,
        },
        command=command,
    )
    return study, models


def _pca(data: Digits, seed: int) -> Codec:
    started = time.perf_counter()
    pca = PCA(N_COMPONENTS, whiten=True).fit(data.train)
    seconds = time.perf_counter() - started
    rng = np.random.default_rng(seed)
    slope = data.deviation * pca.components_ / np.sqrt(pca.explained_variance_)[:, None]
    return Codec(
        settings=f"sklearn.decomposition.PCA(n_components={N_COMPONENTS}, whiten=True)",
        encode=pca.transform,
        decode=pca.inverse_transform,
        nats=pca.score_samples,
        jacobian=lambda x: np.broadcast_to(slope, (len(x), *slope.shape)),
        sample=lambda n: pca.inverse_transform(rng.standard_normal((n, N_COMPONENTS))),
        seconds=seconds,
    )


def _autoencoder(
    name: str, kind: str, given: Mapping[str, Any], data: Digits, bar: Bar
) -> tuple[Estimator, Codec]:
    model: Estimator = getattr(estimators, kind)(**given)
    started = time.perf_counter()
    with bar(name) as listener:
        model.fit(data.train, callback=listener)
    if model.interrupted_:
        raise KeyboardInterrupt
    seconds = time.perf_counter() - started

    def encode(x: torch.Tensor) -> torch.Tensor:
        return model.autoencoder_.encode(x).mean

    def jacobian(x: Array) -> Array:
        return sensitivity.jacobian(encode, model.scaling_.apply(torch.from_numpy(x)))

    words = ", ".join(f"{key}={value!r}" for key, value in given.items())
    codec = Codec(
        settings=f"isthmus.{kind}({words})",
        encode=model.transform,
        decode=model.inverse_transform,
        nats=model.score_samples,
        jacobian=jacobian,
        sample=lambda n: model.sample(n, random_state=given["random_state"]),
        seconds=seconds,
        history=model.history_,
        stayed_linear=bool(model.stayed_linear_),
    )
    return model, codec


def _result(name: str, codec: Codec, data: Digits, shown: Array) -> Result:
    codes, noisy_codes = codec.encode(data.test), codec.encode(data.noisy)
    reconstructed, cleaned = codec.decode(codes), codec.decode(noisy_codes)
    slopes = codec.jacobian(data.test)
    rows = {
        "squared_error": squared_error(data.test, reconstructed),
        "noisy_error": squared_error(data.test, cleaned),
        "nats": codec.nats(data.test),
        "jacobian_norm": sensitivity.norm(slopes),
        "scaled_jacobian_norm": sensitivity.norm(slopes, codes.std(axis=0)),
        "neighbour_change": smoothness.neighbour_change(codec.decode, codes),
    }
    start, end = np.random.default_rng(0).integers(len(codes), size=(2, N_PAIRS))
    half_way = codec.decode((codes[start] + codes[end]) / 2)
    ends = [(int(shown[a]), int(shown[b])) for a, b in WALKS]
    steps, errors = [], []
    for row in codec.history:
        steps.append(float(row["step"]))
        errors.append(float(row["squared_error"]))
    return Result(
        name=name,
        settings=codec.settings,
        rows=rows,
        halfway_distance=float(nearest_squared_distance(half_way, data.train).mean()),
        seconds=codec.seconds,
        reconstructed=reconstructed[shown],
        cleaned=cleaned[shown],
        samples=codec.sample(N_SAMPLES),
        walks=tuple(codec.decode(smoothness.walk(codes[a], codes[b], N_POINTS)) for a, b in ends),
        curve=(tuple(steps), tuple(errors)),
        stayed_linear=codec.stayed_linear,
    )


def _plane(codec: Codec, data: Digits) -> Plane:
    codes = codec.encode(data.test)
    left, right, bottom, top = extent = square(codes)
    # The middle of each of side² equal cells, so that a place is the same in map and grid.
    share = (np.arange(SIDE) + 0.5) / SIDE
    x, y = np.meshgrid(left + share * (right - left), top + share * (bottom - top))
    decoded = codec.decode(np.stack([x.ravel(), y.ravel()], axis=1))
    return Plane(codec.settings, codes, data.labels, extent, decoded, SIDE)
