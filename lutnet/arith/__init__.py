"""Multiplication with constant matrices as graphs of adders; numpy only."""

from lutnet.arith.cmvm import adder_graph, least_depth
from lutnet.arith.digits import n_digits, signed_digits
from lutnet.arith.graph import AdderGraph, Sums, Term

__all__ = ["AdderGraph", "Sums", "Term", "adder_graph", "least_depth", "n_digits", "signed_digits"]
