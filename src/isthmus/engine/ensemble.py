"""Several modules of one architecture trained as one: each step is one batched product a layer.

Small networks spend their time between products, not in them, so that six cost little more than
one. The parameters are stacked, (M, …), and the forward is mapped over them
(``torch.func.functional_call`` under ``torch.func.vmap``). Every optimiser that works element by
element then trains M independent modules. The members stay ordinary modules: their tensors are
views of the stacks.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from isthmus.data.batches import Batch, TensorBatches, starts


class Ensemble(nn.Module):
    """M modules as one; forward takes (M, n, …) and returns {name: (M, n)}.

    A module that cannot be mapped (BatchNorm, say) is run member by member, with equal results.

    Args:
        members: modules of one architecture, at least one; the ensemble takes over their tensors.

    Attributes:
        members: the modules; what is written into their tensors is written into the stacks.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        # in a dict, so that they are no submodules and their parameters do not count twice
        self._hidden = {"members": list(members)}
        self._names: dict[str, str] = {}
        tensors = [_tensors(member) for member in members]
        for name, first in tensors[0].items():
            stack = torch.stack([t[name].detach() for t in tensors])
            own = name.replace(".", "/")
            self._names[own] = name
            if isinstance(first, nn.Parameter):
                self.register_parameter(own, nn.Parameter(stack, requires_grad=first.requires_grad))
            else:
                self.register_buffer(own, stack)
            for i, member in enumerate(members):
                _replace(member, name, stack[i])
        self._mapped: bool | None = None

    @property
    def members(self) -> list[nn.Module]:
        """The M modules."""
        return self._hidden["members"]

    def train(self, mode: bool = True) -> Ensemble:
        """Set the mode of every member."""
        super().train(mode)
        for member in self.members:
            member.train(mode)
        return self

    def set_progress(self, progress: float) -> None:
        """Pass the share of training on to every member."""
        for member in self.members:
            member.set_progress(progress)  # type: ignore[operator]

    @property
    def is_scheduled(self) -> bool:
        """Whether :meth:`set_progress` changes anything."""
        return any(bool(getattr(member, "is_scheduled", True)) for member in self.members)

    def forward(self, *batch: Tensor) -> dict[str, Tensor]:
        """{name: (M, n)} for a batch whose tensors are (M, n, …)."""
        if self._mapped is None:
            self._mapped = self._can_map(batch)
        tensors = {name: getattr(self, own) for own, name in self._names.items()}
        if self._mapped:
            return self._map(tensors, batch)
        each = [
            self._call({name: t[i] for name, t in tensors.items()}, *(b[i] for b in batch))
            for i in range(len(self.members))
        ]
        return {name: torch.stack([terms[name] for terms in each]) for name in each[0]}

    def _call(self, tensors: dict[str, Tensor], *batch: Tensor) -> dict[str, Tensor]:
        terms: dict[str, Tensor] = torch.func.functional_call(self.members[0], tensors, batch)
        return terms

    def _map(self, tensors: dict[str, Tensor], batch: tuple[Tensor, ...]) -> dict[str, Tensor]:
        mapped: dict[str, Tensor] = torch.func.vmap(self._call, randomness="different")(
            tensors, *batch
        )
        return mapped

    def _can_map(self, batch: tuple[Tensor, ...]) -> bool:
        # clones, because the trial may write into buffers before it fails
        tensors = {name: getattr(self, own).detach().clone() for own, name in self._names.items()}
        state = torch.random.get_rng_state()
        try:
            self._map(tensors, batch)
        except RuntimeError:
            return False
        finally:
            torch.random.set_rng_state(state)
        return True

    def __deepcopy__(self, memo: dict[int, Any]) -> Ensemble:
        return Ensemble([copy.deepcopy(member, memo) for member in self.members])


class EnsembleBatches:
    """Batches (M, n, *F) for an ensemble: each member has its own rows of one source.

    Args:
        source: all rows.
        parts: for each member the rows (an index tensor) it is trained on.
    """

    def __init__(self, source: TensorBatches, parts: Sequence[Tensor]) -> None:
        self.source = source
        self.parts = list(parts)

    @property
    def n_rows(self) -> int:
        """Rows of the last part: its epochs are those that are counted."""
        return len(self.parts[-1])

    @property
    def _least(self) -> int:
        return min(len(part) for part in self.parts)

    def batches(self, batch_size: int) -> Iterator[Batch]:
        """The first rows of every part, as many as the smallest has, in their order."""
        for start in range(0, self._least, batch_size):
            stop = min(start + batch_size, self._least)
            yield self.source.rows(torch.stack([part[start:stop] for part in self.parts]))

    def shuffled(self, batch_size: int, seed: int, skip: int = 0) -> Iterator[Batch]:
        """Batches without end, each member's rows in its own random order; see :class:`Batches`."""
        generator = torch.Generator().manual_seed(seed)
        n = self._least
        size = min(batch_size, n)
        parts = nn.utils.rnn.pad_sequence(self.parts, batch_first=True)
        places = torch.empty(parts.shape, dtype=torch.long)
        rows = [place[: len(part)] for place, part in zip(places, self.parts, strict=True)]
        for first in starts(n // size, skip):
            for row in rows:
                torch.randperm(len(row), generator=generator, out=row)
            if first is None:
                continue
            order = parts.gather(1, places[:, :n]).to(self.source.x.device)
            for start in range(first * size, n - size + 1, size):
                yield self.source.rows(order[:, start : start + size])


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _replace(module: nn.Module, name: str, value: Tensor) -> None:
    """Make ``value`` (a view of a stack) the tensor of that name."""
    path, _, leaf = name.rpartition(".")
    owner = module.get_submodule(path)
    if leaf in owner._parameters:
        getattr(owner, leaf).data = value
    else:
        owner._buffers[leaf] = value
