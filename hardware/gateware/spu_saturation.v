// Saturation counters: kept samples at full scale, one counter a cell, each stops at 2^32 - 1.
//
// One sample a clock, counted in the third clock after `valid`. `clear` acts at once: the next sample of
// each cell starts its counter. Bus: the value is on `rdata` two clocks after `re`.
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
    // 1: count so far; 2: whether it grows; then written.
    reg [31:0] old, count;
    reg [2:0] old_cell, count_cell;
    reg reading, reading_full, counting, grows;
    reg asked;
    reg [2:0] asked_cell;
    always @(posedge clk) begin
        old <= fresh ? 32'd0 : counts[cell_index];
        old_cell <= cell_index;
        reading <= valid;
        reading_full <= full;
        count <= old;
        count_cell <= old_cell;
        counting <= reading;
        grows <= reading_full && old != 32'hFFFF_FFFF;
        if (counting) counts[count_cell] <= count + {31'd0, grows};
        if (clear) fresh <= 1'b1;
        else if (valid && last) fresh <= 1'b0;
        asked <= re;
        asked_cell <= index;
        if (asked) rdata <= fresh ? 32'd0 : counts[asked_cell];
    end
endmodule

`default_nettype wire
