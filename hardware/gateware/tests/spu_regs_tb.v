// Self-checking test of the register block: prints PASS, or what was wrong and FAIL.
//
// Addresses are written out here as published, not taken from the generated block.
`default_nettype none

module spu_regs_tb;
    parameter integer CELLS = 8;

    reg clk = 1'b0;
    always #5 clk = !clk;

    reg reset = 1'b1;
    reg [15:0] addr = 16'd0;
    reg [31:0] wdata = 32'd0;
    reg we = 1'b0, re = 1'b0;
    // Low: what is read is not known to have gone anywhere.
    reg taken = 1'b1;
    wire [31:0] rdata;

    reg [63:0] ticks = 64'd0;
    reg [2:0] state = 3'd0;
    reg stalled = 1'b0, overrun = 1'b0, fifo_empty = 1'b1;

    wire [31:0] calibration_id_lo, calibration_id_hi, settle, decimation, count;
    wire [127:0] scratch;
    wire [31:0] array_rows, array_columns, array_damping, array_noise_gain;
    wire [3:0] range_input, range_noise;
    wire [23:0] page;
    wire [7:0] region;
    wire start, abort, apply, reseed, discharge, fifo_clear, soft_reset, initialise;
    wire [7:0] strobes = {initialise, soft_reset, fifo_clear, discharge, reseed, apply, abort, start};
    wire stream, moments, lossy, pattern;
    wire [3:0] mode = {pattern, lossy, moments, stream};

    // Arrays: each answers its tag and the index, one clock after the request.
    wire [5:0] saturated_index, self_index, gain_index, bias_index, storage_index, initial_index;
    wire [5:0] offset_index, adc_gain_index;
    wire [8:0] coupling_index;
    wire [7:0] seed_index;
    wire [6:0] sum_index;
    wire [10:0] product_index;
    wire [11:0] fifo_index;
    wire [12:0] bulk_index;
    wire saturated_re, self_re, coupling_re, gain_re, bias_re, storage_re, initial_re, offset_re;
    wire adc_gain_re, seed_re, sum_re, product_re, fifo_re, bulk_re;
    wire self_we, coupling_we, gain_we, bias_we, storage_we, initial_we, offset_we, adc_gain_we;
    wire seed_we, bulk_we;
    wire [9:0] region_we = {bulk_we, seed_we, adc_gain_we, offset_we, initial_we, storage_we,
        bias_we, gain_we, coupling_we, self_we};

    reg [31:0] saturated_q, self_q, coupling_q, gain_q, bias_q, storage_q, initial_q, offset_q;
    reg [31:0] adc_gain_q, seed_q, sum_q, product_q, fifo_q, bulk_q;
    always @(posedge clk) begin
        if (saturated_re) saturated_q <= {16'hA001, 10'd0, saturated_index};
        if (self_re) self_q <= {16'hA002, 10'd0, self_index};
        if (coupling_re) coupling_q <= {16'hA003, 7'd0, coupling_index};
        if (gain_re) gain_q <= {16'hA004, 10'd0, gain_index};
        if (bias_re) bias_q <= {16'hA005, 10'd0, bias_index};
        if (storage_re) storage_q <= {16'hA006, 10'd0, storage_index};
        if (initial_re) initial_q <= {16'hA007, 10'd0, initial_index};
        if (offset_re) offset_q <= {16'hA008, 10'd0, offset_index};
        if (adc_gain_re) adc_gain_q <= {16'hA009, 10'd0, adc_gain_index};
        if (seed_re) seed_q <= {16'hA00A, 8'd0, seed_index};
        if (sum_re) sum_q <= {16'hA00B, 9'd0, sum_index};
        if (product_re) product_q <= {16'hA00C, 5'd0, product_index};
        if (fifo_re) fifo_q <= {16'hA00D, 4'd0, fifo_index};
        if (bulk_re) bulk_q <= {16'hA00E, 3'd0, bulk_index};
    end

    spu_regs #(.CELLS(CELLS)) dut (
        .clk(clk), .reset(reset || soft_reset),
        .addr(addr), .wdata(wdata), .we(we), .re(re), .taken(taken), .rdata(rdata),
        .gateware_id(32'h1234_5678), .board_kind(16'd1), .board_cells(CELLS[15:0]),
        .banks_self_bits(8'd4), .banks_coupling_bits(8'd5), .banks_coupling_signed(1'b1), .banks_storage_bits(8'd6),
        .converters_dac_bits(8'd14), .converters_adc_bits(8'd12), .converters_sample_bits(8'd16),
        .converters_control_bits(4'd1), .converters_samples_per_frame(4'd2),
        .sample_clock_hz(32'd12_000_000), .capture_frames(32'd4096),
        .serial_lo(32'h0000_0007), .serial_hi(32'h8000_0001),
        .calibration_id_lo(calibration_id_lo), .calibration_id_hi(calibration_id_hi),
        .profile_name(128'h04030201_03030303_02020202_2D766572),
        .noise_rms(32'h40), .r_ohm(32'h44), .l_henry(32'h48), .self_lsb_farad(32'h4C),
        .coupling_lsb_farad(32'h50), .stray_farad(32'h54), .dac_lsb_ampere(32'h58),
        .adc_lsb_volt(32'h5C), .drive_spread(32'h60), .bank_spread(32'h64),
        .adc_gain_spread(32'h68), .r_spread(32'h6C), .l_spread(32'h70),
        .stream_frames_per_s(32'h74), .storage_lsb_farad(32'h78), .scratch(scratch),
        .array_rows_max(32'hA0), .array_columns_max(32'hA4), .array_bits_code_bits(8'hA8),
        .array_bits_damping_bits(8'h0B), .node_farad(32'hAC), .array_rows(array_rows),
        .array_columns(array_columns), .array_damping(array_damping),
        .array_range_input(range_input), .array_range_noise(range_noise),
        .array_noise_gain(array_noise_gain), .bulk_page_page(page), .bulk_page_region(region),
        .control_initialise(initialise),
        .control_start(start), .control_abort(abort), .control_apply(apply),
        .control_reseed(reseed), .control_discharge(discharge), .control_fifo_clear(fifo_clear),
        .control_soft_reset(soft_reset),
        .mode_stream(stream), .mode_moments(moments), .mode_realtime(lossy),
        .mode_pattern(pattern), .settle(settle), .decimation(decimation), .count(count),
        .status_state(state), .status_stalled(stalled), .status_overrun(overrun),
        .status_fifo_empty(fifo_empty), .fifo_frames(32'h184), .kept(32'h188), .lost(32'h18C),
        .ticks_lo(ticks[31:0]), .ticks_hi(ticks[63:32]),
        .saturated_index(saturated_index), .saturated_re(saturated_re),
        .saturated_rdata(saturated_q),
        .self_bank_index(self_index), .self_bank_we(self_we), .self_bank_re(self_re),
        .self_bank_rdata(self_q),
        .coupling_bank_index(coupling_index), .coupling_bank_we(coupling_we),
        .coupling_bank_re(coupling_re), .coupling_bank_rdata(coupling_q),
        .noise_gain_index(gain_index), .noise_gain_we(gain_we), .noise_gain_re(gain_re),
        .noise_gain_rdata(gain_q),
        .bias_index(bias_index), .bias_we(bias_we), .bias_re(bias_re), .bias_rdata(bias_q),
        .storage_index(storage_index), .storage_we(storage_we), .storage_re(storage_re),
        .storage_rdata(storage_q),
        .initial_index(initial_index), .initial_we(initial_we), .initial_re(initial_re),
        .initial_rdata(initial_q),
        .adc_offset_index(offset_index), .adc_offset_we(offset_we), .adc_offset_re(offset_re),
        .adc_offset_rdata(offset_q),
        .adc_gain_index(adc_gain_index), .adc_gain_we(adc_gain_we), .adc_gain_re(adc_gain_re),
        .adc_gain_rdata(adc_gain_q),
        .noise_seed_index(seed_index), .noise_seed_we(seed_we), .noise_seed_re(seed_re),
        .noise_seed_rdata(seed_q),
        .sum_index(sum_index), .sum_re(sum_re), .sum_rdata(sum_q),
        .product_index(product_index), .product_re(product_re), .product_rdata(product_q),
        .fifo_index(fifo_index), .fifo_re(fifo_re), .fifo_rdata(fifo_q),
        .bulk_index(bulk_index), .bulk_we(bulk_we), .bulk_re(bulk_re), .bulk_rdata(bulk_q)
    );

    integer errors = 0, checks = 0;
    reg [15:0] last = 16'd0; // address of the last access, for messages

    task expect32(input [31:0] found, input [31:0] expected, input [255:0] what);
        begin
            checks = checks + 1;
            if (found !== expected) begin
                errors = errors + 1;
                if (errors <= 20)
                    $display("%0s at address %h: found %h, expected %h", what, last, found, expected);
            end
        end
    endtask

    // Bus accesses drive between clock edges. Each takes one clock.
    task write(input [15:0] at, input [31:0] value);
        begin
            @(negedge clk);
            addr = at; last = at; wdata = value; we = 1'b1;
            @(negedge clk);
            we = 1'b0;
        end
    endtask

    task read(input [15:0] at);
        begin
            @(negedge clk);
            addr = at; last = at; re = 1'b1;
            // The data may not depend on what is on the bus afterwards.
            @(negedge clk);
            re = 1'b0; addr = at ^ 16'h000C;
            #1 ;
        end
    endtask

    task check(input [15:0] at, input [31:0] expected, input [255:0] what);
        begin
            read(at);
            expect32(rdata, expected, what);
        end
    endtask

    // Tag and index if `at` is one of the first `len` words from `base`.
    function [31:0] array_word(input [15:0] at, input [15:0] base, input integer len, input [15:0] tag);
        array_word = (at >= base && at < base + 4 * len) ? {tag, (at - base) >> 2} : 32'd0;
    endfunction

    localparam integer PAIR_CELLS = CELLS < 32 ? CELLS : 32;
    localparam integer COUPLINGS = CELLS > 32 ? 512 : CELLS * (CELLS - 1) / 2;
    localparam integer PRODUCTS = PAIR_CELLS * (PAIR_CELLS + 1) / 2;

    function [31:0] expected_array(input integer at);
        expected_array = array_word(at, 16'h0200, CELLS, 16'hA001)
            | array_word(at, 16'h0400, CELLS, 16'hA002)
            | array_word(at, 16'h0800, COUPLINGS, 16'hA003)
            | array_word(at, 16'h1000, CELLS, 16'hA004)
            | array_word(at, 16'h1100, CELLS, 16'hA005)
            | array_word(at, 16'h1200, CELLS, 16'hA006)
            | array_word(at, 16'h1300, CELLS, 16'hA007)
            | array_word(at, 16'h1400, CELLS, 16'hA008)
            | array_word(at, 16'h1500, CELLS, 16'hA009)
            | array_word(at, 16'h1800, 4 * CELLS, 16'hA00A)
            | array_word(at, 16'h2000, 2 * CELLS, 16'hA00B)
            | array_word(at, 16'h2400, 2 * PRODUCTS, 16'hA00C)
            | (at >= 32'h4000 && at < 32'h8000 ? {16'hA00D, 4'd0, at[13:2]} : 32'd0)
            | (at >= 32'h8000 && at < 32'hFC00 ? {16'hA00E, 3'd0, at[14:2]} : 32'd0); // above: not the FPGA's
    endfunction

    // The only write strobe that a write to `at` may raise.
    function [9:0] expected_we(input integer at);
        case (expected_array(at) >> 16)
            32'hA002: expected_we = 10'd1 << 0;
            32'hA003: expected_we = 10'd1 << 1;
            32'hA004: expected_we = 10'd1 << 2;
            32'hA005: expected_we = 10'd1 << 3;
            32'hA006: expected_we = 10'd1 << 4;
            32'hA007: expected_we = 10'd1 << 5;
            32'hA008: expected_we = 10'd1 << 6;
            32'hA009: expected_we = 10'd1 << 7;
            32'hA00A: expected_we = 10'd1 << 8;
            32'hA00E: expected_we = 10'd1 << 9;
            default: expected_we = 10'd0;
        endcase
    endfunction

    // Words that the block holds or constants, after reset.
    function [31:0] expected_word(input integer at);
        case (at)
            32'h000: expected_word = 32'h53505546;
            32'h004: expected_word = 32'h0001_0002;
            32'h008: expected_word = 32'h1234_5678;
            32'h00C: expected_word = {CELLS[15:0], 16'd1};
            32'h010: expected_word = 32'h0601_0504;
            32'h014: expected_word = 32'h2110_0C0E;
            32'h018: expected_word = 32'd12_000_000;
            32'h01C: expected_word = 32'd4096;
            32'h020: expected_word = 32'h0000_0007;
            32'h024: expected_word = 32'h8000_0001;
            32'h030: expected_word = 32'h2D766572;
            32'h034: expected_word = 32'h02020202;
            32'h038: expected_word = 32'h03030303;
            32'h03C: expected_word = 32'h04030201;
            32'h180: expected_word = 32'h0000_0400;
            32'h184, 32'h188, 32'h18C: expected_word = at;
            32'h0A8: expected_word = 32'h0000_0BA8;
            32'h0A0, 32'h0A4, 32'h0AC: expected_word = at;
            default: expected_word = (at >= 32'h40 && at <= 32'h78) ? at : 32'd0;
        endcase
    endfunction

    integer at, bit_index;
    reg [31:0] held;

    initial begin
        repeat (3) @(negedge clk);
        reset = 1'b0;

        // After reset: every address, out-of-map ones included, and the ones between words.
        for (at = 0; at < 32'h1_0000; at = at + 4)
            check(at, at < 32'h200 ? expected_word(at) : expected_array(at), "after reset");
        for (at = 1; at < 32'h1_0000; at = at + 5)
            if (at[1:0] != 2'd0) check(at, 32'd0, "unaligned");

        // Read data stays until the next read.
        read(16'h0000);
        repeat (3) @(negedge clk);
        expect32(rdata, 32'h53505546, "read data held");

        // Writable words keep all bits, each its own.
        write(16'h0028, 32'h0102_0304);
        write(16'h002C, 32'h0506_0708);
        for (at = 0; at < 4; at = at + 1) write(16'h0080 + 4 * at, 32'hC0DE_0000 + at);
        write(16'h0108, 32'hFFFF_FFFF);
        write(16'h010C, 32'h8000_0001);
        write(16'h0110, 32'h1020_3040);
        check(16'h0028, 32'h0102_0304, "calibration id");
        check(16'h002C, 32'h0506_0708, "calibration id");
        for (at = 0; at < 4; at = at + 1) check(16'h0080 + 4 * at, 32'hC0DE_0000 + at, "scratch");
        check(16'h0108, 32'hFFFF_FFFF, "settle");
        check(16'h010C, 32'h8000_0001, "decimation");
        check(16'h0110, 32'h1020_3040, "count");
        expect32(settle, 32'hFFFF_FFFF, "settle output");
        expect32(decimation, 32'h8000_0001, "decimation output");
        expect32(count, 32'h1020_3040, "count output");
        expect32(scratch[95:64], 32'hC0DE_0002, "scratch output");
        expect32(calibration_id_lo, 32'h0102_0304, "calibration id output");
        expect32(calibration_id_hi, 32'h0506_0708, "calibration id output");

        // The array's: whole words, but for the two powers of the ranges.
        for (at = 0; at < 6; at = at + 1) write(16'h0120 + 4 * at, 32'hA55A_0F00 + at);
        for (at = 0; at < 6; at = at + 1)
            check(16'h0120 + 4 * at, at == 3 ? 32'h0000_0F03 : 32'hA55A_0F00 + at, "array");
        expect32(array_rows, 32'hA55A_0F00, "rows output");
        expect32(array_columns, 32'hA55A_0F01, "columns output");
        expect32(array_damping, 32'hA55A_0F02, "damping output");
        expect32({20'd0, range_noise, 4'd0, range_input}, 32'h0000_0F03, "range outputs");
        expect32(array_noise_gain, 32'hA55A_0F04, "noise gain output");
        expect32({region, page}, 32'hA55A_0F05, "page outputs");

        for (bit_index = 0; bit_index < 32; bit_index = bit_index + 1) begin
            write(16'h0104, 32'd1 << bit_index);
            check(16'h0104, bit_index < 4 ? 32'd1 << bit_index : 32'd0, "mode bit");
            expect32(mode, bit_index < 4 ? 32'd1 << bit_index : 32'd0, "mode output");
        end
        write(16'h0104, 32'h0000_000A);

        // Unaligned writes do nothing.
        write(16'h0109, 32'd0);
        write(16'h0082, 32'd0);
        check(16'h0108, 32'hFFFF_FFFF, "unaligned write");
        check(16'h0080, 32'hC0DE_0000, "unaligned write");

        // Read-only words ignore writes; so does what is outside the map; arrays are strobed.
        for (at = 0; at < 32'h1_0000; at = at + 4)
            if (!(at >= 32'h080 && at < 32'h090) && at != 32'h028 && at != 32'h02C
                && !(at >= 32'h100 && at <= 32'h110) && !(at >= 32'h120 && at < 32'h138)) begin
                @(negedge clk);
                addr = at; last = at; wdata = 32'hFFFF_FFFF; we = 1'b1;
                #1 expect32(region_we, expected_we(at), "write strobe");
                @(negedge clk);
                we = 1'b0;
                #1 expect32(region_we, 32'd0, "write strobe without a write");
                expect32(strobes, 32'd0, "command without a write");
            end
        for (at = 0; at < 32'h200; at = at + 4)
            if (!(at >= 32'h080 && at < 32'h090) && at != 32'h028 && at != 32'h02C
                && !(at >= 32'h104 && at <= 32'h110) && !(at >= 32'h120 && at < 32'h138))
                check(at, expected_word(at), "read-only word");
        check(16'h0028, 32'h0102_0304, "word after other writes");
        check(16'h008C, 32'hC0DE_0003, "word after other writes");
        check(16'h0104, 32'h0000_000A, "word after other writes");

        // Commands are high for one clock, each its own, and read 0. Soft reset is tried below.
        for (bit_index = 0; bit_index < 32; bit_index = bit_index + 1)
            if (bit_index != 6) begin
                @(negedge clk);
                addr = 16'h0100; wdata = 32'd1 << bit_index; we = 1'b1;
                expect32(strobes, 32'd0, "command before its clock");
                @(negedge clk);
                we = 1'b0;
                expect32(strobes, bit_index < 8 ? 32'd1 << bit_index : 32'd0, "command");
                @(negedge clk);
                expect32(strobes, 32'd0, "command after its clock");
            end
        check(16'h0100, 32'd0, "control reads 0");

        // Status inputs.
        for (at = 0; at < 8; at = at + 1) begin
            state = at; {fifo_empty, overrun, stalled} = at;
            check(16'h0180, at | (at << 8), "status");
        end

        // The high word is the one of the moment when the low word was read.
        ticks = 64'h0000_0001_FFFF_FFFF;
        check(16'h0190, 32'hFFFF_FFFF, "ticks low");
        ticks = 64'h0000_0002_0000_0000;
        check(16'h0184, 32'h184, "another read between");
        check(16'h0194, 32'd1, "ticks high, captured");
        check(16'h0194, 32'd1, "ticks high, again");
        check(16'h0190, 32'd0, "ticks low");
        check(16'h0194, 32'd2, "ticks high, captured");

        // A low word that was fetched and not taken captures nothing; another read forgets it.
        ticks = 64'h0000_0003_0000_0000;
        taken = 1'b0;
        check(16'h0190, 32'd0, "ticks low, not taken");
        check(16'h0194, 32'd2, "ticks high, nothing captured");
        taken = 1'b1;
        check(16'h0194, 32'd2, "ticks high, taken without the low word");
        check(16'h0190, 32'd0, "ticks low, taken");
        ticks = 64'd0;
        check(16'h0194, 32'd3, "ticks high, captured as it was fetched");
        ticks = 64'h0000_0002_0000_0000;

        // Back-to-back reads, one a clock, from a register and from an array.
        @(negedge clk); addr = 16'h0000; re = 1'b1;
        @(negedge clk); addr = 16'h0404; held = rdata;
        @(negedge clk); addr = 16'h0004; expect32(held, 32'h53505546, "first of a burst");
        expect32(rdata, 32'hA002_0001, "second of a burst");
        @(negedge clk); re = 1'b0; expect32(rdata, 32'h0001_0002, "third of a burst");

        // Soft reset: its own strobe lasts one clock, writable words go back.
        @(negedge clk); addr = 16'h0100; wdata = 32'h40; we = 1'b1;
        @(negedge clk); we = 1'b0; expect32(strobes, 32'h40, "soft reset");
        @(negedge clk); expect32(strobes, 32'd0, "soft reset after its clock");
        state = 3'd0; {fifo_empty, overrun, stalled} = 3'b100;
        for (at = 0; at < 32'h200; at = at + 4)
            if (at != 32'h190) check(at, expected_word(at), "after soft reset");
        expect32(mode, 32'd0, "mode after soft reset");
        expect32(settle | decimation | count | |scratch, 32'd0, "outputs after soft reset");

        if (errors == 0) $display("PASS spu_regs, %0d cells, %0d checks", CELLS, checks);
        else $display("FAIL spu_regs, %0d cells, %0d of %0d checks", CELLS, errors, checks);
        $finish;
    end
endmodule

`default_nettype wire
