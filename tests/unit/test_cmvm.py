"""Shift-and-add graphs: exact, shared, within their depth, and the same as sums of a netlist."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutnet import NetlistBuilder
from lutnet.arith import AdderGraph, Term, adder_graph, least_depth, n_digits, signed_digits
from lutnet.arith.decompose import product_of
from lutnet.cost import ECP5, XCVU9P
from lutnet.errors import UserError

SHAPES = [(1, 1, 4), (3, 5, 8), (8, 8, 6), (16, 4, 5), (5, 20, 7)]


def random_case(
    n_in: int, n_out: int, bits: int, seed: int
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.int64]], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-(1 << (bits - 1)), 1 << (bits - 1), (n_in, n_out))
    matrix[rng.random(matrix.shape) < 0.2] = 0
    lows = rng.integers(-8, 1, n_in)
    return matrix, lows, lows + rng.integers(0, 16, n_in)


def in_netlist(graph: AdderGraph, x: np.ndarray) -> np.ndarray:
    """Outputs of the graph as a netlist; inputs are signed codes of 6 bits."""
    builder = NetlistBuilder()
    rows = [builder.input(6, signed=True) for _ in range(graph.n_inputs)]
    for term in graph.lower(builder, rows):
        row = builder.sum([term.row], [term.coef]) if term.coef else builder.const(0, 1)
        builder.output(builder.concat([row], signed=builder.node(row).signed))
    net = builder.build()
    codes = net.evaluate(x & 63)
    for column, row in enumerate(net.outputs.tolist()):
        node = net.node(row)
        if node.signed:
            codes[:, column] -= (codes[:, column] >> (node.width - 1)) << node.width
    return codes


@given(st.lists(st.integers(-(1 << 40), 1 << 40), min_size=1, max_size=20))
@settings(deadline=None)
def test_signed_digits_are_canonical(numbers: list[int]) -> None:
    digits = signed_digits(numbers)
    assert [sum(int(d) << k for k, d in enumerate(row)) for row in digits] == numbers
    assert not np.any(digits[:, 1:] & digits[:, :-1])
    np.testing.assert_array_equal(np.count_nonzero(digits, axis=1), n_digits(numbers))


@pytest.mark.parametrize("levels", [-1, 0, 1, 2, 5])
def test_a_product_is_the_matrix(levels: int) -> None:
    matrix, *_ = random_case(6, 9, 6, levels + 1)
    matrix[:, 3] = 0
    matrix[:, 5] = -4 * matrix[:, 2]
    product = product_of(matrix, levels)
    np.testing.assert_array_equal(product.first @ product.second, matrix)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("extra_depth", [None, 0, 1])
def test_graphs_are_exact_and_within_their_depth(shape: tuple[int, int, int], extra_depth: int | None) -> None:
    matrix, lows, highs = random_case(*shape, seed=sum(shape))
    graph = adder_graph(matrix, lows, highs, extra_depth=extra_depth)
    np.testing.assert_array_equal(graph.matrix(), matrix)
    x = np.random.default_rng(1).integers(lows, highs + 1, (200, len(lows)))
    np.testing.assert_array_equal(graph.evaluate(x), x @ matrix)
    np.testing.assert_array_equal(in_netlist(graph, x), x @ matrix)
    assert extra_depth is None or graph.depth <= least_depth(matrix) + extra_depth
    low, high = graph.ranges()
    values = x @ matrix
    used = graph.out_coefs != 0
    ends = np.sort(np.stack([low[graph.out_rows], high[graph.out_rows]]) * graph.out_coefs, axis=0)
    assert np.all(ends[0, used] <= values[:, used]) and np.all(values[:, used] <= ends[1, used])


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6), st.sampled_from([None, 0, 2]))
@settings(max_examples=40, deadline=None)
def test_any_matrix_is_exact(seed: int, n_in: int, n_out: int, extra_depth: int | None) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-40, 41, (n_in, n_out)) << rng.integers(0, 4, n_out)
    matrix[:, rng.integers(0, n_out)] *= rng.integers(-1, 2)
    graph = adder_graph(matrix, np.full(n_in, -3), np.full(n_in, 4), extra_depth=extra_depth)
    np.testing.assert_array_equal(graph.matrix(), matrix)


def test_sharing_saves_adders() -> None:
    matrix = np.random.default_rng(0).integers(-127, 128, (16, 16))
    plain = int((n_digits(matrix).sum(axis=0) - 1).sum())
    graph = adder_graph(matrix, np.full(16, -128), np.full(16, 127))
    # da4ml 0.5.2 takes 352 to 360 adders for such matrices
    assert graph.adders < 0.55 * plain and graph.adders < 385
    assert graph.luts(XCVU9P) < graph.luts(ECP5) == graph.adder_bits().sum()


def test_known_graphs() -> None:
    ends = [0, 0], [1, 1]
    same = adder_graph([[3, 6, -12], [3, 6, -12]], *ends)
    assert same.adders == 2 and np.abs(same.out_coefs).tolist() == [1, 2, 4]
    assert adder_graph([[4, -8], [0, 0]], *ends).adders == 0
    zero = adder_graph([[0, 0], [0, 0]], *ends)
    assert zero.adders == 0 and zero.lower(NetlistBuilder(), [0, 1]) == [Term(-1, 0)] * 2
    assert adder_graph([[7]], [0], [1]).adders == 1


def test_large_matrices_are_cut_into_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutnet.arith.cmvm.MAX_PAIRS", 2000)
    matrix, lows, highs = random_case(20, 6, 6, 3)
    for extra_depth in (None, 2):
        graph = adder_graph(matrix, lows, highs, extra_depth=extra_depth)
        np.testing.assert_array_equal(graph.matrix(), matrix)
        assert extra_depth is None or graph.depth <= least_depth(matrix) + extra_depth


def test_equal_input_gives_equal_graphs() -> None:
    matrix, lows, highs = random_case(8, 8, 6, 5)
    first, second = (adder_graph(matrix, lows, highs) for _ in range(2))
    np.testing.assert_array_equal(first.operands, second.operands)
    np.testing.assert_array_equal(first.coefs, second.coefs)


def test_a_mutant_is_found() -> None:
    matrix, lows, highs = random_case(8, 8, 6, 7)
    graph = adder_graph(matrix, lows, highs)
    graph.coefs[graph.adders // 2] *= -1
    assert not np.array_equal(graph.matrix(), matrix)


@pytest.mark.parametrize(
    ("matrix", "lows", "highs", "depth", "message"),
    [
        ([[0.5]], [0], [1], None, "integers"),
        ([1, 2], [0, 0], [1, 1], None, "shape"),
        ([[1]], [0, 0], [1, 1], None, "lows"),
        ([[1 << 40]], [0], [1], None, "below"),
        ([[1]], [2], [1], None, "low that is at most its high"),
        ([[1]], [0], [1], -1, "extra_depth"),
    ],
)
def test_bad_input(matrix: list, lows: list, highs: list, depth: int | None, message: str) -> None:
    with pytest.raises(UserError, match=message):
        adder_graph(matrix, lows, highs, extra_depth=depth)


def test_a_graph_reads_all_its_inputs() -> None:
    graph = adder_graph([[1], [3]], [0, 0], [1, 1])
    with pytest.raises(UserError, match="2 inputs"):
        graph.evaluate([[1, 2, 3]])
    with pytest.raises(UserError, match="2 inputs"):
        graph.lower(NetlistBuilder(), [0])
