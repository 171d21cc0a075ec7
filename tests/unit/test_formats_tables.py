"""Codes, values, addresses."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import Codebook, Format, InputEncoder, TruthTable, UserError
from lutnet.tables import pack_address, unpack_address


def test_format_values_follow_twos_complement() -> None:
    assert Format(3, True, 0.5).values().tolist() == [0.0, 0.5, 1.0, 1.5, -2.0, -1.5, -1.0, -0.5]
    assert Format(2, False, 2.0, 1.0).values().tolist() == [1.0, 3.0, 5.0, 7.0]
    assert Codebook((-1.0, 1.0)).bits == 1


@pytest.mark.parametrize("bad", [(0, 1.0), (25, 1.0), (3, 0.0), (3, float("nan")), (3, -1.0)])
def test_format_refuses(bad: tuple[int, float]) -> None:
    with pytest.raises(UserError):
        Format(bad[0], False, bad[1])


@pytest.mark.parametrize("levels", [(1.0,), (1.0, 2.0, 3.0), (1.0, float("inf"))])
def test_codebook_refuses(levels: tuple[float, ...]) -> None:
    with pytest.raises(UserError):
        Codebook(levels)


def test_encoder_counts_thresholds_reached() -> None:
    encoder = InputEncoder((np.array([0.0, 1.0, 2.0]),), (Format(2),), ("a",))
    assert encoder.encode([[-1.0], [0.0], [0.5], [1.0], [99.0]])[:, 0].tolist() == [0, 1, 1, 2, 3]
    assert encoder.select([0]).widths == (2,)


def test_encoder_names_the_bad_feature() -> None:
    encoder = InputEncoder((np.array([0.0]), np.array([0.0])), (Format(1), Format(1)), ("mass", "c1"))
    with pytest.raises(UserError, match="'c1' of row 2 is nan"):
        encoder.encode([[0.0, 0.0], [0.0, 1.0], [0.0, np.nan]])
    with pytest.raises(UserError, match=r"shape \(batch, 2\)"):
        encoder.encode([[0.0]])
    with pytest.raises(UserError, match="non-decreasing"):
        InputEncoder((np.array([1.0, 0.0, 2.0]),), (Format(2),), ("a",))


def test_operand_0_is_least_significant() -> None:
    address = pack_address([np.array([1]), np.array([2]), np.array([1])], (1, 2, 3))
    assert address.tolist() == [1 + (2 << 1) + (1 << 3)]
    assert [int(part[0]) for part in unpack_address(address, (1, 2, 3))] == [1, 2, 1]


def test_table_lookup_and_equality() -> None:
    table = TruthTable((1, 1), 2, np.array([0, 1, 2, 3]))
    assert table.lookup([np.array([1]), np.array([0])]).tolist() == [1]
    assert table == TruthTable((1, 1), 2, np.array([0, 1, 2, 3], dtype=np.uint8))
    assert table != TruthTable((2,), 2, np.array([0, 1, 2, 3]))
    assert table != table.with_codes([0, 1, 2, 2])
    assert table != TruthTable((1, 1), 2, np.array([0, 1, 2, 3]), np.array([True, True, True, False]))
    assert TruthTable((1, 1), 2, np.array([0, 1, 2, 3]), np.ones(4, bool)).care is None
    with pytest.raises(ValueError):
        table.codes[0] = 1


@pytest.mark.parametrize(
    ("widths", "out", "codes", "message"),
    [
        ((2,), 2, [0, 1, 2, 4], "must fit 2 bits"),
        ((2,), 2, [0, 1, 2], "shape"),
        ((0,), 1, [0], "at least 1"),
        ((13, 13), 1, [0], r"2\*\*26 entries"),
        ((1,), 33, [0, 1], "1 to 32 bits"),
        ((1,), 1, [0.0, 1.0], "integers"),
    ],
)
def test_table_refuses(widths: tuple[int, ...], out: int, codes: list[int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TruthTable(widths, out, np.array(codes))
