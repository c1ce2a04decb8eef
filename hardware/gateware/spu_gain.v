// Gain stage: code = clamp(((y gain + 2^11) >> 12) + bias, +- full scale), one cell a clock.
//
// Latency 3 clocks from `valid` to `code_valid`. Active gains and biases are copies, taken over the
// loads of spu_store (addresses 16 + cell and 24 + cell) while no cell is on its way.
`default_nettype none

module spu_gain (
    input  wire clk,
    input  wire [15:0] full_scale,
    input  wire valid,
    input  wire [2:0] cell_index,
    input  wire signed [13:0] shaped,
    input  wire loaded,
    input  wire [6:0] loaded_at,
    input  wire [31:0] loaded_data,
    output wire code_valid,
    output wire [2:0] code_cell,
    output reg  signed [15:0] code
);
    reg [15:0] gains [0:7];
    reg [15:0] biases [0:7];
    always @(posedge clk) begin
        if (loaded && loaded_at[6:3] == 4'd2) gains[loaded_at[2:0]] <= loaded_data[15:0];
        if (loaded && loaded_at[6:3] == 4'd3) biases[loaded_at[2:0]] <= loaded_data[15:0];
    end

    // 1: product; 2: sum; 3: clamp. |y gain| < 2^29.
    reg signed [30:0] product;
    reg signed [15:0] bias;
    reg signed [19:0] sum;
    wire signed [30:0] rounded = product + 31'sd2048;
    wire signed [18:0] scaled = rounded[30:12];
    wire signed [19:0] high = $signed({4'd0, full_scale});
    always @(posedge clk) begin
        product <= shaped * $signed({1'b0, gains[cell_index]});
        bias <= biases[cell_index];
        sum <= {scaled[18], scaled} + {{4{bias[15]}}, bias};
        code <= sum > high ? high[15:0] : sum < -high ? -high[15:0] : sum[15:0];
    end

    reg [2:0] valids = 3'd0;
    reg [8:0] cells;
    always @(posedge clk) begin
        valids <= {valids[1:0], valid};
        cells <= {cells[5:0], cell_index};
    end
    assign code_valid = valids[2];
    assign code_cell = cells[8:6];
endmodule

`default_nettype wire
