"""One layer over a feature map as data."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError
from lutnet.nn.maps import Geometry
from lutnet.nn.options import one_of

__all__ = ["MAP_LAYERS", "MapOptions"]

MAP_LAYERS = ("convolution", "max-pool", "average-pool", "or-pool")


@dataclass(frozen=True)
class MapOptions:
    """A convolution or a pooling in front of the hidden layers: one table of ``[[model.maps]]``.

    Numbers along axes are lists of one number for all axes, or of one for each; see :class:`lutnet.nn.maps.Geometry`.

    Attributes:
        kind: One of :data:`MAP_LAYERS`.
        channels: Channels that a convolution makes, of all groups together.
        kernel: Size of the window.
        stride: Distance of neighbouring windows; 1 for a convolution and the window's size for a pooling when left out.
        padding: Positions in front of the map and behind it.
        padding_end: Positions behind the map where they are others.
        dilation: Distance of neighbouring positions of a window.
        groups: Parts of the channels that a convolution has kernels of their own for.
        transposed: Whether a convolution is transposed.
        output_padding: Positions added at the end of a transposed convolution's map.
        output_size: Size of a transposed convolution's map, in place of ``output_padding``.
        family: Of a convolution's neurons; that of the network when left out. Its own settings are the network's.
        hidden: Neurons of hidden layers in a group's kernel. Behind the first layer neurons read neighbours where these come out even,
            so that ``fan_in`` times as many hidden neurons make trees.
        fan_in: Operands of a convolution's neurons, of families that have a fan-in of their own.
        bits: Bits of the made codes, of families that have no codes of their own, and of an average-pool.
        activation: Quantiser of these codes, that of the hidden layers when left out.
        max_luts: Lookup tables above which the layer is not unrolled.
    """

    kind: str = "convolution"
    channels: int = 16
    kernel: tuple[int, ...] = (3,)
    stride: tuple[int, ...] = ()
    padding: tuple[int, ...] = (0,)
    padding_end: tuple[int, ...] = ()
    dilation: tuple[int, ...] = (1,)
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = (0,)
    output_size: tuple[int, ...] = ()
    family: str = ""
    hidden: tuple[int, ...] = ()
    fan_in: int = 6
    bits: int = 2
    activation: str = ""
    max_luts: int = 250_000

    def __post_init__(self) -> None:
        one_of("model.maps.kind", self.kind, MAP_LAYERS)
        for name in ("channels", "fan_in", "bits", "max_luts"):
            if getattr(self, name) < 1:
                raise UserError(f"model.maps.{name} is at least 1, got {getattr(self, name)}")
        if any(width < 1 for width in self.hidden):
            raise UserError(f"model.maps.hidden needs layers of at least 1 neuron, got {list(self.hidden)}")
        if self.kind != "convolution" and (self.family or self.hidden or self.groups != 1):
            raise UserError(
                f"a {self.kind} has nothing to learn and pools every channel; leave model.maps.family, hidden and groups out, got "
                f"'{self.family}', {list(self.hidden)} and {self.groups}"
            )
        self.geometry()

    def geometry(self) -> Geometry:
        """How the windows run over the map."""
        return Geometry(
            kernel=self.kernel,
            stride=self.stride or ((1,) if self.kind == "convolution" else self.kernel),
            padding=self.padding,
            padding_end=self.padding_end,
            dilation=self.dilation,
            groups=self.groups,
            transposed=self.transposed,
            output_padding=self.output_padding,
            output_size=self.output_size,
        )
