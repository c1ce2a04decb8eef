// A tick on its way: from the noise generators over the converters to the samples.
//
// Slots of 8 clocks after the tick was begun (`issue`, at the end of phase 7):
//
//   0        generators of cells 0 to 7 step, one a clock
//   3        codes leave the gain stage, 24 clocks behind, and are written to the DACs
//   4        phase 0: `dac_update`, all DACs show what they took before and hold it for one period;
//            the next tick's first code is written in this clock
//   5        phase 0: `adc_sample` ends the period of a kept tick, as the next tick's update begins
//            conversions are on their way through the ADCs for CONVERSION slots, and then, in slot F,
//   F        codes are fetched, one cell a clock, the first 8 CONVERSION clocks after the sample
//   F to F+2 samples are counted, packed and multiplied
//
// Ticks that are not kept end with slot 5. `quiet`: none is on its way to its sample, so that codes, switches
// and cells may change; `drained`: none is on its way.
`default_nettype none

module spu_ticks #(
    parameter integer CONVERSION = 8
) (
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
    output reg  quiet,
    output reg  drained
);
    // A slot after that of the sample, which is late at the pins.
    localparam integer SAMPLED = 6, FETCH = 5 + CONVERSION, END = FETCH + 2;
    // Bit k: slot k of a tick, of a kept one, of one with a frame to store.
    reg [END:0] running;
    reg [FETCH:0] kept, store;
    wire [END:0] running_next = {running[END-1:0], issue};
    always @(posedge clk) begin
        if (reset) begin
            running <= {(END + 1){1'b0}};
            kept <= {(FETCH + 1){1'b0}};
            store <= {(FETCH + 1){1'b0}};
            quiet <= 1'b1;
            drained <= 1'b1;
        end else if (phase == 3'd7) begin
            running <= running_next;
            kept <= {kept[FETCH-1:0], issue_kept};
            store <= {store[FETCH-1:0], issue_store};
            quiet <= running_next[SAMPLED:0] == {(SAMPLED + 1){1'b0}};
            drained <= running_next == {(END + 1){1'b0}};
        end
    end
    assign step = running[0];
    assign dac_update = running[4] && phase == 3'd0;
    assign adc_sample = kept[5] && phase == 3'd0;
    assign fetch = kept[FETCH];
    assign fetch_store = store[FETCH];

`ifdef FORMAL
    // Slots since the last tick was begun.
    reg [4:0] f_slots = 5'd31;
    reg f_first = 1'b1;
    always @(posedge clk) begin
        f_first <= 1'b0;
        if (f_first) assume (reset);
        if (reset) f_slots <= 5'd31;
        else if (phase == 3'd7) f_slots <= issue ? 5'd0 : f_slots == 5'd31 ? 5'd31 : f_slots + 5'd1;
        if (!f_first && !reset) begin
            // As long as a tick is on its way, and no longer.
            assert (drained == (f_slots >= $bits(running)));
            assert (drained == (running == 0));
            assert (quiet == (running[SAMPLED:0] == 0));
            // Seven slots after the last one.
            assert (quiet == (f_slots > SAMPLED));
            assert ((running & ((32'd1 << f_slots) - 32'd1)) == 0);
            if (!drained) assert ((running >> f_slots) & 1);
            // A kept tick is one that runs, one with a frame to store is kept.
            assert ((kept & ~running[FETCH:0]) == 0 && (store & ~kept) == 0);
        end
    end
`endif
endmodule

`default_nettype wire
