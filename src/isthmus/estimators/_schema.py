"""What a run's configuration may say, checked before anything is built or allocated for it.

A run may come from a stranger. Fields that are not known are refused, sizes are bounded, and the
tensors that the model needs are counted on torch's meta device, which allocates nothing: a file
that is larger, or more than this machine's memory, is refused unread.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    model_validator,
)
from torch import nn

from isthmus import presets
from isthmus._machine import memory
from isthmus.data.columns.encoding import Encoding
from isthmus.data.columns.kinds import MOST_CATEGORIES, Kind
from isthmus.data.text.spelled import GROUPS, is_unit
from isthmus.data.words import refuse_unknown
from isthmus.errors import RunError

_DEEPEST, _WIDEST = 64, 10_000_000
Width = Annotated[int, Field(ge=1, le=_WIDEST)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# Beside the model's own tensors: codes, probes, figures of held-out rows, PCA's curve, names.
_ROWS_KEPT = 20_000
_SLACK = 1 << 24


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


_Spec = Annotated[
    tuple[Kind, Annotated[int, Field(ge=0, le=MOST_CATEGORIES)], bool], Field(strict=False)
]


class Architecture(_Closed):
    """Arguments of :func:`isthmus.presets.build`."""

    feature_shape: Annotated[list[Width], Field(min_length=1, max_length=1)]
    n_components: Width
    hidden_layer_sizes: Annotated[list[Width], Field(max_length=_DEEPEST)]
    activation: str
    likelihood: str
    n_categories: Annotated[int, Field(ge=2, le=100_000)]
    # runs of schema 1 have neither columns of kinds nor an encoding
    columns: list[_Spec] | None = None
    linear_path: bool
    noise: str | None
    noise_level: Number | None
    emphasis: Number
    contraction: Number
    contraction_method: str
    sparsity: Number
    beta: Number | None
    kl_warmup: Number
    free_bits: Number
    n_draws: Annotated[int, Field(ge=1, le=1_000_000)]
    objective: str
    network: Literal["mlp", "conv"] = "mlp"
    sample_shape: Annotated[list[Width], Field(min_length=2, max_length=3)] | None = None


class Model(_Closed):
    """The estimator's class and parameters, and what they came to."""

    class_: Annotated[str, Field(alias="class")]
    parameters: dict[str, JsonValue]
    architecture: Architecture
    scaling: Literal["standard", "common", "none"]
    encoding: Encoding | None = None

    @model_validator(mode="after")
    def _one_table(self) -> Model:
        found = None if self.encoding is None else self.encoding.columns
        wanted = self.architecture.columns
        if [(c.kind, len(c.categories)) for c in found or ()] != [
            (kind, n) for kind, n, _ in wanted or ()
        ]:
            raise ValueError("encoding and architecture have other columns")
        return self


def _known(encoding: str) -> str:
    refuse_unknown("encoding", encoding)  # a ValueError, as Pydantic wants
    return encoding


class Signs(_Closed):
    """How the numbers of a column were written."""

    decimal: Literal["", ".", ","]
    group: str = ""
    before: str = ""
    after: str = ""
    behind: bool = False
    example: Annotated[str, Field(max_length=1000)] = ""

    @model_validator(mode="after")
    def _are_signs(self) -> Signs:
        units = all(not sign or is_unit(sign) for sign in (self.before, self.after))
        if not units or self.group not in ("", *GROUPS) or self.group == self.decimal != "":
            raise ValueError("no numbers are written so")
        return self


class Written(_Closed):
    """How the numbers of the fit were written: :class:`isthmus.data.text.agreeing.Spelling`."""

    decimal: Literal[".", ","]
    columns: dict[str, Signs]
    decimals: dict[str, Annotated[int, Field(ge=0, le=400)]] = {}


class Data(_Closed):
    """The rows of the fit."""

    n_features: Width
    n_rows: Annotated[int, Field(ge=1)]
    feature_names: list[str] | None
    fingerprint: str | None = None
    origin: str | None = None
    drop: list[str] | None = None
    text: list[str] | None = None
    na_values: list[str] | None = None
    encoding: Annotated[str, Field(max_length=40), AfterValidator(_known)] | None = None
    layout: Annotated[str, Field(max_length=4)] | None = None
    max_skipped: Annotated[float, Field(ge=0, le=1)] | None = None
    spelling: Written | None = None
    # of the images or series that flat rows were made of
    read_shape: Annotated[list[Width], Field(min_length=2, max_length=3)] | None = None
    input_shape: Annotated[list[Width], Field(min_length=2, max_length=3)] | None = None


class Figures(_Closed):
    """How the fit ended."""

    n_steps_: Annotated[int, Field(ge=0)]
    n_epochs_: Number | None
    validation_: Number | None
    squared_error_: Number | None
    pca_squared_error_: Number | None
    interrupted_: bool
    stayed_linear_: bool
    diverged_: bool = False


class Configuration(_Closed):
    """config.json of a run."""

    format: Literal["isthmus-run"]
    schema_: Annotated[int, Field(alias="schema")]
    versions: dict[str, str]
    command: str | None = None
    model: Model
    data: Data
    fit: Figures
    checksum: Digest


def validated(path: str | os.PathLike[str], config: dict[str, Any]) -> Configuration:
    """The configuration, if it is one.

    Raises:
        RunError: the first field that is missing, unknown, or of another kind.
    """
    try:
        return Configuration.model_validate(config)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RunError(
            f"{path}",
            f"does not hold what its schema promises: {where}: {first['msg']}",
            "The run was altered or written by an incompatible version; fit again.",
        ) from error


def most_bytes(
    path: str | os.PathLike[str],
    found: Configuration,
    encoder: nn.Module | None,
    decoder: nn.Module | None,
) -> int:
    """The largest that the file of tensors of such a model can be.

    Raises:
        RunError: the model needs more than this machine's memory.
        IsthmusError: no model can be built that way.
    """
    own: int = sum(
        t.numel() for m in (encoder, decoder) if m is not None for t in m.state_dict().values()
    )
    with torch.device("meta"):
        model = presets.build(
            **found.model.architecture.model_dump(),
            encoder=None if encoder is None else _Stand(),
            decoder=None if decoder is None else _Stand(),
        )
    numbers = own + sum(t.numel() for t in model.state_dict().values())
    width = found.data.n_features + found.model.architecture.n_components
    needed: int = 8 * (numbers + 64 * width + _ROWS_KEPT * found.model.architecture.n_components)
    there = memory()
    if needed > there:
        raise RunError(
            f"{path}",
            f"holds a model of {needed / 1e9:.3g} GB; this machine has {there / 1e9:.3g} GB",
            "Open it on a larger machine, if you trust where it is from.",
        )
    return needed + _SLACK


class _Stand(nn.Module):
    """In the place of a network of the user's own, whose tensors are counted apart."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def check_size(path: Path, most: int) -> None:
    """Refuse a file that is larger than what should be in it.

    Raises:
        RunError: it is.
    """
    size = path.stat().st_size if path.is_file() else 0
    if size > most:
        raise RunError(
            f"{path}",
            f"has {size} bytes; the model its configuration describes needs at most {most}",
            "The file was altered; copy the run again.",
        )
