// Properties of the SPI slave: the end of spu_spi.v where FORMAL is defined.
//
// A step of the solver is half a period of `clk`. Edges of `spi_sck` and of select fall on any step, at
// the least distances below. What changes in the step of an edge of `clk` is taken up by the next one,
// what changes a step earlier at once: so a synchroniser's first flip-flop is early or late.

    (* gclk *) reg step;
    // The next step is an edge of the core's clock.
    wire f_sampled = !clk;
    reg f_first = 1'b1, f_clk = 1'b0, f_sck = 1'b0, f_mosi = 1'b0;
    // Select in the last steps, the youngest in bit 0; the flips that the core has seen.
    reg [10:0] f_select = 11'h7ff;
    reg [5:0] f_received = 6'd0;
    reg [7:0] f_loaded = 8'd0;
    wire f_rises = spi_sck && !f_sck, f_falls = !spi_sck && f_sck;
    wire f_selects = !spi_select_n && f_select[0], f_deselects = spi_select_n && !f_select[0];
    // Steps since the last edge of a kind, 3 at the most.
    reg [1:0] f_since_rise = 2'd3, f_since_fall = 2'd3;

    // --- What the header asks of the host ---------------------------------------------------

    always @(posedge step) begin
        f_first <= 1'b0;
        f_clk <= clk;
        f_sck <= spi_sck;
        f_mosi <= spi_mosi;
        f_select <= {f_select[9:0], spi_select_n};
        f_received <= {f_received[4:0], received};
        f_loaded <= {f_loaded[6:0], loaded};
        f_since_rise <= f_rises ? 2'd1 : f_since_rise == 2'd3 ? 2'd3 : f_since_rise + 2'd1;
        f_since_fall <= f_falls ? 2'd1 : f_since_fall == 2'd3 ? 2'd3 : f_since_fall + 2'd1;
        if (f_first) assume (spi_select_n && !spi_sck && !clk);
        else assume (clk != f_clk);
        // f(clk) >= 1.5 f(sck).
        if (f_rises) assume (f_since_rise == 2'd3);
        if (f_falls) assume (f_since_fall == 2'd3);
        // Mode 0: select changes with the clock low. High for 3 periods of `clk`; the bus's clock may
        // go on meanwhile, for the flash.
        if (f_selects || f_deselects) assume (!spi_sck && !f_sck);
        if (f_selects) assume (f_select[5:0] == 6'h3f);
        // The reset is over before the first transaction.
        assume (reset == f_first);
    end

    // --- The transaction as the host has it -------------------------------------------------

    // Bits so far (from 127 on it goes back to 96), the last seven, the last four whole octets, and
    // what they said.
    reg [6:0] f_bits = 7'd0;
    reg [6:0] f_last = 7'd0;
    reg [31:0] f_history = 32'd0;
    wire [31:0] f_now = {f_history[23:0], f_last, f_mosi};
    reg f_reading, f_window;
    reg [15:0] f_head;
    // Octets that are whole and steps since: a word that was written, the first of a word that was
    // read, one of the window, the second of the command.
    reg f_write = 1'b0, f_word_out = 1'b0, f_octet_out = 1'b0, f_begun = 1'b0;
    reg [31:0] f_written;
    reg [3:0] f_waits = 4'd0;
    // Where the next word is written or read; words that were asked for, those that the core gave, and
    // what is on its way to the pin.
    reg [15:0] f_at;
    reg [5:0] f_asked = 6'd0;
    reg f_have_word = 1'b0, f_have_octet = 1'b0;
    reg [31:0] f_next_word, f_word;
    reg [7:0] f_next_octet, f_pin = 8'd0;
    // Octets of the window that were used and are not out; clocks since the last was used.
    reg [1:0] f_looks = 2'd0;
    reg [3:0] f_since_look = 4'd0;
    wire f_data = f_bits >= 7'd32 && f_reading;
    wire f_octet_starts = f_bits[2:0] == 3'd0, f_word_starts = f_bits[4:0] == 5'd0;
    wire f_rise = f_rises && !spi_select_n, f_fall = f_falls && !spi_select_n;
    wire f_flips = f_rise && f_bits[2:0] == 3'd7, f_loads = f_fall && f_octet_starts;
    always @(posedge step) begin
        f_waits <= f_write || f_word_out || f_octet_out || f_begun ? f_waits + 4'd1 : 4'd0;
        if (spi_select_n) f_bits <= 7'd0;
        else if (f_rise) f_bits <= f_bits == 7'd127 ? 7'd96 : f_bits + 7'd1;
        if (f_rise) begin
            f_last <= f_now[6:0];
            if (f_flips) f_history <= f_now;
            if (f_bits == 7'd7) f_reading <= f_now[7:0] == 8'h80;
            if (f_bits == 7'd15) f_begun <= 1'b1;
            if (f_bits == 7'd15) f_head[15:8] <= f_now[7:0];
            if (f_bits == 7'd23) begin
                f_head[7:0] <= f_now[7:0];
                f_at <= f_now[15:0];
                f_window <= f_now[15:14] == 2'b01;
            end
            if (f_bits >= 7'd63 && f_bits[4:0] == 5'd31 && !f_reading)
                {f_write, f_written} <= {1'b1, f_now};
            if (f_data && f_bits[4:0] == 5'd7 && !f_window) f_word_out <= 1'b1;
            if (f_data && f_bits[2:0] == 3'd7 && f_window) f_octet_out <= 1'b1;
        end
        if (f_loads && f_data) begin
            if (f_window) f_have_octet <= 1'b0;
            else if (f_word_starts) {f_have_word, f_word} <= {1'b0, f_next_word};
        end
        if (spi_select_n) f_pin <= 8'd0;
        else if (f_fall) f_pin <= !f_octet_starts ? f_pin << 1 : !f_data ? 8'd0
            : f_window ? f_next_octet : f_word_starts ? f_next_word[31:24]
            : f_bits[4:3] == 2'd1 ? f_word[23:16] : f_bits[4:3] == 2'd2 ? f_word[15:8] : f_word[7:0];
        if (f_sampled) begin
            f_asked <= reset || idle ? 6'd0 : {f_asked[4:0], re};
            if (we) f_write <= 1'b0;
            if (taken) f_word_out <= 1'b0;
            if (fifo_taken) f_octet_out <= 1'b0;
            if (fifo_begin) f_begun <= 1'b0;
            if (re || we) f_at <= f_at + 16'd4;
            if (f_asked[5] && !idle) {f_have_word, f_next_word} <= {1'b1, rdata};
            if (fifo_next && !idle) {f_have_octet, f_next_octet} <= {1'b1, fifo_octet};
            if (idle) {f_have_word, f_have_octet} <= 2'b00;
            f_looks <= reset || fifo_begin ? 2'd0 : f_looks + {1'b0, fifo_next} - {1'b0, fifo_taken};
            f_since_look <= fifo_next || fifo_begin ? 4'd0
                : f_since_look == 4'd15 ? 4'd15 : f_since_look + 4'd1;
        end
    end

    // --- What must hold ---------------------------------------------------------------------

    always @(posedge step) if (!f_first && !reset) begin
        // The pin: 0 for the command and in writes, then what the core gave. So nothing of one
        // transaction comes in the next.
        if (f_rise) assert (spi_miso == f_pin[7]);
        if (f_loads && f_data) assert (f_window ? f_have_octet : f_have_word || !f_word_starts);
        if (f_sampled) begin
            // A word is written once, when it is whole.
            if (we) assert (f_write && addr == f_at && wdata == f_written);
            // A word is asked for in its order, an octet only of the window.
            if (re) assert (f_reading && !f_window && addr == f_at);
            if (fifo_next) assert (f_reading && f_window);
            // What was clocked out in full, and only that, is taken, once.
            if (taken) assert (f_word_out);
            if (fifo_taken) assert (f_octet_out);
            if (fifo_begin) assert (f_begun);
            // What the capture memory builds upon.
            assert ({1'b0, fifo_begin} + fifo_next + fifo_taken <= 2'd1);
            if (fifo_taken) assert (f_looks == 2'd2);
            if (fifo_next) assert (f_looks != 2'd2 && f_since_look >= 4'd4);
        end
        // None of this is forgotten.
        assert (f_waits < 4'd12);
    end

    // --- What makes this true in the next step ----------------------------------------------

    // The bus as it was a step ago: what is said above of the host's side is of that step.
    reg [2:0] f_bit_count = 3'd0;
    reg [6:0] f_shift_in = 7'd0;
    reg [7:0] f_octet = 8'd0, f_shift_out = 8'd0;
    // Octets of the transaction and loads, until the core has seen its end.
    reg [3:0] f_octets = 4'd0, f_loads_done = 4'd0;
    reg f_ended = 1'b0;
    // Steps since then, 31 at the most.
    reg [4:0] f_since_load = 5'd31, f_since_flip = 5'd31, f_since_select = 5'd31;
    always @(posedge step) begin
        {f_bit_count, f_shift_in} <= {bit_count, shift_in};
        {f_octet, f_shift_out} <= {octet, shift_out};
        f_since_load <= f_loads ? 5'd1 : f_since_load == 5'd31 ? 5'd31 : f_since_load + 5'd1;
        f_since_flip <= f_flips ? 5'd1 : f_since_flip == 5'd31 ? 5'd31 : f_since_flip + 5'd1;
        f_since_select <= f_selects ? 5'd1 : f_since_select == 5'd31 ? 5'd31 : f_since_select + 5'd1;
        if (f_flips) f_octets <= f_octets == 4'd15 ? 4'd12 : f_octets + 4'd1;
        if (f_loads) f_loads_done <= f_loads_done == 4'd15 ? 4'd12 : f_loads_done + 4'd1;
        if (f_deselects) f_ended <= 1'b1;
        else if (f_sampled && idle) f_ended <= 1'b0;
        if (f_sampled && (idle || reset)) {f_octets, f_loads_done} <= 8'd0;
    end
    // An octet, or a load, that the core has not handled, and those that it has.
    wire f_octet_flies = f_received[0] != received_seen, f_load_flies = f_loaded[0] != loaded_seen;
    wire [3:0] f_handled = f_octets - {3'd0, f_octet_flies};
    wire [3:0] f_lane = f_loads_done - {3'd0, f_load_flies};
    wire f_in = !f_select[0];
    // Falling edges since the last load; an octet's last bit is in, and its clock still high.
    wire [2:0] f_falls_since = f_sck ? f_bits[2:0] - 3'd1 : f_bits[2:0];
    wire f_between = f_sck && f_octet_starts && f_bits != 7'd0;
    wire f_reads = f_lane >= 4'd3 && f_reading;
    wire f_last_lane = f_lane[1:0] == 2'd3;
    wire [2:0] f_words = re + f_asked[0] + f_asked[1] + f_asked[2] + f_asked[3] + f_asked[4]
        + f_asked[5] + f_have_word;
    wire [31:0] f_kept = f_octet_flies ? f_history >> 8 : f_history;
    wire [1:0] f_ahead = f_handled[1:0] - f_lane[1:0];
    integer i;
    always @(posedge step) if (!f_first && !reset) begin
        // The bus.
        assert (f_in || (f_bits == 7'd0 && f_pin == 8'd0));
        assert (f_bit_count == f_bits[2:0] && f_shift_in == f_last && f_shift_out == f_pin);
        assert (f_octet == f_history[7:0]);
        if (f_in && f_bits == 7'd0) assert (!f_sck);
        if (f_in) for (i = 0; i < 11; i = i + 1) begin
            if (i < f_since_select) assert (!f_select[i]);
            else if (i < f_since_select + 6) assert (f_select[i]);
        end
        // Time goes on.
        assert (f_since_load >= {3'd0, f_since_fall} && f_since_flip >= {3'd0, f_since_rise});
        if (f_in) assert (f_since_load >= 5'd3 * f_falls_since + f_since_fall);
        if (f_in) assert (f_since_flip >= 5'd3 * f_bits[2:0] + f_since_rise);
        if (f_in && f_bits != 7'd0 && f_bits <= 7'd8)
            assert (f_since_select >= 5'd3 * (f_bits[3:0] - 4'd1) + f_since_rise);
        // The core sees what was, a number of clocks ago.
        for (i = 0; i < 6; i = i + 1)
            assert ((f_received[i] == f_received[0]) == (f_since_flip > i));
        for (i = 0; i < 8; i = i + 1)
            assert ((f_loaded[i] == f_loaded[0]) == (f_since_load > i));
        assert (received_now == (clk ? f_received[2] : f_received[3]));
        assert (received_seen == (clk ? f_received[4] : f_received[5]));
        assert (loaded_late == (clk ? f_loaded[4] : f_loaded[5]));
        assert (loaded_seen == (clk ? f_loaded[6] : f_loaded[7]));
        assert (idle == (clk ? f_select[6] : f_select[7]));
        // Octets and loads of the transaction.
        if (f_in && !f_ended) assert (f_octets == f_bits[6:3]);
        if (!f_in && !f_ended) assert (f_octets == 4'd0);
        if (f_ended) assert (f_bits <= 7'd3 && f_select[9:0] != 10'd0);
        if (f_in && f_between) assert (f_loads_done == f_octets - 4'd1
            || (f_octets == 4'd12 && f_loads_done == 4'd15));
        else assert (f_loads_done == f_octets);
        if (idle) assert (!f_octet_flies && !f_load_flies && f_bits <= 7'd4);
        // The core's counters.
        assert (count == (f_handled >= 4'd4 ? 3'd4 : f_handled[2:0]));
        assert (data_lane == (f_handled >= 4'd4 ? f_handled[1:0] : 2'd0));
        assert (reading == (f_handled != 4'd0 && f_reading));
        assert (fifo_read == (f_reads && f_window));
        assert (hold_lane == (f_reads && !f_window ? f_lane[1:0] - 2'd2 : 2'd0));
        // What the command says, the address and the word that comes in.
        if (f_octets == 4'd1) assert (f_reading == (f_history[7:0] == 8'h80));
        if (f_octets == 4'd2) assert (f_head[15:8] == f_history[7:0]);
        if (f_octets == 4'd3) assert (f_head[15:8] == f_history[15:8]);
        if (f_octets == 4'd3 && f_lane <= 4'd2)
            assert (f_at == f_history[15:0] && f_window == (f_at[15:14] == 2'b01));
        if (f_handled == 4'd2) assert (addr[15:8] == f_head[15:8]);
        if (f_handled >= 4'd3) assert (addr == f_at);
        if (data_lane >= 2'd1) assert (wdata[7:0] == f_kept[7:0]);
        if (data_lane >= 2'd2) assert (wdata[15:8] == f_kept[15:8]);
        if (data_lane >= 2'd3) assert (wdata[23:16] == f_kept[23:16]);
        if (f_handled[3] && data_lane == 2'd0 && !f_octet_flies) assert (wdata == f_history);
        if (f_write) assert (f_written == f_history);
        // What is pending is on its way, or being said.
        assert (f_write == ((f_octet_flies && f_octets[3] && f_octets[1:0] == 2'd0 && !f_reading) || we));
        assert (f_word_out == ((f_octet_flies && f_octets >= 4'd5 && f_octets[1:0] == 2'd1 && f_reading
            && !f_window) || taken));
        assert (f_octet_out == ((f_octet_flies && f_octets >= 4'd5 && f_reading && f_window) || fifo_taken));
        assert (f_begun == ((f_octet_flies && f_octets == 4'd2) || fifo_begin));
        if (f_write || f_word_out || f_octet_out || f_begun) assert (f_waits + 5'd1 == f_since_flip);
        // Words on their way out.
        assert (f_asked == fetched);
        assert (f_words == (f_reads && !f_window && f_last_lane && !f_load_flies ? 3'd1 : 3'd0));
        if (re) assert (f_since_load <= 5'd10);
        for (i = 0; i < 6; i = i + 1) if (f_asked[i]) assert (f_since_load <= 12 + 2 * i);
        if (f_reads && !f_window) case (f_lane[1:0])
            2'd3: if (f_have_word) assert ({hold, word} == f_next_word);
                else if (f_load_flies) assert ({hold, word} == f_word);
            2'd0: assert ({hold, word} == f_word << 8);
            2'd1: assert ({hold, word} == f_word << 16);
            default: assert ({hold, word} == f_word << 24);
        endcase
        if (!f_reads) assert (hold == 8'd0);
        // Octets on their way out.
        assert ({1'b0, fifo_fetch} + f_have_octet == (f_reads && f_window && !f_load_flies ? 2'd1 : 2'd0));
        if (fifo_fetch) assert (f_since_load <= 5'd10);
        if (f_have_octet) assert (hold == f_next_octet);
        if (f_handled >= 4'd3) assert (f_looks == (!f_reads || !f_window ? 2'd0
            : (f_handled == 4'd3 ? 2'd1 : 2'd2 - f_ahead) - {1'b0, fifo_fetch} + {1'b0, fifo_taken}));
        if (f_handled == 4'd2) assert (fifo_begin || f_looks == 2'd0);
        assert (f_looks != 2'd3);
    end
