// The SPI slave with a free host, core and capture memory; its properties are in spi.vh.
`default_nettype none

module spi (
    input  wire clk,
    input  wire reset,
    input  wire sck,
    input  wire select_n,
    input  wire mosi,
    input  wire [31:0] rdata,
    input  wire [7:0] fifo_octet,
    output wire miso,
    output wire we,
    output wire taken,
    output wire fifo_taken,
    output wire [31:0] wdata
);
    spu_spi slave (
        .clk(clk), .reset(reset),
        .spi_sck(sck), .spi_select_n(select_n), .spi_mosi(mosi), .spi_miso(miso),
        .addr(), .wdata(wdata), .we(we), .re(), .taken(taken), .rdata(rdata),
        .fifo_begin(), .fifo_next(), .fifo_taken(fifo_taken), .fifo_octet(fifo_octet)
    );
endmodule

// A run of it, at the fastest clock: a read that ends as its word is asked for and, as soon as it may be,
// one of a word's first octet; two octets of the window; a word that is written. What is read is free.
module spi_run (
    input  wire [31:0] rdata,
    input  wire [7:0] fifo_octet
);
    (* gclk *) reg step;
    reg clk = 1'b0, reset = 1'b1, sck = 1'b0, select_n = 1'b1, was = 1'b0;
    // Steps to wait; which transaction, its bits to go and what it sends.
    reg [2:0] pause = 3'd0;
    reg [1:0] number = 2'd0;
    reg [6:0] left;
    reg [63:0] sends;
    wire miso, we, taken, fifo_taken;
    wire [31:0] wdata;
    spi slave (
        .clk(clk), .reset(reset), .sck(sck), .select_n(select_n), .mosi(sends[63]), .rdata(rdata),
        .fifo_octet(fifo_octet), .miso(miso), .we(we), .taken(taken), .fifo_taken(fifo_taken),
        .wdata(wdata)
    );
    always @(posedge step) begin
        clk <= !clk;
        reset <= 1'b0;
        was <= sck;
        // The host changes what it sends with the falling edge.
        if (was && !sck) sends <= sends << 1;
        if (pause != 3'd0) pause <= pause - 3'd1;
        else if (select_n) begin
            select_n <= 1'b0;
            pause <= 3'd1;
            case (number)
                2'd0: {left, sends} <= {7'd24, 64'h8000_5000_0000_0000};
                2'd1: {left, sends} <= {7'd40, 64'h8000_1000_0000_0000};
                2'd2: {left, sends} <= {7'd48, 64'h8040_0000_0000_0000};
                default: {left, sends} <= {7'd64, 64'h0000_1000_1234_5678};
            endcase
        end else if (sck) begin
            sck <= 1'b0;
            left <= left - 7'd1;
            pause <= left == 7'd1 ? 3'd0 : 3'd1;
        end else if (left != 7'd0) sck <= 1'b1;
        else begin
            select_n <= 1'b1;
            number <= number + 2'd1;
            pause <= 3'd5;
        end
    end

    reg [1:0] octets = 2'd0;
    always @(posedge step) if (!reset) begin
        if (fifo_taken && !clk) octets <= octets + 2'd1;
        // A pin that is high in the last bit: of the word's octet, and of the window's.
        cover (miso && number == 2'd1 && left == 7'd1);
        cover (taken);
        cover (miso && number == 2'd2 && left == 7'd1);
        cover (octets == 2'd2);
        cover (we && wdata == 32'h1234_5678);
    end
endmodule

`default_nettype wire
