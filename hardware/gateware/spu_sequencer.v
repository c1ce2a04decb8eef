// Sequencer and decimator: which ticks run and which of them are kept.
//
// A slot is 8 clocks, numbered by `phase`: one period of the sample clock. A tick is begun at the
// end of phase 7 (`issue`, with `issue_kept` and `issue_store`) where the sequencer runs, nothing
// pauses it, the converters' clock runs (`permit`) and, in lockstep with the stream on, the frame of
// a tick to be kept has a place (`room`). Counters count ticks as they are begun; the tick's own work
// is over some slots later (spu_ticks), and `state` tells of the end of a run only then (`drained`).
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
    output reg  issue,
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
    // Decided in phase 6: what comes in phase 7 comes after the tick.
    always @(posedge clk)
        issue <= phase == 3'd6 && run == RUN && permit && !pause && !stalled && !reset;
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
        if (control_abort && ((run == RUN && !(issue_kept && last)) || start_waits)) run <= ABORTED;
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

`ifdef FORMAL
    // The run in the words of hardware/README.md, beside the one above: ticks by their numbers.
    reg f_first = 1'b1, f_planned = 1'b0, f_going = 1'b0, f_done = 1'b0, f_aborted = 1'b0;
    reg f_stream, f_realtime;
    reg [31:0] f_settle, f_every, f_count, f_kept, f_lost;
    // Number of the tick that is begun next, and of the next one to be kept.
    reg [63:0] f_tick, f_next;
    wire f_keep = f_tick == f_next;
    wire f_full = f_keep && f_stream && !f_realtime && !room;
    // Decided in the clock before.
    reg f_issue = 1'b0;
    wire [31:0] f_count_next = f_kept + 32'd1;
    wire f_ends = f_issue && f_keep && f_count_next == f_count;
    // What `keep` and `last` say of a clock ago has changed.
    reg f_late = 1'b0;
    always @(posedge clk) begin
        f_first <= 1'b0;
        if (f_first) assume (reset);
        f_issue <= f_going && phase == 3'd6 && permit && !pause && !f_full && !reset;
        f_late <= issue || control_start || reset;
        if (f_issue) begin
            f_tick <= f_tick + 64'd1;
            if (f_keep) begin
                f_kept <= f_count_next;
                f_next <= f_next + {32'd0, f_every};
                if (f_stream && !room) f_lost <= f_lost + 32'd1;
                if (f_ends) begin
                    f_going <= 1'b0;
                    f_done <= 1'b1;
                end
            end
        end
        if (begin_run) {f_going, f_done, f_aborted} <= 3'b100;
        if (control_abort && ((f_going && !f_ends) || start_waits)) {f_going, f_done, f_aborted} <= 3'b001;
        if (control_soft_reset || reset) begin
            {f_planned, f_going, f_done, f_aborted} <= 4'b0000;
            f_kept <= 32'd0;
            f_tick <= 64'd0;
        end
        if (control_start) begin
            f_planned <= 1'b1;
            f_going <= 1'b0;
            f_settle <= control_soft_reset ? 32'd0 : settle;
            f_every <= control_soft_reset || decimation == 32'd0 ? 32'd1 : decimation;
            f_count <= control_soft_reset || count == 32'd0 ? 32'd1 : count;
            f_stream <= mode_stream && !control_soft_reset;
            f_realtime <= mode_realtime && !control_soft_reset;
            f_kept <= 32'd0;
            f_lost <= 32'd0;
            f_tick <= 64'd0;
            f_next <= control_soft_reset ? 64'd0 : {32'd0, settle};
        end
        if (reset) begin
            {f_planned, f_stream, f_realtime} <= 3'b000;
            f_lost <= 32'd0;
        end
    end

    wire [2:0] f_state = start_waits || (f_going && pause) ? STATE_PROGRAM
        : f_going || ((f_done || f_aborted) && !drained)
            ? (f_tick < {32'd0, f_settle} ? STATE_SETTLE : STATE_ACQUIRE)
        : f_done ? STATE_DONE : f_aborted ? STATE_ABORTED : STATE_IDLE;
    always @(posedge clk) if (!f_first && !reset) begin
        // A tick is begun if and only if one is due, and kept if it is S, S + D, S + 2D ...
        assert (issue == f_issue);
        assert (issue_kept == (f_issue && f_keep));
        assert (issue_store == (f_issue && f_keep && f_stream && room));
        // Until there are N: then S + (N - 1) D + 1 have run.
        if (f_going) assert (f_kept < f_count);
        if (start_waits) assert (f_kept == 32'd0 && f_tick == 64'd0);
        if (f_done && !start_waits) assert (f_kept == f_count && f_tick + {32'd0, f_every} == f_next + 64'd1);
        // (The product, where it is small.)
        if (f_planned && (f_settle | f_every | f_count) < 32'd8)
            assert (f_next == {32'd0, f_settle} + {58'd0, f_kept[2:0] * {3'd0, f_every[2:0]}});
        assert (kept == f_kept && lost == f_lost && ticks == f_tick);
        // Nothing is lost but in real time.
        if (lost != 32'd0 || (overrun && !f_late)) assert (f_stream && f_realtime);
        if (!f_late) assert (state == f_state && overrun == (lost != 32'd0));
        if (!f_late && f_going) assert (stalled == f_full);

        // What makes these true in the next clock, whatever this one is.
        assert (run == RUN ? f_going || start_waits : !f_going);
        if (!start_waits) assert ((run == DONE) == f_done && (run == ABORTED) == f_aborted);
        if (start_waits || f_going || f_done || f_aborted) assert (f_planned);
        assert (run_stream == f_stream && run_realtime == f_realtime);
        if (f_late) assert (phase == 3'd0 || pause);
        if (f_issue) assert (phase == 3'd7 && !f_late);
        if (f_issue) assert (f_going);
        assert (!(f_going && start_waits));
        assert (any_lost == (lost != 32'd0) || f_late);
        assert (lost <= f_kept || !f_planned);
        if (f_planned) begin
            assert (f_every != 32'd0 && f_count != 32'd0 && f_kept <= f_count);
            assert (f_tick <= f_next && {32'd0, until_kept} == f_next - f_tick);
            // (64 bits are enough.)
            assert (f_next <= {f_kept, 32'd0} - {32'd0, f_kept} + {32'd0, f_settle});
            assert (between == f_every - 32'd1 && left == f_count - 32'd1 - f_kept);
            assert (settling == (f_kept == 32'd0));
            if (settling) assert (f_next == {32'd0, f_settle});
            else assert (f_tick > {32'd0, f_settle});
            if (!f_late) assert (keep == f_keep && last == (left == 0));
        end
    end
`endif
endmodule

`default_nettype wire
