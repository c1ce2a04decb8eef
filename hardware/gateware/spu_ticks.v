// A tick on its way: from the noise generators over the converters to the samples.
//
// Slots of 8 clocks after the tick was begun (`issue`, at the end of phase 7):
//
//   0        generators of cells 0 to 7 step, one a clock
//   1, 2     codes leave the gain stage, 10 clocks behind, and are written to the DACs
//   2        phase 2: `dac_update`, all DACs show what they took before and hold it for one period;
//            the next tick's first code is written in this clock
//   3        phase 2: `adc_sample` ends the period of a kept tick, as the next tick's update begins
//   4        codes are fetched from the ADCs, one cell a clock, the first 6 clocks after the sample
//   4, 5, 6  samples are counted, packed and multiplied
//
// Ticks that are not kept end with slot 3. `drained`: none is on its way.
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
    output wire drained
);
    // Bit k: slot k of a tick, of a kept one, of one with a frame to store.
    reg [6:0] running;
    reg [4:0] kept, store;
    always @(posedge clk) begin
        if (reset) begin
            running <= 7'd0;
            kept <= 5'd0;
            store <= 5'd0;
        end else if (phase == 3'd7) begin
            running <= {running[5:0], issue};
            kept <= {kept[3:0], issue_kept};
            store <= {store[3:0], issue_store};
        end
    end
    assign step = running[0];
    assign dac_update = running[2] && phase == 3'd2;
    assign adc_sample = kept[3] && phase == 3'd2;
    assign fetch = kept[4];
    assign fetch_store = store[4];
    assign drained = running == 7'd0;
endmodule

`default_nettype wire
