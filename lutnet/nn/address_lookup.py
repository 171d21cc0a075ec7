"""Responses of neurons by their tables' addresses: the same function in training, computed once an address in place of once a row.

A neuron whose operands have few levels sees few different rows. Where a batch has more rows than that, its response is computed for
every combination of levels and read row by row; the gradients to its parameters and operands are the same sums in another order. The
time of a step then hardly depends on what a table hides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from lutnet.nn.edge_tables import InputLevels
from lutnet.nn.lut_layer import LutLayer

__all__ = ["lookup_pays", "respond_by_address", "table_response"]

ROWS_AN_ADDRESS = 2
"""Rows of a batch for each address of a table from which on a look-up pays; it takes a second backward pass for the slopes."""


def lookup_pays(address_bits: int, rows: int) -> bool:
    """Whether tables of ``address_bits`` are small enough for a batch of ``rows``."""
    return address_bits < 31 and ROWS_AN_ADDRESS << address_bits <= rows


def table_response(layer: LutLayer, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor | None:
    """Responses of a layer's neurons in training by :func:`respond_by_address`, or ``None`` where that does not pay.

    Args:
        layer: The layer.
        x: Values that its source makes in training, shape ``(batch, in_features)``.
        function: See :func:`respond_by_address`.

    Returns:
        Shape ``(batch, out_features)``.
    """
    discrete = layer.widths is None and not layer.source.relaxed
    if not (discrete and lookup_pays(layer.source.bits * layer.fan_in, len(x))):
        return None
    levels = InputLevels(layer.source.value_table().to(x.device))
    return respond_by_address(x, levels, layer.wiring, function).t()


def respond_by_address(x: Tensor, levels: InputLevels, wiring: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Responses of neurons to quantised values.

    Args:
        x: Values of the inputs, all of them levels, float32, shape ``(batch, in_features)``.
        levels: Of the inputs.
        wiring: Operands of each neuron, int64, shape ``(n, fan_in)``.
        function: Of all neurons, row by row: operands ``(n, fan_in, rows)`` to responses ``(n, rows)``.

    Returns:
        Shape ``(n, batch)``, with the gradients of ``function`` at the rows of ``x``.
    """
    fan_in = wiring.shape[1]
    n_levels = levels.values.shape[1]
    place = levels.indices(x).t().contiguous()
    address = place.index_select(0, wiring[:, 0])
    for k in range(1, fan_in):
        address.add_(place.index_select(0, wiring[:, k]), alpha=n_levels**k)
    operands = _operands(levels, wiring, x.dtype)
    wants_slopes = x.requires_grad and torch.is_grad_enabled()
    operands.requires_grad_(wants_slopes)
    table = function(operands)
    slopes = None
    if wants_slopes:
        # every response depends on its own operands only, so that the sum has all slopes
        (slopes,) = torch.autograd.grad(table.sum(), operands, retain_graph=True)
    found: Tensor = _Read.apply(x, table, slopes, address, wiring)
    return found


def _operands(levels: InputLevels, wiring: Tensor, dtype: torch.dtype) -> Tensor:
    """Values of the operands at every address, shape ``(n, fan_in, n_levels ** fan_in)``; operand 0 varies fastest."""
    n_levels, fan_in = levels.values.shape[1], wiring.shape[1]
    last = levels.values.gather(1, levels.counts - 1)
    values = torch.where(levels.values.isfinite(), levels.values, last).to(dtype)
    address = torch.arange(n_levels**fan_in, device=wiring.device)
    digits = torch.stack([address // n_levels**k % n_levels for k in range(fan_in)])
    if len(values) == 1:
        return values[0][digits].expand(len(wiring), -1, -1).contiguous()
    return values[wiring].gather(2, digits.expand(len(wiring), -1, -1))


class _Read(torch.autograd.Function):
    """Table entries at addresses; the gradient to the inputs goes along the slopes that belong to the entries."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, table: Tensor, slopes: Tensor | None, address: Tensor, wiring: Tensor) -> Tensor:
        """``(n, n_addresses)`` and addresses ``(n, batch)`` to ``(n, batch)``."""
        if slopes is None:
            ctx.save_for_backward(address, wiring)
        else:
            ctx.save_for_backward(address, wiring, slopes)
        ctx.n_addresses, ctx.n_inputs = table.shape[1], x.shape[1]
        return table.gather(1, address)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None, None, None]:
        """Entries add up the rows that read them; inputs add up the neurons that read them."""
        address, wiring, *slopes = ctx.saved_tensors
        grad = grad.contiguous()
        to_table = grad.new_zeros((len(grad), ctx.n_addresses)).scatter_add_(1, address, grad)
        to_x = None
        if slopes:
            to_x = grad.new_zeros((ctx.n_inputs, grad.shape[1]))
            for k in range(wiring.shape[1]):
                to_x.index_add_(0, wiring[:, k], slopes[0][:, k].gather(1, address).mul_(grad))
            to_x = to_x.t()
        return to_x, to_table, None, None, None
