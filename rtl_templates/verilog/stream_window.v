// ${name}: windows of ${kernel_rows} x ${kernel_columns} pixels over a map of ${rows} x ${columns} pixels of ${pixel_bits} bits.
//   in_data   ${lanes} of a row, the leftmost in the least significant bits; ${groups} groups a row, ${n_in} an image
//   out_data  ${out_lanes} windows side by side, row by row, pixel by pixel; ${out_groups} groups a row, ${n_out} an image
// A step shifts the line by one group. Input makes a step; so do, as long as no further image has begun, the windows that hang
// over the end of an image that is in.
module ${module} (
  input  wire clk,
  input  wire rst,
  input  wire in_valid,
  input  wire [${in_high}:0] in_data,
  output wire out_valid,
  output wire [${out_high}:0] out_data
);
  reg  [${taken_high}:0] taken;  // groups of the image that are in
  reg  busy;  // its first windows are out, its last are not
  reg  [${x_high}:0] x;  // step in the row, from the first window of the row
  reg  [${x_phase_high}:0] x_phase;  // steps since the last window of the row
  reg  [${y_high}:0] y;  // row, from that of the first windows
  reg  [${y_phase_high}:0] y_phase;  // rows since the last row of windows
  reg  [${line_high}:0] line;  // groups, the newest in the least significant bits
  reg  complete;  // the line holds windows
${declarations}
  wire active = busy | (in_valid & (taken == ${first}));
  wire step = in_valid | (busy & (taken == ${taken_zero}));
  wire row_end = x == ${x_end};
  wire image_end = (x == ${x_last}) & (y == ${y_last});

  always @(posedge clk) begin
    if (step) line <= ${line_next};
${masks}
  end

  always @(posedge clk) begin
    if (rst) begin
      taken <= ${taken_zero};
      busy <= 1'b0;
      x <= ${x_zero};
      x_phase <= ${x_phase_zero};
      y <= ${y_zero};
      y_phase <= ${y_phase_zero};
      complete <= 1'b0;
    end else begin
      if (in_valid) taken <= (taken == ${taken_last}) ? ${taken_zero} : taken + ${taken_one};
      if (step & active) begin
        busy <= ~image_end;
        x <= (row_end | image_end) ? ${x_zero} : x + ${x_one};
        x_phase <= (row_end | image_end | (x_phase == ${x_phase_last})) ? ${x_phase_zero} : x_phase + ${x_phase_one};
        if (image_end) y <= ${y_zero};
        else if (row_end) y <= y + ${y_one};
        if (image_end) y_phase <= ${y_phase_zero};
        else if (row_end) y_phase <= (y_phase == ${y_phase_last}) ? ${y_phase_zero} : y_phase + ${y_phase_one};
      end
      complete <= step & active & (x_phase == ${x_phase_zero}) & (y_phase == ${y_phase_zero}) & (x <= ${x_last});
    end
  end

${windows}
  wire unused_bits = &{1'b0, line[${line_high}:${line_oldest}]};  // of the oldest group
endmodule
