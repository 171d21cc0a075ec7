// table t${table}: operands of ${widths} bits -> ${out_width} bits, LUT6 and MUXF primitives
module ${module} (
  input  wire [${address_high}:0] a,
  output wire [${out_high}:0] y
);
${cells}
endmodule
