// Bridge to eight ADC12020: ADCs of 12 bits at 12 MHz, offset binary on parallel lines.
//
// Part n has cell n; bit b of its code is line 12 n + b. The parts have neither registers nor a reset.
//
// `sample_clocks`, one for two parts, run while `run` is high, high for four clocks of eight. They rise 5.5
// clocks after the core's `adc_sample`, as the DACs' next period begins (spu_dacs), and the parts sample then. A
// code is on the lines after six periods (48 clocks) and the part's delay, until the next one comes a period
// later.
//
// Crossing from the lines to `clk`: the parts' clock is `clk` itself, divided, after a way out, through a part
// and back, of 0 to W. The lines stand still from 53.5 clocks + W to 61.5 clocks after `adc_sample`, and
// `taken` looks at them once, at 59: for any W below 5.5 clocks, 57 ns. The codes then wait for the slot in
// which they are asked for, the eighth after the sample's, and `code` is in each clock that of the cell whose
// number `phase` was in the clock before.
`default_nettype none

module spu_adcs (
    input  wire clk,
    input  wire run,
    input  wire [2:0] phase,
    output wire [3:0] sample_clocks,
    input  wire [95:0] lines,
    output wire [11:0] code
);
    // `adc_sample` is in phase 0; this one ends 59 clocks after that one began.
    localparam [2:0] TAKEN = 3'd2, KEPT = 3'd7;

    // High from 5.5 to 9.5 clocks after phase 0 begins. `run` comes from far away.
    reg running;
    always @(posedge clk) running <= run;
    spu_oddr #(.WIDTH(4)) clock_lines (
        .clk(clk), .first({4{running && phase >= 3'd3 && phase <= 3'd6}}),
        .second({4{running && phase >= 3'd2 && phase <= 3'd5}}), .q(sample_clocks)
    );
    wire [95:0] codes;
    genvar part;
    generate
        for (part = 0; part < 8; part = part + 1) begin : parts
            // Two's complement.
            assign codes[12 * part +: 12] = {!lines[12 * part + 11], lines[12 * part +: 11]};
        end
    endgenerate

    // What was kept leaves one code a clock, from cell 0 in phase 1.
    reg [95:0] taken;
    reg [107:0] kept;
    always @(posedge clk) begin
        if (phase == TAKEN) taken <= codes;
        kept <= phase == KEPT ? {taken, kept[23:12]} : kept >> 12;
    end
    assign code = kept[11:0];
endmodule

`default_nettype wire
