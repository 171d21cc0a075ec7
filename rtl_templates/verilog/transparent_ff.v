// techmap for yosys: every register passes its input on. Used by lutnet's proof, which ties reset low and enable high.
(* techmap_celltype = "$dff $dffe $sdff $sdffe $sdffce" *)
module transparent_ff (CLK, EN, SRST, D, Q);
  parameter WIDTH = 1;
  parameter CLK_POLARITY = 1;
  parameter EN_POLARITY = 1;
  parameter SRST_POLARITY = 1;
  parameter SRST_VALUE = 0;
  input CLK, EN, SRST;
  input [WIDTH-1:0] D;
  output [WIDTH-1:0] Q;
  assign Q = D;
endmodule
