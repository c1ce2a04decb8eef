// Inputs of pins that are looked at with both edges of a clock: IDDRX1F of the ECP5.
//
// What was there at a rising edge and at the falling one after it are both on the outputs from the next
// rising edge, for one period (as in Lattice's simulation model).
`default_nettype none

module spu_iddr #(
    parameter integer WIDTH = 1
) (
    input  wire clk,
    input  wire [WIDTH-1:0] d,
    output wire [WIDTH-1:0] rise,
    output wire [WIDTH-1:0] fall
);
`ifdef YOSYS
    genvar pin;
    generate
        for (pin = 0; pin < WIDTH; pin = pin + 1) begin : pins
            IDDRX1F iddr (.SCLK(clk), .RST(1'b0), .D(d[pin]), .Q0(rise[pin]), .Q1(fall[pin]));
        end
    endgenerate
`else
    reg [WIDTH-1:0] risen, fallen, rise_shown, fall_shown;
    always @(negedge clk) fallen <= d;
    always @(posedge clk) begin
        risen <= d;
        rise_shown <= risen;
        fall_shown <= fallen;
    end
    assign rise = rise_shown;
    assign fall = fall_shown;
`endif
endmodule

`default_nettype wire
