"""The estimators' parameters as ``fit`` takes them: one row each, from a flag or from TOML.

What is written here is how a value is spelled; whether it is in range the estimator says. The
defaults are the estimator's: a parameter that was not given is not passed.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from isthmus.errors import InvalidParameterError

_AUTO = {"auto": "auto"}
_NONE = {"none": None}


@dataclass(frozen=True)
class Kind:
    """How values of a kind are spelled.

    Args:
        metavar: in help.
        rule: continues "must be".
        type: of one entry: int, float, bool or str.
        words: spellings that stand for a value of their own.
        many: whether it is a list; separated by commas in a flag.
    """

    metavar: str
    rule: str
    type: type[Any]
    words: Mapping[str, Any]
    many: bool = False

    def from_text(self, text: str) -> Any:
        """The value of a flag; a ValueError where it is none."""
        if text.strip().lower() in self.words:
            return self.words[text.strip().lower()]
        if self.many:
            return tuple(self.type(entry) for entry in text.split(","))
        return self.type(text)

    def from_toml(self, value: Any) -> Any:
        """The value of a TOML entry; a ValueError where it is of another type."""
        if isinstance(value, str) and value.lower() in self.words:
            return self.words[value.lower()]
        if self.many:
            if not isinstance(value, list):
                raise ValueError
            return tuple(self._entry(entry) for entry in value)
        return self._entry(value)

    def _entry(self, value: Any) -> Any:
        whole = isinstance(value, int) and not isinstance(value, bool)
        if self.type is float and whole:
            return float(value)
        if not isinstance(value, self.type) or (self.type is int and not whole):
            raise ValueError
        return value


TEXT = Kind("NAME", "a name", str, {})
TEXT_OR_NONE = Kind("NAME", "a name or 'none'", str, _NONE)
WHOLE = Kind("N", "a whole number", int, {})
WHOLE_OR_AUTO = Kind("N", "a whole number or 'auto'", int, _AUTO)
WHOLE_AUTO_NONE = Kind("N", "a whole number, 'auto' or 'none'", int, _AUTO | _NONE)
NUMBER = Kind("X", "a number", float, {})
NUMBER_OR_AUTO = Kind("X", "a number or 'auto'", float, _AUTO)
NUMBER_OR_NONE = Kind("X", "a number or 'none'", float, _NONE)
SIZES = Kind(
    "N,N",
    "whole numbers (256,128 in a flag, [256, 128] in TOML), 'auto' or 'none'",
    int,
    _AUTO | {"none": ()},
    many=True,
)
SWITCH = Kind("", "true or false", bool, {})
SWITCH_OR_AUTO = Kind("", "true, false or 'auto'", bool, _AUTO)


class _Shape(Kind):
    """Sizes, separated by commas or by an x."""

    def from_text(self, text: str) -> Any:
        return super().from_text(text.lower().replace("x", ","))


SHAPE = _Shape(
    "C,H,W",
    "whole numbers (1,28,28 or 28x28 in a flag, [1, 28, 28] in TOML) or 'none'",
    int,
    _NONE,
    many=True,
)


class _Count(Kind):
    """A whole number, or a share; which of the two, the dot tells."""

    def from_text(self, text: str) -> Any:
        whole = text.strip().lower() in self.words or text.strip().lstrip("+-").isdigit()
        return super().from_text(text) if whole else float(text)

    def _entry(self, value: Any) -> Any:
        return value if isinstance(value, float) else super()._entry(value)


COUNT = _Count("N", "a whole number, 'auto', or a share of variance such as 0.9", int, _AUTO)


class _Pairs(Kind):
    """Names with a word each: a=b,c=d in a flag, a table in TOML."""

    def from_text(self, text: str) -> Any:
        pairs = [entry.split("=") for entry in text.split(",") if entry.strip()]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError
        return {name.strip(): word.strip() for name, word in pairs}

    def from_toml(self, value: Any) -> Any:
        if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
            raise ValueError
        return dict(value)


KINDS = _Pairs("A=KIND", "names and kinds, such as age=count,sex=binary", str, {})


@dataclass(frozen=True)
class Parameter:
    """One row: the estimator's name of it, its kind, its panel in the help, what it is."""

    name: str
    kind: Kind
    panel: str
    help: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def option(self) -> inspect.Parameter:
        """The option that typer makes of it; None where it was not given."""
        switch = self.kind.type is bool
        names = f"{self.flag}/--no-{self.flag[2:]}" if switch else self.flag
        option = typer.Option(
            names,
            metavar=self.kind.metavar or None,
            help=self.help,
            rich_help_panel=self.panel,
            show_default=False,
        )
        # A variable as a type is what typer is for and no checker can follow.
        annotation: Any = Annotated[bool | None if switch else str | None, option]
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
        )


_SHAPE, _OBJECTIVE, _TRAINING = "Model", "What is added to it", "Training"
# Apart, because their negatives take a column of the help, which then cuts long names short.
_SWITCHES = "Switches"

PARAMETERS = (
    Parameter(
        "n_components",
        COUNT,
        _SHAPE,
        "Number of latents, the width of the bottleneck; auto, or a share of variance (0.9).",
    ),
    Parameter("network", TEXT, _SHAPE, "auto, mlp, or conv for images and series."),
    Parameter(
        "sample_shape",
        SHAPE,
        _SHAPE,
        "What a row is: 28x20 or 3,32,32 for an image, 140 for a series.",
    ),
    Parameter(
        "hidden_layer_sizes",
        SIZES,
        _SHAPE,
        "Widths of the encoder's hidden layers: 256,128, or auto, or none.",
    ),
    Parameter(
        "activation",
        TEXT,
        _SHAPE,
        "silu, gelu, relu, tanh, sigmoid, softplus or identity.",
    ),
    Parameter(
        "likelihood",
        TEXT,
        _SHAPE,
        "auto, joint, gaussian, gaussian_fixed, gaussian_feature, gaussian_sample, laplace, "
        "bernoulli, continuous_bernoulli, categorical, poisson or negative_binomial.",
    ),
    Parameter(
        "kinds",
        KINDS,
        _SHAPE,
        "Kinds of columns: age=count,education=ordinal. Or real, positive, binary, categorical, "
        "date.",
    ),
    Parameter(
        "handle_unknown",
        TEXT,
        _SHAPE,
        "What an unseen category is: missing or error.",
    ),
    Parameter("scaling", TEXT, _SHAPE, "auto, standard, common or none."),
    Parameter("linear_start", SWITCH, _SWITCHES, "Whether training starts at PCA."),
    Parameter(
        "noise",
        TEXT_OR_NONE,
        _OBJECTIVE,
        "Corruption of the input: gaussian, masking, salt_and_pepper, swap or none.",
    ),
    Parameter(
        "noise_level", NUMBER, _OBJECTIVE, "Deviation in scaled units, or probability per entry."
    ),
    Parameter("emphasis", NUMBER, _OBJECTIVE, "Weight in the loss of the corrupted entries."),
    Parameter(
        "jitter",
        NUMBER_OR_AUTO,
        _OBJECTIVE,
        "Noise on the input, in units of what PCA leaves over; or auto.",
    ),
    Parameter("contraction", NUMBER, _OBJECTIVE, "Weight of the encoder's squared Jacobian norm."),
    Parameter("contraction_method", TEXT, _OBJECTIVE, "auto, closed_form, exact or hutchinson."),
    Parameter("sparsity", NUMBER, _OBJECTIVE, "Weight of the absolute values of the code."),
    Parameter("beta", NUMBER_OR_NONE, _OBJECTIVE, "Weight of the KL term; none: no KL term."),
    Parameter("kl_warmup", NUMBER, _OBJECTIVE, "Share of training over which beta grows."),
    Parameter("free_bits", NUMBER, _OBJECTIVE, "Nats that a latent may carry at no cost."),
    Parameter("objective", TEXT, _OBJECTIVE, "evidence, or importance (importance-weighted)."),
    Parameter("n_draws", WHOLE, _OBJECTIVE, "Codes drawn for each row."),
    Parameter("max_epochs", WHOLE_OR_AUTO, _TRAINING, "Passes over the rows, at most; or auto."),
    Parameter("batch_size", WHOLE_OR_AUTO, _TRAINING, "Rows of a step, or auto."),
    Parameter("learning_rate", NUMBER_OR_AUTO, _TRAINING, "Peak rate of AdamW, or auto."),
    Parameter("weight_decay", NUMBER, _TRAINING, "Decoupled decay of the weights."),
    Parameter("optimizer", TEXT, _TRAINING, "adamw or muon."),
    Parameter(
        "early_stopping",
        SWITCH_OR_AUTO,
        _SWITCHES,
        "Whether held-out rows end training; by default they do, and few rows are cross-validated.",
    ),
    Parameter("validation_fraction", NUMBER, _TRAINING, "Share of the rows to hold out."),
    Parameter(
        "patience",
        WHOLE_AUTO_NONE,
        _TRAINING,
        "Rounds without improvement to wait; auto, or none to go on.",
    ),
    Parameter("device", TEXT, _TRAINING, "auto, cpu, cuda, cuda:1, ..."),
    Parameter("precision", TEXT, _TRAINING, "auto, float32, tf32, bfloat16 or float16."),
    Parameter("compile", SWITCH_OR_AUTO, _SWITCHES, "Whether the training step is compiled."),
)


def from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that flags give.

    Raises:
        InvalidParameterError: a flag's text is not of its kind.
    """
    values = {}
    for parameter in PARAMETERS:
        text = flags.get(parameter.name)
        if text is None:
            continue
        try:
            kind = parameter.kind
            values[parameter.name] = kind.from_text(text) if isinstance(text, str) else text
        except ValueError as error:
            raise InvalidParameterError(
                f"{parameter.flag} {text}", f"must be {kind.rule}"
            ) from error
    return values
