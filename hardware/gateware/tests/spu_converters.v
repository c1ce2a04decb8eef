// Models of the converters of hardware/board, with the checks of their data sheets' timing, for
// spu_top_tb. A violation prints FAIL and ends the simulation.
`default_nettype none
`timescale 1ps/1ps

// DAC2904 (SBAS198C p. 7), both channels under one strobe and one clock. Two's complement comes out of the
// straight binary that goes in.
module dac2904 (
    input  wire [13:0] d1,
    input  wire [13:0] d2,
    input  wire wrt,
    input  wire clk,
    output reg  [13:0] shown1,
    output reg  [13:0] shown2
);
    localparam integer SETUP = 2000, HOLD = 1500, PULSE = 4000, LOADED = 2000;
    reg [27:0] written, loaded;
    time changed = 0, risen = 0, fallen = 0, updated = 0, lowered = 0;
    `include "spu_fail.vh"
    always @(d1 or d2) begin
        if ($time - risen < HOLD) fail("hold of the data");
        changed = $time;
    end
    always @(posedge wrt) begin
        if ($time - changed < SETUP) fail("set-up of the data");
        if ($time - fallen < PULSE) fail("pause of the strobe");
        risen = $time;
        written = {d2, d1};
    end
    // The register behind takes it as the strobe ends.
    always @(negedge wrt) begin
        if ($time - risen < PULSE) fail("width of the strobe");
        fallen = $time;
        loaded = written;
    end
    always @(posedge clk) begin
        if ($time - fallen < LOADED) fail("strobe before the update");
        if ($time - lowered < PULSE) fail("pause of the update");
        updated = $time;
        shown1 = {!loaded[13], loaded[12:0]};
        shown2 = {!loaded[27], loaded[26:14]};
    end
    always @(negedge clk) begin
        if ($time - updated < PULSE) fail("width of the update");
        lowered = $time;
    end
endmodule

// ADC12020 (SNAS186B, AC Electrical Characteristics): samples APERTURE after its clock rises; the code, in
// offset binary, is on the lines six periods and OUTPUT later; from the edge until then they are unknown. WAY
// is that of the clock to the part and of the lines back, in ps, all of it in the lines.
module adc12020 #(
    parameter integer WAY = 0
) (
    input  wire clk,
    input  wire [11:0] v,
    output reg  [11:0] lines
);
    localparam integer APERTURE = 1200, OUTPUT = 16800, PULSE = 20000;
    localparam integer LEAST = 50000, MOST = 10_000_000, LATENCY = 6;
    reg [11:0] pipeline [0 : LATENCY];
    time risen = 0, fallen = 0;
    integer stage;
    // The first edge ends no period.
    reg started = 1'b0;
    `include "spu_fail.vh"
    always @(negedge clk) begin
        if ($time - risen < PULSE) fail("width of the clock");
        fallen = $time;
    end
    always @(posedge clk) begin
        if ($time - fallen < PULSE) fail("pause of the clock");
        if ($time - risen < LEAST || (started && $time - risen > MOST)) fail("period of the clock");
        risen = $time;
        started = 1'b1;
        lines <= 12'hxxx;
        for (stage = LATENCY; stage > 0; stage = stage - 1) pipeline[stage] = pipeline[stage - 1];
        lines <= #(OUTPUT + WAY) {!pipeline[LATENCY][11], pipeline[LATENCY][10:0]};
        #APERTURE pipeline[0] = v;
    end
endmodule

`default_nettype wire
