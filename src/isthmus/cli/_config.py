"""The file of ``fit --config``: TOML, with the parameters' names at the top or in a [fit] table.

model = "denoising"
n_components = 8
hidden_layer_sizes = [256, 128]
random_state = 0
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from isthmus.cli._parameters import NUMBER, PARAMETERS, TEXT, WHOLE, Kind
from isthmus.cli._reading import AS_USUAL, ReadingOptions, layout_of
from isthmus.errors import InvalidParameterError

_READ = {
    list[str]: Kind("", "a list of names", str, {}, many=True),
    str: TEXT,
    float: NUMBER,
}
_KINDS: dict[str, Kind] = {
    "model": TEXT,
    "random_state": WHOLE,
    **{field.name: _READ[field.metadata["kind"]] for field in fields(ReadingOptions)},
    **{parameter.name: parameter.kind for parameter in PARAMETERS},
}
_OTHER_NAMES = {"seed": "random_state"}
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Config:
    """What the file sets; None and empty where it does not.

    Args:
        model: a name of :data:`isthmus.cli.fit.MODELS`, unchecked.
        reading: how the data is read.
        random_state: the seed.
        parameters: of the estimator, by name.
    """

    model: str | None = None
    reading: ReadingOptions = AS_USUAL
    random_state: int | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


def read(path: str) -> Config:
    """The settings in a TOML file.

    Raises:
        InvalidParameterError: it cannot be read, is no TOML, sets what is not known, sets it twice
            or as another type.
    """
    values: dict[str, Any] = {}
    for key, value in _entries(path):
        name = _name(key, path)
        if name in values:
            raise InvalidParameterError(f"{path}", f"must set {name} once; it is there twice")
        try:
            values[name] = _KINDS[name].from_toml(value)
        except ValueError as error:
            raise InvalidParameterError(
                f"{key} = {value!r} in {path}", f"must be {_KINDS[name].rule}"
            ) from error
    if "layout" in values:
        values["layout"] = layout_of(values["layout"])
    seed = values.get("random_state")
    if seed is not None and not 0 <= seed < 2**32:
        raise InvalidParameterError(
            f"random_state = {seed} in {path}", "must be a whole number from 0 to 4294967295"
        )
    return Config(
        values.pop("model", None),
        ReadingOptions(**{name: values.pop(name) for name in vars(AS_USUAL) if name in values}),
        values.pop("random_state", None),
        values,
    )


def _entries(path: str) -> list[tuple[str, Any]]:
    """Names and values of the top and of [fit], in one list."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidParameterError(f"--config {path}", f"cannot be read ({reason})") from error
    try:
        top = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(
            f"--config {path}",
            f"must be TOML: {error}",
            'Write a setting a line, such as n_components = 8 or model = "denoising".',
        ) from error
    table = top.pop("fit", {})
    if not isinstance(table, dict):
        raise InvalidParameterError(f"fit = {table!r} in {path}", "must be a table, [fit]")
    return [*top.items(), *table.items()]


def _name(key: str, path: str) -> str:
    name = key.replace("-", "_")
    name = _OTHER_NAMES.get(name, name)
    if name not in _KINDS:
        near = get_close_matches(name, [*_KINDS, *_OTHER_NAMES], 3)
        raise InvalidParameterError(
            f"{key} in {path}",
            "is not a setting of fit",
            f"Did you mean {' or '.join(near)}?"
            if near
            else "The settings are the long names of the options in 'isthmus fit --help'.",
        )
    return name
