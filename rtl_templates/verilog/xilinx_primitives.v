// Functional models of the AMD primitives that lutnet instantiates, for simulators that lack the vendor's library.
// Vivado and yosys bring their own; do not add this file to their sources.
/* verilator lint_off DECLFILENAME */
`default_nettype none

module LUT6 #(
  parameter [63:0] INIT = 64'h0000000000000000
) (
  output wire O,
  input  wire I0,
  input  wire I1,
  input  wire I2,
  input  wire I3,
  input  wire I4,
  input  wire I5
);
  wire [5:0] address = {I5, I4, I3, I2, I1, I0};
  assign O = INIT[address];
endmodule

module MUXF7 (
  output wire O,
  input  wire I0,
  input  wire I1,
  input  wire S
);
  assign O = S ? I1 : I0;
endmodule

module MUXF8 (
  output wire O,
  input  wire I0,
  input  wire I1,
  input  wire S
);
  assign O = S ? I1 : I0;
endmodule

module MUXF9 (
  output wire O,
  input  wire I0,
  input  wire I1,
  input  wire S
);
  assign O = S ? I1 : I0;
endmodule

`default_nettype wire
