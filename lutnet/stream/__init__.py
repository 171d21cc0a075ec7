"""Networks that read a map pixel by pixel: line buffers, and kernels that are used again for every window."""

from lutnet.stream.axis import Axis
from lutnet.stream.design import StreamDesign
from lutnet.stream.estimate import StreamEstimate
from lutnet.stream.interface import StreamInterface, load_stream_interface
from lutnet.stream.schedule import Schedule
from lutnet.stream.stage import StreamStage, whole_map
from lutnet.stream.store import load_stream, save_stream
from lutnet.stream.verilog import StreamVerilog

__all__ = [
    "Axis",
    "Schedule",
    "StreamDesign",
    "StreamEstimate",
    "StreamInterface",
    "StreamStage",
    "StreamVerilog",
    "load_stream",
    "load_stream_interface",
    "save_stream",
    "whole_map",
]
