// Properties of the capture memory: the end of spu_capture.v where FORMAL is defined.
//
// One octet is followed from the samples to the way out: octet `f_pos` of whatever frame is in place
// `f_slot` of the ring, both arbitrary. Frames come out in the order of their places.

    // --- What the surroundings promise ------------------------------------------------------

    // A reset lasts 16 clocks at least, a slot's end among them.
    reg [4:0] f_age = 5'd0;
    reg f_slot_ended = 1'b0;
    wire f_up = f_age[4] && f_slot_ended;
    // spu_samples: cells 0 to 7 in turn, whole frames only; cells that the board lacks are 0.
    reg [2:0] f_cell;
    reg f_valid;
    wire f_begins = valid && cell_index == 3'd0;
    // Frames whose place is set aside and that have not begun; clocks since the beginnings of others.
    reg [ADDRESS:0] f_owed = NONE;
    reg [8:0] f_coming = 9'd0;
    // spu_spi: looks whose octet is not out, clocks since the last look or begin.
    reg [1:0] f_looks = 2'd0;
    reg [3:0] f_since_look = 4'd0, f_since_reserve = 4'd0;
    always @(posedge clk) begin
        if (!f_age[4]) f_age <= f_age + 5'd1;
        if (place == 3'd7) f_slot_ended <= 1'b1;
        f_cell <= cell_index;
        f_valid <= valid;
        f_owed <= f_owed + {{ADDRESS{1'b0}}, reserve} - {{ADDRESS{1'b0}}, f_begins};
        f_coming <= {f_coming[7:0], f_begins};
        f_since_reserve <= reserve ? 4'd1 : f_since_reserve == 4'd15 ? 4'd15 : f_since_reserve + 4'd1;
        f_since_look <= read_next || read_begin ? 4'd1
            : f_since_look == 4'd15 ? 4'd15 : f_since_look + 4'd1;
        f_looks <= read_begin ? 2'd0 : f_looks + {1'b0, read_next} - {1'b0, read_taken};
        if (!f_up)
            assume (clear && !valid && !reserve && !read_begin && !read_next && !read_taken);
        if (f_age != 5'd0) begin
            assume (cell_index == f_cell + 3'd1);
            if (cell_index != 3'd0) assume (valid == f_valid);
        end
        if ({1'b0, cell_index} >= CELLS[3:0]) assume (code == 16'd0 && !full);
        // spu_sequencer: a tick with a frame only where there is room, one a slot; each gives a frame.
        if (reserve) assume (room && f_since_reserve >= 4'd8);
        if (f_begins) assume (f_owed != NONE);
        // spu_commands: emptied only when no tick is on its way.
        if (clear) assume (f_owed == NONE && f_coming == 9'd0 && !reserve && !valid);
        // spu_spi, as asserted there.
        if (read_next) assume (f_looks != 2'd2 && f_since_look >= 4'd5 && !read_taken && !read_begin);
        if (read_taken) assume (f_looks == 2'd2 && !read_begin);
    end

    // --- The octet that is followed ---------------------------------------------------------

    (* anyconst *) reg [ADDRESS:0] f_slot;
    (* anyconst *) reg [4:0] f_pos;
    // Samples of the frame that comes in and of the last whole one, as one number.
    localparam integer BITS = 16 * CELLS;
    reg [BITS-1:0] f_bits, f_frame;
    wire [15:0] f_sample = (code << (5'd16 - adc_bits))
        | (full && control_bit ? 16'd1 << (5'd15 - adc_bits) : 16'd0);
    wire [BITS-1:0] f_padded = wide ? f_frame : f_frame << (8 * NARROW_OCTETS - 12 * CELLS);
    wire [BITS-1:0] f_shifted = f_padded >> (8 * (frame_octets - 5'd1 - f_pos));
    // Places of the ring: of the next frame in, of the one being read and being looked at.
    reg [ADDRESS:0] f_in = NONE, f_out = NONE, f_look = NONE;
    function [ADDRESS:0] f_after(input [ADDRESS:0] slot);
        f_after = slot + FRAME == capacity[ADDRESS:0] ? NONE : slot + FRAME;
    endfunction
    reg f_has = 1'b0, f_room = 1'b0;
    reg [ADDRESS:0] f_whole;
    reg [7:0] f_octet;
    always @(posedge clk) begin
        assume (f_slot < capacity[ADDRESS:0] && f_pos < frame_octets);
        if (valid && {1'b0, cell_index} < CELLS[3:0])
            f_bits <= wide ? {f_bits[BITS-17:0], f_sample} : {f_bits[BITS-13:0], f_sample[15:4]};
        if (valid && cell_index == 3'd7) f_frame <= wide ? f_bits : f_bits & ((1 << 12 * CELLS) - 1);
        f_room <= room;
        // Frames that are in, less one that is taken in part.
        f_whole <= stored - (read_octet != 5'd0);
        if (clear) {f_has, f_in, f_out, f_look} <= {1'b0, NONE, NONE, NONE};
        else begin
            if (frame_in) f_in <= f_after(f_in);
            if (freed) f_out <= f_after(f_out);
            if (read_begin) f_look <= freed ? f_after(f_out) : f_out;
            else if (look_frame) f_look <= f_after(f_look);
            if (freed && f_out == f_slot) f_has <= 1'b0;
            if (frame_in && f_in == f_slot) {f_has, f_octet} <= {1'b1, f_shifted[7:0]};
        end
    end

    wire [ADDRESS-1:0] f_at = f_slot * frame_words + f_pos[4:1];
    wire [15:0] f_word = f_at[HALF] ? upper[f_at[HALF-1:0]] : lower[f_at[HALF-1:0]];
    wire [ADDRESS:0] f_due = f_owed + f_coming[0] + f_coming[1] + f_coming[2] + f_coming[3]
        + f_coming[4] + f_coming[5] + f_coming[6] + f_coming[7] + f_coming[8];
    wire [1:0] f_open = (f_looks == 2'd2 && found[1]) + (f_looks != 2'd0 && found[0]);
    wire [ADDRESS:0] f_in_now = frame_in ? f_after(f_in) : f_in;
    // The same octet of the frame that is on its way in, from the samples so far: for 3 cells.
    wire [1:0] f_samples = place < 3'd3 ? place[1:0] + 2'd1 : 2'd3;
    wire [BITS+3:0] f_so_far = wide ? f_bits >> (16 * f_samples - 8 - 8 * f_pos)
        : {f_bits, 4'd0} >> (12 * f_samples - 4 - 8 * f_pos);
    wire [3:0] f_written = place >= 3'd4 ? 4'd3 : wide ? (place == 3'd3 ? 4'd3 : {1'b0, place})
        : place == 3'd0 ? 4'd0 : {1'b0, place} - 4'd1;
    wire [7:0] f_stored = f_pos[0] ? f_word[7:0] : f_word[15:8];
    always @(posedge clk) if (!f_up) begin
        assert (f_owed == NONE && f_coming == 9'd0 && f_looks == 2'd0);
        if (f_slot_ended) assert (words_written == 4'd0);
    end else begin
        // What is used of the window is the octet that came in, or 0 where no whole frame is left.
        if (read_next && !there_shown) assert (octet == 8'd0);
        if (read_next && there_shown) assert (ahead != NONE);
        if (read_next && there_shown && f_look == f_slot && look_octet == f_pos)
            assert (f_has && octet == f_octet);
        // A frame that is not wholly taken keeps its place and its octets.
        if (f_has) assert (f_stored == f_octet);
        assert (f_has == (f_slot >= f_out ? f_slot - f_out < stored
            : f_slot + capacity[ADDRESS:0] - f_out < stored));
        // Never more places than there are.
        assert (used + reserved <= capacity[ADDRESS:0] && frames <= capacity);
        assert (used + reserved == stored + f_due && f_due <= capacity[ADDRESS:0]
            && f_owed <= capacity[ADDRESS:0]);
        // Room goes away three clocks after a place was set aside, and in no other.
        if (f_room && !room) assert (f_since_reserve == 4'd3);
        assert (stored <= capacity[ADDRESS:0] && ahead <= stored);
        if (read_octet != 5'd0) assert (stored != NONE);
        if (look_octet != 5'd0) assert (ahead != NONE);
        assert (read_octet < frame_octets && look_octet < frame_octets);
        // Ahead of what was taken by what was looked at and is not out.
        assert (stored * frame_octets - read_octet == ahead * frame_octets - look_octet + f_open);
        // Counters and addresses are those of the places.
        assert (f_in < capacity && f_out < capacity && f_look < capacity);
        assert (f_in == f_out + stored || f_in + capacity[ADDRESS:0] == f_out + stored);
        assert (f_in == f_look + ahead || f_in + capacity[ADDRESS:0] == f_look + ahead);
        assert (read_at == f_out * frame_words + read_octet[4:1]);
        assert (look_at == f_look * frame_words + look_octet[4:1]);
        assert (write_at == (words_written == frame_words ? f_after(f_in) * frame_words
            : f_in_now * frame_words + words_written));
        assert (words_written <= frame_words && f_looks != 2'd3);
        assert (frames == f_whole);
        assert (frame_in == f_coming[8] && packing == f_valid && place == f_cell);
        // A frame on its way in: what is written, and what is not yet.
        assert (f_coming[7:0] == (packing ? 8'd1 << place : 8'd0));
        assert (words_written == (packing ? f_written : 4'd0));
        if (packing && f_in_now == f_slot && words_written > f_pos[4:1]) assert (f_stored == f_so_far[7:0]);
        if (frame_in && f_in == f_slot) assert (f_stored == f_shifted[7:0]);
        if (packing && place >= 3'd3) assert (word_in == 16'd0);
        if (packing && place == 3'd7) assert (f_frame == (wide ? f_bits : f_bits & ((1 << 12 * CELLS) - 1)));
        if (packing && place < 3'd3) assert (wide ? word_in == f_bits[15:0] : word_in[15:4] == f_bits[11:0]);
        if (packing && !wide) begin
            if (place == 3'd1) assert (rest == f_bits[23:12]);
            if (place == 3'd2) assert (rest[11:4] == f_bits[19:12]);
            if (place == 3'd3) assert (rest[11:8] == f_bits[3:0]);
        end
    end
