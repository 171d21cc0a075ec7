# One clock of @{period_ns} ns. Inputs arrive at its edge and outputs are taken at its edge, so that the logic before the
# first register and after the last one has one period, as if the neighbours were registers.
create_clock -name clk -period @{period_ns}@{clock_port}
set_input_delay -clock clk 0.000 [get_ports -filter {DIRECTION == IN@{not_clock}}]
set_output_delay -clock clk 0.000 [get_ports -filter {DIRECTION == OUT}]
