// Reads the identity of the synthesised netlist at its pins, WORDS words from address 0, and prints them.
//
// The netlist is what is placed: spu_top in cells of an ECP5, with the build's GATEWARE_ID in it, without
// block RAM, multipliers and registers of pins: nothing of them reaches these words.
`default_nettype none
`timescale 1ns / 1ps

module spu_netlist_tb;
    parameter integer WORDS = 4;

    reg clk = 1'b0;
    always #5.208 clk = !clk;

    reg reset_n = 1'b0, sck = 1'b0, select_n = 1'b1, mosi = 1'b0;
    wire miso;
    spu_top top (
        .clk(clk), .reset_n(reset_n), .spi_sck(sck), .spi_select_n(select_n), .spi_mosi(mosi),
        .spi_miso(miso), .converters_ready(1'b0), .adc_data(96'd0)
    );

    // One octet out and in, at 10 MHz.
    reg [7:0] got;
    integer i;
    task octet(input [7:0] out);
        for (i = 7; i >= 0; i = i - 1) begin
            mosi = out[i];
            #50 sck = 1'b1;
            got[i] = miso;
            #50 sck = 1'b0;
        end
    endtask

    reg [31:0] word;
    integer n, lane;
    initial begin
        #1000 reset_n = 1'b1;
        #1000 select_n = 1'b0;
        octet(8'h80);
        octet(8'h00);
        octet(8'h00);
        octet(8'h00);
        for (n = 0; n < WORDS; n = n + 1) begin
            for (lane = 0; lane < 4; lane = lane + 1) begin
                octet(8'h00);
                word = {word[23:0], got};
            end
            $display("WORD %h", word);
        end
        select_n = 1'b1;
        $finish;
    end
endmodule

// Yosys's name for a pin that can be let go.
module \$_TBUF_ (input wire A, input wire E, output wire Y);
    assign Y = E ? A : 1'bz;
endmodule

`default_nettype wire
