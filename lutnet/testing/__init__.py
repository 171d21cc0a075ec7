"""Help for tests of lutnet and of what others add to it: random netlists, mutants, and conformance checks.

Importing it needs neither torch nor hypothesis; the checks import what they need when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lutnet.testing.netlists import mutate_table, netlists, random_netlist

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_family", "check_head", "check_layer", "check_trees", "mutate_table", "netlists", "random_netlist"]


def check_family(make_layer: Callable[..., Any], *, simulate: bool = True, **options: Any) -> None:
    """Checks a family of one table a neuron; see :func:`lutnet.nn.conformance.check_family` for the options.

    Besides the contract in torch: the layer's netlist is equal to torch on every input code, and its Verilog is equal to
    the netlist in Icarus and re-read by pyverilog.

    Args:
        make_layer: Called as ``make_layer(source, in_features, wiring, quantizer)``.
        simulate: Whether to simulate and re-read the Verilog.
        options: Sizes and seed.
    """
    from lutnet.nn.conformance import check_family as check
    from lutnet.testing.layers import check_table_hardware

    check(make_layer, **options)
    check_table_hardware(make_layer, simulate=simulate)


def check_head(make_head: Callable[[], Any], y: Any, **options: Any) -> None:
    """Checks a head; see :func:`lutnet.testing.heads.check_head` for the options.

    Args:
        make_head: Makes the head.
        y: What a data set says of 256 rows.
        options: Neurons of the last layer, whether to simulate.
    """
    from lutnet.testing.heads import check_head as check

    check(make_head, y, **options)


def check_layer(make_layer: Callable[..., Any], **options: Any) -> None:
    """Checks any layer; see :func:`lutnet.testing.layers.check_layer` for the options.

    Args:
        make_layer: Called as ``make_layer(source, in_features)``.
        options: Bits and number of the inputs, seed, whether to simulate.
    """
    from lutnet.testing.layers import check_layer as check

    check(make_layer, **options)


def check_trees(found: Any, x: Any, *, simulate: bool = True) -> Any:
    """Checks an ensemble of trees from raw features to Verilog; see :func:`lutnet.testing.trees.check_trees`."""
    from lutnet.testing.trees import check_trees as check

    return check(found, x, simulate=simulate)
