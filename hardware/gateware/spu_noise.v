// Noise generators: one xoshiro128++ and one shaping cubic, shared by eight cells in turn.
//
// With `step` the generator of `cell_index` steps; 11 clocks later its y is on `shaped`, with `valid` and
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

    reg [95:0] seed;
    wire seeding = loaded && loaded_at[6:5] == 2'b01;
    wire [2:0] seed_cell = loaded_at[4:2];
    wire [127:0] given = {loaded_data, seed};
    reg [127:0] seeded;
    reg [2:0] seeded_cell;
    reg seed_complete = 1'b0;
    always @(posedge clk) begin
        if (seeding) seed <= {loaded_data, seed[95:32]};
        seed_complete <= seeding && loaded_at[1:0] == 2'd3;
        seeded_cell <= seed_cell;
        seeded <= given != 128'd0 ? given
            : {28'd0, {1'b0, seed_cell} + 4'd1, 96'hB7E15162_243F6A88_9E3779B9};
    end

    // --- Generators -------------------------------------------------------------------------

    reg [127:0] states [0:7];
    reg [127:0] state;
    reg [2:0] state_cell;
    reg stepping = 1'b0;
    wire [31:0] s0 = state[31:0], s1 = state[63:32], s2 = state[95:64], s3 = state[127:96];
    wire [31:0] mixed2 = s2 ^ s0, mixed3 = s3 ^ s1;
    wire [31:0] next0 = s0 ^ mixed3;
    wire [31:0] next1 = s1 ^ mixed2;
    wire [31:0] next2 = mixed2 ^ {s1[22:0], 9'd0};
    wire [31:0] next3 = {mixed3[20:0], mixed3[31:21]};
    wire write = stepping || seed_complete;
    always @(posedge clk) begin
        stepping <= step;
        state_cell <= cell_index;
        state <= states[cell_index];
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

    reg [8:0] octets_low, octets_high;
    wire [9:0] octets = {1'b0, octets_low} + {1'b0, octets_high};
    reg signed [10:0] x, x_late, x_later;
    reg [17:0] square;
    reg [20:0] factor;
    // The cubic is x by the factor in two halves; they have a clock to leave the multipliers in.
    reg signed [21:0] part_low, part_low_late;
    reg signed [22:0] part_high, part_high_late;
    reg signed [31:0] cubic;
    wire signed [31:0] rounded = cubic + 32'sd65536;
    wire signed [21:0] x_square = x * x;
    always @(posedge clk) begin
        octets_low <= {1'b0, word[7:0]} + {1'b0, word[15:8]};
        octets_high <= {1'b0, word[23:16]} + {1'b0, word[31:24]};
        x <= $signed({1'b0, octets} - OCTET_MEAN);
        square <= x_square[17:0];
        x_late <= x;
        factor <= CUBIC + {3'd0, square};
        x_later <= x_late;
        part_low <= x_later * $signed({1'b0, factor[9:0]});
        part_high <= x_later * $signed({1'b0, factor[20:10]});
        part_low_late <= part_low;
        part_high_late <= part_high;
        cubic <= $signed({part_high_late[21:0], 10'd0}) + {{10{part_low_late[21]}}, part_low_late};
        shaped <= rounded[30:17];
    end

    // Clocks from `step`: 1 state, 2 sum, 3 word, 4 octets, 5 x, 6 square, 7 factor, 8 and 9 parts,
    // 10 cubic, 11 shaped.
    reg [10:0] valids = 11'd0;
    reg [2:0] cells [1:11];
    integer stage;
    always @(posedge clk) begin
        valids <= {valids[9:0], step};
        cells[1] <= cell_index;
        for (stage = 2; stage <= 11; stage = stage + 1) cells[stage] <= cells[stage - 1];
    end
    assign valid = valids[10];
    assign shaped_cell = cells[11];
endmodule

`default_nettype wire
