// ${top}: written by lutnet ${version}. Do not edit; change the netlist and emit again.
// ${summary}
//
// Ports
//   in_data  [${in_high}:0]  ${n_inputs} inputs side by side, input 0 in the least significant bits
//   out_data [${out_high}:0]  ${n_outputs} outputs side by side, output 0 in the least significant bits
// Latency: ${latency_cycles} clock cycles from in_data to out_data; a new input every cycle.
/* verilator lint_off DECLFILENAME */  // one file holds several modules
/* verilator lint_off CMPCONST */  // a comparison whose operand is narrow by construction may be decided
`default_nettype none
