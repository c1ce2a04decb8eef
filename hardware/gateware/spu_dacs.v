// Bridge to four DAC2904: dual DACs of 14 bits, straight binary, with a register that `WRT` writes and
// one that `CLK` shows.
//
// Codes come one a clock, cells 0 to 7. Two make a pair, the two channels of a part: even cells on one
// bus to the inputs D1 of all parts, odd ones on another to D2, and one strobe a part. A pair has two
// clocks, so every edge has half a clock or more around it. Clocks, from `update` of a tick:
//
//   4 to 6     its last pair is on the buses from 3 to 5, and written at 4
//   4 to 5     the strobe of that pair; the register behind it is loaded as the strobe ends
//   5.5        the update's edge: half a clock after that, half a clock before
//   6          the strobe of the next tick's first pair, on the buses from 5 to 7
//
// `rest` puts code 0 on all DACs and keeps it there: a held code would drive its current into the
// inductors of cells that are discharged, and at power-up the parts show anything.
`default_nettype none

module spu_dacs (
    input  wire clk,
    input  wire rest,
    input  wire write,
    input  wire [2:0] cell_index,
    input  wire [13:0] code,
    input  wire update,
    output wire [13:0] even_bus,
    output wire [13:0] odd_bus,
    output wire [3:0] strobes,
    output wire update_clock
);
    localparam [13:0] MIDDLE = 14'h2000;
    wire [13:0] straight = {!code[13], code[12:0]};

    // It comes from far away.
    reg resting;
    reg [13:0] waiting, even, odd;
    reg [1:0] part;
    reg paired;
    reg [3:0] strobe;
    // While at rest all are written and updated, every eight clocks.
    reg [2:0] count = 3'd0;
    // The update's clock is high for half of its period.
    reg [5:0] updates = 6'd0;
    always @(posedge clk) begin
        count <= count + 3'd1;
        if (write && !cell_index[0]) waiting <= straight;
        paired <= write && cell_index[0];
        if (write && cell_index[0]) begin
            even <= waiting;
            odd <= straight;
            part <= cell_index[2:1];
        end
        resting <= rest;
        if (resting) begin
            even <= MIDDLE;
            odd <= MIDDLE;
        end
        strobe <= resting ? {4{count == 3'd2}} : paired ? 4'd1 << part : 4'd0;
        updates <= {updates[4:0], resting ? count == 3'd2 : update};
    end

    spu_oddr #(.WIDTH(32)) lines (
        .clk(clk), .first({strobe, odd, even}), .second({strobe, odd, even}),
        .q({strobes, odd_bus, even_bus})
    );
    spu_oddr update_line (
        .clk(clk), .first(|updates[5:2]), .second(|updates[4:1]), .q(update_clock)
    );
endmodule

`default_nettype wire
