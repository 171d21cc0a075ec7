# Out-of-context synthesis, placement and routing in Vivado, non-project mode.
#   vivado -mode batch -source vivado_ooc.tcl
# Every file is read from and written to the folder of this script:
#   in   clock.xdc and the Verilog files below
#   out  utilization_synth.rpt, utilization.rpt, timing.rpt, synth.dcp, routed.dcp

set part      {@{part}}
set top       {@{top}}
set files     {@{files}}
set period_ns {@{period_ns}}
set strategy  {@{strategy}}

set here [file dirname [file normalize [info script]]]

proc in_folder {folder names} {
    set paths [list]
    foreach name $names {
        lappend paths [file join $folder $name]
    }
    return $paths
}

puts "lutnet: $top on $part, clock period $period_ns ns, strategy $strategy"

create_project -in_memory -part $part
read_verilog [in_folder $here $files]
read_xdc -mode out_of_context [file join $here clock.xdc]

synth_design -mode out_of_context -top $top -part $part @{synth_options}
report_utilization -file [file join $here utilization_synth.rpt]
write_checkpoint -force [file join $here synth.dcp]

opt_design -directive @{opt_directive}
place_design -directive @{place_directive}
phys_opt_design -directive @{phys_opt_directive}
route_design -directive @{route_directive}

report_utilization -file [file join $here utilization.rpt]
report_timing_summary -max_paths 10 -file [file join $here timing.rpt]
write_checkpoint -force [file join $here routed.dcp]

puts "lutnet: reports are in $here"
