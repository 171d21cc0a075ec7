"""Evaluating a design on many samples, as users of scikit-learn expect it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.backends.c import MAX_C_THRESHOLDS
from lutnet.emulate.kernel import Entry, Kernel, Refusal
from lutnet.errors import UserError
from lutnet.formats import InputEncoder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OpCode
from lutnet.ir.store import Design

__all__ = ["Emulator"]

Codes = npt.NDArray[np.int64]


class Emulator:
    """Compiled code of a design: equal to :meth:`lutnet.ir.Netlist.evaluate`, bit for bit.

    The C compiler runs at the first evaluation, once for a netlist on a machine. Memory does not grow with the number of rows beyond
    the result's. Arrays may be of NumPy or PyTorch, of any layout.

    Args:
        design: A design, or a netlist, which then takes codes only.
        threads: Threads that rows are divided among; default: one for each core that this process may use.
    """

    def __init__(self, design: Design | Netlist, *, threads: int | None = None) -> None:
        self.design = Design(design) if isinstance(design, Netlist) else design
        self.threads = len(os.sched_getaffinity(0)) if threads is None else threads
        if self.threads < 1:
            raise UserError(f"threads must be at least 1, got {threads}")

    @property
    def netlist(self) -> Netlist:
        """The netlist."""
        return self.design.netlist

    def compile(self) -> Emulator:
        """Compiles now, or loads from the cache, and returns the emulator."""
        _ = self._kernel
        return self

    # -- from codes --------------------------------------------------------------------------------------------------

    def evaluate(self, codes: Any) -> Codes:
        """Output codes, int64, shape ``(batch, n_outputs)``.

        Args:
            codes: Integers, shape ``(batch, n_inputs)``; column ``i`` lies in ``[0, 2**input_widths[i])``. Of dtype uint8 they are
                read as they are; others are converted block by block.

        Raises:
            UserError: Wrong shape or dtype, or a code outside its input's width.
        """
        return self._evaluate(self._kernel, self.netlist, codes)

    def evaluate_packed(self, words: Any) -> npt.NDArray[np.uint8]:
        """Packed output vectors of packed input vectors (:func:`lutnet.backends.pack_words`), the fastest way.

        Args:
            words: uint8, shape ``(batch, ceil(sum(input_widths) / 8))``; bits behind the last input are ignored.

        Returns:
            uint8, shape ``(batch, ceil(sum(output_widths) / 8))``.
        """
        rows = _array(words)
        n_bytes = (sum(self.netlist.input_widths) + 7) // 8
        if rows.ndim != 2 or rows.shape[1] != n_bytes or rows.dtype != np.uint8:
            raise UserError(
                f"expected packed vectors, uint8 of shape (batch, {n_bytes}), got {rows.dtype} {rows.shape}; "
                "pack codes with lutnet.backends.pack_words"
            )
        out = np.empty((len(rows), (sum(self.netlist.output_widths) + 7) // 8), dtype=np.uint8)
        self._kernel("eval", rows, out, threads=self.threads)
        return out

    def classes(self, codes: Any) -> Codes:
        """Output 0 of every row of input codes, which is the class of a classifier: int64, shape ``(batch,)``."""
        return self.evaluate(codes)[:, 0]

    def answers(self, codes: Any) -> npt.NDArray[Any]:
        """What the outputs of rows of input codes say; see :meth:`predict`."""
        return self.design.answer.of(self.evaluate(codes))

    # -- from raw features -------------------------------------------------------------------------------------------

    def predict(self, x: Any) -> npt.NDArray[Any]:
        """What the outputs say of every row of raw features; of a classifier the class, int64, shape ``(batch,)``.

        Other designs (:mod:`lutnet.answers`) give numbers, float64, or bits of labels, int64, both of shape ``(batch, n_outputs)``, or
        whether a row is an anomaly, int64, shape ``(batch,)``.

        Args:
            x: Finite real numbers, shape ``(batch, n_features)``; compared with the thresholds in double precision. Of dtype float32
                and float64 they are read as they are.

        Raises:
            UserError: The design has no encoder, the shape or dtype is wrong, or a value is not finite.
        """
        return self.design.answer.of(self.outputs(x))

    def outputs(self, x: Any) -> Codes:
        """Output codes of raw features, int64, shape ``(batch, n_outputs)``; see :meth:`predict`."""
        return self._from_features(self._kernel, self.netlist, x)

    def values(self, x: Any) -> Codes:
        """Outputs of raw features, signed ones read as two's complement: int64, shape ``(batch, n_outputs)``."""
        return _as_values(self.netlist, self.outputs(x))

    def scores(self, x: Any) -> Codes:
        """What the classes of raw features are decided by: int64, shape ``(batch, n_classes)``, the largest one wins.

        Of a comparison with a constant ``t`` the two scores are ``t - 1`` and the number that is compared.

        Raises:
            UserError: Besides those of :meth:`predict`: the last operation is no argmax and no comparison any more.
        """
        if self.design.answer.kind == "scores":
            return self.values(x)
        found = _as_values(self._scores_netlist, self._from_features(self._scores_kernel, self._scores_netlist, x))
        last = self.netlist.node(int(self.netlist.outputs[0]))
        if last.op is OpCode.ARGMAX:
            return found
        return np.concatenate([np.full_like(found, last.imm - 1), found], axis=1)

    def predict_proba(self, x: Any, *, scale: float = 1.0) -> npt.NDArray[np.float64]:
        """Softmax of ``scale`` times the scores, float64, shape ``(batch, n_classes)``.

        Args:
            x: Raw features.
            scale: Value of one step of a score; a netlist knows integers only.
        """
        scores = scale * self.scores(x).astype(np.float64)
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    def score(self, x: Any, y: Any) -> float:
        """What the design's answer measures: of a classifier the fraction of rows whose class is that of ``y``.

        Args:
            x: Raw features.
            y: Classes, integers of shape ``(batch,)``, or targets, shape ``(batch, n_outputs)``.
        """
        labels = _array(y)
        answer, outputs = self.design.answer, self.outputs(x)
        expected = (len(outputs),) if answer.kind in ("class", "scores", "anomaly") else outputs.shape
        if labels.shape != expected:
            raise UserError(f"expected labels of shape {expected}, got {labels.shape}")
        if not len(outputs):
            raise UserError(f"the {answer.metric} of no rows is undefined; give at least one")
        return answer.score(outputs, labels)

    # -- inside ------------------------------------------------------------------------------------------------------

    @cached_property
    def _kernel(self) -> Kernel:
        return Kernel(self.netlist, self._compiled_encoder)

    @cached_property
    def _scores_netlist(self) -> Netlist:
        """The netlist whose outputs are the operands of the last argmax or comparison."""
        last = self.netlist.node(int(self.netlist.outputs[0]))
        if last.op not in (OpCode.ARGMAX, OpCode.THRESHOLD):
            raise UserError(
                f"output '{self.netlist.output_names[0]}' is made by a {last.op.name.lower()}, and scores need an argmax or a "
                "threshold there; take the netlist of `lutnet compile` before `lutnet opt`"
            )
        columns = {field.name: getattr(self.netlist, field.name) for field in fields(self.netlist)}
        columns["outputs"] = np.asarray(last.operands, dtype=np.int32)
        columns["output_names"] = tuple(f"score{i}" for i in range(len(last.operands)))
        return Netlist(**columns).verify()

    @cached_property
    def _scores_kernel(self) -> Kernel:
        return Kernel(self._scores_netlist, self._compiled_encoder)

    @property
    def _compiled_encoder(self) -> InputEncoder | None:
        """The encoder when its thresholds are few enough for constants in the code."""
        encoder = self.design.encoder
        return None if encoder is None or sum(map(len, encoder.thresholds)) > MAX_C_THRESHOLDS else encoder

    def _evaluate(self, kernel: Kernel, net: Netlist, codes: Any) -> Codes:
        rows = _array(codes)
        if rows.ndim != 2 or rows.shape[1] != len(net.inputs):
            raise UserError(f"expected input codes of shape (batch, {len(net.inputs)}), got {rows.shape}")
        if not np.issubdtype(rows.dtype, np.integer):
            raise UserError(f"expected integer input codes, got dtype {rows.dtype}; give raw features to predict()")
        out = np.empty((len(rows), len(net.outputs)), dtype=np.int64)
        refused = kernel("eval_bytes" if rows.dtype == np.uint8 else "eval_codes", rows, out, threads=self.threads)
        if refused is not None:
            raise _wrong_code(net, rows, refused)
        return out

    def _from_features(self, kernel: Kernel, net: Netlist, x: Any) -> Codes:
        encoder = self.design.encoder
        if encoder is None:
            raise UserError("this design has no input encoder; give codes to classes() or evaluate()")
        rows = _array(x)
        if rows.ndim != 2 or rows.shape[1] != encoder.n_features:
            raise UserError(
                f"expected features of shape (batch, {encoder.n_features}), got {rows.shape}; check the columns"
            )
        if rows.dtype.kind not in "fiub":
            raise UserError(f"expected real numbers, got dtype {rows.dtype}; convert the features to float64")
        out = np.empty((len(rows), len(net.outputs)), dtype=np.int64)
        if self._compiled_encoder is None:
            refused = kernel("eval_codes", rows, out, threads=self.threads, convert=_codes_or_refused(encoder))
        else:
            entry: Entry = "eval_floats" if rows.dtype == np.float32 else "eval_doubles"
            refused = kernel(entry, rows, out, threads=self.threads)
        if refused is not None:
            raise _wrong_value(encoder, rows, refused)
        return out


def _array(data: Any) -> npt.NDArray[Any]:
    """A NumPy array of what may be a tensor, without importing torch."""
    if hasattr(data, "detach"):
        data = data.detach().cpu().numpy()
    return np.asarray(data)


def _codes_or_refused(encoder: InputEncoder) -> Callable[[npt.NDArray[Any]], Codes]:
    """Codes of a block; those of a block with values that are not finite are outside every width."""

    def convert(block: npt.NDArray[Any]) -> Codes:
        values = block.astype(np.float64)
        return encoder.encode(values) if np.isfinite(values).all() else np.full(block.shape, -1, dtype=np.int64)

    return convert


def _as_values(net: Netlist, codes: Codes) -> Codes:
    widths = np.asarray(net.output_widths, dtype=np.int64)
    negative = net.signed[net.outputs] & ((codes >> (widths - 1)) & 1 == 1)
    return np.where(negative, codes - (np.int64(1) << widths), codes)


def _wrong_code(net: Netlist, rows: npt.NDArray[Any], refused: Refusal) -> UserError:
    block = rows[refused.first : refused.end]
    bad = np.stack([(block[:, i] < 0) | (block[:, i] > (1 << w) - 1) for i, w in enumerate(net.input_widths)], axis=1)
    row, column = np.argwhere(bad)[0]
    return UserError(
        f"input '{net.input_names[column]}' takes codes 0 to {(1 << net.input_widths[column]) - 1}, got {block[row, column]} in row "
        f"{refused.first + row}; encode the features with the encoder stored beside the netlist"
    )


def _wrong_value(encoder: InputEncoder, rows: npt.NDArray[Any], refused: Refusal) -> UserError:
    block = rows[refused.first : refused.end]
    row, column = np.argwhere(~np.isfinite(block.astype(np.float64)))[0]
    return UserError(
        f"feature '{encoder.feature_names[column]}' of row {refused.first + row} is {block[row, column]}, expected a finite number; "
        "clean the data or drop the row"
    )
