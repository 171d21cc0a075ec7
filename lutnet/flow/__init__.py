"""The whole way, step by step, each on the folder of a run; the command line and the examples call these functions.

train -> compile -> emit -> simulate, prove, synthesise -> report. Each step writes what it measured into ``results/``; the report is
made of those files and is the only step that reads the test set.
"""

from lutnet.flow.compiling import Compilation, compile_run, network_rungs
from lutnet.flow.training import train_run

__all__ = ["Compilation", "compile_run", "network_rungs", "train_run"]
