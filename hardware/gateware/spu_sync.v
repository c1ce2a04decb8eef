// Two flip-flops between clock domains, for one wire that changes on its own (a level or a toggle).
//
// `q` follows `d` two to three periods of `clk` later. No reset: what comes out of the first two
// clocks is `INITIAL`.
`default_nettype none

module spu_sync #(
    parameter [0:0] INITIAL = 1'b0
) (
    input  wire clk,
    input  wire d,
    output wire q
);
    (* async_reg = "true" *) reg [1:0] stages = {2{INITIAL}};
    always @(posedge clk) stages <= {stages[0], d};
    assign q = stages[1];
endmodule

`default_nettype wire
