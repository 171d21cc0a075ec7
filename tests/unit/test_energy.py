"""Energy of arithmetic and of switching nodes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lutnet.cost.device import DEVICES, XCVU9P, Device
from lutnet.cost.energy import (
    ARITHMETIC_PJ,
    TOGGLE_ENERGIES,
    ToggleEnergy,
    float_mac_pj,
    integer_add_pj,
    integer_multiply_pj,
    toggle_energy_of,
)
from lutnet.errors import UserError


@pytest.mark.parametrize("bits", [8, 32])
def test_the_table_is_met(bits: int) -> None:
    assert integer_add_pj(bits) == pytest.approx(ARITHMETIC_PJ[f"integer add {bits}"])
    assert integer_multiply_pj(bits) == pytest.approx(ARITHMETIC_PJ[f"integer multiply {bits}"])


def test_wider_takes_more_and_nothing_takes_nothing() -> None:
    for energy in (integer_add_pj, integer_multiply_pj):
        found = [energy(bits) for bits in range(65)]
        assert found[0] == 0 and all(low < high for low, high in pairwise(found))
    assert integer_multiply_pj(16) == pytest.approx(0.7833, abs=1e-4)


def test_float_operations() -> None:
    assert float_mac_pj() == pytest.approx(4.6)
    assert float_mac_pj(16) == pytest.approx(1.5)
    with pytest.raises(UserError, match="16 and 32 bits, got 8"):
        float_mac_pj(8)
    with pytest.raises(UserError, match="at least 0 bits"):
        integer_add_pj(-1)


def test_a_typical_clb_takes_what_was_measured() -> None:
    measured = ToggleEnergy(150.0, 1.5)
    pair = 0.125 * (2 * measured.cell_pj + measured.net_pj) + measured.clock_pj
    assert 8 * pair == pytest.approx(5.9 * 0.9)


def test_energy_scales_with_size_and_voltage() -> None:
    base = ToggleEnergy(28.0, 1.0)
    assert ToggleEnergy(14.0, 1.0).net_pj == pytest.approx(base.net_pj / 2)
    assert ToggleEnergy(28.0, 0.5).clock_pj == pytest.approx(base.clock_pj / 4)
    with pytest.raises(UserError, match="above 0"):
        ToggleEnergy(0.0, 1.0)


def test_every_device_has_energies_and_a_stranger_has_none() -> None:
    assert set(TOGGLE_ENERGIES) == set(DEVICES)
    assert toggle_energy_of(XCVU9P) is TOGGLE_ENERGIES["xcvu9p"]
    assert toggle_energy_of(Device("mine", "part", 6, 5, (), 4)) is None
