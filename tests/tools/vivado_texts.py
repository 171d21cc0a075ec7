"""Reports in the format of several versions of Vivado, with invented figures."""

from __future__ import annotations

RULE = "-" * 96


def table(*rows: str) -> str:
    """Rows of cells between rules."""
    head, *body = rows
    rule = "+" + "-" * (len(head) - 2) + "+"
    return "\n".join([rule, head, rule, *body, rule]) + "\n"


UTILIZATION_2019_7SERIES = f"""Copyright 1986-2019 Xilinx, Inc. All Rights Reserved.
{RULE}
| Tool Version : Vivado v.2019.2 (lin64) Build 2708876 Wed Nov  6 21:39:14 MST 2019
| Date         : Mon Mar  2 10:11:12 2020
| Host         : bench running 64-bit Ubuntu 18.04.4 LTS
| Command      : report_utilization -file utilization.rpt
| Design       : top
| Device       : 7a35tcpg236-1
| Design State : Synthesized
{RULE}

Utilization Design Information

Table of Contents
-----------------
1. Slice Logic
1.1 Summary of Registers by Type
2. Memory
7. Primitives

1. Slice Logic
--------------

{
    table(
        "|          Site Type         | Used | Fixed | Available | Util% |",
        "| Slice LUTs*                | 1376 |     0 |     20800 |  6.62 |",
        "|   LUT as Logic             | 1300 |     0 |     20800 |  6.25 |",
        "|   LUT as Memory            |   76 |     0 |      9600 |  0.79 |",
        "|     LUT as Shift Register  |   76 |     0 |           |       |",
        "| Slice Registers            |  412 |     0 |     41600 |  0.99 |",
        "|   Register as Flip Flop    |  412 |     0 |     41600 |  0.99 |",
        "|   Register as Latch        |    0 |     0 |     41600 |  0.00 |",
        "| F7 Muxes                   |  121 |     0 |     16300 |  0.74 |",
        "| F8 Muxes                   |   14 |     0 |      8150 |  0.17 |",
    )
}* Warning! The Final LUT count, after physical optimizations and full implementation, is typically lower.

2. Memory
---------

{
    table(
        "|     Site Type     | Used | Fixed | Available | Util% |",
        "| Block RAM Tile    |  1.5 |     0 |        50 |  3.00 |",
        "|   RAMB36/FIFO*    |    1 |     0 |        50 |  2.00 |",
        "|   RAMB18          |    1 |     0 |       100 |  1.00 |",
    )
}
3. DSP
------

{
    table(
        "| Site Type | Used | Fixed | Available | Util% |",
        "| DSPs      |    0 |     0 |        90 |  0.00 |",
    )
}
7. Primitives
-------------

{
    table(
        "| Ref Name | Used | Functional Category |",
        "| LUT6     |  900 |                 LUT |",
        "| LUT5     |  500 |                 LUT |",
        "| FDRE     |  412 |        Flop & Latch |",
        "| MUXF7    |  121 |               MuxFx |",
        "| CARRY4   |   33 |          CarryLogic |",
    )
}
8. Black Boxes
--------------

+----------+------+
| Ref Name | Used |
+----------+------+

"""

UTILIZATION_2022_ULTRASCALE = f"""Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
{RULE}
| Tool Version : Vivado v.2022.2 (lin64) Build 3671981 Fri Oct 14 04:59:54 MDT 2022
| Date         : Mon Dec 12 22:54:56 2022
| Host         : bench running 64-bit Ubuntu 20.04.5 LTS
| Command      : report_utilization -file utilization.rpt
| Design       : top
| Device       : xcvu9p-flgb2104-2-i
| Speed File   : -2
| Design State : Routed
{RULE}

1. CLB Logic
------------

{
    table(
        "|          Site Type         | Used | Fixed | Prohibited | Available | Util% |",
        "| CLB LUTs                   | 2405 |     0 |          0 |   1182240 |  0.20 |",
        "|   LUT as Logic             | 2405 |     0 |          0 |   1182240 |  0.20 |",
        "|   LUT as Memory            |    0 |     0 |          0 |    591840 |  0.00 |",
        "| CLB Registers              |  811 |     0 |          0 |   2364480 |  0.03 |",
        "|   Register as Flip Flop    |  811 |     0 |          0 |   2364480 |  0.03 |",
        "| CARRY8                     |   57 |     0 |          0 |    147780 |  0.04 |",
        "| F7 Muxes                   |  101 |     0 |          0 |    591120 |  0.02 |",
        "| F8 Muxes                   |   50 |     0 |          0 |    295560 |  0.02 |",
        "| F9 Muxes                   |    3 |     0 |          0 |    147780 | <0.01 |",
    )
}
2. CLB Logic Distribution
-------------------------

{
    table(
        "|                 Site Type                  | Used | Fixed | Prohibited | Available | Util% |",
        "| CLB                                        |  411 |     0 |          0 |    147780 |  0.28 |",
        "| LUT as Logic                               | 9999 |     0 |          0 |   1182240 |  0.20 |",
        "|   using O5 and O6                          |  350 |       |            |           |       |",
        "| CLB Registers                              | 9999 |     0 |          0 |   2364480 |  0.03 |",
    )
}
3. BLOCKRAM
-----------

{
    table(
        "|     Site Type     | Used | Fixed | Prohibited | Available | Util% |",
        "| Block RAM Tile    |    0 |     0 |          0 |      2160 |  0.00 |",
        "| URAM              |    2 |     0 |          0 |       960 |  0.21 |",
    )
}
4. ARITHMETIC
-------------

{
    table(
        "| Site Type | Used | Fixed | Prohibited | Available | Util% |",
        "| DSPs      |    4 |     0 |          0 |      6840 |  0.06 |",
    )
}
9. Primitives
-------------

{
    table(
        "| Ref Name | Used | Functional Category |",
        "| LUT6     | 2000 |                 CLB |",
        "| LUT3     |  700 |                 CLB |",
        "| FDRE     |  811 |            Register |",
    )
}
"""

UTILIZATION_2024_VERSAL = f"""Copyright 2022-2024 Advanced Micro Devices, Inc. All Rights Reserved.
{RULE}
| Tool Version : Vivado v.2024.2 (lin64) Build 5239630 Fri Nov 08 22:34:34 MST 2024
| Device       : xcvc1902-vsva2197-2MP-e-S
| Design State : Fully Placed
{RULE}

1. Netlist Logic
----------------

{
    table(
        "|         Site Type        | Used | Fixed | Prohibited | Available | Util% |",
        "| CLB LUTs                 |  640 |     0 |          0 |    899840 |  0.07 |",
        "|   LUT as Logic           |  640 |     0 |          0 |    899840 |  0.07 |",
        "| Registers                |  200 |     0 |          0 |   1799680 |  0.01 |",
        "| LOOKAHEAD8               |   12 |     0 |          0 |    112480 |  0.01 |",
    )
}
4. ARITHMETIC
-------------

{
    table(
        "| Site Type  | Used | Fixed | Prohibited | Available | Util% |",
        "| DSP Slices |    1 |     0 |          0 |      1968 |  0.05 |",
    )
}
"""

SLACK_NAMES = (
    "    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints"
    "  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints  "
)
SLACK_RULE = (
    "    -------      -------  ---------------------  -------------------      -------      -------  ---------------------"
    "  -------------------     --------     --------  ----------------------  --------------------  "
)


def timing(slacks: str, *clocks: str, version: str = "2021.2") -> str:
    """A timing summary with one row of slacks and the rows of the clock summary."""
    return f"""Copyright 1986-2021 Xilinx, Inc. All Rights Reserved.
{RULE}
| Tool Version      : Vivado v.{version} (lin64) Build 3367213 Tue Oct 19 02:47:39 MDT 2021
| Command           : report_timing_summary -max_paths 10 -file timing.rpt
| Design            : top
| Device            : xcvu9p-flgb2104
| Speed File        : -2  PRODUCTION 1.27 02-28-2020
{RULE}

Timing Summary Report

1. checking no_clock (0)
------------------------
 There are 0 register/latch pins with no clock.

{RULE}
| Design Timing Summary
| ---------------------
{RULE}

{SLACK_NAMES}
{SLACK_RULE}
{slacks}


All user specified timing constraints are met.


{RULE}
| Clock Summary
| -------------
{RULE}

Clock  Waveform(ns)         Period(ns)      Frequency(MHz)
-----  ------------         ----------      --------------
{chr(10).join(clocks)}


{RULE}
| Intra Clock Table
| -----------------
{RULE}

Clock         {SLACK_NAMES}
-----         {SLACK_RULE}
clk                 9.999        9.000                      0                    9        9.999        9.000  9  9  9  9  9  9


Max Delay Paths
--------------------------------------------------------------------------------------
Slack (MET) :             9.999ns  (required time - arrival time)
  Source:                 a_reg/C
                            (rising edge-triggered cell FDRE clocked by clk  {{rise@0.000ns fall@2.500ns period=5.000ns}})
"""


MET = "      0.521        0.000                  0         1696        0.057        0.000     0  1696  2.225  0.000  0  1077  "
VIOLATED = "     -0.789    -1981.162         3939       437814        0.008        0.000     0  437433  0.346  0.000  0  172310  "
NOT_TIMED = "         NA           NA           NA           NA           NA           NA    NA  NA  NA  NA  NA  NA  "
CLOCK = "clk    {0.000 2.500}        5.000           200.000         "
GENERATED = "  half {0.000 1.250}        2.500           400.000         "
