"""How a network is trained, as data: the table ``[train]`` of a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from lutnet.errors import UserError
from lutnet.train.parsing import at_least
from lutnet.train.polish_options import PolishOptions

__all__ = ["TrainConfig"]


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
        epochs: Most passes over the training set.
        batch_size: Rows of a step.
        learning_rate: Of AdamW, at the start of each cosine period.
        weight_decay: On weights; never on scales, batch norm or biases.
        restart_epochs: Length of a cosine period; 0 for one period over all epochs.
        patience: Epochs without a better validation accuracy, or what else the head measures, after which training stops; 0
            for never.
        cost_weight: Weight of the hardware cost in the loss, per lookup table.
        cost_weight_end: Weight that it has grown to at the end, geometrically; 0 for a constant weight.
        cost_cycles: Cycles of equal length in each of which the layers' own schedules (pruning, moving and settling of
            widths) and the learning rate begin anew; the weight grows from cycle to cycle.
        target_luts: Lookup tables that a controller of the cost weight steers to, argmax included; 0 for none.
        front: Whether every network that no other of the run beats in validation accuracy and lookup tables is kept, with
            its weights, in the folder ``front`` of the run.
        measure_passes: Passes of the netlist whose lookup tables are estimated for the front and the controller; the
            default ones when empty.
        cost_device: Device whose lookup tables are counted, a key of ``lutnet.cost.DEVICES``.
        keep_after: Fraction of the epochs, of each cycle where there are several, after which the best epoch by validation
            accuracy is chosen: for networks that shrink while they learn.
        average_decay: Decay a step of the exponential moving average of the weights, which is then judged and kept in place
            of the weights themselves; 0 for none. It calms networks whose rounded parameters keep flickering.
        teacher_weight: Share of a dense float teacher's probabilities in what the network is to answer, 0 to 1; the label
            has the rest. 0 for no teacher.
        teacher_layers: Neurons of the teacher's hidden layers.
        polish: Whether and how entries of tables are chosen by the loss after the training.
        shift_pixels: Training images are moved by up to this many pixels to any side, at random; for images only.
        seed: Of the order of the batches.
    """

    epochs: int = 100
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    restart_epochs: int = 0
    patience: int = 0
    cost_weight: float = 0.0
    cost_weight_end: float = 0.0
    cost_cycles: int = 1
    target_luts: int = 0
    front: bool = False
    measure_passes: str = ""
    cost_device: str = "xcvu9p"
    keep_after: float = 0.0
    average_decay: float = 0.0
    teacher_weight: float = 0.0
    teacher_layers: tuple[int, ...] = (64, 64, 32)
    polish: PolishOptions = field(default_factory=PolishOptions)
    shift_pixels: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("epochs", 1),
            ("batch_size", 2),
            ("restart_epochs", 0),
            ("patience", 0),
            ("shift_pixels", 0),
            ("cost_cycles", 1),
            ("target_luts", 0),
        ):
            at_least(f"train.{name}", getattr(self, name), least)
        self._check_cost()
        if not 0 <= self.average_decay < 1:
            raise UserError(f"train.average_decay is 0 to below 1, got {self.average_decay}")
        if not 0 <= self.teacher_weight <= 1 or any(width < 1 for width in self.teacher_layers):
            raise UserError(
                "train.teacher_weight is 0 to 1 and train.teacher_layers are layers of at least 1 neuron, got "
                f"{self.teacher_weight} and {list(self.teacher_layers)}"
            )
        if not 0 <= self.keep_after < 1:
            raise UserError(f"train.keep_after is a fraction from 0 to below 1, got {self.keep_after}")
        if not self.learning_rate > 0 or self.weight_decay < 0 or self.cost_weight < 0:
            raise UserError(
                f"train.learning_rate must be positive, weight_decay and cost_weight at least 0, got {self.learning_rate}, "
                f"{self.weight_decay} and {self.cost_weight}"
            )

    def _check_cost(self) -> None:
        if self.epochs % self.cost_cycles:
            raise UserError(
                f"train.cost_cycles divides train.epochs into cycles of equal length, got {self.cost_cycles} cycles of "
                f"{self.epochs} epochs"
            )
        if self.cost_weight_end < 0 or (self.cost_weight_end > 0 and not self.cost_weight > 0):
            raise UserError(
                f"train.cost_weight_end is where a positive train.cost_weight grows to, or 0, got {self.cost_weight_end} "
                f"from {self.cost_weight}"
            )
        if self.target_luts and (self.cost_weight_end or self.cost_cycles > 1):
            raise UserError(
                "train.target_luts chooses the cost weight itself; leave train.cost_weight_end and train.cost_cycles out"
            )
