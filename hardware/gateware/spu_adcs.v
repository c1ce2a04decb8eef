// Bridge to four ADC3644: dual ADCs of 14 bits at 48 MHz, codes in two's complement on DDR lines.
//
// Part n has cells 2n (channel A) and 2n + 1 (channel B); of each channel the upper 12 of 14 bits are
// wired, two on a line: bit 2l of the code with the rising edge of the part's data clock, bit 2l + 1 with
// the falling one after it. Line 12 n + 6 (channel) + l. This assignment is from memory of SBASA46, as are
// the edges below; the assignment of `codes` is the place to change it.
//
// `sample_clocks` fall with every second clock of the core, among them the edge at which the DACs' next
// period begins: 5.5 clocks after the core's `adc_sample`, as spu_dacs. The ADC samples as its clock falls.
// It begins to send the code one period (2 clocks) and its own delay later; the registers of the pins have
// both halves of it a period after that, and for one period.
//
// Crossing from the four data clocks to `clk`: they are `clk` itself, divided, after a way out, through a
// part and back. Their frequency is exactly half of it; what is not known is the delay D of the whole way
// (pin, traces, ADC, pin, clock net, and from the pin's register to `taken`). So the registers change at
// 9.5 clocks + D after `adc_sample` and every 2 clocks, and `taken` looks once in a sample period, at 12:
// it gets the right code, of lines that all stand still, as long as 0.5 clocks < D < 2.5 clocks, 5.2 ns
// to 26.0 ns. No synchroniser could widen that: a later edge has the next code. Another way is another
// TAKEN, a clock later for 10.4 ns more. The codes then wait for the slot in which they are asked for, and
// `code` is in each clock that of the cell whose number `phase` was in the clock before.
`default_nettype none

module spu_adcs (
    input  wire clk,
    input  wire [2:0] phase,
    output wire [3:0] sample_clocks,
    input  wire [3:0] data_clocks,
    input  wire [47:0] lines,
    output wire [11:0] code
);
    // `adc_sample` is in phase 0; this one ends 12 clocks after that one began.
    localparam [2:0] TAKEN = 3'd3, KEPT = 3'd7;

    spu_oddr #(.WIDTH(4)) clock_lines (
        .clk(clk), .first({4{!phase[0]}}), .second({4{phase[0]}}), .q(sample_clocks)
    );
    wire [47:0] rise, fall;
    wire [95:0] codes;
    genvar part, line;
    generate
        for (part = 0; part < 4; part = part + 1) begin : parts
            spu_iddr #(.WIDTH(12)) data_lines (
                .clk(data_clocks[part]), .d(lines[12 * part +: 12]),
                .rise(rise[12 * part +: 12]), .fall(fall[12 * part +: 12])
            );
        end
        for (line = 0; line < 48; line = line + 1) begin : bits
            assign codes[2 * line +: 2] = {fall[line], rise[line]};
        end
    endgenerate

    // What was kept leaves one code a clock, from cell 0 in phase 0.
    reg [95:0] taken;
    reg [107:0] kept;
    always @(posedge clk) begin
        if (phase == TAKEN) taken <= codes;
        kept <= phase == KEPT ? {taken, kept[23:12]} : kept >> 12;
    end
    assign code = kept[11:0];
endmodule

`default_nettype wire
