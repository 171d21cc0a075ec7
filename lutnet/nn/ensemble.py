"""Several small networks whose scores are joined, in one netlist: AmigoLUT.

Weng et al., "Greater than the sum of its LUTs: scaling up LUT-based neural networks with AmigoLUT", FPGA 2025: an ensemble of M
small networks grows linearly in M, where wider tables grow exponentially. The members read the same quantised inputs and share
the quantiser of their scores, so that adding scores is adding integers. Deviations: the sum itself may be the score; a mean is
rounded to the step of a member's scores, half a step upwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from lutnet.cost import Device, adder_luts, table_luts
from lutnet.errors import UserError
from lutnet.formats import MAX_FORMAT_BITS, CodeFormat, Format
from lutnet.nn.cost import LayerCost
from lutnet.nn.edge_codes import ScoreCodes
from lutnet.nn.layer import Layer
from lutnet.nn.quantize import EVERY, Quantizer, Selection, straight_through
from lutnet.nn.wires import Wires
from lutnet.nn.wiring_options import EnsembleOptions
from lutnet.tables import TruthTable

__all__ = ["Ensemble", "JoinedScores"]

HALF_STEP_SLACK = 1e-4
"""Steps by which a mean may miss a half in float32 and is rounded upwards all the same."""

MAX_MEAN_BITS = 16
"""Most bits of a sum whose mean is read from a table."""


class JoinedScores(Quantizer):
    """Sums, or rounded means, of the scores of several members; nothing in it is learned.

    Attributes:
        average: Whether it is a mean.
        count: How many members are joined now.
    """

    def __init__(self, members: Sequence[Quantizer], *, average: bool) -> None:
        super().__init__()
        self._members = tuple(members)
        self.average = average
        self.count = len(self._members)

    def of_members(self) -> list[Format]:
        """Formats of the scores of the members that are joined.

        Raises:
            UserError: They have no step in common.
        """
        formats = [member.formats()[0] for member in self._members[: self.count]]
        for number, fmt in enumerate(formats):
            if not isinstance(fmt, Format) or not isinstance(formats[0], Format) or fmt.scale != formats[0].scale:
                raise UserError(
                    f"the scores of an ensemble are added as integers of one step; member {number} has {fmt}, member 0 "
                    f"{formats[0]}; give them one quantiser"
                )
        return cast("list[Format]", formats)

    def bounds(self) -> tuple[int, int]:
        """Smallest and largest sum of the members' integers."""
        bounds = [_bounds(fmt) for fmt in self.of_members()]
        return sum(low for low, _ in bounds), sum(high for _, high in bounds)

    def sum_format(self) -> Format:
        """Format of the exact sum of the members' integers; its offset is that of the joined score."""
        return self._covering(*self.bounds())

    def rounded(self, sums: Tensor) -> Tensor:
        """The integer of the joined score for exact sums of the members' integers, int64."""
        if not self.average:
            return sums
        return torch.div(2 * sums + self.count, 2 * self.count, rounding_mode="floor")

    def formats(self) -> tuple[CodeFormat, ...]:
        low, high = self.rounded(torch.tensor(self.bounds())).tolist()
        return (self._covering(low, high),)

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        fmt = cast("Format", self.formats()[0])
        integers = ((x.detach().double() - fmt.offset) / fmt.scale).round().to(torch.int64)
        return integers & ((1 << fmt.bits) - 1)

    def fake_quantize(self, x: Tensor) -> Tensor:
        """A sum is exact already; a mean is rounded to the step, straight through."""
        if not self.average:
            return x
        fmt = self.sum_format()
        hard = (
            torch.floor((x.detach().double() - fmt.offset) / fmt.scale + 0.5 + HALF_STEP_SLACK) * fmt.scale + fmt.offset
        )
        return straight_through(x, hard.to(x))

    def _covering(self, lowest: int, highest: int) -> Format:
        """The narrowest format with these integers."""
        formats = self.of_members()
        offset = sum(fmt.offset for fmt in formats) / (self.count if self.average else 1)
        signed = lowest < 0
        bits = 1 + max(highest.bit_length(), (-lowest - 1).bit_length()) if signed else max(1, highest.bit_length())
        if bits > MAX_FORMAT_BITS:
            raise UserError(
                f"the joined scores need {bits} bits, a format has at most {MAX_FORMAT_BITS}; take fewer members or fewer bits a "
                "score"
            )
        return Format(bits, signed, formats[0].scale, offset)


class Ensemble(Layer):
    """Chains of layers from the same inputs to scores, and what joins the scores.

    Attributes:
        members: The chains.
        options: Number of members, and how they are joined and trained.
        n_active: int64 buffer, members that are joined now: all, unless they are trained in turn.
    """

    n_active: Tensor
    quantizer: JoinedScores

    def __init__(
        self, source: Quantizer, in_features: int, members: Sequence[Sequence[Layer]], options: EnsembleOptions
    ) -> None:
        """Join the members.

        Args:
            source: The quantiser of the inputs of all members.
            in_features: Number of inputs.
            members: ``options.members`` chains; their last layers have one quantiser, or equal ones.
            options: How to join and train them.

        Raises:
            UserError: The members do not fit together, or a mean takes more address bits than a format has.
        """
        _check_members(source, in_features, members, options)
        ends = [chain[-1] for chain in members]
        _share_score(ends)
        super().__init__(
            source,
            in_features,
            ends[0].out_features,
            JoinedScores([end.quantizer for end in ends], average=options.join == "average"),
        )
        self.options = options
        self.members = nn.ModuleList(nn.ModuleList(chain) for chain in members)
        self.register_buffer("n_active", torch.tensor(1 if options.train == "in-turn" else len(members)))
        self.register_load_state_dict_post_hook(_count_again)
        _count_again(self, None)

    def all_chains(self) -> list[list[Layer]]:
        """The layers of every member."""
        return [cast("list[Layer]", list(cast("nn.ModuleList", chain))) for chain in self.members]

    def chains(self) -> list[list[Layer]]:
        """The layers of the members that are joined now."""
        return self.all_chains()[: int(self.n_active)]

    def respond_training(self, x: Tensor) -> Tensor:
        scores = []
        for chain in self.chains():
            values = x
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self._fixed(len(scores))):
                for layer in chain:
                    values = layer(values)
            scores.append(values)
        total = torch.stack(scores).sum(dim=0)
        return self.quantizer.fake_quantize(total / len(scores) if self.quantizer.average else total)

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        sums = torch.zeros((len(x), self.out_features), dtype=torch.int64, device=x.device)
        for chain, fmt in zip(self.chains(), self.quantizer.of_members(), strict=True):
            values = x
            for layer in chain:
                codes = layer.codes(values)
                values = layer.quantizer.values(codes)
            sums += torch.from_numpy(fmt.integers()).to(x.device)[codes]
        return self.quantizer.rounded(sums) & ((1 << self.quantizer.bits) - 1)

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        scores = []
        for chain in self.chains():
            now = list(rows)
            for layer in chain:
                now = layer.lower(wires, now)
            scores.append(now)
        if len(scores) == 1:
            return scores[0]
        total = self.quantizer.sum_format()
        shape = (total.bits, total.signed)
        sums = [wires.sum(list(of_class), shape=shape) for of_class in zip(*scores, strict=True)]
        if not self.quantizer.average:
            return sums
        fmt = cast("Format", self.quantizer.formats()[0])
        table = self._mean_table(total, fmt)
        return [wires.lut(table, [row], signed=fmt.signed) for row in sums]

    def cost(self, device: Device) -> Tensor:
        parts = [layer.cost(device) for chain in self.chains() for layer in chain]
        return torch.stack([part.to(parts[0].device) for part in parts]).sum() + self._join_luts(device)

    def summary(self, name: str, device: Device) -> LayerCost:
        rows = [layer.summary(name, device) for chain in self.chains() for layer in chain]
        return LayerCost(
            name=name,
            kind=type(self).__name__,
            n_neurons=sum(row.n_neurons for row in rows),
            address_bits=max(row.address_bits for row in rows),
            out_bits=max(row.out_bits for row in rows),
            n_entries=sum(row.n_entries for row in rows),
            n_luts=sum(row.n_luts for row in rows) + self._join_luts(device),
        )

    def penalty(self) -> Tensor:
        chains = [chain for i, chain in enumerate(self.chains()) if not self._fixed(i)]
        return torch.stack([layer.penalty() for chain in chains for layer in chain]).sum()

    def schedule(self, progress: float) -> None:
        """Members that are trained in turn share the training out equally; each has a schedule of its own."""
        if self.options.train == "in-turn":
            place = progress * len(self.members)
            number = min(int(place), len(self.members) - 1)
            if number + 1 != int(self.n_active):
                self.n_active.fill_(number + 1)
                _count_again(self, None)
                self.train(self.training)
            progress = place - number
        for i, chain in enumerate(self.chains()):
            if not self._fixed(i):
                for layer in chain:
                    layer.schedule(progress)

    def after_step(self) -> None:
        for i, chain in enumerate(self.chains()):
            if not self._fixed(i):
                for layer in chain:
                    layer.after_step()

    def train(self, mode: bool = True) -> Ensemble:
        """Members that are fixed keep the statistics of their batch norms."""
        super().train(mode)
        for i, chain in enumerate(self.chains()):
            if self._fixed(i):
                for module in (m for layer in chain for m in layer.modules()):
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.training = False
        return self

    def extra_repr(self) -> str:
        return f"members={len(self.members)}, join={self.options.join}, train={self.options.train}"

    def _fixed(self, number: int) -> bool:
        """Whether a member has had its turn."""
        return self.options.train == "in-turn" and number < int(self.n_active) - 1

    def _mean_table(self, total: Format, fmt: Format) -> TruthTable:
        """Codes of the mean for every code of the sum; sums that no scores have get the nearest code."""
        if total.bits > MAX_MEAN_BITS:
            raise UserError(
                f"the mean of {self.quantizer.count} scores is a table of {total.bits} address bits, at most {MAX_MEAN_BITS} are "
                "allowed; join them by a sum"
            )
        integers = fmt.integers()
        found = self.quantizer.rounded(torch.from_numpy(total.integers())).numpy().clip(integers.min(), integers.max())
        return TruthTable((total.bits,), fmt.bits, found & ((1 << fmt.bits) - 1))

    def _join_luts(self, device: Device) -> int:
        """Lookup tables of the adders and of the means."""
        count = int(self.n_active)
        if count == 1:
            return 0
        total = self.quantizer.sum_format()
        mean = table_luts(total.bits, self.quantizer.bits, device) if self.quantizer.average else 0
        return self.out_features * (adder_luts(total.bits, count) + mean)


def _bounds(fmt: Format) -> tuple[int, int]:
    """Smallest and largest integer of a format."""
    lowest = -(1 << (fmt.bits - 1)) if fmt.signed else 0
    return lowest, lowest + (1 << fmt.bits) - 1


def _share_score(ends: Sequence[Layer]) -> None:
    """Scores of additive layers have a range each; what an integer of theirs is worth becomes one parameter."""
    first = ends[0].quantizer
    for end in ends[1:]:
        if isinstance(first, ScoreCodes) and isinstance(end.quantizer, ScoreCodes):
            end.quantizer.log_scale = first.log_scale


def _count_again(ensemble: Ensemble, _: object) -> None:
    ensemble.quantizer.count = int(ensemble.n_active)


def _check_members(
    source: Quantizer, in_features: int, members: Sequence[Sequence[Layer]], options: EnsembleOptions
) -> None:
    if len(members) != options.members or not all(members):
        raise UserError(
            f"expected {options.members} members of at least 1 layer, got {[len(chain) for chain in members]}"
        )
    for number, chain in enumerate(members):
        if chain[0].source is not source or chain[0].in_features != in_features:
            raise UserError(
                f"member {number} of the ensemble does not read its {in_features} inputs; give all one source"
            )
        if chain[-1].out_features != members[0][-1].out_features or chain[-1].quantizer.channels != 1:
            raise UserError(
                f"member {number} of the ensemble has other scores than member 0, or more than one channel of them"
            )
        for before, layer in pairwise(chain):
            if layer.source is not before.quantizer:
                raise UserError(f"a layer of member {number} was made for another source than the layer before it")
