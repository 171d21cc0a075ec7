"""Modules written the usual way: the netlist equals them on every input, and what cannot be built is named with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from lutnet import UserError
from lutnet.cost import XCVU9P
from lutnet.ir import OpCode
from lutnet.lower import ModuleNetlist, lower_module
from lutnet.nn import (
    AdditiveEdges,
    ArithmeticNeurons,
    FixedPoint,
    InputQuantizer,
    Joined,
    LutModule,
    SignedUniform,
    SparseLinear,
    Summed,
    UnsignedUniform,
    make_quantizer,
    random_wiring,
)
from lutnet.nn.edge_codes import ScoreCodes
from lutnet.passes import DEFAULT_PASSES, parse_passes, run_passes
from lutnet.testing import mutate_table
from lutnet.train.config import TrainConfig
from lutnet.train.data import Dataset
from lutnet.train.loop import train
from lutnet.verify.equivalence import check_equivalent

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(400, 6)).astype(np.float32)


def inputs(n: int = 6, bits: int = 2) -> InputQuantizer:
    return InputQuantizer.fit_uniform(ROWS[:, :n], bits)


def linear(source: Any, width: int, size: int, seed: int, quantizer: Any = None) -> SparseLinear:
    made = quantizer if quantizer is not None else SignedUniform(3)
    return SparseLinear(source, width, random_wiring(width, size, 2, seed), made)


def ready(module: nn.Module, **arguments: npt.NDArray[np.float32]) -> nn.Module:
    """A module whose quantisers have seen a batch in training."""
    module.train()
    module(**{name: torch.from_numpy(x) for name, x in arguments.items()})
    return module.eval()


def agree(module: nn.Module, **arguments: npt.NDArray[np.float32]) -> ModuleNetlist:
    ready(module, **arguments)
    tensors = {name: torch.from_numpy(x) for name, x in arguments.items()}
    found = lower_module(module, **tensors)
    with torch.no_grad():
        results = module(**tensors)
    codes = found.encode(**arguments)
    expected = found.codes(results)
    np.testing.assert_array_equal(found.netlist.evaluate(codes), expected)
    flat = (
        [results] if isinstance(results, Tensor) else list(results.values() if isinstance(results, dict) else results)
    )
    values = np.concatenate([part.numpy().reshape(len(part), -1) for part in flat], axis=1)
    np.testing.assert_allclose(found.values(expected), values, rtol=1e-12, atol=1e-12)
    net, _ = run_passes(found.netlist, parse_passes(DEFAULT_PASSES), check=check_equivalent)
    np.testing.assert_array_equal(net.evaluate(codes), expected)
    return found


class Skips(nn.Module):
    """A concatenation around a layer, and a sum of two layers that share a quantiser."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs = inputs()
        self.a = linear(self.inputs, 6, 4, 0)
        self.joined = Joined([self.inputs, self.a.quantizer], [6, 4])
        shared = SignedUniform(3)
        self.b = linear(self.joined, 10, 5, 1, shared)
        self.c = linear(self.a.quantizer, 4, 5, 2, shared)
        self.d = linear(Summed([shared, shared]), 5, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inputs(x)
        h = self.a(x)
        b = self.b(torch.cat([x, h], dim=1))
        return self.d(b + self.c(h))


class Ports(nn.Module):
    """Two inputs, one of them sliced and given to two quantisers, a layer that is called twice, and named results."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.fine = inputs(3), inputs(3), inputs(3, bits=3)
        self.tower = linear(self.left, 3, 4, 0)
        self.fine_tower = linear(self.fine, 3, 2, 4)
        self.both = linear(Joined([self.tower.quantizer] * 2, [4, 4]), 8, 4, 1)

    def forward(self, x: Tensor, z: Tensor) -> dict[str, Tensor]:
        first, second = x[:, :3], z.chunk(2, dim=1)[0]
        a, b = self.tower(self.left(first)), self.tower(self.left(second))
        both = self.both(torch.cat((a, b), -1))
        low, high = both.split([1, 3], dim=1)
        return {"low": low, "high": high, "fine": self.fine_tower(self.fine(first))}


class Shapes(nn.Module):
    """Reshaping, permuting, flattening, a requantised sum and layers of other families."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs = inputs()
        self.a = linear(self.inputs, 6, 6, 0, FixedPoint(4))
        self.b = linear(self.inputs, 6, 6, 1, FixedPoint(5))
        self.act = UnsignedUniform(3)
        self.edges = AdditiveEdges(self.act, 6, 4, ScoreCodes(1.0))
        self.dense = ArithmeticNeurons(
            Joined([self.inputs, self.act], [6, 6]), 12, np.zeros((3, 1), int), ScoreCodes(0.1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.inputs(x.view(x.shape[0], 2, 3).flatten(1))
        total = torch.add(self.a(x), self.b(x))
        h = self.act(total.reshape(-1, 2, 3).permute(0, 2, 1).contiguous().reshape(total.size(0), 6))
        return self.edges(h), self.dense(torch.cat([x, h], dim=1)), total[:, 1:3]


def test_skips_are_exact() -> None:
    torch.manual_seed(0)
    found = agree(Skips(), x=ROWS)
    assert found.netlist.input_names == tuple(f"x_{i}" for i in range(6))
    assert found.netlist.output_names == ("y_0", "y_1", "y_2") and found.netlist.count(OpCode.SUM) == 5


def test_inputs_outputs_and_shared_parts() -> None:
    torch.manual_seed(1)
    found = agree(Ports(), x=ROWS, z=ROWS[::-1].copy())
    net = found.netlist
    assert net.output_names == ("low_0", "high_0", "high_1", "high_2", "fine_0", "fine_1")
    assert net.input_names[:3] == ("x_0", "x_1", "x_2") and net.input_names[6:] == ("x_0_fine", "x_1_fine", "x_2_fine")
    assert found.features[3] == ("z", 0)
    with pytest.raises(UserError, match="forward takes z too"):
        found.encode(x=ROWS)


def test_shapes_sums_and_families() -> None:
    torch.manual_seed(2)
    found = agree(Shapes(), x=ROWS)
    assert found.netlist.output_names[-1] == "y2_1" and len(found.formats) == 9


def test_a_mutant_is_found() -> None:
    torch.manual_seed(0)
    module = ready(Skips(), x=ROWS)
    found = lower_module(module, x=torch.from_numpy(ROWS))
    many = RNG.normal(size=(4000, 6)).astype(np.float32) * 2
    with torch.no_grad():
        expected = found.codes(module(torch.from_numpy(many)))
    codes = found.encode(x=many)
    np.testing.assert_array_equal(found.netlist.evaluate(codes), expected)
    assert not np.array_equal(mutate_table(found.netlist).evaluate(codes), expected)


def test_gradients_and_learned_steps_go_through_joins() -> None:
    torch.manual_seed(3)
    module = Shapes().train()
    edges, dense, total = module(torch.from_numpy(ROWS))
    (edges.square().mean() + dense.square().mean() + total.square().mean()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in module.a.parameters())
    joined = module.dense.source
    assert joined.live_scale().shape == (12,) and joined.bits == 3 and "6 of InputQuantizer" in repr(joined)


class Classifier(LutModule):
    """Two branches and a decision."""

    def __init__(self, data: Dataset) -> None:
        super().__init__()
        self.inputs = InputQuantizer.fit_uniform(data.train.x, 3)
        self.branches = nn.ModuleList([linear(self.inputs, 6, 8, seed) for seed in range(2)])
        self.scores = linear(Joined([branch.quantizer for branch in self.branches], [8, 8]), 16, 3, 2, SignedUniform(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.inputs(x)
        return self.scores(torch.cat([branch(x) for branch in self.branches], dim=1))


class Decided(nn.Module):
    """A trained module and the largest of its scores."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x).argmax(dim=1)


def test_a_module_trains_like_a_network_and_decides_in_hardware(toy_data: Dataset) -> None:
    torch.manual_seed(0)
    module = Classifier(toy_data)
    assert len(list(module.layers())) == 3 and module.cost(XCVU9P).item() > 0 and module.penalty().item() == 0
    found = train(module, toy_data, TrainConfig(epochs=8, batch_size=32, learning_rate=2e-2, cost_weight=1e-5))
    assert found.validation_accuracy > 0.4
    hardware = lower_module(Decided(module), x=torch.from_numpy(toy_data.validation.x))
    assert hardware.netlist.output_names == ("y_0",) and hardware.netlist.count(OpCode.ARGMAX) == 1
    classes = hardware.netlist.evaluate(hardware.encode(x=toy_data.validation.x))[:, 0]
    assert float((classes == toy_data.validation.y).mean()) == found.validation_accuracy
    with torch.no_grad():
        results = Decided(module)(torch.from_numpy(toy_data.test.x))
    np.testing.assert_array_equal(
        hardware.codes(results), hardware.netlist.evaluate(hardware.encode(x=toy_data.test.x))
    )


class Wrong(nn.Module):
    """One mistake at a time."""

    def __init__(self, forward: Callable[[Wrong, Tensor], Any]) -> None:
        super().__init__()
        self.q, self.rule = inputs(), forward
        self.a = linear(self.q, 6, 4, 0)
        self.b = linear(self.q, 6, 4, 1, make_quantizer("ternary", 2))
        self.torch = nn.Linear(6, 4)
        self.c = linear(self.a.quantizer, 4, 2, 2)

    def forward(self, x: Tensor) -> Any:
        return self.rule(self, x)


MISTAKES: list[tuple[Callable[[Wrong, Tensor], Any], str]] = [
    (lambda m, x: torch.relu(m.a(m.q(x))), "'torch.relu' has no hardware; between layers stand torch.cat"),
    (lambda m, x: m.a(m.q(x)).sum(dim=1), r"'.sum\(\)' has no hardware"),
    (lambda m, x: m.a(m.q(x)) * 2, "'mul' has no hardware"),
    (lambda m, x: m.a(m.q(x)) + 1, "adds two tensors that layers make"),
    (lambda m, x: m.a(m.q(x)) + m.b(m.q(x)), "not equally spaced cannot be added"),
    (lambda m, x: m.torch(m.q(x)), r"module 'torch' \(Linear\) has no hardware"),
    (lambda m, x: m.a(x), r"'a' \(SparseLinear\) reads raw features"),
    (lambda m, x: m.q(m.q(x)), "reads raw features, got codes"),
    (lambda m, x: m.q(x[:, :3]), "'q' quantises 6 features, got 3"),
    (lambda m, x: m.c(m.q(x)), r"'c' \(SparseLinear\) reads 4 columns, got 6"),
    (lambda m, x: m.c(m.b(m.q(x))), "was made for another source: its column 0 has 4 levels"),
    (lambda m, x: torch.cat([m.a(m.q(x)), m.b(m.q(x))]), "dimension 0 is the batch"),
    (lambda m, x: m.a(m.q(x))[0], "an index begins with ':' for the batch"),
    (lambda m, x: m.a(m.q(x)).reshape(3, -1), "a new shape begins with the batch"),
    (lambda m, x: m.a(m.q(x)).reshape(-1, 3), r"a sample of shape \(4,\) does not become one of shape \(3,\)"),
    (lambda m, x: m.a(m.q(x)).split([1, 2], dim=1), r"parts of \[1, 2\] do not make up the 4 elements"),
    (lambda m, x: m.a(m.q(x).reshape(-1, 2, 3)), r"reads values of shape \(batch, n\), got shape \(batch, 2, 3\)"),
    (lambda m, x: m.a(m.q(x)) if x.sum() > 0 else x, "cannot be traced: symbolically traced variables cannot be used"),
    (lambda m, x: m.b(m.q(x)).argmax(dim=0), "dimension 0 is the batch"),
    (
        lambda m, x: torch.cat([m.a(m.q(x)), m.b(m.q(x))], dim=1).argmax(dim=1),
        "scores that are compared have one format",
    ),
    (lambda m, x: (m.a(m.q(x)), x), "result 'y1' of forward is no value"),
]


@pytest.mark.parametrize(("rule", "message"), MISTAKES)
def test_what_cannot_be_built_is_named_with_its_line(rule: Callable[[Wrong, Tensor], Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        lower_module(Wrong(rule), x=torch.from_numpy(ROWS))
    line = rule.__code__.co_firstlineno
    if "result 'y1'" not in message:
        assert f"({Path(__file__).name}, line {line})" in str(caught.value)


def test_joins_say_what_does_not_fit() -> None:
    first, second = SignedUniform(3), SignedUniform(3)
    second.set_scale(torch.tensor([0.3]))
    with pytest.raises(UserError, match="let both layers share one quantiser"):
        Summed([first, second]).formats()
    with pytest.raises(UserError, match="at least 2 quantisers, got 1"):
        Summed([first])
    with pytest.raises(UserError, match="got 1 and 2"):
        Joined([first], [1, 2])
    with pytest.raises(UserError, match="a sum needs 25 bits"):
        wide = UnsignedUniform(16)
        Summed([wide] * 300).formats()
    with pytest.raises(UserError, match="argument 'x' of forward has no example"):
        lower_module(Skips())
