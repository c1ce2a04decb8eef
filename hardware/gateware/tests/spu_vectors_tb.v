// Plays vectors that the simulator wrote (see spu_script.vh) to the core, and compares what comes out.
`default_nettype none
`timescale 1ps/1ps

module spu_vectors_tb #(
    parameter VECTORS = ".",
    parameter integer SPI = 1,
    parameter integer ADC = 1,
    parameter integer DAC = 1,
    parameter integer SWITCHES = 1
);
    localparam integer HALF_CORE = 5208, PATIENCE = 16;
    reg [31:0] constants [0:26];
    initial begin
        $readmemh({VECTORS, "/board.hex"}, constants);
    end

    reg clk = 1'b0, reset = 1'b1, configure = 1'b0;
    always #HALF_CORE clk = !clk;
    reg sck = 1'b0, select_n = 1'b1, mosi = 1'b0, permit = 1'b0;
    wire miso, busy, began, updated, sampled, shifted, shifted_bit, latched, discharged, event_seen;
    wire [127:0] dac;
    reg [127:0] adc = 128'd0;
    spu_board board (
        .configure(configure), .mistake(8'd0),
        .gateware_id(constants[0]), .board(constants[1]), .banks(constants[2]),
        .converters(constants[3]), .sample_clock_hz(constants[4]), .capture_frames(constants[5]),
        .serial({constants[7], constants[6]}),
        .profile_name({constants[11], constants[10], constants[9], constants[8]}),
        .real_words({constants[26], constants[25], constants[24], constants[23], constants[22],
            constants[21], constants[20], constants[19], constants[18], constants[17],
            constants[16], constants[15], constants[14], constants[13], constants[12]}),
        .clk(clk), .reset(reset),
        .spi_sck(sck), .spi_select_n(select_n), .spi_mosi(mosi), .spi_miso(miso),
        .permit(permit), .busy(busy), .began(began), .updated(updated), .sampled(sampled),
        .shifted(shifted), .shifted_bit(shifted_bit), .latched(latched), .discharged(discharged),
        .event_seen(event_seen), .dac(dac), .adc(adc)
    );

    integer errors = 0, octets = 0, ticks = 0;
    integer updates = 0, samples = 0, bits = 0;
    `include "spu_script.vh"
    task finish;
        begin
            if (errors == 0)
                $display("PASS spu_vectors, %0d ticks, %0d octets, %0d DAC rows, %0d switch bits",
                    ticks, octets, updates, bits);
            else $display("FAIL spu_vectors");
            $finish;
        end
    endtask

    // Between the edges, when what the last rising one did is there.
    always @(negedge clk) if (!reset) begin
        if (began) ticks = ticks + 1;
        if (sampled) begin
            if (samples >= ADC) differ(0, 0, "sample past the last", samples);
            adc = adc_rows[samples];
            samples = samples + 1;
        end
        if (updated) begin
            if (updates >= DAC || dac !== dac_rows[updates])
                differ(dac, dac_rows[updates], "DAC row", updates);
            updates = updates + 1;
        end
        if (shifted) begin
            if (bits >= SWITCHES || shifted_bit !== switch_bits[bits])
                differ(shifted_bit, switch_bits[bits], "switch bit", bits);
            bits = bits + 1;
        end
    end

    initial begin
        half = 10_000;
        #1 configure = 1'b1;
        repeat (16) @(negedge clk);
        reset = 1'b0;
        repeat (8) @(negedge clk);
        while (busy) @(negedge clk);
        play;
        if (updates != DAC) differ(updates, DAC, "DAC rows, of", DAC);
        if (samples != ADC) differ(samples, ADC, "samples, of", ADC);
        if (bits != SWITCHES) differ(bits, SWITCHES, "switch bits, of", SWITCHES);
        finish;
    end
endmodule

`default_nettype wire
