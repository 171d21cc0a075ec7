"""500 random netlists of all ops: the gates that the C code is made of compute what the netlist computes."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

import lutnet.backends.c_tables as c_tables
from lutnet import Netlist
from lutnet.backends.c_logic import FALSE, TRUE, Kind, Logic, LogicNode
from lutnet.backends.c_lower import Circuit, circuit_of
from lutnet.backends.c_ternary import expression_of
from lutnet.backends.c_text import order_of
from lutnet.testing import mutate_table, random_netlist
from lutnet.verify.vectors import make_vectors

Plane = npt.NDArray[np.uint8]


def evaluate(circuit: Circuit, net: Netlist, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The outputs of a circuit, gate by gate in the order in which they are written."""
    logic = circuit.logic
    bits = [codes[:, port] >> bit & 1 for port, width in enumerate(net.input_widths) for bit in range(width)]
    values: dict[int, Plane] = {0: np.zeros(len(codes), dtype=np.uint8)}
    for number, node in enumerate(logic.nodes):
        if node.kind is Kind.INPUT:
            values[number] = bits[node.a].astype(np.uint8)

    def read(literal: int) -> Plane:
        return values[literal >> 1] ^ np.uint8(literal & 1)

    def compute(node: LogicNode) -> Plane:
        if node.kind is Kind.PIN:
            found = logic.lookups[node.a]
            address = sum(read(literal).astype(np.int64) << place for place, literal in enumerate(found.address))
            return (found.table.codes[address].astype(np.int64) >> node.b & 1).astype(np.uint8)
        a, b, *rest = map(read, node.literals)
        if node.kind is Kind.AND:
            return a & b
        if node.kind is Kind.TERNARY:
            return (node.function >> (4 * a + 2 * b + rest[0]) & 1).astype(np.uint8)
        return a ^ b

    for number in order_of(logic, circuit.outputs):
        values[number] = compute(logic.nodes[number])
    out = np.zeros((len(codes), len(net.outputs)), dtype=np.int64)
    planes = iter(circuit.outputs)
    for port, width in enumerate(net.output_widths):
        for bit in range(width):
            out[:, port] |= read(next(planes)).astype(np.int64) << bit
    return out


def netlist_number(seed: int) -> Netlist:
    return random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=7 + seed % 30, max_width=1 + seed % 7)


@pytest.mark.parametrize("lookup_bits", [c_tables.LOOKUP_BITS, 3])
@pytest.mark.parametrize("first", range(0, 500, 50))
def test_gates_equal_the_netlist(first: int, lookup_bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_tables, "LOOKUP_BITS", lookup_bits)
    for seed in range(first, first + 50):
        net = netlist_number(seed)
        codes = make_vectors(net.input_widths, seed=seed).codes[:2000]
        np.testing.assert_array_equal(evaluate(circuit_of(net), net, codes), net.evaluate(codes), err_msg=str(seed))


def test_a_mutant_is_seen() -> None:
    net = netlist_number(3)
    codes = make_vectors(net.input_widths).codes
    assert (evaluate(circuit_of(mutate_table(net)), net, codes) != net.evaluate(codes)).any()


def test_every_function_of_three_bits_keeps_its_values() -> None:
    for function in range(256):
        value = eval(expression_of(function), {"a": 0xF0, "b": 0xCC, "c": 0xAA, "LUTNET_ZERO": 0}) & 0xFF
        assert value == function
        logic = Logic()
        x = [FALSE, TRUE, *(literal ^ flip for literal in map(logic.input, range(3)) for flip in (0, 1))]
        for a, b, c in product(x, repeat=3) if function % 16 == 6 else [(x[6], x[3], x[4])]:
            literal = logic.ternary(function, a, b, c)
            for point in range(8):
                bits = [0, *(point >> i & 1 for i in range(3))]
                for node in logic.nodes[4:]:
                    read = [bits[n >> 1] ^ (n & 1) for n in node.literals]
                    if node.kind is Kind.AND:
                        bits.append(read[0] & read[1])
                    elif node.kind is Kind.XOR:
                        bits.append(read[0] ^ read[1])
                    else:
                        bits.append(node.function >> (4 * read[0] + 2 * read[1] + read[2]) & 1)
                address = sum((bits[n >> 1] ^ (n & 1)) << place for n, place in ((a, 2), (b, 1), (c, 0)))
                assert bits[literal >> 1] ^ (literal & 1) == function >> address & 1
            logic.forget(4)
