"""Closed forms against the paper and against counts made by hand; the smooth form against the closed one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lutnet.cost import (
    DEVICES,
    ECP5,
    XC7A35T,
    XCVU9P,
    Device,
    adder_luts,
    argmax_luts,
    device_named,
    muxed_table_luts,
    smooth_table_luts,
    table_luts,
    threshold_luts,
)
from lutnet.errors import UserError


@pytest.mark.parametrize("address_bits", range(6, 21))
@pytest.mark.parametrize("out_bits", [1, 3, 7])
def test_tables_follow_the_logicnets_formula(address_bits, out_bits):
    thrice = out_bits * (2 ** (address_bits - 4) - (-1) ** address_bits)
    assert thrice % 3 == 0
    assert table_luts(address_bits, out_bits, XCVU9P) == thrice // 3


def test_small_tables_take_one_lut_an_output_bit():
    assert [table_luts(bits, 3, XCVU9P) for bits in range(7)] == [0, 3, 3, 3, 3, 3, 3]
    assert [table_luts(bits, 2, ECP5) for bits in range(5)] == [0, 2, 2, 2, 2]


def test_tables_on_four_input_luts_use_two_to_one_multiplexers():
    assert [table_luts(bits, 1, ECP5) for bits in (5, 6, 7, 8)] == [3, 7, 15, 31]


def test_dedicated_multiplexers_are_free_up_to_their_reach():
    assert [muxed_table_luts(bits, 1, XCVU9P) for bits in (5, 6, 7, 8, 9, 10, 11)] == [1, 1, 2, 4, 8, 17, 33]
    assert [muxed_table_luts(bits, 1, XC7A35T) for bits in (8, 9, 10)] == [4, 9, 17]
    assert [muxed_table_luts(bits, 1, ECP5) for bits in (4, 7, 8)] == [1, 8, 17]
    assert muxed_table_luts(0, 4, ECP5) == 0


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_smooth_form_meets_the_closed_form(device):
    select = device.mux_select_bits
    for bits in range(device.lut_inputs, 21):
        smooth = smooth_table_luts(np.float64(bits), 3, device)
        exact = table_luts(bits, 3, device)
        if (bits - device.lut_inputs) % select == 0:
            assert smooth == exact
        else:
            assert exact - 3 < smooth < exact


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_smooth_form_increases_and_is_convex(device):
    costs = smooth_table_luts(np.linspace(0, 18, 1801), 2, device)
    slopes = np.diff(costs)
    assert (slopes > 0).all()
    assert (np.diff(slopes) > -1e-9).all()
    assert smooth_table_luts(np.array([-3.0]), 2, device) == 0


def test_smooth_form_is_one_function_for_numpy_and_torch_and_has_the_right_gradient():
    bits = torch.tensor([2.5, 5.0, 7.25, 12.5], dtype=torch.float64, requires_grad=True)
    out = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64, requires_grad=True)
    np.testing.assert_allclose(
        smooth_table_luts(bits, out, XCVU9P).detach().numpy(),
        smooth_table_luts(bits.detach().numpy(), out.detach().numpy(), XCVU9P),
        rtol=1e-12,
    )
    assert torch.autograd.gradcheck(lambda b, o: smooth_table_luts(b, o, XCVU9P), (bits, out))


def test_arithmetic_costs():
    assert adder_luts(8, 1) == 0 and adder_luts(8, 2) == 8 and adder_luts(5, 4) == 15
    assert [threshold_luts(width) for width in (1, 6, 7, 11, 12)] == [1, 1, 2, 2, 3]
    assert [threshold_luts(width, ECP5) for width in (4, 5, 7, 8)] == [1, 2, 2, 3]


def test_argmax_is_a_tournament():
    assert argmax_luts(1, 8) == 0
    assert argmax_luts(2, 8) == 4  # one comparison, whose result is the index
    assert argmax_luts(4, 8) == 3 * 4 + 2 * 8 + 1  # the final selects one index bit
    assert argmax_luts(5, 7) == 4 * 4 + 3 * 7 + (2 + 1)
    assert argmax_luts(4, 8, ECP5) == 3 * 8 + 2 * 8 + 1


def test_devices():
    assert device_named("xcvu9p").part == "xcvu9p-flgb2104-2-i"
    assert all(device.name == name for name, device in DEVICES.items())
    assert (XCVU9P.mux_select_bits, ECP5.mux_select_bits) == (2, 1)
    with pytest.raises(UserError, match="ecp5, xc7a35t, xcvu9p, got 'virtex'"):
        device_named("virtex")


@pytest.mark.parametrize(
    "change",
    [{"lut_inputs": 2}, {"dual_output_inputs": 7}, {"wide_mux_inputs": (8,)}, {"carry_bits": 0}],
    ids=lambda change: next(iter(change)),
)
def test_impossible_devices_are_refused(change):
    good = {
        "name": "a",
        "part": "b",
        "lut_inputs": 6,
        "dual_output_inputs": 5,
        "wide_mux_inputs": (7,),
        "carry_bits": 4,
    }
    Device(**good)
    with pytest.raises(UserError, match="device 'a' needs"):
        Device(**{**good, **change})


@pytest.mark.parametrize(
    "call",
    [
        lambda: table_luts(-1, 1, XCVU9P),
        lambda: table_luts(4, -1, XCVU9P),
        lambda: muxed_table_luts(-1, 1, XCVU9P),
        lambda: adder_luts(0, 2),
        lambda: threshold_luts(0),
        lambda: argmax_luts(0, 4),
    ],
)
def test_impossible_sizes_are_refused(call):
    with pytest.raises(UserError, match="of at least"):
        call()
