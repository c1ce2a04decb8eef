// Plays vectors that the simulator wrote (`identity --vectors`), and compares what comes out.
//
// In the folder VECTORS, one hexadecimal word a line: `board.hex` what the board is; `adc.hex` the codes
// of the kept ticks; `spi.hex` what happens at the SPI; and, to compare, `dac.hex` the row that the DACs
// show in each tick, `switches.hex` each bit into the bank switches. Rows are 128 bits, cell 0 lowest.
// Words of spi.hex have what to do in the highest octet:
//
//   01 n  let at most n ticks begin        02 n  so many did
//   03 h  half a period of the SPI's clock, in ps
//   04 o  select, if it is not low, and send octet o
//   05 w o  send w: o comes back           06    select high, and wait while the gateware is busy
`default_nettype none
`timescale 1ps/1ps

module spu_vectors_tb #(
    parameter VECTORS = ".",
    parameter integer SPI = 1,
    parameter integer ADC = 1,
    parameter integer DAC = 1,
    parameter integer SWITCHES = 1
);
    localparam integer HALF_CORE = 5208;
    reg [31:0] constants [0:26];
    reg [31:0] spi [0:SPI-1];
    reg [127:0] adc_rows [0:ADC-1];
    reg [127:0] dac_rows [0:DAC-1];
    reg switch_bits [0:SWITCHES-1];
    initial begin
        $readmemh({VECTORS, "/board.hex"}, constants);
        $readmemh({VECTORS, "/spi.hex"}, spi);
        $readmemh({VECTORS, "/adc.hex"}, adc_rows);
        $readmemh({VECTORS, "/dac.hex"}, dac_rows);
        $readmemh({VECTORS, "/switches.hex"}, switch_bits);
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
    task differ(input [127:0] found, input [127:0] expected, input [8*24-1:0] what, input integer at);
        begin
            errors = errors + 1;
            $display("%0s %0d, %0t ps: found %h, expected %h", what, at, $time, found, expected);
            // What follows may follow from it.
            finish;
        end
    endtask
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

    integer at, half, bit_index, waited, before;
    reg [7:0] got;
    task exchange(input [7:0] octet);
        for (bit_index = 7; bit_index >= 0; bit_index = bit_index - 1) begin
            sck = 1'b0; mosi = octet[bit_index];
            #half got = {got[6:0], miso};
            sck = 1'b1;
            #half ;
        end
    endtask

    initial begin
        half = 10_000;
        #1 configure = 1'b1;
        repeat (16) @(negedge clk);
        reset = 1'b0;
        repeat (8) @(negedge clk);
        while (busy) @(negedge clk);
        for (at = 0; at < SPI; at = at + 1)
            case (spi[at][31:24])
                8'h01: begin
                    before = ticks;
                    waited = 0;
                    permit = 1'b1;
                    while (ticks - before < spi[at][23:0] && waited <= 16) begin
                        @(negedge clk);
                        #1 waited = began ? 0 : waited + 1;
                    end
                    permit = 1'b0;
                    while (busy) @(negedge clk);
                end
                8'h02:
                    if (ticks - before !== spi[at][23:0])
                        differ(ticks - before, spi[at][23:0], "ticks, at word", at);
                8'h03: half = spi[at][23:0];
                8'h04: begin
                    if (select_n) begin
                        select_n = 1'b0;
                        #half ;
                    end
                    exchange(spi[at][7:0]);
                end
                8'h05: begin
                    exchange(spi[at][15:8]);
                    octets = octets + 1;
                    if (got !== spi[at][7:0]) differ(got, spi[at][7:0], "octet, at word", at);
                end
                8'h06: begin
                    sck = 1'b0;
                    #half select_n = 1'b1;
                    #40_000 ;
                    while (busy) @(negedge clk);
                end
                default: differ(spi[at], 0, "nothing to do, at word", at);
            endcase
        if (updates != DAC) differ(updates, DAC, "DAC rows, of", DAC);
        if (samples != ADC) differ(samples, ADC, "samples, of", ADC);
        if (bits != SWITCHES) differ(bits, SWITCHES, "switch bits, of", SWITCHES);
        finish;
    end
endmodule

`default_nettype wire
