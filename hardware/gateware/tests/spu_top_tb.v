// Plays the simulator's vectors (see spu_script.vh) to spu_top, with the converters of hardware/board at
// its pins: every octet of the SPI, every row that the DACs show and every bit into the bank switches
// must be the simulator's.
//
// A cell's voltage at the end of a kept tick is there 1.5 ns before to 1.5 ns after the end of the period
// for which the tick's codes are held, and anything else at all other times: the ADCs must sample then. SKEW is of the
// DACs' data to their strobe and update, in ps; WAY that of the clock to the ADCs and of the codes back.
// Ticks are let begin by `converters_ready`, one at a time, and counted in the core.
`default_nettype none
`timescale 1ps/1ps

module spu_top_tb #(
    parameter VECTORS = ".",
    parameter [31:0] GATEWARE_ID = 32'd0,
    parameter [63:0] SERIAL = 64'd0,
    parameter integer SPI = 1,
    parameter integer ADC = 1,
    parameter integer DAC = 1,
    parameter integer SWITCHES = 1,
    parameter integer SKEW = 0,
    parameter integer WAY = 10000
);
    localparam integer HALF_CORE = 5208, PERIOD = 16 * HALF_CORE, AROUND = 1500, PATIENCE = 24;
    reg clk = 1'b0, reset_n = 1'b0, permit = 1'b0;
    always #HALF_CORE clk = !clk;
    reg sck = 1'b0, select_n = 1'b1, mosi = 1'b0;
    wire miso, discharge, switch_clock, switch_data, switch_latch, irq;
    wire [13:0] even_pins, odd_pins;
    wire [3:0] write_pins, adc_clock;
    wire update_pin;
    wire [95:0] adc_lines;
    spu_top #(.GATEWARE_ID(GATEWARE_ID), .SERIAL(SERIAL)) top (
        .clk(clk), .reset_n(reset_n),
        .spi_sck(sck), .spi_select_n(select_n), .spi_mosi(mosi), .spi_miso(miso),
        .converters_ready(permit),
        .dac_even(even_pins), .dac_odd(odd_pins), .dac_write(write_pins), .dac_update(update_pin),
        .adc_clock(adc_clock), .adc_data(adc_lines),
        .discharge(discharge), .switch_clock(switch_clock), .switch_data(switch_data),
        .switch_latch(switch_latch), .irq(irq)
    );

    // --- Converters -------------------------------------------------------------------------

    localparam integer LATE = SKEW > 0 ? SKEW : 0, EARLY = SKEW < 0 ? -SKEW : 0;
    wire [13:0] #LATE even_bus = even_pins;
    wire [13:0] #LATE odd_bus = odd_pins;
    wire [3:0] #EARLY strobes = write_pins;
    // The update is late where data are, early where the strobes are late.
    wire #LATE update = update_pin;
    wire [127:0] shown;
    reg [127:0] voltage;
    genvar part;
    generate
        for (part = 0; part < 4; part = part + 1) begin : parts
            wire [13:0] first, second;
            dac2904 dac (
                .d1(even_bus), .d2(odd_bus), .wrt(strobes[part]), .clk(update),
                .shown1(first), .shown2(second)
            );
            assign shown[32 * part +: 32] = {{2{second[13]}}, second, {2{first[13]}}, first};
            adc12020 #(.WAY(WAY)) even_adc (
                .clk(adc_clock[part]), .v(voltage[32 * part +: 12]), .lines(adc_lines[24 * part +: 12])
            );
            adc12020 #(.WAY(WAY)) odd_adc (
                .clk(adc_clock[part]), .v(voltage[32 * part + 16 +: 12]),
                .lines(adc_lines[24 * part + 12 +: 12])
            );
        end
    endgenerate

    integer errors = 0, octets = 0, ticks = 0, updates = 0, samples = 0, bits = 0;
    wire busy = top.core.busy;
    reg began = 1'b0;
    `include "spu_script.vh"
    task finish;
        begin
            if (errors == 0)
                $display("PASS spu_top, %0d ticks, %0d octets, %0d DAC rows, %0d switch bits, skew %0d, way %0d ps",
                    ticks, octets, updates, bits, SKEW, WAY);
            else $display("FAIL spu_top");
            $finish;
        end
    endtask

    // Which of the ticks that have begun are kept; those whose codes are held or were.
    reg kept [0:15];
    always @(posedge clk) begin
        began <= top.core.tick && reset_n;
        if (top.core.tick && reset_n) kept[ticks % 16] <= top.core.issue_kept;
    end
    always @(negedge clk) if (began) ticks = ticks + 1;

    // At rest, or a little while ago.
    reg [7:0] rest = 8'hff;
    always @(posedge clk) rest <= {rest[6:0], discharge || !top.driven};
    reg there = 1'b0;
    always @(posedge update) if (top.running && $time > 1_000_000) begin
        #1 if (rest != 8'd0) begin
            if (shown !== 128'd0) differ(shown, 0, "DACs at rest", 0);
        end else begin
            if (updates >= DAC || shown !== dac_rows[updates])
                differ(shown, dac_rows[updates], "DAC row", updates);
            if (kept[updates % 16]) begin
                there <= #(PERIOD - AROUND) 1'b1;
                there <= #(PERIOD + AROUND) 1'b0;
            end
            updates = updates + 1;
        end
    end
    always @(negedge discharge) if (reset_n && shown !== 128'd0)
        differ(shown, 0, "DACs after a discharge", 0);
    integer noise = 1;
    always @(posedge there or negedge there) begin
        if (there && samples >= ADC) differ(0, 0, "sample past the last", samples);
        voltage = there ? adc_rows[samples] : {4{$random(noise)}};
        if (there) samples = samples + 1;
    end
    initial voltage = {4{32'h0555_0aaa}};

    // Each code as it comes to the core: octets would show few of them.
    integer fetched = 0;
    reg read = 1'b0;
    reg [2:0] read_cell;
    always @(posedge clk) begin
        read <= top.core.adc_read && reset_n;
        read_cell <= top.core.adc_cell;
    end
    always @(negedge clk) if (read) begin
        if (fetched >= ADC || top.sample !== adc_rows[fetched][16 * read_cell +: 12])
            differ(top.sample, adc_rows[fetched][16 * read_cell +: 12], "code of row", fetched);
        if (read_cell == 3'd7) fetched = fetched + 1;
    end

    always @(posedge switch_clock) if (reset_n) begin
        if (bits >= SWITCHES || switch_data !== switch_bits[bits])
            differ(switch_data, switch_bits[bits], "switch bit", bits);
        bits = bits + 1;
    end

    // --- Script -----------------------------------------------------------------------------

    initial begin
        half = 10_000;
        repeat (16) @(negedge clk);
        reset_n = 1'b1;
        repeat (8) @(negedge clk);
        permit = 1'b1;
        while (!top.driven) @(negedge clk);
        permit = 1'b0;
        repeat (8) @(negedge clk);
        while (busy) @(negedge clk);
        play;
        if (updates != DAC) differ(updates, DAC, "DAC rows, of", DAC);
        if (samples != ADC) differ(samples, ADC, "samples, of", ADC);
        if (fetched != ADC) differ(fetched, ADC, "rows fetched, of", ADC);
        if (bits != SWITCHES) differ(bits, SWITCHES, "switch bits, of", SWITCHES);
        finish;
    end
endmodule

`default_nettype wire
