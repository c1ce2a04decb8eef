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
    integer changed = 0, risen = 0, fallen = 0, updated = 0, lowered = 0;
    // The pins settle within a few clocks after power-up.
    task fail(input [8*32-1:0] what);
        if ($time > 100_000) begin
            $display("FAIL spu_top: %0s of %m, %0t ps", what, $time);
            $finish;
        end
    endtask
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

// ADC3644 (SBASA46): samples as the clock falls, 0.85 ns later; begins to send the code a period and
// DELAY later, channel A on lines 5 to 0, B on 11 to 6, two bits of the upper 12 on each. Around the edges of
// the data clock the lines are unknown. Works after a reset, when register 0x0E takes the clock on one pin.
module adc3644 #(
    parameter integer DELAY = 6000
) (
    input  wire clkp,
    input  wire reset,
    input  wire sen,
    input  wire sclk,
    input  wire sdio,
    input  wire [11:0] a,
    input  wire [11:0] b,
    output reg  dclk,
    output reg  [11:0] lines
);
    localparam integer APERTURE = 850, UNSURE = 500, RESET = 1_000_000;
    reg [7:0] clocking = 8'hxx;
    reg [23:0] word;
    integer bits = 0, begun = 0;
    always @(posedge reset) begun = $time;
    always @(negedge reset) if ($time - begun >= RESET) clocking = 8'h00;
    always @(negedge sen) bits = 0;
    always @(posedge sclk) if (!sen) begin
        word = {word[22:0], sdio};
        bits = bits + 1;
        if (bits == 24 && word[23:8] == 16'h000E && !reset) clocking = word[7:0];
    end

    reg [23:0] sampled;
    wire [23:0] sending = clocking[0] ? sampled : 24'hxxxxxx;
    function [11:0] half(input [23:0] codes, input odd);
        integer line;
        for (line = 0; line < 12; line = line + 1) half[line] = codes[2 * line + odd];
    endfunction
    always @(negedge clkp) begin
        dclk <= #DELAY clocking[0] === 1'b1;
        lines <= #(DELAY - UNSURE) 12'hxxx;
        lines <= #(DELAY + UNSURE) half(sending, 1'b0);
    end
    // The code that is sent is taken over half a period early: `sampled` changes with the next sample.
    reg [23:0] current;
    always @(negedge clkp) begin
        current = sending;
        #APERTURE sampled = {b, a};
    end
    always @(posedge clkp) begin
        dclk <= #DELAY 1'b0;
        lines <= #(DELAY - UNSURE) 12'hxxx;
        lines <= #(DELAY + UNSURE) half(current, 1'b1);
    end
endmodule

`default_nettype wire
