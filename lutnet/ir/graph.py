"""A read-only networkx view of a netlist: graph algorithms run on the columns, nothing is copied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

import networkx as nx
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lutnet.ir.netlist import Netlist

__all__ = ["NetlistGraph", "graph_of"]

_EMPTY: dict[str, Any] = {}


class _Neighbours(Mapping[int, dict[str, Any]]):
    """The neighbours of one node, each with an empty attribute dictionary."""

    __slots__ = ("_rows",)

    def __init__(self, rows: npt.NDArray[np.int32]) -> None:
        self._rows = rows

    def __getitem__(self, row: int) -> dict[str, Any]:
        if row not in self:
            raise KeyError(row)
        return _EMPTY

    def __contains__(self, row: object) -> bool:
        if not isinstance(row, (int, np.integer)):
            return False
        place = int(np.searchsorted(self._rows, row))
        return place < len(self._rows) and int(self._rows[place]) == row

    def __iter__(self) -> Iterator[int]:
        return iter(self._rows.tolist())

    def __len__(self) -> int:
        return len(self._rows)


class _Adjacency(Mapping[int, _Neighbours]):
    """Compressed rows as the nested mapping that networkx reads."""

    __slots__ = ("_ptr", "_rows")

    def __init__(self, ptr: npt.NDArray[np.int64], rows: npt.NDArray[np.int32]) -> None:
        self._ptr = ptr
        self._rows = rows

    def __getitem__(self, row: int) -> _Neighbours:
        if row not in self:
            raise KeyError(row)
        return _Neighbours(self._rows[self._ptr[row] : self._ptr[row + 1]])

    def __contains__(self, row: object) -> bool:
        return isinstance(row, (int, np.integer)) and bool(0 <= row < len(self))

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self)))

    def __len__(self) -> int:
        return len(self._ptr) - 1


class _NodeData(Mapping[int, dict[str, Any]]):
    """Attributes of the nodes: ``op``, ``width`` and ``stage``."""

    __slots__ = ("_net",)

    def __init__(self, net: Netlist) -> None:
        self._net = net

    def __getitem__(self, row: int) -> dict[str, Any]:
        if row not in self:
            raise KeyError(row)
        node = self._net.node(int(row))
        return {"op": node.op.name.lower(), "width": node.width, "stage": node.stage}

    def __contains__(self, row: object) -> bool:
        return isinstance(row, (int, np.integer)) and bool(0 <= row < self._net.n_nodes)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._net.n_nodes))

    def __len__(self) -> int:
        return self._net.n_nodes


class NetlistGraph(nx.DiGraph):  # type: ignore[misc]
    """Directed graph whose edges run from operand to reader. Reading works as usual, changing raises ``NetworkXError``.

    ``nx.DiGraph(net.graph)`` is an ordinary, changeable copy; use it for algorithms that walk the graph many times.
    """

    def __init__(self, net: Netlist) -> None:
        super().__init__()
        reader = np.repeat(np.arange(net.n_nodes, dtype=np.int32), np.diff(net.fanin_ptr))
        edges = np.unique(np.stack([net.fanin, reader], axis=1), axis=0) if len(reader) else np.empty((0, 2), np.int32)
        by_reader = edges[np.lexsort((edges[:, 0], edges[:, 1]))]
        self._node = _NodeData(net)
        self._adj = _Adjacency(_pointers(edges[:, 0], net.n_nodes), edges[:, 1].astype(np.int32))
        self._pred = _Adjacency(_pointers(by_reader[:, 1], net.n_nodes), by_reader[:, 0].astype(np.int32))
        self.graph = {"latency_cycles": net.latency_cycles}

    def to_directed_class(self) -> Any:
        """Copies and sub-graph copies are ordinary graphs."""
        return nx.DiGraph

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise nx.NetworkXError("a netlist's graph is read-only; copy it with networkx.DiGraph(net.graph)")

    add_node = add_nodes_from = remove_node = remove_nodes_from = _refuse
    add_edge = add_edges_from = remove_edge = remove_edges_from = _refuse
    add_weighted_edges_from = update = clear = clear_edges = _refuse


def _pointers(sorted_rows: npt.NDArray[np.integer], n_nodes: int) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(np.bincount(sorted_rows, minlength=n_nodes))]).astype(np.int64)


def graph_of(net: Netlist) -> NetlistGraph:
    """The read-only graph of a netlist."""
    return NetlistGraph(net)
