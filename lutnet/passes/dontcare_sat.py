"""Satisfiability: which addresses no input reaches, proved on the clauses of the operands' cone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode
from lutnet.passes.dontcare_reach import Reach, cone_of

__all__ = ["Clauses", "Prover", "holds"]

Literals = npt.NDArray[np.int64]

TRUE = 1
_NEIGHBOURS = 63


class Clauses:
    """A netlist as clauses, built node by node as they are asked for. Literals are DIMACS integers; 1 is true.

    A table becomes multiplexers over its address bits with equal cofactors shared, also between output bits; a sum a chain
    of adders. The output of an ``argmax`` is left free: more is then possible than can happen, never less.
    """

    def __init__(self, net: Netlist) -> None:
        from pysat.solvers import Solver

        self.net = net
        self.solver = Solver(name="cadical153")
        self.n_variables = TRUE
        self.solver.add_clause([TRUE])
        self._bits: dict[int, list[int]] = {}
        self._muxes: dict[tuple[int, int, int], int] = {}

    def close(self) -> None:
        """Frees the solver."""
        self.solver.delete()

    def bits(self, row: int) -> list[int]:
        """Literals of the bits of a node, bit 0 first."""
        for below in cone_of(self.net, [row]) if row not in self._bits else ():
            if below not in self._bits:
                node = self.net.node(below)
                self._bits[below] = self.encode(node, [self._bits[operand] for operand in node.operands])
        return self._bits[row]

    def address(self, node: Node) -> list[int]:
        """Literals of the address of a table, bit 0 first."""
        return [bit for row in node.operands for bit in self.bits(row)]

    def new(self) -> int:
        """A fresh variable."""
        self.n_variables += 1
        return self.n_variables

    def add(self, clause: Sequence[int]) -> None:
        """Adds a clause, without what the constant decides."""
        if TRUE not in clause:
            self.solver.add_clause([literal for literal in clause if literal != -TRUE])

    def mux(self, select: int, high: int, low: int) -> int:
        """The literal of ``high if select else low``."""
        if high == low or select == TRUE:
            return high
        if select == -TRUE:
            return low
        if select < 0:
            select, high, low = -select, low, high
        if low < 0:
            return -self.mux(select, -high, -low)
        if (high, low) == (-TRUE, TRUE):
            return -select
        key = (select, high, low)
        if key not in self._muxes:
            out = self._muxes[key] = self.new()
            for clause in (
                (-select, -high, out),
                (-select, high, -out),
                (select, -low, out),
                (select, low, -out),
                (-high, -low, out),
                (high, low, -out),
            ):
                self.add(clause)
        return self._muxes[key]

    def table(self, codes: npt.NDArray[np.integer], n_bits: int, address: Sequence[int]) -> list[int]:
        """Literals of the result of a table: one multiplexer for each distinct cofactor."""
        places = np.arange(n_bits)[:, None]
        rows: Literals = np.where((codes.astype(np.int64)[None, :] >> places) & 1, TRUE, -TRUE).astype(np.int64)
        for select in address:
            pairs = rows.reshape(-1, 2)
            distinct, which = np.unique(pairs, axis=0, return_inverse=True)
            made = [self.mux(select, high, low) for low, high in distinct.tolist()]
            rows = np.asarray(made, dtype=np.int64)[which.reshape(-1)].reshape(n_bits, -1)
        return [int(literal) for literal in rows[:, 0]]

    def encode(self, node: Node, operands: Sequence[Sequence[int]]) -> list[int]:
        """Literals of the bits of a node from those of its operands."""
        if node.table is not None:
            return self.table(node.table.codes, node.width, [bit for bits in operands for bit in bits])
        if node.op is OpCode.CONST:
            return [TRUE if (node.imm >> i) & 1 else -TRUE for i in range(node.width)]
        if node.op is OpCode.SLICE:
            return list(operands[0][node.imm : node.imm + node.width])
        if node.op is OpCode.CONCAT:
            return [bit for bits in operands for bit in bits]
        if node.op is OpCode.SUM:
            return self._sum(node, operands)
        if node.op is OpCode.THRESHOLD:
            return [self._at_least(node, operands[0])]
        return [self.new() for _ in range(node.width)]  # inputs too

    def _at_least(self, node: Node, bits: Sequence[int]) -> int:
        bits = list(bits)
        least = node.imm
        if node.operand_signed[0]:
            bits[-1] = -bits[-1]
            least += 1 << (len(bits) - 1)
        found = TRUE
        for place, bit in enumerate(bits):
            found = self.mux(bit, found, -TRUE) if (least >> place) & 1 else self.mux(bit, TRUE, found)
        return found

    def _sum(self, node: Node, operands: Sequence[Sequence[int]]) -> list[int]:
        """Adds modulo ``2**width``, which is exact because the width of a sum holds its value."""
        width, constant = node.width, node.imm
        total: list[int] | None = None
        for bits, coef, signed in zip(operands, node.coefs, node.operand_signed, strict=True):
            top = bits[-1] if signed else -TRUE
            shift = abs(coef).bit_length() - 1
            term = ([-TRUE] * shift + list(bits) + [top] * width)[:width]
            if coef < 0:
                term = [-bit for bit in term]
                constant += 1
            total = term if total is None else self._add(total, term)
        added = [TRUE if (constant >> i) & 1 else -TRUE for i in range(width)]
        return added if total is None else self._add(total, added)

    def _add(self, left: Sequence[int], right: Sequence[int]) -> list[int]:
        out, carry = [], -TRUE
        for a, b in zip(left, right, strict=True):
            half = self.mux(a, -b, b)
            out.append(self.mux(half, -carry, carry))
            carry = self.mux(half, carry, a)
        return out


class Prover:
    """Closes the gap between the addresses seen and the addresses possible.

    Attributes:
        reach: Where the answers are noted.
        conflicts: Conflicts that one question may cost.
        left: Questions that may still go unanswered at that price; after them nothing is asked.
        n_questions: Questions asked so far.
    """

    def __init__(self, reach: Reach, *, conflicts: int, attempts: int, seed: int) -> None:
        self.reach = reach
        self.conflicts = conflicts
        self.left = attempts
        self.n_questions = 0
        self._clauses = Clauses(reach.net)
        self._rng = np.random.default_rng(seed)

    def close(self) -> None:
        """Frees the solver."""
        self._clauses.close()

    def prove(self, node: Node) -> None:
        """Asks for inputs that reach an open address of the node; no such input excludes all that are still open."""
        if not self.left:
            return
        address = self._clauses.address(node)
        cubes: list[list[int]] = [[]]
        while cubes and self.left:
            fixed = cubes.pop()
            inside = self._inside(node, fixed)
            if not (self.reach.open(node.id) & inside).any():
                continue
            answer = self._search(node, address, inside, fixed)
            if answer is None:
                self.left -= 1
                if len(fixed) < len(address):
                    cubes += [[*fixed, 0], [*fixed, 1]]

    def _inside(self, node: Node, fixed: Sequence[int]) -> npt.NDArray[np.bool_]:
        """Addresses whose highest bits are ``fixed``, highest first."""
        assert node.table is not None
        n_bits = node.table.address_bits
        high = sum(bit << (len(fixed) - 1 - i) for i, bit in enumerate(fixed))
        return np.asarray(np.arange(1 << n_bits) >> (n_bits - len(fixed)) == high)

    def _search(
        self, node: Node, address: Sequence[int], inside: npt.NDArray[np.bool_], fixed: Sequence[int]
    ) -> bool | None:
        """Whether all of a cube could be decided; ``None`` when a question went unanswered."""
        solver, reach = self._clauses.solver, self.reach
        alike = np.zeros_like(inside)  # addresses that only what the clauses leave free lets happen
        while True:
            target = reach.open(node.id) & inside & ~alike
            if not target.any():
                return True
            question = self._ask(target, address)
            n_before = int(np.count_nonzero(target))
            while np.count_nonzero(target) * 2 > n_before:
                self.n_questions += 1
                solver.conf_budget(self.conflicts)
                answer = solver.solve_limited(assumptions=[question])
                if answer is None:
                    return None
                if answer is False:
                    reach.possible[node.id] &= ~target
                    return True
                model = solver.get_model()
                self._learn(model)
                alike[sum(holds(model, bit) << i for i, bit in enumerate(address))] = True
                still = target & reach.open(node.id) & ~alike
                self._block(target & ~still, address, question)
                target = still

    def _ask(self, target: npt.NDArray[np.bool_], address: Sequence[int]) -> int:
        """A fresh literal under which the address is in the target; clauses under it bind nothing else."""
        question = self._clauses.new()
        self._clauses.add([-question, self._clauses.table(target.astype(np.uint8), 1, address)[0]])
        return question

    def _block(self, reached: npt.NDArray[np.bool_], address: Sequence[int], question: int) -> None:
        for place in np.flatnonzero(reached).tolist():
            self._clauses.add([-question, *(-bit if (place >> i) & 1 else bit for i, bit in enumerate(address))])

    def _learn(self, model: Sequence[int]) -> None:
        """Marks what the model's input and its neighbours reach."""
        net = self.reach.net
        columns = []
        for row in net.inputs.tolist():
            code = 0
            for place, literal in enumerate(self._clauses.bits(row)):
                code |= holds(model, literal) << place
            columns.append(code)
        widths = np.asarray(net.input_widths)[:, None]
        codes = np.repeat(np.asarray(columns, dtype=np.int64)[:, None], 1 + _NEIGHBOURS, axis=1)
        flips = self._rng.integers(0, 1 << 62, codes.shape) & ((np.int64(1) << widths) - 1)
        chosen = self._rng.random(codes.shape) < 1.5 / len(codes)
        chosen[:, 0] = False
        self.reach.mark(np.where(chosen, codes ^ flips, codes))


def holds(model: Sequence[int], literal: int) -> int:
    """1 where a model makes a literal true; a variable beyond the model is false."""
    place = abs(literal) - 1
    positive = place < len(model) and model[place] > 0
    return int(positive == (literal > 0))
