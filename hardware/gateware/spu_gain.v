// Gain stage: code = clamp(((y gain + 2^11) >> 12) + bias, +- full scale), one cell a clock.
//
// Latency 8 clocks from `valid` to `code_valid`. Active gains and biases are copies, taken over the
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

    // 1: factor; 2: both before the multiplier; 3 and 4: product, which has a clock to leave it in;
    // 5: rounded, bias; 6: sum; 7: compared; 8: clamped. |y gain| < 2^29.
    reg signed [16:0] factor, factor_late;
    reg signed [13:0] y, y_late;
    reg signed [30:0] product, product_late;
    wire signed [30:0] rounded = product_late + 31'sd2048;
    reg signed [18:0] scaled;
    reg signed [15:0] bias;
    reg signed [19:0] sum, sum_late;
    reg above, below;
    wire signed [19:0] high = $signed({4'd0, full_scale});
    reg [7:0] valids = 8'd0;
    reg [2:0] cells [1:8];
    integer stage;
    always @(posedge clk) begin
        factor <= $signed({1'b0, gains[cell_index]});
        y <= shaped;
        factor_late <= factor;
        y_late <= y;
        product <= y_late * factor_late;
        product_late <= product;
        scaled <= rounded[30:12];
        bias <= biases[cells[4]];
        sum <= {scaled[18], scaled} + {{4{bias[15]}}, bias};
        sum_late <= sum;
        above <= sum > high;
        below <= sum < -high;
        code <= above ? high[15:0] : below ? -high[15:0] : sum_late[15:0];
        valids <= {valids[6:0], valid};
        cells[1] <= cell_index;
        for (stage = 2; stage <= 8; stage = stage + 1) cells[stage] <= cells[stage - 1];
    end
    assign code_valid = valids[7];
    assign code_cell = cells[8];
endmodule

`default_nettype wire
