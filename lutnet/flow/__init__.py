"""The whole way, step by step, each on the folder of a run; the command line and the examples call these functions.

train -> compile -> emit -> simulate, prove, synthesise -> report. Each step writes what it measured into ``results/``; the report is
made of those files and is the only step that reads the test set.
"""

from lutnet.flow.compiling import Compilation, compile_run
from lutnet.flow.hardware import emit_run, prove_run, simulate_run, synth_run
from lutnet.flow.models import Model, load_run_model, network_rungs, save_trees
from lutnet.flow.proving import prove_pair
from lutnet.flow.reporting import float_accuracy, report_run
from lutnet.flow.scripts import VivadoTarget
from lutnet.flow.streaming import StreamEmission, emit_stream
from lutnet.flow.training import train_run

__all__ = [
    "Compilation",
    "Model",
    "StreamEmission",
    "VivadoTarget",
    "compile_run",
    "emit_run",
    "emit_stream",
    "float_accuracy",
    "load_run_model",
    "network_rungs",
    "prove_pair",
    "prove_run",
    "report_run",
    "save_trees",
    "simulate_run",
    "synth_run",
    "train_run",
]
