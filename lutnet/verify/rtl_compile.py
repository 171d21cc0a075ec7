"""From pyverilog's syntax tree of a module to the drivers of its signals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lutnet.verify.rtl_model import (
    Bits,
    Driver,
    Expressions,
    Module,
    RtlError,
    Scope,
    constant_int,
    delayed,
    literal,
    table_of,
    to_bits,
    to_integers,
)

__all__ = ["compile_module"]


def compile_module(definition: Any, modules: Mapping[str, Module]) -> Module:
    """The drivers of every signal of a module; modules that it instantiates are looked up when it is evaluated."""
    module = Module(definition.name)
    for parameter in _flat(definition.paramlist.params):
        _declare(module, parameter)
    for port in definition.portlist.ports:
        _declare_port(module, port)
    compiler = _Compiler(module, modules)
    for item in definition.items:
        for part in _flat([item]):
            compiler.item(part)
    return module


def _flat(items: Any) -> Iterator[Any]:
    for item in items:
        if type(item).__name__ == "Decl":
            yield from _flat(item.list)
        else:
            yield item


def _width(node: Any) -> int:
    if node.width is None:
        return 1
    msb, lsb = constant_int(node.width.msb), constant_int(node.width.lsb)
    if lsb != 0 or msb < 0:
        raise RtlError(f"line {node.lineno}: range [{msb}:{lsb}] is not known to the model")
    return msb + 1


def _declare_port(module: Module, port: Any) -> None:
    if type(port).__name__ != "Ioport":
        raise RtlError(f"line {port.lineno}: ports without direction are not known to the model")
    kind = type(port.first).__name__
    if kind not in ("Input", "Output") or port.first.signed:
        raise RtlError(f"line {port.lineno}: port {port.first.name} is neither a plain input nor a plain output")
    width = _width(port.first)
    (module.inputs if kind == "Input" else module.outputs)[port.first.name] = width
    module.widths[port.first.name] = width


def _declare(module: Module, node: Any) -> bool:
    """Declares a wire, register or parameter; says whether the node was such a declaration."""
    kind = type(node).__name__
    if kind in ("Wire", "Reg"):
        if node.signed or node.name in module.widths:
            raise RtlError(f"line {node.lineno}: {node.name} is signed or declared twice")
        module.widths[node.name] = _width(node)
        return True
    if kind in ("Parameter", "Localparam"):
        value = literal(node.value.var.value)
        if value.width != _width(node):
            raise RtlError(f"line {node.lineno}: {node.name} of {_width(node)} bits is given {value.width} bits")
        module.parameters[node.name] = value
        return True
    return False


@dataclass(frozen=True)
class _Target:
    name: str
    low: int
    width: int


@dataclass(frozen=True)
class _Hold:
    """A register keeps its value."""


@dataclass(frozen=True)
class _Choice:
    """A register takes one of two next states."""

    condition: Any
    yes: Any
    no: Any


class _Compiler:
    """Compiles the items of one module."""

    def __init__(self, module: Module, modules: Mapping[str, Module]) -> None:
        self.module = module
        self.modules = modules
        self.expressions = Expressions(module)

    def item(self, node: Any) -> None:
        if _declare(self.module, node):
            return
        kind = type(node).__name__
        if kind == "Assign":
            self._assign(node)
        elif kind == "InstanceList":
            for instance in node.instances:
                self._instance(node, instance)
        elif kind == "Always":
            self._always(node)
        elif kind != "Pragma" or node.entry.name != "keep":  # an attribute that keeps a wire says nothing of its value
            raise RtlError(f"line {node.lineno}: {kind} is not known to the model")

    def _drive(self, target: _Target, driver: Driver) -> None:
        self.module.drivers.setdefault(target.name, []).append(driver)

    def _target(self, node: Any) -> _Target:
        kind = type(node).__name__
        if kind == "Identifier":
            return _Target(node.name, 0, self.expressions.width(node))
        if kind == "Pointer" and self.expressions.width(node.var) > constant_int(node.ptr):
            return _Target(node.var.name, constant_int(node.ptr), 1)
        raise RtlError(f"line {node.lineno}: assignment to {kind} is not known to the model")

    def _assign(self, node: Any) -> None:
        target = self._target(node.left.var)
        expression, expressions = node.right.var, self.expressions

        def value(scope: Scope) -> Bits:
            return expressions.value(scope, expression, target.width)[: target.width]

        self._drive(target, Driver(target.low, target.width, value))

    # -- instances ---------------------------------------------------------------------------------------------------

    def _instance(self, items: Any, instance: Any) -> None:
        connections = {port.portname: port.argname for port in instance.portlist}
        if None in connections or None in connections.values():
            raise RtlError(f"line {instance.lineno}: instance {instance.name} has an open or unnamed port")
        parameters = {item.paramname: literal(item.argname.value) for item in instance.parameterlist}
        name, modules, expressions = items.module, self.modules, self.expressions

        def child(scope: Scope) -> Scope:
            if id(instance) not in scope.children:
                if name not in modules:
                    raise RtlError(f"line {instance.lineno}: there is no module {name}")
                found = modules[name]
                inputs = {
                    p: expressions.value(scope, connections[p])[:w] for p, w in found.inputs.items() if p in connections
                }
                scope.children[id(instance)] = Scope(found, inputs, parameters)
            return scope.children[id(instance)]

        for port, argument in connections.items():
            if self._is_output(name, port, instance):
                target = self._target(argument)

                def value(scope: Scope, port: str = port, width: int = target.width) -> Bits:
                    bits = child(scope).value(port)
                    if len(bits) != width:
                        raise RtlError(f"line {instance.lineno}: output {port} has {len(bits)} bits, its wire {width}")
                    return bits

                self._drive(target, Driver(target.low, target.width, value))

    def _is_output(self, name: str, port: str, instance: Any) -> bool:
        if name not in self.modules:
            raise RtlError(f"line {instance.lineno}: module {name} is used before it is defined")
        found = self.modules[name]
        if port not in found.inputs and port not in found.outputs:
            raise RtlError(f"line {instance.lineno}: module {name} has no port {port}")
        return port in found.outputs

    # -- always ------------------------------------------------------------------------------------------------------

    def _always(self, node: Any) -> None:
        sensitivity = [(sens.type, getattr(sens.sig, "name", None)) for sens in node.sens_list.list]
        if sensitivity == [("all", None)]:
            self._case(_single(node.statement))
        elif len(sensitivity) == 1 and sensitivity[0][0] == "posedge" and sensitivity[0][1] in self.module.inputs:
            for name, state in self._next(node.statement).items():
                self._register(name, state)
        else:
            raise RtlError(f"line {node.lineno}: always with sensitivity {sensitivity} is not known to the model")

    def _case(self, node: Any) -> None:
        if type(node).__name__ != "CaseStatement":
            raise RtlError(f"line {node.lineno}: {type(node).__name__} in always @* is not known to the model")
        target, default = None, None
        labelled = []
        for case in node.caselist:
            substitution = _single(case.statement)
            if type(substitution).__name__ != "BlockingSubstitution":
                raise RtlError(f"line {case.lineno}: this statement in a case is not known to the model")
            here = self._target(substitution.left.var)
            if target not in (None, here) or default is not None:
                raise RtlError(f"line {case.lineno}: a case drives two signals, or has an item behind its default")
            target, code = here, self._code(substitution.right.var, here)
            if case.cond is None:
                default = code
            else:
                labelled += [(literal(label.value).value, code) for label in case.cond]
        if target is None or default is None or target.width != self.module.widths[target.name]:
            raise RtlError(
                f"line {node.lineno}: a case without default, or over a part of a signal, is not known to the model"
            )
        width, selector, expressions = self.expressions.width(node.comp), node.comp, self.expressions
        table = table_of(width, default, labelled)

        def value(scope: Scope, bits: int = target.width) -> Bits:
            return to_bits(table[to_integers(expressions.value(scope, selector))], bits)

        self._drive(target, Driver(0, target.width, value))

    def _code(self, node: Any, target: _Target) -> int:
        code = literal(node.value) if type(node).__name__ == "IntConst" else None
        if code is None or code.width != target.width:
            raise RtlError(f"line {node.lineno}: a case item must give a number of {target.width} bits")
        return code.value

    def _next(self, statement: Any) -> dict[str, Any]:
        """The next state of every register that a statement assigns."""
        kind = type(statement).__name__
        if kind == "Block":
            found: dict[str, Any] = {}
            for part in statement.statements:
                for name, state in self._next(part).items():
                    if name in found:
                        raise RtlError(f"line {part.lineno}: register {name} is assigned twice")
                    found[name] = state
            return found
        if kind == "NonblockingSubstitution":
            target = self._target(statement.left.var)
            if target.width != self.module.widths[target.name]:
                raise RtlError(f"line {statement.lineno}: a register assigned in parts is not known to the model")
            return {target.name: statement.right.var}
        if kind == "IfStatement":
            yes = self._next(statement.true_statement)
            no = self._next(statement.false_statement) if statement.false_statement is not None else {}
            return {
                n: _Choice(statement.cond, yes.get(n, _Hold()), no.get(n, _Hold()))
                for n in [*yes, *(n for n in no if n not in yes)]
            }
        raise RtlError(f"line {statement.lineno}: {kind} in a clocked block is not known to the model")

    def _register(self, name: str, state: Any) -> None:
        width = self.module.widths[name]

        def value(scope: Scope) -> Bits:
            return delayed(self._state(scope, name, state, width))

        self._drive(_Target(name, 0, width), Driver(0, width, value))

    def _state(self, scope: Scope, name: str, state: Any, width: int) -> Bits:
        if isinstance(state, _Hold):
            raise RtlError(f"register {name} keeps its value under these control inputs")
        if not isinstance(state, _Choice):
            return self.expressions.value(scope, state, width)[:width]
        condition = self.expressions.value(scope, state.condition).max(axis=0)
        if condition.min() != condition.max():
            raise RtlError(f"the control input of register {name} changes, which is not known to the model")
        return self._state(scope, name, state.yes if np.all(condition) else state.no, width)


def _single(statement: Any) -> Any:
    """The only statement of a block."""
    while type(statement).__name__ == "Block":
        if len(statement.statements) != 1:
            raise RtlError(
                f"line {statement.lineno}: several statements in a combinational block are not known to the model"
            )
        statement = statement.statements[0]
    return statement
