// The capture memory with 3 cells, whose frames of 12-bit samples end in half a word, and 32 words. Any
// capacity that fits, any width of the samples; the properties stand in capture.vh.
`default_nettype none

module capture (
    input  wire clk,
    input  wire clear,
    input  wire reserve,
    input  wire valid,
    input  wire [2:0] cell_index,
    input  wire signed [15:0] code,
    input  wire full,
    input  wire read_begin,
    input  wire read_next,
    input  wire read_taken,
    output wire room,
    output wire [31:0] frames,
    output wire [7:0] octet,
    // What the board is: constants.
    input  wire [31:0] capacity,
    input  wire [4:0] adc_bits,
    input  wire wide,
    input  wire control_bit
);
    localparam integer CELLS = 3, ADDRESS = 5;
    (* anyconst *) reg [38:0] constants;
    wire [5:0] room_for = wide ? 6'd16 : 6'd12;
    always @(posedge clk) begin
        assume ({capacity, adc_bits, wide, control_bit} == constants);
        // Three words a frame in either width.
        assume (capacity != 32'd0 && capacity <= 32'd10);
        assume (adc_bits >= 5'd8 && {1'b0, adc_bits} + {5'd0, control_bit} <= room_for);
    end
    spu_capture #(.CELLS(CELLS), .ADDRESS(ADDRESS)) memory (
        .clk(clk), .clear(clear), .capacity(capacity), .adc_bits(adc_bits), .wide(wide),
        .control_bit(control_bit), .reserve(reserve), .room(room), .valid(valid),
        .cell_index(cell_index), .code(code), .full(full), .frames(frames),
        .read_begin(read_begin), .read_next(read_next), .read_taken(read_taken), .octet(octet)
    );
endmodule

// A run of it: frames of any samples come in as long as there is room, then every octet is read, or the
// memory is emptied in the middle of that.
module capture_run (
    input  wire clk,
    input  wire signed [15:0] code
);
    (* anyconst *) reg emptied;
    reg [8:0] at = 9'd0;
    always @(posedge clk) at <= at == 9'd511 ? 9'd511 : at + 9'd1;
    // A tick in every slot, its frame two slots later.
    reg [2:0] due = 3'd0;
    wire room;
    wire [31:0] frames;
    wire [7:0] octet;
    wire reserve = at >= 9'd32 && at < 9'd64 && at[2:0] == 3'd3 && room;
    // In the window: a look every 12 clocks, a clock or two after the octet before has left.
    reg [3:0] turn = 4'd0;
    reg [4:0] looks = 5'd0;
    wire reading = at > 9'd104;
    wire read_next = reading && turn == 4'd11;
    wire read_taken = reading && turn == 4'd9 && looks >= 5'd2;
    always @(posedge clk) begin
        if (at[2:0] == 3'd7) due <= {due[1:0], 1'b0};
        if (reserve) due[0] <= 1'b1;
        turn <= !reading || turn == 4'd11 ? 4'd0 : turn + 4'd1;
        if (read_next) looks <= looks + 5'd1;
    end
    wire valid = due[2];
    capture memory (
        .clk(clk), .clear(at < 9'd16 || (emptied && looks == 5'd5 && turn == 4'd10)),
        .reserve(reserve), .valid(valid), .cell_index(at[2:0]),
        .code(at[2:0] < 3'd3 ? code : 16'sd0), .full(1'b0),
        .read_begin(at == 9'd100), .read_next(read_next), .read_taken(read_taken), .room(room),
        .frames(frames), .octet(octet), .capacity(32'd2), .adc_bits(5'd11), .wide(1'b0),
        .control_bit(1'b1)
    );
    always @(posedge clk)
        // Two frames of five octets and no place for a third; all are out.
        if (looks == 5'd12) cover (!emptied && frames == 32'd0);
endmodule

`default_nettype wire
