// Properties of the sequencer, with the commands and the ticks on their way around it.
//
// Commands, plan, room, the converters' clock, memory and switches are free in every clock: the
// properties hold whatever they do. The counters have their full width.
`default_nettype none

module sequencer (
    input  wire clk,
    input  wire reset,
    input  wire control_start,
    input  wire control_abort,
    input  wire control_apply,
    input  wire control_reseed,
    input  wire control_discharge,
    input  wire control_fifo_clear,
    input  wire control_soft_reset,
    input  wire mode_stream,
    input  wire mode_moments,
    input  wire mode_realtime,
    input  wire mode_pattern,
    input  wire [31:0] settle,
    input  wire [31:0] decimation,
    input  wire [31:0] count,
    input  wire permit,
    input  wire room,
    input  wire load_granted,
    input  wire switches_busy,
    output wire [2:0] state,
    output wire stalled,
    output wire overrun,
    output wire [31:0] kept,
    output wire [31:0] lost,
    output wire [63:0] ticks
);
    // As in spu_core.
    reg [2:0] phase;
    always @(posedge clk) phase <= reset ? 3'd0 : phase + 3'd1;

    wire quiet, drained, pause, start_waits, begin_run, clear_fifo, load, discharge, switches_start;
    spu_commands commands (
        .clk(clk), .reset(reset),
        .control_start(control_start), .control_abort(control_abort),
        .control_apply(control_apply), .control_reseed(control_reseed),
        .control_discharge(control_discharge), .control_fifo_clear(control_fifo_clear),
        .control_soft_reset(control_soft_reset),
        .quiet(quiet), .drained(drained), .pause(pause), .start_waits(start_waits),
        .load(load), .load_at(), .load_granted(load_granted),
        .switches_start(switches_start), .switches_busy(switches_busy),
        .discharge(discharge), .clear_fifo(clear_fifo), .begin_run(begin_run)
    );
    wire issue, issue_kept, issue_store;
    spu_sequencer sequencer (
        .clk(clk), .reset(reset),
        .control_start(control_start), .control_abort(control_abort),
        .control_soft_reset(control_soft_reset),
        .mode_stream(mode_stream), .mode_moments(mode_moments), .mode_realtime(mode_realtime),
        .mode_pattern(mode_pattern), .settle(settle), .decimation(decimation), .count(count),
        .phase(phase), .permit(permit), .pause(pause), .start_waits(start_waits),
        .begin_run(begin_run), .room(room), .drained(drained),
        .issue(issue), .issue_kept(issue_kept), .issue_store(issue_store),
        .run_moments(), .run_pattern(),
        .state(state), .stalled(stalled), .overrun(overrun),
        .kept(kept), .lost(lost), .ticks(ticks)
    );
    wire step, dac_update, adc_sample, fetch, fetch_store;
    spu_ticks flight (
        .clk(clk), .reset(reset), .phase(phase),
        .issue(issue), .issue_kept(issue_kept), .issue_store(issue_store),
        .step(step), .dac_update(dac_update), .adc_sample(adc_sample),
        .fetch(fetch), .fetch_store(fetch_store), .quiet(quiet), .drained(drained)
    );

    // Power-up: spu_top holds reset for the first clocks. It may come again at any time.
    reg first = 1'b1;
    always @(posedge clk) begin
        first <= 1'b0;
        if (first) assume (reset);
    end

    wire commanded = control_start || control_abort || control_apply || control_reseed
        || control_discharge || control_fifo_clear || control_soft_reset;
    reg allowed = 1'b0, had_room = 1'b0;
    always @(posedge clk) begin
        allowed <= permit && !stalled && !pause && !commanded && !reset;
        had_room <= room;
        // A place is set aside two clocks after the tick, so that room goes away in phase 2 only: as
        // asserted in capture.vh.
        if (phase == 3'd7 && had_room) assume (room);
    end
    always @(posedge clk) if (!first && !reset) begin
        // No tick where one may not be when it is decided: paused, not permitted, stalled.
        if (issue) assert (phase == 3'd7 && allowed);
        if (load || discharge || switches_start || clear_fifo || begin_run)
            assert (!issue && quiet && !step && !dac_update && !adc_sample);
        if (clear_fifo || begin_run) assert (drained && !fetch);
        // The converters' work belongs to a tick, and a frame to a kept one.
        if (issue_store) assert (issue_kept);
        if (issue_kept) assert (issue);
        if (fetch_store) assert (fetch);
    end
endmodule

// What the properties speak of does happen: a run with S = 1, D = 2, N = 2 comes to its end after 4
// ticks, also where it stalls, and where it loses a frame in real time. Room and real time are free.
module sequencer_run (
    input wire clk,
    input wire room,
    input wire mode_realtime
);
    reg [8:0] clocks = 9'd0;
    always @(posedge clk) clocks <= clocks + 9'd1;
    wire stalled, overrun;
    wire [2:0] state;
    wire [31:0] kept, lost;
    wire [63:0] ticks;
    // What power-up asks for is done by then.
    wire start = clocks == 9'd135;
    sequencer watched (
        .clk(clk), .reset(clocks == 9'd0), .control_start(start), .control_abort(1'b0),
        .control_apply(1'b0), .control_reseed(1'b0), .control_discharge(1'b0),
        .control_fifo_clear(1'b0), .control_soft_reset(1'b0), .mode_stream(1'b1),
        .mode_moments(1'b0), .mode_realtime(mode_realtime), .mode_pattern(1'b0), .settle(32'd1),
        .decimation(32'd2), .count(32'd2), .permit(1'b1), .room(room), .load_granted(1'b1),
        .switches_busy(1'b0), .state(state), .stalled(stalled), .overrun(overrun), .kept(kept),
        .lost(lost), .ticks(ticks)
    );
    reg was_stalled = 1'b0;
    wire in_full = clocks > 9'd135 && state == 3'd4 && ticks == 64'd4 && kept == 32'd2;
    always @(posedge clk) begin
        was_stalled <= was_stalled || stalled;
        cover (in_full && !was_stalled && !overrun);
        cover (in_full && was_stalled);
        cover (in_full && overrun && lost == 32'd1);
    end
endmodule

`default_nettype wire
