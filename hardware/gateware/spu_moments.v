// Moment accumulators: 8 sums and 36 products of the kept samples, with five multipliers.
//
// The samples of a tick come one cell a clock and are then held in a ring that turns once in 8
// clocks: in turn l, multiplier d forms the product of cells l and l + d (mod 8) for d = 0 to 4,
// which covers every pair (of distance 4 twice). A product is at most 2^30, so 64 bits hold 2^32 of
// them, and 48 bits as many codes. 12 clocks from a tick's last sample to the last accumulator.
//
// `clear` acts at once: the next tick starts the accumulators. Bus: 64-bit values in two words, low
// word at even indices, on `rdata` five clocks after `sum_re` or `product_re`. Accumulators have
// one read port: words read while ticks are on their way are not to be used.
`default_nettype none

module spu_moments #(
    parameter integer CELLS = 8
) (
    input  wire clk,
    input  wire reset,
    input  wire clear,
    input  wire enable,
    input  wire valid,
    input  wire last,
    input  wire signed [15:0] code,
    input  wire [3:0] sum_index,
    input  wire sum_re,
    output reg  [31:0] sum_rdata,
    input  wire [6:0] product_index,
    input  wire product_re,
    output reg  [31:0] product_rdata
);
    // --- Ring -------------------------------------------------------------------------------

    reg [127:0] ring, collected;
    reg turning;
    reg [2:0] lane;
    wire [127:0] shifted = {code, collected[127:16]};
    always @(posedge clk) begin
        if (valid) collected <= shifted;
        ring <= {ring[15:0], ring[127:16]};
        lane <= lane + 3'd1;
        if (lane == 3'd7) turning <= 1'b0;
        if (valid && last) begin
            ring <= shifted;
            lane <= 3'd0;
            turning <= enable;
        end
        if (reset) turning <= 1'b0;
    end

    // --- Addressed by the bus ---------------------------------------------------------------

    // The access in the clock after.
    reg bus_re, bus_product;
    reg [3:0] bus_sum;
    reg [6:0] bus_index;
    always @(posedge clk) begin
        bus_re <= sum_re || product_re;
        bus_product <= product_re;
        bus_sum <= sum_index;
        bus_index <= product_index;
    end

    // Cells i <= j of a product, by the order of the register map.
    reg [2:0] first;
    reg [5:0] passed;
    integer i;
    always @* begin
        first = 3'd0;
        passed = 6'd0;
        for (i = 1; i < CELLS; i = i + 1)
            if (bus_index[6:1] >= row(i)) begin
                first = i[2:0];
                passed = row(i);
            end
    end
    // Products before those of a row.
    function [5:0] row(input integer index);
        integer passed_by;
        begin
            passed_by = index * CELLS - index * (index - 1) / 2;
            row = passed_by[5:0];
        end
    endfunction
    // And whose words they are, a clock later.
    reg found_re, found_product;
    reg [3:0] found_sum;
    reg [2:0] found_first, apart;
    reg found_high;
    always @(posedge clk) begin
        found_re <= bus_re;
        found_product <= bus_product;
        found_sum <= bus_sum;
        found_first <= first;
        apart <= bus_index[3:1] - passed[2:0];
        found_high <= bus_index[0];
    end
    wire [2:0] found_second = found_first + apart;
    // Distances 5 to 7 are 3 to 1 the other way round.
    wire [2:0] distance = apart > 3'd4 ? 3'd0 - apart : apart;
    wire [2:0] product_lane = apart > 3'd4 ? found_second : found_first;

    // What was asked for last.
    reg high_word;
    reg [2:0] asked_lane, asked_distance;
    always @(posedge clk)
        if (found_re) begin
            high_word <= found_product ? found_high : found_sum[0];
            asked_lane <= found_product ? product_lane : found_sum[3:1];
            asked_distance <= distance;
        end

    // --- Accumulators -----------------------------------------------------------------------

    reg fresh;
    // 1: factors; 2: product; 3: old value, and the product has left the multiplier; 4: sum written.
    reg chosen, multiplied, adding;
    reg [2:0] chosen_lane, multiplied_lane, add_lane;
    wire [2:0] read_lane = multiplied ? multiplied_lane : asked_lane;
    always @(posedge clk) begin
        chosen <= turning && !reset;
        chosen_lane <= lane;
        multiplied <= chosen && !reset;
        multiplied_lane <= chosen_lane;
        adding <= multiplied && !reset;
        add_lane <= multiplied_lane;
        if (clear) fresh <= 1'b1;
        else if (multiplied && multiplied_lane == 3'd7) fresh <= 1'b0;
    end

    wire signed [15:0] near = ring[15:0];
    wire [5*32-1:0] product_words;
    genvar d;
    generate
        for (d = 0; d < 5; d = d + 1) begin : multiplier
            reg signed [63:0] totals [0:7];
            reg signed [63:0] total;
            reg signed [31:0] product, product_late;
            reg signed [15:0] left, right;
            wire signed [63:0] old = fresh ? 64'sd0 : totals[read_lane];
            always @(posedge clk) begin
                left <= near;
                right <= ring[16*d +: 16];
                product <= left * right;
                product_late <= product;
                total <= old;
                if (adding) totals[add_lane] <= total + {{32{product_late[31]}}, product_late};
            end
            assign product_words[32*d +: 32] = high_word ? total[63:32] : total[31:0];
        end
    endgenerate

    reg signed [47:0] sums [0:7];
    reg signed [47:0] sum;
    reg signed [15:0] added, added_late, added_later;
    always @(posedge clk) begin
        sum <= fresh ? 48'sd0 : sums[read_lane];
        added <= near;
        added_late <= added;
        added_later <= added_late;
        if (adding) sums[add_lane] <= sum + {{32{added_later[15]}}, added_later};
        sum_rdata <= high_word ? {{16{sum[47]}}, sum[47:32]} : sum[31:0];
        product_rdata <= product_words[32*asked_distance +: 32];
    end
endmodule

`default_nettype wire
