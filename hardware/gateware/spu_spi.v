// SPI slave: mode 0, most significant bit first; the transactions of hardware/README.md.
//
// Two clock domains. The shift registers run on `spi_sck`, so that the bus may be faster than a
// core that samples it could follow; everything else runs on `clk`. What crosses, and why it may:
//
// - `octet` (sck -> clk): written with the eighth rising edge, which also flips `received`. The
//   core reads it two to three of its periods after the flip; it stays for eight periods of sck.
// - `hold` (clk -> sck): taken by the falling edge after an octet's last bit, which also flips
//   `loaded`. The core changes it only after it has seen that flip, and is done 11 of its periods
//   later; the next falling edge that takes it comes eight periods of sck after the flip.
// - select (pin -> clk): looked at two stages later than the flips, so the last octet of a
//   transaction is always handled before its end. It is also the asynchronous reset of the bit
//   counter and of the shift register towards the pin.
//
// Needed: f(clk) >= 1.5 f(sck), select high for at least 3 periods of `clk` between transactions.
//
// A word to be read is fetched during the octet before its first one, an octet of the FIFO window
// likewise; `taken` and `fifo_taken` say that the word's first octet, or the octet, was clocked out
// in full. `fifo_next` is high in the clock in which `fifo_octet` is used and moves the FIFO's
// look-ahead; `fifo_begin` puts it back to the first octet that was not taken. `rdata` is used
// six clocks after `re`. A write is on the bus three to four clocks after its last bit.
`default_nettype none

module spu_spi (
    input  wire clk,
    input  wire reset,
    input  wire spi_sck,
    input  wire spi_select_n,
    input  wire spi_mosi,
    output wire spi_miso,
    output reg  [15:0] addr,
    output reg  [31:0] wdata,
    output reg  we,
    output reg  re,
    output reg  taken,
    input  wire [31:0] rdata,
    output reg  fifo_begin,
    output wire fifo_next,
    output reg  fifo_taken,
    input  wire [7:0] fifo_octet
);
    // --- Clock of the bus -------------------------------------------------------------------

    reg [2:0] bit_count = 3'd0;
    reg [6:0] shift_in = 7'd0;
    reg [7:0] octet = 8'd0;
    reg received = 1'b0;
    always @(posedge spi_sck or posedge spi_select_n)
        if (spi_select_n) bit_count <= 3'd0;
        else bit_count <= bit_count + 3'd1;

    // The configuration flash shares clock and data: nothing moves while others are selected.
    always @(posedge spi_sck)
        if (!spi_select_n) begin
            shift_in <= {shift_in[5:0], spi_mosi};
            if (bit_count == 3'd7) begin
                octet <= {shift_in, spi_mosi};
                received <= !received;
            end
        end

    reg [7:0] hold;
    reg [7:0] shift_out = 8'd0;
    reg loaded = 1'b0;
    always @(negedge spi_sck or posedge spi_select_n)
        if (spi_select_n) shift_out <= 8'd0;
        else if (bit_count == 3'd0) shift_out <= hold;
        else shift_out <= {shift_out[6:0], 1'b0};
    always @(negedge spi_sck)
        if (!spi_select_n && bit_count == 3'd0) loaded <= !loaded;
    assign spi_miso = shift_out[7];

    // --- Clock of the core ------------------------------------------------------------------

    wire received_now, loaded_now, select_n_now;
    spu_sync sync_received (.clk(clk), .d(received), .q(received_now));
    spu_sync sync_loaded (.clk(clk), .d(loaded), .q(loaded_now));
    spu_sync #(.INITIAL(1'b1)) sync_select (.clk(clk), .d(spi_select_n), .q(select_n_now));
    reg received_seen = 1'b0;
    reg loaded_late = 1'b0, loaded_seen = 1'b0;
    reg [1:0] select_n_late = 2'b11;
    always @(posedge clk) begin
        received_seen <= received_now;
        // One stage more: an octet that ends at a load has been handled when the load is.
        loaded_late <= loaded_now;
        loaded_seen <= loaded_late;
        select_n_late <= {select_n_late[0], select_n_now};
    end
    wire idle = select_n_late[1];
    wire octet_in = received_now != received_seen;
    wire hold_taken = loaded_late != loaded_seen;

    // Octets so far; 4: data.
    reg [2:0] count;
    reg reading;
    wire in_fifo = addr[15:14] == 2'b01;
    // Kept apart from the address, which goes up: a read that starts in the window stays there.
    reg fifo_read;
    // Octet of the word that comes in or goes out, and that will be put into `hold`.
    reg [1:0] data_lane, hold_lane;
    reg [23:0] word;
    // A word that was asked for, by clocks since.
    reg [5:0] fetched;
    reg fifo_fetch;
    assign fifo_next = fifo_fetch;

    always @(posedge clk) begin
        we <= 1'b0;
        re <= 1'b0;
        taken <= 1'b0;
        fifo_begin <= 1'b0;
        fifo_taken <= 1'b0;
        fetched <= {fetched[4:0], re};
        fifo_fetch <= 1'b0;
        if (we || re) addr <= addr + 16'd4;
        if (reset || idle) begin
            count <= 3'd0;
            reading <= 1'b0;
            fifo_read <= 1'b0;
            data_lane <= 2'd0;
            hold_lane <= 2'd0;
            hold <= 8'd0;
            // A word that was asked for in the last transaction may not come in this one.
            fetched <= 6'd0;
        end else begin
            if (octet_in) begin
                if (count < 3'd4) count <= count + 3'd1;
                case (count)
                    3'd0: reading <= octet == 8'h80;
                    3'd1: addr[15:8] <= octet;
                    3'd2: addr[7:0] <= octet;
                    3'd3: ;
                    default: begin
                        data_lane <= data_lane + 2'd1;
                        wdata <= {wdata[23:0], octet};
                        we <= !reading && data_lane == 2'd3;
                        taken <= reading && !fifo_read && data_lane == 2'd0;
                        fifo_taken <= fifo_read;
                    end
                endcase
                fifo_begin <= count == 3'd1;
            end
            // From the load of the octet that fills the time: the first of the data is next.
            if (hold_taken && reading && count >= 3'd3) begin
                if (count == 3'd3) fifo_read <= in_fifo;
                if (count == 3'd3 ? in_fifo : fifo_read) begin
                    fifo_fetch <= 1'b1;
                end else begin
                    hold_lane <= hold_lane + 2'd1;
                    re <= hold_lane == 2'd0;
                    hold <= word[23:16];
                    word <= {word[15:0], 8'd0};
                end
            end
            if (fetched[5]) {hold, word} <= rdata;
            if (fifo_fetch) hold <= fifo_octet;
        end
    end

`ifdef FORMAL
`include "formal/spi.vh"
`endif
endmodule

`default_nettype wire
