"""Searching for networks: quantisers, widths, fan-ins, layers and families, layer by layer, by many workers at once.

:func:`open_search` joins or begins a search, :func:`work` makes trials, :func:`finish` takes the best of them through the ladder. The
command line ``lutnet search`` does all three; docs/search.md walks through it.
"""

from lutnet.search.finish import Outcome, finish
from lutnet.search.objective import Figures, Objective, forgiving_factor
from lutnet.search.space import SPACES, SearchSpace, find_space, load_space
from lutnet.search.worker import Search, open_search, work

__all__ = [
    "SPACES",
    "Figures",
    "Objective",
    "Outcome",
    "Search",
    "SearchSpace",
    "find_space",
    "finish",
    "forgiving_factor",
    "load_space",
    "open_search",
    "work",
]
