"""The meaning of a small part of Verilog, evaluated with numpy on many samples at once.

Works on the syntax tree of pyverilog and shares no code with the back end that writes the Verilog. A signal is an array of bits, shape
``(width, n)`` with bit 0 first and one column a clock cycle, or ``(width, 1)`` where it never changes. A register is its input one column
later. Whatever the model does not know is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.errors import LutnetError

__all__ = ["Bits", "Module", "RtlError", "Scope", "compile_modules"]

Bits = npt.NDArray[np.uint8]

_MAX_ARITHMETIC_BITS = 62
_MAX_ADDRESS_BITS = 24
_LITERAL = re.compile(r"(?:(\d+)'([hdbo]))?([0-9a-fA-F_]+)")
_BASES = {"h": 16, "d": 10, "b": 2, "o": 8}


class RtlError(LutnetError):
    """Verilog that the model does not know, or that means nothing."""


@dataclass(frozen=True)
class Constant:
    """A sized number."""

    width: int
    value: int

    def bits(self) -> Bits:
        """The number as bits, shape ``(width, 1)``."""
        raw = np.frombuffer(self.value.to_bytes((self.width + 7) // 8, "little"), dtype=np.uint8)
        return np.unpackbits(raw, bitorder="little", count=self.width)[:, None]


@dataclass(frozen=True)
class Driver:
    """What drives some bits of a signal: ``value(scope)`` gives them, lowest first."""

    low: int
    width: int
    value: Callable[[Scope], Bits]


@dataclass
class Module:
    """A compiled module.

    Attributes:
        name: Its name.
        inputs: Width of each input port.
        outputs: Width of each output port.
        widths: Width of every signal, ports included.
        parameters: Parameters and local parameters with their own values.
        drivers: What drives each signal.
    """

    name: str
    inputs: dict[str, int] = field(default_factory=dict)
    outputs: dict[str, int] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    parameters: dict[str, Constant] = field(default_factory=dict)
    drivers: dict[str, list[Driver]] = field(default_factory=dict)


class Scope:
    """One instance of a module with its input values; signals are evaluated once, when they are asked for."""

    def __init__(
        self, module: Module, inputs: Mapping[str, Bits], parameters: Mapping[str, Constant] | None = None
    ) -> None:
        if set(inputs) != set(module.inputs):
            raise RtlError(
                f"instance of {module.name} connects inputs {sorted(inputs)}, it has {sorted(module.inputs)}"
            )
        for name, bits in inputs.items():
            if len(bits) != module.inputs[name]:
                raise RtlError(f"input {name} of {module.name} has {module.inputs[name]} bits, got {len(bits)}")
        self.module = module
        self.parameters = {**module.parameters, **(parameters or {})}
        self.children: dict[int, Scope] = {}
        self._known: dict[str, Bits | None] = dict(inputs)

    def value(self, name: str) -> Bits:
        """Bits of a signal.

        Raises:
            RtlError: It is unknown, part of a combinational loop, or some bit has no driver or two.
        """
        if name in self._known:
            found = self._known[name]
            if found is None:
                raise RtlError(f"signal {name} of {self.module.name} depends on itself without a register")
            return found
        if name not in self.module.widths:
            raise RtlError(f"module {self.module.name} has no signal {name}")
        self._known[name] = None
        self._known[name] = found = self._driven(name)
        return found

    def evaluate_all(self) -> None:
        """Evaluates every driven signal in the order in which it is declared, so that no chain of readers gets deep."""
        for name in self.module.widths:
            if name in self.module.drivers:
                self.value(name)

    def _driven(self, name: str) -> Bits:
        drivers = sorted(self.module.drivers.get(name, []), key=lambda driver: driver.low)
        place = 0
        for driver in drivers:
            if driver.low != place:
                raise RtlError(f"bit {min(place, driver.low)} of {self.module.name}.{name} has no driver or two")
            place += driver.width
        if place != self.module.widths[name]:
            raise RtlError(f"bit {place} of {self.module.name}.{name} has no driver")
        return _stack([driver.value(self) for driver in drivers])


def delayed(bits: Bits) -> Bits:
    """What a register holds: its input one cycle earlier, 0 in the first cycle."""
    if bits.shape[1] == 1:
        return bits
    out = np.zeros_like(bits)
    out[:, 1:] = bits[:, :-1]
    return out


def to_integers(bits: Bits) -> npt.NDArray[np.int64]:
    """Numbers that bits stand for, shape ``(n,)``."""
    if len(bits) > _MAX_ARITHMETIC_BITS:
        raise RtlError(f"arithmetic on {len(bits)} bits is not known to the model, at most {_MAX_ARITHMETIC_BITS}")
    weights = np.int64(1) << np.arange(len(bits), dtype=np.int64)
    return np.asarray(weights @ bits.astype(np.int64))


def to_bits(numbers: npt.NDArray[np.int64], width: int) -> Bits:
    """The lowest ``width`` bits of numbers, shape ``(width, n)``."""
    return ((numbers[None, :] >> np.arange(width, dtype=np.int64)[:, None]) & 1).astype(np.uint8)


def _stack(parts: Sequence[Bits]) -> Bits:
    if len(parts) == 1:
        return parts[0]
    n = max(part.shape[1] for part in parts)
    return np.concatenate([np.broadcast_to(part, (len(part), n)) for part in parts])


def _fit(bits: Bits, width: int) -> Bits:
    """Bits cut or extended with zeros."""
    if len(bits) >= width:
        return bits[:width]
    return np.concatenate([bits, np.zeros((width - len(bits), bits.shape[1]), dtype=np.uint8)])


# -- expressions -----------------------------------------------------------------------------------------------------


def literal(text: str) -> Constant:
    """A number as Verilog writes it; one without size has 32 bits."""
    match = _LITERAL.fullmatch(text)
    if match is None:
        raise RtlError(f"number {text[:40]!r} is not known to the model")
    value = int(match[3].replace("_", ""), _BASES[match[2]] if match[2] else 10)
    width = int(match[1]) if match[1] else 32
    if value >> width:
        raise RtlError(f"number {text[:40]!r} does not fit its size")
    return Constant(width, value)


def constant_int(node: Any) -> int:
    """A whole number where Verilog wants one: a range, an index, a repetition."""
    if type(node).__name__ != "IntConst":
        raise RtlError(f"line {node.lineno}: expected a number, got {type(node).__name__}")
    return literal(node.value).value


@dataclass(frozen=True)
class Expressions:
    """Widths and values of expressions inside one module, by the rules of IEEE 1364-2005, section 5.4, for unsigned operands."""

    module: Module

    def width(self, node: Any) -> int:
        """Self-determined width."""
        kind = type(node).__name__
        if kind == "Identifier":
            return self._declared(node)
        if kind == "IntConst":
            return literal(node.value).width
        if kind == "Partselect":
            return constant_int(node.msb) - constant_int(node.lsb) + 1
        if kind in ("Pointer", "Uand", "Eq", "GreaterEq"):
            return 1
        if kind == "Concat":
            return sum(self.width(item) for item in node.list)
        if kind == "Repeat":
            return constant_int(node.times) * self.width(node.value)
        if kind in ("Plus", "Minus", "Xor", "And", "Or"):
            return max(self.width(node.left), self.width(node.right))
        if kind == "Unot":
            return self.width(node.right)
        if kind == "Cond":
            return max(self.width(node.true_value), self.width(node.false_value))
        raise RtlError(f"line {node.lineno}: {kind} is not known to the model")

    def value(self, scope: Scope, node: Any, context: int = 0) -> Bits:
        """Bits of an expression in a context of at least ``context`` bits."""
        kind = type(node).__name__
        width = max(context, self.width(node))
        if kind == "Identifier":
            return _fit(self._named(scope, node.name), width)
        if kind == "IntConst":
            return _fit(literal(node.value).bits(), width)
        if kind in ("Pointer", "Partselect"):
            return _fit(self._selected(scope, node, kind), width)
        if kind == "Concat":
            return _fit(_stack([self.value(scope, item) for item in reversed(node.list)]), width)
        if kind == "Repeat":
            return _fit(_stack([self.value(scope, node.value)] * constant_int(node.times)), width)
        if kind == "Unot":
            return 1 - self.value(scope, node.right, width)
        if kind == "Uand":
            return _fit(self.value(scope, node.right).min(axis=0, keepdims=True), width)
        if kind == "Cond":
            return self._chosen(scope, node, width)
        return _fit(self._binary(scope, node, kind, width), width)

    def _declared(self, node: Any) -> int:
        if node.name in self.module.parameters:
            return self.module.parameters[node.name].width
        if node.name not in self.module.widths:
            raise RtlError(f"line {node.lineno}: {node.name} is not declared before it is used")
        return self.module.widths[node.name]

    def _named(self, scope: Scope, name: str) -> Bits:
        return scope.parameters[name].bits() if name in scope.parameters else scope.value(name)

    def _selected(self, scope: Scope, node: Any, kind: str) -> Bits:
        source = self._named(scope, node.var.name)
        if kind == "Partselect":
            msb, lsb = constant_int(node.msb), constant_int(node.lsb)
            self._check_range(node, msb, lsb, len(source))
            return source[lsb : msb + 1]
        if type(node.ptr).__name__ == "IntConst":
            place = constant_int(node.ptr)
            self._check_range(node, place, place, len(source))
            return source[place : place + 1]
        if source.shape[1] != 1:
            raise RtlError(f"line {node.lineno}: a changing index into a changing signal is not known to the model")
        index = self.value(scope, node.ptr)
        if 1 << len(index) > len(source):
            raise RtlError(
                f"line {node.lineno}: an index of {len(index)} bits leaves the {len(source)} bits of {node.var.name}"
            )
        return np.asarray(source[to_integers(index), 0][None, :])

    def _check_range(self, node: Any, msb: int, lsb: int, width: int) -> None:
        if not 0 <= lsb <= msb < width:
            raise RtlError(f"line {node.lineno}: bits {msb} to {lsb} are not all in {node.var.name}, which has {width}")

    def _chosen(self, scope: Scope, node: Any, width: int) -> Bits:
        condition = self.value(scope, node.cond).max(axis=0, keepdims=True)
        parts = (self.value(scope, node.true_value, width), self.value(scope, node.false_value, width))
        return np.where(condition, *parts).astype(np.uint8)

    def _binary(self, scope: Scope, node: Any, kind: str, width: int) -> Bits:
        if kind in ("Eq", "GreaterEq"):
            width = max(self.width(node.left), self.width(node.right))
        left, right = self.value(scope, node.left, width), self.value(scope, node.right, width)
        if kind in ("And", "Or", "Xor"):
            combine = {"And": np.bitwise_and, "Or": np.bitwise_or, "Xor": np.bitwise_xor}[kind]
            return np.asarray(combine(left, right))
        a, b = to_integers(left), to_integers(right)
        if kind == "Eq":
            return np.asarray((a == b).astype(np.uint8)[None, :])
        if kind == "GreaterEq":
            return (a >= b).astype(np.uint8)[None, :]
        return to_bits(a + b if kind == "Plus" else a - b, width)


# -- modules ---------------------------------------------------------------------------------------------------------


def compile_modules(definitions: Sequence[Any]) -> dict[str, Module]:
    """Compiles module definitions of pyverilog's syntax tree; an instance may come before the module that it names."""
    from lutnet.verify.rtl_compile import compile_module

    modules: dict[str, Module] = {}
    for definition in definitions:
        if type(definition).__name__ != "ModuleDef":
            raise RtlError(f"line {definition.lineno}: {type(definition).__name__} is not known to the model")
        if definition.name in modules:
            raise RtlError(f"line {definition.lineno}: module {definition.name} is defined twice")
        modules[definition.name] = compile_module(definition, modules)
    return modules


def table_of(width: int, default: int, labelled: Sequence[tuple[int, int]]) -> npt.NDArray[np.int64]:
    """What a ``case`` gives at every address: the first label that fits wins."""
    if width > _MAX_ADDRESS_BITS:
        raise RtlError(f"a case over {width} bits is not known to the model, at most {_MAX_ADDRESS_BITS}")
    table = np.full(1 << width, default, dtype=np.int64)
    for address, code in reversed(labelled):
        if not 0 <= address < len(table):
            raise RtlError(f"case label {address} does not fit {width} bits")
        table[address] = code
    return table
