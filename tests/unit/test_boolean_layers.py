"""Differentiable lookup tables, thermometer codes and population counts, from gradients to Verilog."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lutnet.cost import XCVU9P
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.ir import NetlistBuilder, OpCode
from lutnet.lower import lower_layer
from lutnet.nn import (
    DifferentiableLut,
    DifferentiableOptions,
    FixedQuantizer,
    GroupSum,
    InputQuantizer,
    Thermometer,
    make_quantizer,
)
from lutnet.nn.table_parameters import difference_matrix, make_parameters, walsh_spectrum, walsh_table
from lutnet.nn.thermometer import BIPOLAR
from lutnet.passes import Dce, run_passes
from lutnet.testing import check_layer

BITS = FixedQuantizer(BIPOLAR)


@pytest.mark.parametrize(
    "options",
    [
        DifferentiableOptions(lut_inputs=6, mapping="learned", spectral_weight=0.1),
        DifferentiableOptions(lut_inputs=4, mapping="random", parametrization="walsh"),
        DifferentiableOptions(lut_inputs=2, mapping="random", parametrization="gates", relaxation="soft"),
        DifferentiableOptions(lut_inputs=3, mapping="learned", parametrization="walsh", relaxation="soft"),
        DifferentiableOptions(lut_inputs=5, mapping="random", relaxation="soft", init="residual"),
        DifferentiableOptions(lut_inputs=2, mapping="learned", parametrization="gates"),
    ],
    ids=lambda o: f"{o.parametrization}-{o.relaxation}-{o.lut_inputs}-{o.mapping}",
)
def test_boolean_functions_conform(options: DifferentiableOptions) -> None:
    check_layer(lambda source, n_in: DifferentiableLut(source, n_in, 5, options), simulate=options.lut_inputs in (2, 6))


@pytest.mark.parametrize("learned", [False, True])
def test_thermometers_conform(learned: bool) -> None:
    def make(source: InputQuantizer, n_in: int) -> Thermometer:
        return Thermometer(source, n_in, 3, learned=learned)

    features = np.random.default_rng(0).normal(size=(300, 3))
    source = InputQuantizer.fit_uniform(features, 4)
    layer = make(source, 3).fit("quantile", features)
    codes = np.stack(np.meshgrid(*[np.arange(16)] * 3), axis=-1).reshape(-1, 3)
    values = source.values(torch.from_numpy(codes))
    np.testing.assert_array_equal(lower_layer(layer).evaluate(codes), layer.codes(values).numpy())
    layer.train()
    np.testing.assert_array_equal((layer(values.float()) > 0).numpy(), layer.codes(values).numpy() > 0)


def test_codes_of_one_value_are_not_told_apart() -> None:
    features = np.array([[0.0, 5.0], [0.0, 5.0], [0.0, 5.0], [1.0, 5.0], [2.0, 7.0]])
    source = InputQuantizer.fit_quantile(features, 3)
    layer = Thermometer(source, 2, 7)
    layer.positions.copy_(torch.arange(1.0, 8.0).expand(2, 7))
    codes = np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(-1, 2)
    values = source.values(torch.from_numpy(codes))
    found = layer.codes(values).numpy()
    np.testing.assert_array_equal(lower_layer(layer).evaluate(codes), found)
    np.testing.assert_array_equal(layer.codes(values.float()).numpy(), found)
    assert 0 < found.mean() < 1


def test_population_counts_conform() -> None:
    check_layer(lambda source, n_in: GroupSum(source, n_in, 2), in_features=12)


def test_the_extended_finite_difference_is_the_derivative_of_the_multilinear_extension_at_decay_zero() -> None:
    torch.manual_seed(3)
    table = torch.rand(4, 8) * 2 - 1
    slopes = (table @ difference_matrix(3, 0.0)).view(4, 3, 8)
    for pin in range(3):
        for address in range(8):
            up, down = address | 1 << pin, address & ~(1 << pin)
            expected = (table[:, up] - table[:, down]) / 2
            torch.testing.assert_close(slopes[:, pin, address], expected)


def test_the_extended_finite_difference_weighs_distant_addresses_less() -> None:
    matrix = difference_matrix(3, 1 / 3).view(8, 3, 8)
    assert matrix[0b001, 0, 0b000] == pytest.approx(0.5 * 0.75**2)
    assert matrix[0b000, 0, 0b000] == pytest.approx(-0.5 * 0.75**2)
    assert matrix[0b111, 0, 0b000] == pytest.approx(0.5 * 0.75**2 / 9)
    torch.testing.assert_close(matrix.abs().sum(dim=0), torch.ones(3, 8))


def test_walsh_coefficients_are_the_table_in_another_basis() -> None:
    torch.manual_seed(4)
    table = torch.rand(3, 16, dtype=torch.float64)
    coefficients = walsh_spectrum(table)
    torch.testing.assert_close(walsh_table(coefficients), table)
    torch.testing.assert_close(coefficients[:, 0], table.mean(dim=1))
    pin_2 = ((torch.arange(16) >> 2) & 1).double() * 2 - 1
    torch.testing.assert_close(coefficients[:, 4], (table * pin_2).mean(dim=1))


def test_residual_tables_hand_on_their_first_pin() -> None:
    options = DifferentiableOptions(lut_inputs=4, init="residual")
    tables = make_parameters(options, 20).boolean()
    assert bool((tables == ((torch.arange(16) & 1) == 1)).all())


def test_the_learned_mapping_finds_the_bits_that_matter() -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 2, (512, 30)) * 2.0 - 1.0
    target = x[:, 7] * x[:, 21]
    layer = DifferentiableLut(BITS, 30, 40, DifferentiableOptions(lut_inputs=2, mapping="learned"))
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        (layer.train()(x) * -target[:, None]).mean().backward()
        optimizer.step()
        layer.after_step()
    layer.eval()
    right = (layer(x) == target[:, None]).double().mean(dim=0)
    assert right.max() == 1.0, "some function is the exclusive or of the two"
    assert sorted(layer.wiring[int(right.argmax())].tolist()) == [7, 21]


def test_a_frozen_mapping_stays() -> None:
    torch.manual_seed(0)
    layer = DifferentiableLut(BITS, 12, 4, DifferentiableOptions(mapping="learned", mapping_until=0.5)).train()
    layer.schedule(0.6)
    before = layer.wiring.clone()
    layer.scores.data.normal_()
    layer(torch.randn(8, 12).sign()).sum().backward()
    assert torch.equal(layer.wiring, before) and layer.scores.grad is None


def test_soft_tables_harden() -> None:
    torch.manual_seed(0)
    options = DifferentiableOptions(lut_inputs=3, mapping="random", relaxation="soft")
    layer = DifferentiableLut(BITS, 6, 10, options).train()
    x = torch.randn(20, 6).sign()
    layer.schedule(0.0)
    soft = layer(x)
    layer.schedule(0.8)
    hard = layer(x)
    assert bool((soft.abs() < 1).any())
    assert bool((hard.abs() > 0.999).all())
    torch.testing.assert_close(hard.double(), layer.eval()(x), atol=1e-6, rtol=0)


@pytest.mark.parametrize("parametrization", ["entries", "walsh", "gates"])
def test_hard_tables_answer_in_training_as_in_evaluation(parametrization: str) -> None:
    torch.manual_seed(0)
    options = DifferentiableOptions(lut_inputs=2, mapping="random", parametrization=parametrization)
    layer = DifferentiableLut(BITS, 6, 200, options)
    for parameter in layer.parameters():
        parameter.data.normal_()
    x = torch.randn(64, 6).sign()
    assert torch.equal(layer.train()(x).double(), layer.eval()(x))


def test_pins_that_read_the_same_bit_become_one() -> None:
    options = DifferentiableOptions(lut_inputs=3, mapping="random")
    layer = DifferentiableLut(BITS, 4, 2, options, wiring=[[1, 1, 3], [2, 2, 2]]).eval()
    net = lower_layer(layer)
    assert [node.operand_widths for node in net.nodes() if node.op is OpCode.LUT] == [(1, 1), (1,)]
    codes = (np.arange(16)[:, None] >> np.arange(4)) & 1
    values = BITS.values(torch.from_numpy(codes))
    np.testing.assert_array_equal(net.evaluate(codes), layer.codes(values).numpy())


def test_equal_thresholds_are_shared_and_unread_ones_pruned() -> None:
    source = InputQuantizer.over_range(2, 4, 0.0, 16.0)
    layer = Thermometer(source, 2, 3)
    layer.positions.copy_(torch.tensor([[3.0, 3.2, 9.0], [1.0, 2.0, 3.0]]))
    net = lower_layer(layer)
    assert net.count(OpCode.THRESHOLD) == 5
    options = DifferentiableOptions(lut_inputs=2, mapping="random")
    head = DifferentiableLut(layer.quantizer, 6, 1, options, wiring=[[0, 5]])
    builder = NetlistBuilder()
    rows = head.lower(builder, layer.lower(builder, [builder.input(4), builder.input(4)]))
    builder.output(rows[0])
    after, _ = run_passes(builder.build(), [Dce()])
    assert after.count(OpCode.THRESHOLD) == 2


@pytest.mark.parametrize("kind", ["uniform", "quantile", "gaussian"])
def test_first_thresholds(kind: str) -> None:
    features = np.random.default_rng(0).normal(3.0, 2.0, size=(20_000, 1))
    source = InputQuantizer.fit_uniform(features, 8, low_quantile=0.0, high_quantile=1.0)
    layer = Thermometer(source, 1, 3).fit(kind, features)
    share = layer.eval()(source.values(source.codes(torch.from_numpy(features)))).add(1).div(2).mean(dim=0)
    if kind == "uniform":
        assert layer.cuts().tolist() == [[64, 128, 192]]
    else:
        np.testing.assert_allclose(share, [0.75, 0.5, 0.25], atol=0.02)


def test_learned_thresholds_move_to_where_they_help() -> None:
    torch.manual_seed(0)
    features = np.random.default_rng(0).uniform(0, 1, size=(2000, 1))
    source = InputQuantizer.over_range(1, 6, 0.0, 1.0)
    layer = Thermometer(source, 1, 1, learned=True, ramp=8.0).train()
    x = source.values(source.codes(torch.from_numpy(features))).float()
    target = torch.from_numpy(np.where(features > 0.75, 1.0, -1.0)).float()
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.5)
    for _ in range(200):
        optimizer.zero_grad()
        (layer(x) - target).square().mean().backward()
        optimizer.step()
        layer.after_step()
    assert abs(int(layer.cuts()[0, 0]) - 48) <= 1


def test_thresholds_are_carried_to_another_precision() -> None:
    features = np.random.default_rng(0).normal(size=(1000, 2))
    fine, coarse = (InputQuantizer.fit_uniform(features, bits) for bits in (8, 5))
    layer = Thermometer(fine, 2, 4).fit("quantile", features)
    reduced = Thermometer(coarse, 2, 4)
    reduced.read_from(layer)
    for feature in range(2):
        before = fine.thresholds[feature][layer.cuts()[feature] - 1]
        after = coarse.thresholds[feature][reduced.cuts()[feature] - 1]
        spacing = coarse.thresholds[feature][1] - coarse.thresholds[feature][0]
        assert bool(((before - after).abs() <= spacing / 2 + 1e-9).all())


def test_costs_count_what_is_there() -> None:
    source = InputQuantizer.over_range(4, 8, 0.0, 256.0)
    encoder = Thermometer(source, 4, 2)
    assert encoder.cuts().tolist() == [[85, 171]] * 4
    assert encoder.lut_cost(XCVU9P) == 4 * 2 * 2
    assert Thermometer(source, 4, 1).lut_cost(XCVU9P) == 0, "the leading bit is a wire"
    luts = DifferentiableLut(encoder.quantizer, 8, 20)
    assert luts.lut_cost(XCVU9P) == 20
    assert GroupSum(luts.quantizer, 20, 2).lut_cost(XCVU9P) == 2 * 9


def test_bad_input_is_refused_in_one_sentence() -> None:
    source = InputQuantizer.over_range(4, 3, 0.0, 8.0)
    with pytest.raises(UserError, match=r"codes of 3 bits; put a thermometer"):
        DifferentiableLut(source, 4, 5)
    with pytest.raises(UserError, match=r"21 bits cannot be shared out equally among 10 classes"):
        GroupSum(BITS, 21, 10)
    with pytest.raises(UserError, match=r"a population count needs a source of 1 bit"):
        GroupSum(make_quantizer("signed", 3), 20, 10)
    with pytest.raises(UserError, match=r"reads the codes of raw features, got a FixedQuantizer"):
        Thermometer(BITS, 4, 2)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"at least 1 threshold"):
        Thermometer(source, 4, 0)
    with pytest.raises(UserError, match=r"thresholds are one of uniform, quantile, gaussian, got 'log'"):
        Thermometer(source, 4, 2).fit("log", np.zeros((3, 4)))
    with pytest.raises(UserError, match=r"lut_inputs is 2 to 6, got 7"):
        DifferentiableOptions(lut_inputs=7)
    with pytest.raises(UserError, match=r"'gates' is for lut_inputs = 2"):
        DifferentiableOptions(lut_inputs=3, parametrization="gates")
    with pytest.raises(UserError, match=r"names inputs 0 to 7, got 0 to 9"):
        DifferentiableLut(BITS, 8, 1, DifferentiableOptions(lut_inputs=2, mapping="random"), wiring=[[0, 9]])
    with pytest.raises(UserError, match=r"has 28,800,000,000 scores"):
        DifferentiableLut(BITS, 60_000, 80_000, DifferentiableOptions(mapping="learned"))
    with pytest.raises(UserError, match=r"two finite numbers, low < high"):
        InputQuantizer.over_range(2, 2, 1.0, 1.0)


def test_a_broken_layer_is_noticed() -> None:
    class Shifted(DifferentiableLut):
        def tables(self):  # type: ignore[no-untyped-def]
            found = super().tables()
            return [found[1], found[0], *found[2:]]

    with pytest.raises(AssertionError, match="the netlist differs from torch"):
        check_layer(lambda source, n_in: Shifted(source, n_in, 5), simulate=False)


def test_fixed_levels() -> None:
    quantizer = FixedQuantizer(Format(3, True, 0.5)).eval()
    x = torch.tensor([[-9.0, -1.0, 0.2, 0.3, 9.0]])
    assert quantizer.codes(x).tolist() == [[4, 6, 0, 1, 3]]
    assert quantizer(x).tolist() == [[-2.0, -1.0, 0.0, 0.5, 1.5]]
