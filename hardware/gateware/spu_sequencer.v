// Sequencer and decimator: which ticks run and which of them are kept.
//
// A slot is 8 clocks, numbered by `phase`: one period of the sample clock. A tick is begun at the
// end of phase 7 (`issue`, with `issue_kept` and `issue_store`) where the sequencer runs, nothing
// pauses it, the converters' clock runs (`permit`) and, in lockstep with the stream on, the frame of
// a tick to be kept has a place (`room`). Counters count ticks as they are begun; the tick's own work
// is over 8 slots later, and `state` tells of the end of a run only then (`drained`).
//
// Start takes over mode and plan in the clock of its command; the run begins with `begin_run`.
`default_nettype none

module spu_sequencer (
    input  wire clk,
    input  wire reset,
    input  wire control_start,
    input  wire control_abort,
    input  wire control_soft_reset,
    input  wire mode_stream,
    input  wire mode_moments,
    input  wire mode_realtime,
    input  wire mode_pattern,
    input  wire [31:0] settle,
    input  wire [31:0] decimation,
    input  wire [31:0] count,
    input  wire [2:0] phase,
    input  wire permit,
    input  wire pause,
    input  wire start_waits,
    input  wire begin_run,
    input  wire room,
    input  wire drained,
    output wire issue,
    output wire issue_kept,
    output wire issue_store,
    output reg  run_moments,
    output reg  run_pattern,
    output wire [2:0] state,
    output wire stalled,
    output wire overrun,
    output reg  [31:0] kept,
    output reg  [31:0] lost,
    output reg  [63:0] ticks
);
    localparam [1:0] IDLE = 2'd0, RUN = 2'd1, DONE = 2'd2, ABORTED = 2'd3;
    localparam [2:0] STATE_IDLE = 3'd0, STATE_PROGRAM = 3'd1, STATE_SETTLE = 3'd2,
        STATE_ACQUIRE = 3'd3, STATE_DONE = 3'd4, STATE_ABORTED = 3'd5;

    reg [1:0] run;
    reg run_stream, run_realtime;
    reg settling;
    // Ticks before the next kept one, between two kept ones, and kept ones to go; less one each in
    // the last two.
    reg [31:0] until_kept, between, left;
    wire [31:0] given_between = decimation == 32'd0 ? 32'd0 : decimation - 32'd1;
    wire [31:0] given_left = count == 32'd0 ? 32'd0 : count - 32'd1;

    // Whether they are 0, a clock late: they change with a tick or a start, and the next tick is begun
    // two clocks after either, or later.
    reg keep, last, any_lost;
    always @(posedge clk) begin
        keep <= until_kept == 32'd0;
        last <= left == 32'd0;
        any_lost <= lost != 32'd0;
    end
    wire waits_for_room = run_stream && !run_realtime;
    assign stalled = run == RUN && waits_for_room && keep && !room;
    assign issue = phase == 3'd7 && run == RUN && permit && !pause && !stalled;
    assign issue_kept = issue && keep;
    assign issue_store = issue_kept && run_stream && room;
    assign overrun = any_lost;

    wire in_settle = settling && !keep;
    wire works = run == RUN || (run != IDLE && !drained);
    assign state = start_waits || (run == RUN && pause) ? STATE_PROGRAM
        : works ? (in_settle ? STATE_SETTLE : STATE_ACQUIRE)
        : run == DONE ? STATE_DONE
        : run == ABORTED ? STATE_ABORTED
        : STATE_IDLE;

    always @(posedge clk) begin
        if (issue) begin
            ticks <= ticks + 64'd1;
            if (keep) begin
                kept <= kept + 32'd1;
                until_kept <= between;
                left <= left - 32'd1;
                settling <= 1'b0;
                if (last) run <= DONE;
                if (run_stream && !room) lost <= lost + 32'd1;
            end else until_kept <= until_kept - 32'd1;
        end
        if (begin_run) run <= RUN;
        if (control_abort && (run == RUN || start_waits)) run <= ABORTED;
        if (control_soft_reset || reset) begin
            run <= IDLE;
            kept <= 32'd0;
            ticks <= 64'd0;
            settling <= 1'b0;
        end
        if (control_start) begin
            if (run == RUN && !control_abort) run <= IDLE;
            kept <= 32'd0;
            lost <= 32'd0;
            ticks <= 64'd0;
            settling <= 1'b1;
            until_kept <= settle;
            between <= given_between;
            left <= given_left;
            run_stream <= mode_stream;
            run_moments <= mode_moments;
            run_realtime <= mode_realtime;
            run_pattern <= mode_pattern;
            // The registers go to 0 with this clock.
            if (control_soft_reset) begin
                until_kept <= 32'd0;
                between <= 32'd0;
                left <= 32'd0;
                run_stream <= 1'b0;
                run_moments <= 1'b0;
                run_realtime <= 1'b0;
                run_pattern <= 1'b0;
            end
        end
        if (reset) begin
            lost <= 32'd0;
            run_stream <= 1'b0;
            run_moments <= 1'b0;
            run_realtime <= 1'b0;
            run_pattern <= 1'b0;
        end
    end
endmodule

`default_nettype wire
