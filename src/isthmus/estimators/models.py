"""The four autoencoders: one class of estimator with other defaults.

Every parameter exists on every class, so a denoising variational autoencoder is
``VariationalAutoencoder(noise="masking", noise_level=0.25)``.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from isthmus.estimators._base import Estimator
from isthmus.estimators._choice import choose


@dataclass(eq=False, repr=False)
class Autoencoder(Estimator):
    """Undercomplete autoencoder: the non-linear PCA.

    L(x) = −log p(x | z = m(x)) with fewer latents than features. By default training starts at
    PCA and leaves it only for what is better on rows it was not trained on.

    Args:
        n_components: K, number of latents; 1 to D − 1, or any number from 1 for a model with a
            corruption, a contraction, a sparsity penalty or a KL term. "auto" takes the
            recommendation of :func:`isthmus.compare`; a number between 0 and 1 the smallest K that
            explains this share of the variance of held-out rows (several fits).
        network: "mlp", "conv" (convolutions, for images and series), or "auto": "conv" for images
            with sides of at least 8 and series of at least 8 points, unless widths or a contraction
            are given.
        sample_shape: what a row is, where X does not say: (H, W) or (C, H, W) of an image, (T,),
            (C, T) or (C, 1, T) of a series; two numbers are a series where the first is below 8.
        hidden_layer_sizes: widths of the encoder's hidden layers, mirrored in the decoder;
            "auto" from the size of the data. With "conv" channels of 3 x 3 convolutions, then the
            width of a dense layer, such as (32, 32, 256).
        activation: "silu", "gelu", "relu", "tanh", "sigmoid", "softplus" or "identity".
        likelihood: p(x|z): "auto" is "gaussian" for numbers and "joint" for a table with columns of
            text, Booleans, categories or dates, or with ``kinds``; "gaussian" (one σ for all
            features, at its optimum), "gaussian_fixed" (σ = 1 in scaled units),
            "gaussian_feature" (σ per feature), "gaussian_sample" (σ from the network), "laplace",
            "bernoulli", "continuous_bernoulli", "categorical", "poisson", "negative_binomial", or
            "joint" (each column by its kind, see :mod:`isthmus.core.joint`).
        kinds: kinds of columns by name, in place of those that
            :func:`isthmus.data.columns.kinds.infer` finds: "real", "positive", "count",
            "binary", "categorical", "ordinal" or "date".
        handle_unknown: what a category that the fit did not see is: "missing" or an "error". A
            column of more than 5 entries that are all such is an error in any case.
        scaling: "auto", "standard" (each feature by its own deviation), "common" (all by one),
            "none"; fitted on the training rows and undone in every result.
        linear_start: whether training starts at PCA (at probabilistic PCA with ``beta``; for
            likelihoods other than the Gaussian at the regression of the link of the data on the
            principal components). Otherwise networks start at random, without a linear path; so do
            convolutional ones on more than 1,000 rows, where it was measured to do harm.
        noise: corruption of the encoder's input: None, "gaussian", "masking",
            "salt_and_pepper" or "swap" (the value of another row).
        noise_level: standard deviation in scaled units, or probability per entry; None for 0.5
            ("gaussian"), 0.25 ("masking") or 0.1 (the others).
        emphasis: weight in the loss of the entries that were corrupted.
        contraction: λ ≥ 0 of λ‖∂E[z]/∂x‖²_F.
        contraction_method: "auto", "closed_form", "exact" or "hutchinson".
        sparsity: λ ≥ 0 of λ Σ|E[z_k]|.
        beta: None for a deterministic encoder; otherwise q(z|x) is Gaussian and β weighs its
            KL from the prior N(0, I).
        kl_warmup: share of training over which the weight of the KL grows to β.
        free_bits: nats a latent may carry at no cost in training.
        objective: "evidence", or "importance" for the importance-weighted bound.
        n_draws: codes drawn for each row in training.
        jitter: Gaussian noise on the encoder's input in training, in units of what PCA leaves over
            (root mean square): it smooths the map and is no part of the loss that is reported.
            "auto" takes more on fewer rows, and none where a corruption, a penalty or ``beta``
            regularises already.
        max_epochs: passes over the training rows, at most; "auto" from the size of the data.
        batch_size: rows of a step.
        learning_rate: peak rate of the optimiser.
        weight_decay: decoupled decay of the non-linear layers' matrices.
        optimizer: "adamw", or "muon": the updates of matrices are made orthogonal, which takes more
            time a step and fewer steps on wide networks (:mod:`isthmus.engine.optimizer`).
        early_stopping: "auto" cross-validates the number of steps on up to 1,000 rows and
            holds rows out above; True always holds rows out; False trains to the end.
        validation_fraction: share of the rows held out, between 0 and 1; at most 2,000 rows.
        patience: rounds without improvement (of 60 in a full run) after which training ends.
        encoder: your own ``nn.Module`` from (N, D) to (N, K), or (N, 2K) with ``beta``.
        decoder: your own ``nn.Module`` from (N, K) to the likelihood's raw outputs, (N, D) for
            most.
        device: "auto", "cpu", "cuda", "cuda:1", …
        precision: "auto", "float32", "tf32", "bfloat16" or "float16" for matrix products
            (:mod:`isthmus.engine.products`): "auto" is what the processor does fast in training,
            and float32 afterwards; "bfloat16" and "float16" hold for float32 rows that are
            transformed and scored as well.
        compile: whether the training step is compiled by the machine's C++ compiler; "auto" where
            the training is so long that it saves more than the 20 s it takes
            (:mod:`isthmus.engine.traced`).
        random_state: seed of initialisation, order and noise; None for a new one.
        verbose: 1 prints a line a round.

    Attributes:
        autoencoder_: the trained :class:`isthmus.core.autoencoder.Autoencoder`.
        scaling_: the fitted :class:`isthmus.data.rows.scaling.Scaling`.
        encoding_: of a mixed table, an :class:`isthmus.data.columns.encoding.Encoding`; else None.
        likelihood_: what ``likelihood`` came to.
        n_components_, n_features_in_, n_samples_, feature_names_in_: sizes and names.
        sample_shape_: (C, H, W) of an image, (C, T) of a series, None for plain rows.
        input_shape_: shape of one sample as it was given to fit, None for flat rows.
        history_: one dict a round: step, epoch, seconds, loss terms and held-out loss in nats
            per row, held-out squared error of the model and of PCA per row: both from the same
            (corrupted) rows, in squared data units, or in squared standard deviations where
            ``scaling_.kind`` is "standard".
        n_steps_, n_epochs_: at which the kept state was reached.
        validation_, squared_error_, pca_squared_error_: its held-out figures.
        stayed_linear_: True if nothing beat the linear start on held-out rows.
        held_out_: figures of each held-out row at the kept state, a
            :class:`isthmus.evaluation.record.HeldOut`; None without held-out rows.
        pca_curve_: (R,) mean squared error on the held-out rows of PCA with 1 … R components.
        interrupted_: True if Ctrl-C ended the fit.
        diverged_: True if a loss that is no number ended it; the best state before is kept.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from isthmus import Autoencoder
        >>> X = load_iris().data
        >>> model = Autoencoder(n_components=2, max_epochs=5, random_state=0).fit(X)
        >>> model.transform(X).shape
        (150, 2)
        >>> model.reconstruct(X).shape
        (150, 4)
    """

    _choose = choose


@dataclass(eq=False, repr=False)
class DenoisingAutoencoder(Estimator):
    """Denoising autoencoder: corrupt the input, keep the clean target (Vincent et al. 2008).

    L(x) = E_{x̃ ~ C(x̃|x)}[−log p(x | z = m(x̃))]. Parameters are those of :class:`Autoencoder`;
    by default Gaussian noise of half a standard deviation, and on a mixed table masking: a quarter
    of the entries are hidden as missing, so that the model learns to impute.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from isthmus import DenoisingAutoencoder
        >>> X = load_iris().data
        >>> model = DenoisingAutoencoder(2, max_epochs=5, random_state=0).fit(X)
        >>> model.reconstruct(model.corrupt(X, random_state=0)).shape
        (150, 4)
    """

    _: KW_ONLY
    noise: str | None = "auto"
    _choose = choose


@dataclass(eq=False, repr=False)
class ContractiveAutoencoder(Estimator):
    """Contractive autoencoder: a code that moves little when its input does (Rifai et al. 2011).

    L(x) = −log p(x | z = m(x)) + λ‖∂m(x)/∂x‖²_F. Parameters are those of :class:`Autoencoder`.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from isthmus import ContractiveAutoencoder
        >>> X = load_iris().data
        >>> model = ContractiveAutoencoder(2, max_epochs=5, random_state=0).fit(X)
        >>> model.jacobian_norm(X).shape
        (150,)
    """

    _: KW_ONLY
    contraction: float = 1.0
    _choose = choose


@dataclass(eq=False, repr=False)
class VariationalAutoencoder(Estimator):
    """Variational autoencoder: a distribution for each latent (Kingma & Welling 2014).

    L(x) = E_{q(z|x)}[−log p(x|z)] + β KL(q(z|x) ‖ N(0, I)). Parameters are those of
    :class:`Autoencoder`. Training starts at probabilistic PCA, the best linear one.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> from isthmus import VariationalAutoencoder
        >>> X = load_iris().data
        >>> model = VariationalAutoencoder(2, max_epochs=5, random_state=0).fit(X)
        >>> model.sample(3, random_state=0).shape
        (3, 4)
    """

    _: KW_ONLY
    beta: float | None = 1.0
    _choose = choose


MODELS: dict[str, type[Estimator]] = {
    cls.__name__: cls
    for cls in (
        Autoencoder,
        DenoisingAutoencoder,
        ContractiveAutoencoder,
        VariationalAutoencoder,
    )
}
