"""From torch modules written the usual way to netlists: skip connections, branches, several inputs and outputs, shared parts.

A module's ``forward`` is traced by torch.fx. Layers and quantisers become nodes; between them may stand what moves codes
(``torch.cat``, indexing, ``chunk``, ``split``, ``flatten``, ``reshape``, ``permute``) and exact addition. Anything else is refused with
the line of code that asks for it.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, fx, nn

from lutnet.errors import UserError
from lutnet.formats import CodeFormat, Format, InputEncoder
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.lower.operations import FUNCTIONS, KNOWN, METHODS, flattened
from lutnet.lower.streams import Stream
from lutnet.nn.inputs import InputQuantizer
from lutnet.nn.layer import Layer
from lutnet.nn.quantize import Quantizer
from lutnet.tables import TruthTable

__all__ = ["ModuleNetlist", "lower_module"]

MAX_TABLE_BITS = 16
"""Most bits of a code that a quantiser reads as a table."""


@dataclass(frozen=True, eq=False)
class ModuleNetlist:
    """The netlist of a module, and what its ports are to the module.

    Attributes:
        netlist: One input a quantised feature, one output a number that the module returns.
        encoder: Raw features to codes, in the order of the ports.
        features: For each port the argument of ``forward`` that has its feature, and the column there.
        formats: What the codes of each output stand for.
    """

    netlist: Netlist
    encoder: InputEncoder
    features: tuple[tuple[str, int], ...]
    formats: tuple[CodeFormat, ...]

    def encode(self, **arguments: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Input codes of rows of raw features, int64, shape ``(n, n_inputs)``.

        Args:
            arguments: Arguments of ``forward`` by name, shape ``(n, ...)`` each.
        """
        flat = {name: np.asarray(x).reshape(len(np.asarray(x)), -1) for name, x in arguments.items()}
        missing = sorted({name for name, _ in self.features} - flat.keys())
        if missing:
            raise UserError(f"the module's forward takes {', '.join(missing)} too; give all its arguments by name")
        return self.encoder.encode(np.stack([flat[name][:, column] for name, column in self.features], axis=1))

    def codes(self, results: Any) -> npt.NDArray[np.int64]:
        """Output codes of what the module returns in evaluation, int64, shape ``(n, n_outputs)``."""
        flat = [np.asarray(x.detach().cpu()).reshape(len(x), -1) for x in _leaves(results)]
        values = np.concatenate(flat, axis=1).astype(np.float64)
        return np.stack([_nearest(fmt, column) for fmt, column in zip(self.formats, values.T, strict=True)], axis=1)

    def values(self, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """What output codes stand for, float64, shape of ``codes``."""
        return np.stack([fmt.values()[column] for fmt, column in zip(self.formats, codes.T, strict=True)], axis=1)


def lower_module(module: nn.Module, **examples: Tensor) -> ModuleNetlist:
    """The netlist of a torch module whose parts are lutnet's layers and quantisers.

    Args:
        module: The module, in any mode; it is left as it is. Raw features go through an :class:`InputQuantizer` first; every layer is
            made with the quantiser that makes its inputs (:class:`lutnet.nn.Joined` and :class:`lutnet.nn.Summed` for joined streams).
        examples: A tensor for each argument of ``forward`` by name; only the shapes are looked at.

    Returns:
        A verified netlist, equal to the module in evaluation on every input. Outputs are named ``y_<i>``, of several results
        ``y<k>_<i>``, of a dictionary ``<key>_<i>``.

    Raises:
        UserError: Something in ``forward`` has no hardware, a layer was made for another source, or a module without lutnet's layers is
            called; the message has file and line.
    """
    return _Lowering(module, examples).run()


class _Tracer(fx.Tracer):
    """Layers and quantisers are one node each; other modules are looked into, unless they are torch's own."""

    record_stack_traces = True

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (Layer, Quantizer)) or super().is_leaf_module(m, module_qualified_name)


class _Lowering:
    """Walks through a traced module."""

    def __init__(self, module: nn.Module, examples: Mapping[str, Tensor]) -> None:
        self.module, self.examples = module, examples
        self.builder = NetlistBuilder()
        self.raw: list[tuple[str, int]] = []
        self.ports: dict[tuple[int, int, int], int] = {}
        self.features: list[tuple[str, int]] = []
        self.thresholds: list[npt.NDArray[np.float64]] = []
        self.formats: list[CodeFormat] = []

    def run(self) -> ModuleNetlist:
        found: dict[fx.Node, Any] = {}
        result: Any = None
        for node in self._graph().nodes:
            try:
                result = found[node] = self._node(node, found)
            except UserError as error:
                raise UserError(f"{error} ({_place(node)})") from None
        outputs = self._outputs(result)
        net = self.builder.build()
        encoder = InputEncoder(tuple(self.thresholds), tuple(self.formats), net.input_names)
        return ModuleNetlist(net, encoder, tuple(self.features), outputs)

    def _graph(self) -> fx.Graph:
        try:
            return _Tracer().trace(self.module)
        except UserError:
            raise
        except Exception as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"the forward of {type(self.module).__name__} cannot be traced: {line}; it may not depend on the values of tensors "
                f"({_raised_at(error)})"
            ) from None

    def _node(self, node: fx.Node, found: Mapping[fx.Node, Any]) -> Any:
        args = fx.node.map_arg(node.args, lambda n: found[n])
        kwargs = fx.node.map_arg(node.kwargs, lambda n: found[n])
        if node.op == "placeholder":
            return self._argument(str(node.target))
        if node.op == "call_module":
            return self._call(str(node.target), self.module.get_submodule(str(node.target)), args)
        if node.op == "output":
            return args[0]
        operations = FUNCTIONS if node.op == "call_function" else METHODS
        name = str(node.target) if node.op == "call_method" else node.target
        if node.op == "get_attr" or name not in operations:
            raise UserError(f"'{_spelled(node)}' has no hardware; between layers stand {KNOWN}")
        try:
            return operations[name](self.builder, *args, **kwargs)
        except TypeError:
            raise UserError(f"'{_spelled(node)}' is called with arguments that have no hardware") from None

    def _argument(self, name: str) -> Stream:
        if name not in self.examples:
            raise UserError(f"argument '{name}' of forward has no example; call lower_module(module, {name}=tensor)")
        shape = tuple(self.examples[name].shape[1:])
        if not shape:
            raise UserError(
                f"argument '{name}' of forward is a batch of samples, (batch, ...), got shape {tuple(self.examples[name].shape)}"
            )
        first = len(self.raw)
        self.raw += [(name, column) for column in range(int(np.prod(shape)))]
        rows = np.arange(first, len(self.raw)).reshape(shape)
        return Stream(rows, np.full(shape, None, dtype=np.object_))

    def _call(self, path: str, part: nn.Module, args: Sequence[Any]) -> Any:
        stream = args[0] if args else None
        if isinstance(part, (nn.Identity, nn.Dropout)):
            return stream
        if isinstance(part, nn.Flatten) and isinstance(stream, Stream):
            return flattened(self.builder, stream, part.start_dim, part.end_dim)
        if not isinstance(part, (Layer, Quantizer)):
            raise UserError(
                f"module '{path}' ({type(part).__name__}) has no hardware; use layers and quantisers of lutnet.nn"
            )
        if not isinstance(stream, Stream) or stream.rows.ndim != 1:
            shape = (
                "no tensor" if not isinstance(stream, Stream) else f"shape (batch, {', '.join(map(str, stream.shape))})"
            )
            raise UserError(
                f"'{path}' ({type(part).__name__}) reads values of shape (batch, n), got {shape}; flatten them first"
            )
        if isinstance(part, InputQuantizer):
            return self._quantized_features(path, part, stream)
        if not stream.quantized:
            raise UserError(f"'{path}' ({type(part).__name__}) reads raw features; put an InputQuantizer in front")
        if isinstance(part, Layer):
            return self._layer(path, part, stream)
        return self._requantized(path, part, stream)

    def _quantized_features(self, path: str, part: InputQuantizer, stream: Stream) -> Stream:
        if any(fmt is not None for fmt in stream.formats):
            raise UserError(
                f"'{path}' (InputQuantizer) reads raw features, got codes; quantise values with another quantiser"
            )
        if len(stream.rows) != part.channels:
            raise UserError(f"'{path}' quantises {part.channels} features, got {len(stream.rows)}")
        encoder = part.encoder()
        rows = []
        for column, number in enumerate(stream.rows.tolist()):
            key = (id(part), column, number)
            if key not in self.ports:
                self.ports[key] = self._port(path, number, encoder, column)
            rows.append(self.ports[key])
        return Stream.of(rows, encoder.formats)

    def _port(self, path: str, number: int, encoder: InputEncoder, column: int) -> int:
        name = "{}_{}".format(*self.raw[number])
        if self.raw[number] in self.features:
            name = f"{name}_{path.replace('.', '_')}"
        self.features.append(self.raw[number])
        self.thresholds.append(encoder.thresholds[column])
        self.formats.append(encoder.formats[column])
        return self.builder.input(encoder.formats[column].bits, name)

    def _layer(self, path: str, layer: Layer, stream: Stream) -> Stream:
        if len(stream.rows) != layer.in_features:
            raise UserError(
                f"'{path}' ({type(layer).__name__}) reads {layer.in_features} columns, got {len(stream.rows)}"
            )
        wanted = layer.source.feature_formats(layer.in_features)
        for column, (given, expected) in enumerate(zip(stream.formats, wanted, strict=True)):
            if given != expected:
                raise UserError(
                    f"'{path}' ({type(layer).__name__}) was made for another source: its column {column} has {_described(given)}, expected "
                    f"{_described(expected)}; make it with the quantiser of its inputs, Joined([...]) for torch.cat and Summed([...]) for +"
                )
        rows = layer.lower(self.builder, stream.rows.tolist())
        return Stream.of(rows, layer.quantizer.feature_formats(layer.out_features))

    def _requantized(self, path: str, part: Quantizer, stream: Stream) -> Stream:
        """A table a column: the code of each value."""
        formats = part.feature_formats(len(stream.rows))
        rows = []
        for column, (row, given, made) in enumerate(zip(stream.rows.tolist(), stream.formats, formats, strict=True)):
            if given.bits > MAX_TABLE_BITS:
                raise UserError(
                    f"'{path}' ({type(part).__name__}) reads codes of {given.bits} bits as a table, at most {MAX_TABLE_BITS} are allowed"
                )
            chosen = torch.tensor([0 if part.channels == 1 else column])
            codes = part.codes(torch.from_numpy(given.values())[:, None], chosen)[:, 0].cpu().numpy()
            signed = isinstance(made, Format) and made.signed
            rows.append(self.builder.lut(TruthTable((given.bits,), made.bits, codes), [row], signed=signed))
        return Stream.of(rows, formats)

    def _outputs(self, result: Any) -> tuple[CodeFormat, ...]:
        if isinstance(result, Mapping):
            named = list(result.items())
        else:
            several = isinstance(result, (tuple, list))
            named = [(f"y{k}", part) for k, part in enumerate(result)] if several else [("y", result)]
        formats: list[CodeFormat] = []
        for name, stream in named:
            if not isinstance(stream, Stream) or not stream.quantized:
                raise UserError(f"result '{name}' of forward is no value that a layer or quantiser makes")
            for index, row in enumerate(stream.rows.reshape(-1).tolist()):
                self.builder.output(row, f"{name}_{index}")
            formats += stream.formats.reshape(-1).tolist()
        return tuple(formats)


_NOT_USERS = (PurePath(torch.__file__).parent, PurePath(__file__).parents[1])
"""Folders whose frames say nothing about the user's code: torch's and lutnet's."""


def _spelled(node: fx.Node) -> str:
    target = node.target
    if isinstance(target, str):
        return f"self.{target}" if node.op == "get_attr" else f".{target}()"
    name = getattr(target, "__name__", str(target))
    return f"torch.{name}" if getattr(torch, name, None) is target else str(name)


def _place(node: fx.Node) -> str:
    """File and line of the code that made a node."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', node.stack_trace or "")
    own = [f"{PurePath(path).name}, line {line}" for path, line in frames if _is_users(path)]
    return own[-1] if own else f"'{node.name}'"


def _raised_at(error: BaseException) -> str:
    """File and line of the user's code in which an error arose."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return (
        f"{PurePath(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "at the call of lower_module"
    )


def _is_users(path: str) -> bool:
    return not any(PurePath(path).is_relative_to(folder) for folder in _NOT_USERS)


def _described(fmt: CodeFormat) -> str:
    return (
        str(fmt)
        if isinstance(fmt, Format)
        else f"{len(fmt.levels)} levels from {fmt.levels[0]:g} to {fmt.levels[-1]:g}"
    )


def _leaves(results: Any) -> list[Tensor]:
    if isinstance(results, Tensor):
        return [results]
    return list(results.values() if isinstance(results, Mapping) else results)


def _nearest(fmt: CodeFormat, values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    if isinstance(fmt, Format):
        return np.rint((values - fmt.offset) / fmt.scale).astype(np.int64) & ((1 << fmt.bits) - 1)
    found: npt.NDArray[np.int64] = np.abs(values[:, None] - fmt.values()[None, :]).argmin(axis=1)
    return found
