// Outputs of pins that may change with both edges of the clock: ODDRX1F of the ECP5.
//
// What `first` and `second` are before a rising edge is on the pins in the first and second half of the
// clock that begins two rising edges later (as in Lattice's simulation model). All lines of an interface
// go through one of these, so that this latency is the same for all and their skew is that of pins.
`default_nettype none

module spu_oddr #(
    parameter integer WIDTH = 1
) (
    input  wire clk,
    input  wire [WIDTH-1:0] first,
    input  wire [WIDTH-1:0] second,
    output wire [WIDTH-1:0] q
);
`ifdef YOSYS
    genvar pin;
    generate
        for (pin = 0; pin < WIDTH; pin = pin + 1) begin : pins
            ODDRX1F oddr (
                .SCLK(clk), .RST(1'b0), .D0(first[pin]), .D1(second[pin]), .Q(q[pin])
            );
        end
    endgenerate
`else
    // Each half is there before its turn, so that nothing else is on the pin between them.
    reg [WIDTH-1:0] first_taken, second_taken, first_waiting, second_waiting, first_ready, second_ready;
    always @(posedge clk) begin
        first_taken <= first;
        second_taken <= second;
        first_waiting <= first_taken;
        second_waiting <= second_taken;
        second_ready <= second_waiting;
    end
    always @(negedge clk) first_ready <= first_waiting;
    assign q = clk ? first_ready : second_ready;
`endif
endmodule

`default_nettype wire
