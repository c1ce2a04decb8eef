// Saturation counters: kept samples at full scale, one counter a cell, each stops at 2^32 - 1.
//
// One sample a clock, counted in the clock after `valid`. `clear` acts at once: the next sample of
// each cell starts its counter. Bus: the value is on `rdata` in the clock after `re`.
`default_nettype none

module spu_saturation (
    input  wire clk,
    input  wire clear,
    input  wire valid,
    input  wire [2:0] cell_index,
    input  wire last,
    input  wire full,
    input  wire re,
    input  wire [2:0] index,
    output reg  [31:0] rdata
);
    reg [31:0] counts [0:7];
    // Nothing was counted since the last clear.
    reg fresh;
    wire [31:0] old = fresh ? 32'd0 : counts[cell_index];
    wire [31:0] grown = old + {31'd0, full && old != 32'hFFFF_FFFF};
    always @(posedge clk) begin
        if (valid) counts[cell_index] <= grown;
        if (clear) fresh <= 1'b1;
        else if (valid && last) fresh <= 1'b0;
        if (re) rdata <= fresh ? 32'd0 : counts[index];
    end
endmodule

`default_nettype wire
