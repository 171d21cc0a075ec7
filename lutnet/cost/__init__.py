"""Cost models in closed form: devices and the lookup tables that operations take on them."""

from lutnet.cost.device import DEVICES, ECP5, XC7A35T, XCVU9P, Device, device_named
from lutnet.cost.luts import (
    adder_luts,
    argmax_luts,
    muxed_table_luts,
    smooth_sum_luts,
    smooth_table_luts,
    table_luts,
    threshold_luts,
)

__all__ = [
    "DEVICES",
    "ECP5",
    "XC7A35T",
    "XCVU9P",
    "Device",
    "adder_luts",
    "argmax_luts",
    "device_named",
    "muxed_table_luts",
    "smooth_sum_luts",
    "smooth_table_luts",
    "table_luts",
    "threshold_luts",
]
