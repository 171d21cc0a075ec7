"""How much of its operands a neuron uses, from bounds on its slopes."""

from __future__ import annotations

import torch
from torch import Tensor

from lutnet.nn.cost import connection_gates
from lutnet.nn.lut_layer import LutLayer
from lutnet.nn.neuron_norm import NeuronNorm
from lutnet.nn.quantize import Quantizer

__all__ = ["gates_of_slopes"]


def gates_of_slopes(layer: LutLayer, slopes: Tensor, norm: NeuronNorm | None) -> Tensor:
    """The gates of a layer's operands; see :func:`connection_gates`.

    The swing is ``slope * gain * span``: what an operand moves a neuron's result by over all its values. Only the slopes get a
    gradient, so that scales and batch norm do not pay for the hardware.

    Args:
        layer: Whose operands and results.
        slopes: Most that a result before the batch norm changes for a unit change of the operand, at least 0, shape
            ``(out_features, fan_in)``.
        norm: The batch norm of the layer, if it has one.
    """
    with torch.no_grad():
        swing = _span(layer.source).to(slopes).expand(layer.in_features)[layer.wiring]
        if norm is not None:
            swing = norm.gain().abs().to(slopes)[:, None] * swing
        step = (_span(layer.quantizer) / (2**layer.quantizer.bits - 1)).to(slopes).expand(layer.out_features)
    return connection_gates(slopes * swing, step[:, None])


def _span(quantizer: Quantizer) -> Tensor:
    """Distance of each channel's largest value from its smallest, float64, shape ``(channels,)``."""
    values = quantizer.value_table()
    return values.amax(dim=1) - values.amin(dim=1)
