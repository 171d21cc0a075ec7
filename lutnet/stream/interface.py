"""The ports of an emitted stream, as data that benches and scripts read from ``stream.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.backends.interface import RtlInterface
from lutnet.backends.names import checked_identifier
from lutnet.backends.packing import pack_codes
from lutnet.errors import UserError

__all__ = ["StreamInterface", "load_stream_interface", "read_stream_interface"]

_LISTS = ("widths", "out_widths", "order")


@dataclass(frozen=True)
class StreamInterface:
    """Ports and rhythm of the top module: ``clk``, ``rst``, ``in_valid``, ``in_data``, ``out_valid``, ``out_data``.

    Attributes:
        top: Name of the top module.
        rows: Rows of the map that comes in.
        columns: Its columns.
        pixels_per_clock: Pixels of a row in ``in_data``, the leftmost in the least significant bits.
        widths: Bits of each channel of a pixel, channel 0 in the least significant bits.
        order: Column of the flat input codes at each place of the stream: row by row, pixel by pixel, channel by channel.
        out_rows: Rows of the map that goes out.
        out_columns: Its columns.
        out_pixels_per_clock: Pixels of a row in ``out_data``; in the last group of a row those beyond its end mean nothing.
        out_widths: Bits of each channel of a pixel of ``out_data``.
        latency_cycles: Registers between the last group of an image and the last group of its result, with nothing behind it; negative
            when pixels at the end of the image are left out and the result is there before they are.
    """

    top: str
    rows: int
    columns: int
    pixels_per_clock: int
    widths: tuple[int, ...]
    order: tuple[int, ...]
    out_rows: int
    out_columns: int
    out_pixels_per_clock: int
    out_widths: tuple[int, ...]
    latency_cycles: int

    def __post_init__(self) -> None:
        checked_identifier(self.top, "the name of the top module")

    @property
    def in_bits(self) -> int:
        """Width of ``in_data``."""
        return self.pixels_per_clock * sum(self.widths)

    @property
    def out_bits(self) -> int:
        """Width of ``out_data``."""
        return self.out_pixels_per_clock * sum(self.out_widths)

    @property
    def n_in(self) -> int:
        """Groups of an image."""
        return self.rows * (self.columns // self.pixels_per_clock)

    @property
    def n_out(self) -> int:
        """Groups of a result."""
        return self.out_rows * -(-self.out_columns // self.out_pixels_per_clock)

    def ports(self) -> RtlInterface:
        """The ports as those of a design that takes a group a clock; each code of a group is an input or output of its own."""
        pixels, out_pixels = range(self.pixels_per_clock), range(self.out_pixels_per_clock)
        return RtlInterface(
            top=self.top,
            input_names=tuple(f"p{pixel}_c{i}" for pixel in pixels for i in range(len(self.widths))),
            input_widths=self.widths * self.pixels_per_clock,
            output_names=tuple(f"p{pixel}_c{i}" for pixel in out_pixels for i in range(len(self.out_widths))),
            output_widths=self.out_widths * self.out_pixels_per_clock,
            latency_cycles=max(1, self.latency_cycles),
            reset=True,
            valid=True,
        )

    def pack(self, codes: npt.NDArray[np.integer]) -> list[int]:
        """The values of ``in_data`` for images after each other, ``n_in`` for each.

        Args:
            codes: Flat input codes, shape ``(batch, rows * columns * channels)``.

        Raises:
            UserError: The codes have another shape or do not fit their widths.
        """
        batch = np.asarray(codes)
        if batch.ndim != 2 or batch.shape[1] != len(self.order):
            raise UserError(f"expected codes of shape (batch, {len(self.order)}), got {batch.shape}")
        groups = batch[:, list(self.order)].reshape(len(batch) * self.n_in, -1)
        return pack_codes(groups, self.widths * self.pixels_per_clock)

    def unpack(self, groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Results of images after each other from the codes of their groups.

        Args:
            groups: Codes on ``out_data``, shape ``(batch * n_out, out_pixels_per_clock * out_channels)``.

        Returns:
            Shape ``(batch, out_rows * out_columns * out_channels)``.
        """
        lines = groups.reshape(
            -1, self.out_rows, self.n_out // self.out_rows * self.out_pixels_per_clock, len(self.out_widths)
        )
        return lines[:, :, : self.out_columns].reshape(len(lines), -1)

    def to_json(self) -> str:
        """JSON text, ending in a newline."""
        return json.dumps(asdict(self), indent=2) + "\n"


def load_stream_interface(path: str | Path) -> StreamInterface:
    """Reads ``stream.json``.

    Raises:
        UserError: The file is missing or describes no stream.
    """
    try:
        text = Path(path).read_text()
    except OSError as error:
        raise UserError(
            f"no stream at {path} ({error.strerror}); emit it with `lutnet emit --backend stream`"
        ) from None
    return read_stream_interface(text, str(path))


def read_stream_interface(text: str, where: str) -> StreamInterface:
    """Reads what :meth:`StreamInterface.to_json` wrote; ``where`` says for messages where the text stood.

    Raises:
        UserError: It describes no stream.
    """
    try:
        return _from_json(json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{where} is no stream.json of lutnet ({error}); emit it again with `lutnet emit --backend stream`"
        ) from None


def _from_json(data: Mapping[str, Any]) -> StreamInterface:
    values = {f.name: data[f.name] for f in fields(StreamInterface)}
    values |= {name: tuple(int(item) for item in values[name]) for name in _LISTS}
    return StreamInterface(**values)
