// Noise generators: one xoshiro128++ and one shaping cubic, shared by eight cells in turn.
//
// With `step` the generator of `cell_index` steps; 16 clocks later its y is on `shaped`, with `valid` and
// `shaped_cell`. One cell a clock. hardware/README.md has the arithmetic; no product or sum here can
// leave its width.
//
// Seeds come in over the loads of spu_store (addresses 32 + 4 cell + word, in that order), while
// nothing steps. A seed of four zeros stands for the one of power-up.
`default_nettype none

module spu_noise (
    input  wire clk,
    input  wire step,
    input  wire [2:0] cell_index,
    input  wire loaded,
    input  wire [6:0] loaded_at,
    input  wire [31:0] loaded_data,
    output wire valid,
    output wire [2:0] shaped_cell,
    output reg  signed [13:0] shaped
);
    localparam [20:0] CUBIC = 21'd1112072;
    localparam [10:0] OCTET_MEAN = 11'd510;

    // --- Seeds ------------------------------------------------------------------------------

    // 1: a word; 2: the words so far, and whether one is not 0; 3: the seed; then written.
    reg [31:0] given;
    reg [4:0] given_at;
    reg [127:0] seed, seeded;
    reg [2:0] seed_cell, seeded_cell;
    reg giving = 1'b0, any = 1'b0, seed_whole = 1'b0, seed_complete = 1'b0;
    always @(posedge clk) begin
        giving <= loaded && loaded_at[6:5] == 2'b01;
        given <= loaded_data;
        given_at <= loaded_at[4:0];
        if (giving) begin
            seed <= {given, seed[127:32]};
            any <= given != 32'd0 || (any && given_at[1:0] != 2'd0);
        end
        seed_whole <= giving && given_at[1:0] == 2'd3;
        seed_cell <= given_at[4:2];
        seed_complete <= seed_whole;
        seeded_cell <= seed_cell;
        seeded <= any ? seed
            : {28'd0, {1'b0, seed_cell} + 4'd1, 96'hB7E15162_243F6A88_9E3779B9};
    end

    // --- Generators -------------------------------------------------------------------------

    reg [127:0] states [0:7];
    reg [127:0] state;
    reg [2:0] asked_cell, state_cell;
    reg asked = 1'b0, stepping = 1'b0;
    wire [31:0] s0 = state[31:0], s1 = state[63:32], s2 = state[95:64], s3 = state[127:96];
    wire [31:0] mixed2 = s2 ^ s0, mixed3 = s3 ^ s1;
    wire [31:0] next0 = s0 ^ mixed3;
    wire [31:0] next1 = s1 ^ mixed2;
    wire [31:0] next2 = mixed2 ^ {s1[22:0], 9'd0};
    wire [31:0] next3 = {mixed3[20:0], mixed3[31:21]};
    wire write = stepping || seed_complete;
    always @(posedge clk) begin
        asked <= step;
        asked_cell <= cell_index;
        stepping <= asked;
        state_cell <= asked_cell;
        state <= states[asked_cell];
        if (write)
            states[stepping ? state_cell : seeded_cell]
                <= stepping ? {next3, next2, next1, next0} : seeded;
    end

    reg [31:0] sum, sum_s0, word;
    always @(posedge clk) begin
        sum <= s0 + s3;
        sum_s0 <= s0;
        word <= {sum[24:0], sum[31:25]} + sum_s0;
    end

    // --- Shape ------------------------------------------------------------------------------

    // A multiplier has registers of its own on both sides, and a clock on either side to get there in.
    reg [8:0] octets_low, octets_high;
    reg [9:0] octets;
    reg signed [10:0] x, x_squared, x_late [1:4];
    reg [17:0] square, square_late;
    reg [20:0] factor, factor_late;
    // The cubic is x by the factor in two halves.
    reg signed [21:0] part_low, part_low_late;
    reg signed [22:0] part_high, part_high_late;
    reg signed [31:0] cubic;
    wire signed [31:0] rounded = cubic + 32'sd65536;
    wire signed [21:0] x_square = x_squared * x_squared;
    always @(posedge clk) begin
        octets_low <= {1'b0, word[7:0]} + {1'b0, word[15:8]};
        octets_high <= {1'b0, word[23:16]} + {1'b0, word[31:24]};
        octets <= {1'b0, octets_low} + {1'b0, octets_high};
        x <= $signed({1'b0, octets} - OCTET_MEAN);
        x_squared <= x;
        square <= x_square[17:0];
        square_late <= square;
        factor <= CUBIC + {3'd0, square_late};
        factor_late <= factor;
        x_late[1] <= x_squared;
        x_late[2] <= x_late[1];
        x_late[3] <= x_late[2];
        x_late[4] <= x_late[3];
        part_low <= x_late[4] * $signed({1'b0, factor_late[9:0]});
        part_high <= x_late[4] * $signed({1'b0, factor_late[20:10]});
        part_low_late <= part_low;
        part_high_late <= part_high;
        cubic <= $signed({part_high_late[21:0], 10'd0}) + {{10{part_low_late[21]}}, part_low_late};
        shaped <= rounded[30:17];
    end

    // Clocks from `step`: 1 asked, 2 state, 3 sum, 4 word, 5 and 6 octets, 7 x, 8 squared, 9 and 10
    // square, 11 and 12 factor, 13 and 14 parts, 15 cubic, 16 shaped.
    reg [15:0] valids = 16'd0;
    reg [2:0] cells [1:16];
    integer stage;
    always @(posedge clk) begin
        valids <= {valids[14:0], step};
        cells[1] <= cell_index;
        for (stage = 2; stage <= 16; stage = stage + 1) cells[stage] <= cells[stage - 1];
    end
    assign valid = valids[15];
    assign shaped_cell = cells[16];
endmodule

`default_nettype wire
