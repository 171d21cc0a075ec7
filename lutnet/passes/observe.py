"""Observability: a bit needs to be right only where an output shows it, so it goes, or other bits take its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from lutnet.errors import UserError
from lutnet.ir.estimate import estimate_luts, table_cells
from lutnet.ir.netlist import Netlist
from lutnet.ir.registers import live_nodes
from lutnet.passes.base import Pass, Steps
from lutnet.passes.bits import Bit
from lutnet.passes.compose import BitTable
from lutnet.passes.dontcare_reach import stimuli
from lutnet.passes.narrow import Narrow
from lutnet.passes.observe_choice import Seen, support, table_of
from lutnet.passes.observe_state import Limits, Rewritten, State, replaced, substituted

__all__ = ["Observe"]

_NOTHING = BitTable((), np.zeros(1, dtype=np.int64), 1)
_MOST_CODES = 1 << 25
_ROUND = 1 << 14
_REFINEMENTS = 48
_WORK_UNIT = 10**9


@dataclass(frozen=True)
class Observe(Pass):
    """Lets bits of tables go that nothing needs, given all that no output shows and all that no input reaches.

    For each output bit of a table: it becomes a constant, another bit or its complement; or each of its readers drops it or reads up
    to two other bits instead, giving up one more if need be; then the bit is gone. What is left drops single address bits. A step is
    taken when it needs fewer lookup tables, or as many with fewer inputs.

    Whether a function may become another one is a question about one node in the present netlist: does an input exist on which both
    differ and a turned bit shows at an output? Samples answer most of it; what they allow goes to a SAT solver, and an input that
    it finds joins the samples. Freedoms of different nodes exclude each other, so every step is proved and built before the
    next one is looked for. No path gets deeper and no latency longer. All bounds are counts, so equal netlists give equal bytes.

    Complete don't-cares as in Mishchenko and Brayton, "SAT-Based Complete Don't-Care Computation for Network Optimization", DATE 2005;
    the exchange of supports is the resubstitution of Mishchenko, Brayton, Jiang and Jang, "Scalable Don't-Care-Based Logic
    Optimization and Resynthesis", ACM TRETS 2011, here for all readers of a bit together.

    Care sets are neither used nor kept where something changed: run ``dontcare`` afterwards.

    Attributes:
        k: Functions of at most this many inputs are changed, and stay within it.
        levels: Levels of readers behind a node at whose end a difference counts as shown; 0 for up to the outputs.
        rounds: Batches of 16,384 seeded samples to begin with; fewer where the netlist is large.
        candidates: Bits that are looked at as replacements.
        conflicts: Conflicts that a question to the SAT solver may cost; an unanswered one refuses the step.
        sweeps: Passes over all bits; it ends when one changes nothing.
        effort: Codes worked out on samples, in billions; no new step begins beyond.
        seed: Seed of the samples.
    """

    name: ClassVar[str] = "observe"
    k: int = 6
    levels: int = 0
    rounds: int = 2
    candidates: int = 256
    conflicts: int = 20_000
    sweeps: int = 4
    effort: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for option, least in (("levels", 0), ("candidates", 0), ("seed", 0)):
            if getattr(self, option) < least:
                raise UserError(f"observe.{option} is a number of at least {least}, got {getattr(self, option)}")
        for option in ("rounds", "conflicts", "sweeps", "effort"):
            if getattr(self, option) < 1:
                raise UserError(f"observe.{option} is a number of at least 1, got {getattr(self, option)}")
        if not 2 <= self.k <= 12:
            raise UserError(f"observe.k is 2 to 12 inputs, got {self.k}")

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        search = _Search(net, self, steps)
        try:
            search.run()
        finally:
            search.state.close()
        return search.state.net if search.n_changes else net


class _Trial:
    """Steps on the way to one that pays off.

    Attributes:
        state: Where they lead.
    """

    def __init__(self, state: State, moves: tuple[Rewritten, ...] = ()) -> None:
        self.state = state
        self._moves = moves

    def now(self, bit: Bit) -> Bit:
        """Where a bit of the first state is; a constant stays what it is."""
        for move in self._moves:
            bit = move.bit(bit) if bit.row >= 0 else bit
        return bit

    def step(self, functions: Mapping[Bit, BitTable]) -> _Trial:
        """One step on."""
        move = replaced(self.state.net, functions)
        state = State(move.net, self.state.limits, self.state.samples, self.state.learned)
        return _Trial(state, (*self._moves, move))


class _Search:
    """One run of the pass."""

    def __init__(self, net: Netlist, options: Observe, steps: Steps) -> None:
        self.options = options
        self.steps = steps
        n_samples = max(1 << 8, min(options.rounds * _ROUND, _MOST_CODES // max(1, net.n_nodes)))
        samples = stimuli(net.input_widths, n_samples, np.random.default_rng(options.seed))
        limits = Limits(options.k, options.levels, options.conflicts, options.candidates)
        self.state = State(net, limits, samples, samples[:, :1])
        self.figure = _figure(net)
        self.n_changes = 0
        self.over = False
        self._work = 0

    def run(self) -> None:
        for _ in range(self.options.sweeps):
            n_before = self.n_changes
            self._sweep(self._let_go)
            self._sweep(self._drop_inputs)
            if self.n_changes == n_before or self.over:
                return

    # -- order and acceptance ----------------------------------------------------------------------------------------

    def _sweep(self, attempt: Callable[[Bit], _Trial | None]) -> None:
        """Tries every bit once, those with few readers first; a trial that pays off becomes the state."""
        users = self.state.users
        todo = sorted(self.state.functions, key=lambda bit: (len(users.get(bit, ())), bit))
        while todo and not self.over:
            bit = todo.pop(0)
            trial = attempt(bit) if bit in self.state.functions else None
            if trial is not None and self._accept(trial):
                todo = [trial.now(other) for other in todo]

    def _accept(self, trial: _Trial) -> bool:
        figure = _figure(trial.state.net)
        if figure >= self.figure or not self.steps.take():
            self.over = self.over or figure < self.figure
            self._leave(trial.state)
            return False
        self._leave(self.state)
        self.state, self.figure = trial.state, figure
        self.n_changes += 1
        return True

    def _leave(self, state: State) -> None:
        """Frees a state that is not needed any more; what its samples showed the solver stays known."""
        state.close()
        self._work += state.work
        self.over = self.over or self._work > self.options.effort * _WORK_UNIT

    # -- one bit -----------------------------------------------------------------------------------------------------

    def _let_go(self, bit: Bit) -> _Trial | None:
        return self._merge(bit) or self._exchange(bit)

    def _merge(self, bit: Bit) -> _Trial | None:
        """The bit as a constant, another bit, or the complement of one."""
        state = self.state
        others = state.candidates(bit, bit, same_level=True)
        function = self._settle(state, bit, lambda seen: _copy(seen, others, bit in state.pinned))
        if function is None:
            return None
        changes = {user: substituted(state.functions[user], bit, function) for user in state.users.get(bit, ())}
        twin = (
            function.bits[0] if function.bits and function.bits[0].row == bit.row else None
        )  # a table cannot read itself
        stays = function if twin is None else state.functions[twin]
        return _Trial(state).step({**changes, bit: stays if bit in state.pinned else _NOTHING})

    def _exchange(self, bit: Bit) -> _Trial | None:
        """Every reader without the bit."""
        state = self.state
        users = state.users.get(bit, [])
        if bit in state.pinned or any(self._without(state, user, bit, state.seen(user)) is None for user in users):
            return None
        trial = _Trial(state)
        while users:
            here, now = trial.now(bit), trial.state
            function = self._settle(now, users[0], partial(self._without, now, users[0], here))
            if function is None:
                self._drop(trial)
                return None
            last = trial.state
            trial = trial.step({users[0]: function, **({here: _NOTHING} if len(users) == 1 else {})})
            if last is not state:
                self._leave(last)
            users = trial.state.users.get(trial.now(bit), [])
        return trial

    def _without(self, state: State, user: Bit, bit: Bit, seen: Seen) -> BitTable | None:
        """A function that does without a bit on the samples, at most two other bits in its place."""
        old = state.functions[user]
        others = [source for source in old.bits if source != bit]
        candidates = state.candidates(user, bit)
        for keep in (others, *([source for source in others if source != gone] for gone in others)):
            found = support(seen, keep, candidates, min(2, self.options.k - len(keep)))
            if found is not None:
                return table_of(seen, sorted((*keep, *found)), old)
        return None

    def _drop_inputs(self, bit: Bit) -> _Trial | None:
        """The function over fewer bits."""
        trial = _Trial(self.state)
        for source in self.state.functions[bit].bits:
            here, gone = trial.now(bit), trial.now(source)
            now = trial.state
            if here not in now.functions or gone not in now.functions[here].bits:
                continue
            keep = [other for other in now.functions[here].bits if other != gone]
            function = self._settle(now, here, partial(_over_fewer, keep, now.functions[here]))
            if function is not None:
                trial = trial.step({here: function})
                if now is not self.state:
                    self._leave(now)
        return None if trial.state is self.state else trial

    def _settle(self, state: State, bit: Bit, choose: Callable[[Seen], BitTable | None]) -> BitTable | None:
        """A function that is proved to do in the place of a bit; what refutes one choice is known to the next."""
        for _ in range(_REFINEMENTS):
            function = choose(state.seen(bit))
            if function is None:
                return None
            answer = state.ask(bit, function)
            if answer.proved:
                return function
            if answer.inputs is None:
                return None
        return None

    def _drop(self, trial: _Trial) -> None:
        if trial.state is not self.state:
            self._leave(trial.state)


def _copy(seen: Seen, others: Sequence[Bit], only_equal: bool) -> BitTable | None:
    """A constant, a bit or the complement of one that has the value on all samples."""
    if not seen.value.any() or seen.value.all():
        return BitTable((), np.asarray([int(seen.value.any())], dtype=np.int64), 1)
    for other in others:
        differs = seen.signal(other) ^ seen.value
        if not differs.any():
            return BitTable((other,), np.asarray([0, 1], dtype=np.int64), 1)
        if differs.all() and not only_equal:
            return BitTable((other,), np.asarray([1, 0], dtype=np.int64), 1)
    return None


def _over_fewer(keep: Sequence[Bit], old: BitTable, seen: Seen) -> BitTable | None:
    """A function over the bits to keep, where those decide the value on all samples."""
    return None if support(seen, keep, (), 0) is None else table_of(seen, keep, old)


def _figure(net: Netlist) -> tuple[int, int]:
    """What is to become less: lookup tables, then inputs of all tables together."""
    narrow = Narrow()(net)
    live = live_nodes(narrow)
    tables = [node.table for node in narrow.nodes() if live[node.id] and node.table is not None]
    return estimate_luts(narrow).luts, sum(size * n for table in tables for size, n in table_cells(table))
