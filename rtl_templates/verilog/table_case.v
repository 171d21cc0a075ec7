// table t${table}: operands of ${widths} bits -> ${out_width} bits
module ${module} (
  input  wire [${address_high}:0] a,
  output reg  [${out_high}:0] y
);
  always @* begin
    case (a)
${items}
      default: y = ${default};
    endcase
  end
endmodule
