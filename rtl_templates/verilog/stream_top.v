// ${top}: written by lutnet ${version}. Do not edit; change the network and emit again.
// ${summary}
//
// Ports
//   rst       synchronous; forgets images that are on the way
//   in_valid  in_data holds a group of pixels; it is always taken, and clocks without it may stand anywhere
//   in_data   [${in_high}:0]  ${in_pixels} of ${in_channels}, the leftmost pixel and channel 0 in the least significant bits
//   out_valid out_data holds a group of results
//   out_data  [${out_high}:0]  ${out_pixels} of ${out_channels}
// An image is ${clocks} groups, row by row; its result is complete ${latency} registers after its last group.
/* verilator lint_off DECLFILENAME */  // one file holds several modules
/* verilator lint_off CMPCONST */  // a comparison whose operand is narrow by construction may be decided
/* verilator lint_off UNSIGNED */
`default_nettype none
${windows}
module ${top} (
  input  wire clk,
  input  wire rst,
  input  wire in_valid,
  input  wire [${in_high}:0] in_data,
  output wire out_valid,
  output wire [${out_high}:0] out_data
);
${body}
  wire unused_controls = &{1'b0, clk, rst};  // without any register
endmodule
`default_nettype wire
