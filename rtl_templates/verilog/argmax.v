// index of the largest of ${n_values} ${kind} values of ${width} bits; ties go to the lowest index
module ${module} (
  input  wire [${in_high}:0] values,
  output wire [${index_high}:0] index
);
${matches}
endmodule
