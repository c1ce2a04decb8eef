// Commands of the control register, in the order in which one write of several is meant.
//
// A command waits until no tick is on its way to its sample (`quiet`), the last two below until none is on
// its way at all (`drained`); no tick is begun while one waits (`pause`). Then, as far as asked for: `apply`
// copies codes to the gain stage and the switch driver, `reseed` copies seeds; after `apply` the switches are
// waited for; `discharge` shorts the cells for DISCHARGE_CLOCKS; the FIFO is emptied (`clear_fifo`, one
// clock); the run begins (`begin_run`, one clock). Soft reset and abort act on the sequencer at once and have
// only the FIFO to wait for here.
//
// All is copied within 162 clocks of the write of CONTROL, 64 of them to be quiet (none is begun while a
// command waits, and seven slots after the last one it is). The next word written
// comes 123 clocks after it at the soonest (8 octets, at 50 MHz and 96 MHz), is held by spu_store while
// words are copied, and has 61 clocks before the word that follows.
//
// After the power-up reset, `apply` and `reseed` are done of themselves: every code is 0 then.
`default_nettype none

module spu_commands #(
    // Given by spu_core.
    parameter [11:0] DISCHARGE_CLOCKS = 12'd1
) (
    input  wire clk,
    input  wire reset,
    input  wire control_start,
    input  wire control_abort,
    input  wire control_apply,
    input  wire control_reseed,
    input  wire control_discharge,
    input  wire control_fifo_clear,
    input  wire control_soft_reset,
    input  wire quiet,
    input  wire drained,
    output wire pause,
    output wire start_waits,
    output reg  load,
    output reg  [6:0] load_at,
    input  wire load_granted,
    output wire switches_start,
    input  wire switches_busy,
    output reg  discharge,
    output wire clear_fifo,
    output wire begin_run
);
    localparam [2:0] READY = 3'd0, LOAD = 3'd1, LOADED = 3'd2, SWITCH = 3'd3, SHORT = 3'd4;

    reg apply, reseed, short_cells, empty, start;
    reg [2:0] state;
    reg [11:0] clocks;
    reg codes, seeds;
    wire ready = state == READY && quiet;
    wire do_copy = ready && (apply || reseed);
    wire do_short = ready && !apply && !reseed && short_cells;
    wire do_rest = ready && drained && !apply && !reseed && !short_cells;
    assign clear_fifo = do_rest && (empty || start);
    assign begin_run = do_rest && start;
    assign switches_start = state == LOADED && clocks == 12'd1 && codes;
    assign start_waits = start;
    assign pause = apply || reseed || short_cells || empty || start || state != READY
        || control_start || control_abort || control_apply || control_reseed
        || control_discharge || control_fifo_clear || control_soft_reset;

    always @(posedge clk) begin
        if (reset) begin
            apply <= 1'b1;
            reseed <= 1'b1;
            short_cells <= 1'b0;
            empty <= 1'b0;
            start <= 1'b0;
            state <= READY;
            load <= 1'b0;
            load_at <= 7'd0;
            discharge <= 1'b0;
            codes <= 1'b0;
            seeds <= 1'b0;
            clocks <= 12'd0;
        end else begin
            case (state)
                READY: begin
                    load <= do_copy;
                    load_at <= apply ? 7'd0 : 7'd32;
                    codes <= apply;
                    seeds <= reseed;
                    clocks <= DISCHARGE_CLOCKS;
                    if (do_copy) state <= LOAD;
                    if (do_short) state <= SHORT;
                    discharge <= do_short;
                    if (do_copy) apply <= 1'b0;
                    if (do_copy) reseed <= 1'b0;
                    if (do_short) short_cells <= 1'b0;
                    if (do_rest) begin
                        empty <= 1'b0;
                        start <= 1'b0;
                    end
                end
                LOAD: if (load_granted) begin
                    load_at <= load_at + 7'd1;
                    // The seeds lie between the banks of the cells and those of the pairs.
                    if (!seeds && load_at == 7'd31) load_at <= 7'd64;
                    if (load_at == (codes ? 7'd91 : 7'd63)) begin
                        load <= 1'b0;
                        clocks <= 12'd8;
                        state <= LOADED;
                    end
                end
                // The last words are on their way.
                LOADED: begin
                    clocks <= clocks - 12'd1;
                    if (clocks == 12'd0) state <= codes ? SWITCH : READY;
                end
                SWITCH: if (!switches_busy) state <= READY;
                default: begin
                    clocks <= clocks - 12'd1;
                    if (clocks == 12'd0) begin
                        discharge <= 1'b0;
                        state <= READY;
                    end
                end
            endcase
            if (control_apply) apply <= 1'b1;
            if (control_reseed) reseed <= 1'b1;
            if (control_discharge) short_cells <= 1'b1;
            if (control_soft_reset || control_fifo_clear) empty <= 1'b1;
            // What waits is called off by an abort, and by a reset.
            if (control_soft_reset || control_abort) start <= 1'b0;
            if (control_start) start <= 1'b1;
        end
    end

`ifdef FORMAL
    reg f_first = 1'b1, f_open = 1'b0;
    always @(posedge clk) begin
        f_first <= 1'b0;
        f_open <= !pause && !reset;
        if (f_first) assume (reset);
        if (!f_first && !reset) begin
            // Where a tick could be begun, nothing waits or is being done in the next clock.
            if (f_open) assert (state == READY && !apply && !reseed && !short_cells && !empty && !start);
            // Nothing is done while a tick is on its way to its sample, nothing begun while one is on its way.
            if (state != READY || load || discharge) assert (quiet);
            if (clear_fifo || begin_run) assert (drained && quiet);
            if (load) assert (state == LOAD);
            if (discharge) assert (state == SHORT);
            if (switches_start) assert (state == LOADED);
        end
    end
`endif
endmodule

`default_nettype wire
