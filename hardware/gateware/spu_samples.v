// Samples: codes from the ADC bus, cut to the symmetric range, or the test pattern in their place.
//
// `fetch` with `cell_index` addresses one ADC a clock; its code is on `adc_data` in the next clock, and
// the sample of the cell comes out three clocks later: 4 clocks from `fetch` to `valid`. Cells that
// the board lacks give 0. `full`: the code is at full scale. `last` marks the frame's last cell.
//
// The pattern at kept index k, cell c is k CELLS + c in the low `adc_bits` bits: one counter, which
// `begin_run` sets to 0.
`default_nettype none

module spu_samples #(
    parameter integer CELLS = 8
) (
    input  wire clk,
    input  wire reset,
    input  wire [4:0] adc_bits,
    input  wire [15:0] full_scale,
    input  wire begin_run,
    input  wire pattern,
    input  wire fetch,
    input  wire fetch_store,
    input  wire [2:0] cell_index,
    input  wire signed [15:0] adc_data,
    output reg  valid,
    output reg  store,
    output reg  [2:0] sample_cell,
    output reg  last,
    output reg  signed [15:0] code,
    output reg  full
);
    localparam [3:0] CELL_COUNT = CELLS[3:0];

    // 1: asked; 2: there; 3: compared with full scale; then cut.
    reg asked, asked_store, there, there_store, there_present;
    reg compared, compared_store, compared_present, above, below, at_end;
    reg [2:0] asked_cell, there_cell, compared_cell;
    reg [15:0] counter;
    wire present = {1'b0, asked_cell} < CELL_COUNT;
    wire [4:0] unused = 5'd16 - adc_bits;
    wire [15:0] raised = counter << unused;
    wire signed [15:0] counted = $signed(raised) >>> unused;
    reg signed [15:0] given, compared_code;
    wire signed [15:0] high = $signed(full_scale), low = -$signed(full_scale);

    always @(posedge clk) begin
        asked <= fetch && !reset;
        asked_store <= fetch_store;
        asked_cell <= cell_index;
        there <= asked && !reset;
        there_store <= asked_store;
        there_cell <= asked_cell;
        there_present <= present;
        given <= pattern ? counted : adc_data;
        compared <= there && !reset;
        compared_store <= there_store;
        compared_cell <= there_cell;
        compared_present <= there_present;
        compared_code <= given;
        above <= given > high;
        below <= given < low;
        at_end <= given == high || given == low;
        valid <= compared && !reset;
        store <= compared_store;
        sample_cell <= compared_cell;
        last <= compared_cell == 3'd7;
        code <= !compared_present ? 16'sd0 : above ? high : below ? low : compared_code;
        full <= compared_present && (above || below || at_end);
        if (begin_run) counter <= 16'd0;
        else if (asked && present) counter <= counter + 16'd1;
    end
endmodule

`default_nettype wire
