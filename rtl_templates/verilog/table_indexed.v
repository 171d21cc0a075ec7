// table t${table}: operands of ${widths} bits -> ${out_width} bits, one indexed constant an output bit
module ${module} (
  input  wire [${address_high}:0] a,
  output wire [${out_high}:0] y
);
${bits}
endmodule
