// A tick on its way: from the noise generators over the converters to the samples.
//
// Slots of 8 clocks after the tick was begun (`issue`, at the end of phase 7):
//
//   0        generators of cells 0 to 7 step, one a clock
//   2, 3     codes leave the gain stage, 18 clocks behind, and are written to the DACs
//   3        phase 2: `dac_update`, all DACs show what they took before and hold it for one period;
//            the next tick's first code is written in this clock
//   4        phase 2: `adc_sample` ends the period of a kept tick, as the next tick's update begins
//   5        codes are fetched from the ADCs, one cell a clock, the first 6 clocks after the sample
//   5, 6, 7  samples are counted, packed and multiplied
//
// Ticks that are not kept end with slot 4. `drained`: none is on its way.
`default_nettype none

module spu_ticks (
    input  wire clk,
    input  wire reset,
    input  wire [2:0] phase,
    input  wire issue,
    input  wire issue_kept,
    input  wire issue_store,
    output wire step,
    output wire dac_update,
    output wire adc_sample,
    output wire fetch,
    output wire fetch_store,
    output reg  drained
);
    // Bit k: slot k of a tick, of a kept one, of one with a frame to store.
    reg [7:0] running;
    reg [5:0] kept, store;
    wire [7:0] running_next = {running[6:0], issue};
    always @(posedge clk) begin
        if (reset) begin
            running <= 8'd0;
            kept <= 6'd0;
            store <= 6'd0;
            drained <= 1'b1;
        end else if (phase == 3'd7) begin
            running <= running_next;
            kept <= {kept[4:0], issue_kept};
            store <= {store[4:0], issue_store};
            drained <= running_next == 8'd0;
        end
    end
    assign step = running[0];
    assign dac_update = running[3] && phase == 3'd2;
    assign adc_sample = kept[4] && phase == 3'd2;
    assign fetch = kept[5];
    assign fetch_store = store[5];
endmodule

`default_nettype wire
