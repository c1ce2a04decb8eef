// Power-up of the ADC3644: hardware reset, then registers over the SPI that all four parts share.
//
// Begins with the first `ready`; `done` stays until the next reset. Codes that come before it mean nothing.
// Each register is one write of 24 bits while `enable_n` is low: 0 (write), three zeros, 12 bits of
// address, 8 of data, highest first, taken by the rising edge of `serial_clock` (6 MHz, of at most 12).
//
// The parts need little: DDR lines, two's complement and no decimation are what they start with, and the
// reference is chosen by the voltage at their pin REFBUF. Left is the kind of clock.
`default_nettype none

module spu_adc_setup (
    input  wire clk,
    input  wire reset,
    input  wire ready,
    output reg  hardware_reset,
    output reg  enable_n,
    output reg  serial_clock,
    output reg  serial_data,
    output reg  done
);
    // Register 0x0E, bit 0, SE CLK EN: the clock comes on CLKP alone. Names and addresses of SBAS886A, the
    // data sheet of the ADC3641 to ADC3643, whose register map was read; to be verified in SBASA46, as
    // is that 0 in REF CTRL (bit 3) leaves the reference to the pin.
    localparam integer WRITES = 1;
    localparam [24 * WRITES - 1:0] TABLE = {4'd0, 12'h00E, 8'h01};

    // 11 us of reset, 85 us until the first write and 21 us after the last. From memory, to be verified: 1 us
    // of reset and less than a microsecond after it. A part is awake 13 us after a power-down (SBASA46).
    localparam [13:0] RELEASED = 14'd1024, BEGIN = 14'd9216;
    // Clocks of a bit are 16. A write takes 32 of them, 24 with the bits between pauses.
    localparam [13:0] END = BEGIN + 14'd512 * WRITES[13:0], LAST = END + 14'd2000;

    reg started;
    reg [13:0] clocks;
    wire [13:0] writing = clocks - BEGIN;
    wire in_table = clocks >= BEGIN && clocks < END;
    wire [4:0] place = writing[8:4];
    wire in_word = in_table && place >= 5'd4 && place < 5'd28;
    reg [24 * WRITES - 1:0] bits;
    always @(posedge clk) begin
        if (reset) begin
            started <= 1'b0;
            clocks <= 14'd0;
            bits <= TABLE;
        end else begin
            if (ready) started <= 1'b1;
            if (started && clocks != LAST) clocks <= clocks + 14'd1;
            if (in_word && writing[3:0] == 4'd15) bits <= bits << 1;
        end
        done <= clocks == LAST && !reset;
        hardware_reset <= started && clocks < RELEASED;
        enable_n <= !(in_table && place >= 5'd3 && place < 5'd29);
        serial_clock <= in_word && writing[3];
        serial_data <= in_word && bits[24 * WRITES - 1];
    end
endmodule

`default_nettype wire
