// The FPGA of an spu board without its pins' particulars: SPI to converters.
//
// Agrees bit for bit with `spu-sim::Fpga` in codes, counters, moments, frames and register reads;
// hardware/README.md has the words, this file the wiring. One clock, 8 periods of it in a period of
// the sample clock (96 MHz to 12 MHz), and the SPI's (see spu_spi). `reset` is synchronous.
//
// What a board is, comes in on inputs that are constant: see the identity registers. CELLS is 1 to 8
// and equals `board_cells`; `capture_frames` times the words of a frame fits the capture memory.
//
// Converters: DACs take `dac_data` for `dac_cell` with `dac_write` and show with `dac_update`, all at
// once, what they took in earlier clocks. ADCs sample with `adc_sample`, all at once, and have the
// codes CONVERSION slots of 8 clocks later for one slot; that of `adc_cell`, which counts the clocks of a
// slot, is on `adc_data` in the clock after `adc_read`. Codes are two's complement, sign-extended. `permit` low keeps
// the next tick from being begun: low until the converters' clocks run; `tick` is high in the clock in
// which one is.
`default_nettype none

module spu_core #(
    parameter integer CELLS = 8,
    // Words of 16 bits of the capture memory, 2^CAPTURE_ADDRESS.
    parameter integer CAPTURE_ADDRESS = 15,
    parameter integer CONVERSION = 8,
    // 24 us at 96 MHz: a cell through the resistor of its discharge switch, see hardware/board/budget.md.
    parameter [11:0] DISCHARGE_CLOCKS = 12'd2304
) (
    input  wire clk,
    input  wire reset,
    // What the board is.
    input  wire [31:0] gateware_id,
    input  wire [15:0] board_kind,
    input  wire [15:0] board_cells,
    input  wire [7:0] banks_self_bits,
    input  wire [7:0] banks_coupling_bits,
    input  wire banks_coupling_signed,
    input  wire [7:0] banks_storage_bits,
    input  wire [7:0] converters_dac_bits,
    input  wire [7:0] converters_adc_bits,
    input  wire [7:0] converters_sample_bits,
    input  wire [3:0] converters_control_bits,
    input  wire [3:0] converters_samples_per_frame,
    input  wire [31:0] sample_clock_hz,
    input  wire [31:0] capture_frames,
    input  wire [31:0] serial_lo,
    input  wire [31:0] serial_hi,
    input  wire [127:0] profile_name,
    input  wire [31:0] noise_rms,
    input  wire [31:0] r_ohm,
    input  wire [31:0] l_henry,
    input  wire [31:0] self_lsb_farad,
    input  wire [31:0] coupling_lsb_farad,
    input  wire [31:0] stray_farad,
    input  wire [31:0] dac_lsb_ampere,
    input  wire [31:0] adc_lsb_volt,
    input  wire [31:0] drive_spread,
    input  wire [31:0] bank_spread,
    input  wire [31:0] adc_gain_spread,
    input  wire [31:0] r_spread,
    input  wire [31:0] l_spread,
    input  wire [31:0] stream_frames_per_s,
    input  wire [31:0] storage_lsb_farad,
    // SPI.
    input  wire spi_sck,
    input  wire spi_select_n,
    input  wire spi_mosi,
    output wire spi_miso,
    // Converters.
    input  wire permit,
    output wire tick,
    output wire dac_write,
    output wire [2:0] dac_cell,
    output wire [15:0] dac_data,
    output wire dac_update,
    output wire adc_sample,
    output wire adc_read,
    output wire [2:0] adc_cell,
    input  wire [15:0] adc_data,
    // Cells and bank switches.
    output wire discharge,
    output wire switch_clock,
    output wire switch_data,
    output wire switch_latch,
    // Something is being done: ticks on their way, or a command.
    output wire busy
);
    reg [2:0] phase;
    always @(posedge clk) phase <= reset ? 3'd0 : phase + 3'd1;

    wire [15:0] dac_full_scale = (16'd1 << (converters_dac_bits[4:0] - 5'd1)) - 16'd1;
    wire [15:0] adc_full_scale = (16'd1 << (converters_adc_bits[4:0] - 5'd1)) - 16'd1;

    // --- Bus and registers ------------------------------------------------------------------

    wire [15:0] addr;
    wire [31:0] wdata, selected;
    wire we, re, taken;
    // What was read, a clock later.
    reg [31:0] rdata;
    always @(posedge clk) rdata <= selected;
    wire fifo_begin, fifo_next, fifo_taken;
    wire [7:0] fifo_octet;
    spu_spi spi (
        .clk(clk), .reset(reset),
        .spi_sck(spi_sck), .spi_select_n(spi_select_n), .spi_mosi(spi_mosi), .spi_miso(spi_miso),
        .addr(addr), .wdata(wdata), .we(we), .re(re), .taken(taken), .rdata(rdata),
        .fifo_begin(fifo_begin), .fifo_next(fifo_next), .fifo_taken(fifo_taken),
        .fifo_octet(fifo_octet)
    );

    wire control_start, control_abort, control_apply, control_reseed, control_discharge;
    wire control_fifo_clear, control_soft_reset;
    wire mode_stream, mode_moments, mode_realtime, mode_pattern;
    wire [31:0] settle, decimation, count;
    wire [2:0] state;
    wire stalled, overrun;
    wire [31:0] frames, kept, lost;
    wire [63:0] ticks;
    wire [5:0] saturated_index;
    wire saturated_re;
    wire [31:0] saturated_rdata;
    wire [6:0] sum_index;
    wire sum_re;
    wire [31:0] sum_rdata;
    wire [10:0] product_index;
    wire product_re;
    wire [31:0] product_rdata;
    wire [5:0] self_bank_index;
    wire self_bank_we, self_bank_re;
    wire [8:0] coupling_bank_index;
    wire coupling_bank_we, coupling_bank_re;
    wire [5:0] noise_gain_index;
    wire noise_gain_we, noise_gain_re;
    wire [5:0] bias_index;
    wire bias_we, bias_re;
    wire [5:0] storage_index;
    wire storage_we, storage_re;
    wire [5:0] initial_index;
    wire initial_we, initial_re;
    wire [5:0] adc_offset_index;
    wire adc_offset_we, adc_offset_re;
    wire [5:0] adc_gain_index;
    wire adc_gain_we, adc_gain_re;
    wire [7:0] noise_seed_index;
    wire noise_seed_we, noise_seed_re;
    wire [31:0] store_rdata;
    spu_regs #(.CELLS(CELLS)) regs (
        .clk(clk), .reset(reset || control_soft_reset),
        .addr(addr), .wdata(wdata), .we(we), .re(re), .taken(taken), .rdata(selected),
        .gateware_id(gateware_id), .board_kind(board_kind), .board_cells(board_cells),
        .banks_self_bits(banks_self_bits), .banks_coupling_bits(banks_coupling_bits),
        .banks_coupling_signed(banks_coupling_signed), .banks_storage_bits(banks_storage_bits),
        .converters_dac_bits(converters_dac_bits), .converters_adc_bits(converters_adc_bits),
        .converters_sample_bits(converters_sample_bits),
        .converters_control_bits(converters_control_bits),
        .converters_samples_per_frame(converters_samples_per_frame),
        .sample_clock_hz(sample_clock_hz), .capture_frames(capture_frames),
        .serial_lo(serial_lo), .serial_hi(serial_hi), .profile_name(profile_name),
        .noise_rms(noise_rms), .r_ohm(r_ohm), .l_henry(l_henry), .self_lsb_farad(self_lsb_farad),
        .coupling_lsb_farad(coupling_lsb_farad), .stray_farad(stray_farad),
        .dac_lsb_ampere(dac_lsb_ampere), .adc_lsb_volt(adc_lsb_volt),
        .drive_spread(drive_spread), .bank_spread(bank_spread),
        .adc_gain_spread(adc_gain_spread), .r_spread(r_spread), .l_spread(l_spread),
        .stream_frames_per_s(stream_frames_per_s), .storage_lsb_farad(storage_lsb_farad),
        // No factored array here.
        .array_rows_max(32'd0), .array_columns_max(32'd0), .array_bits_code_bits(8'd0),
        .array_bits_damping_bits(8'd0), .node_farad(32'd0), .control_initialise(), .array_rows(),
        .array_columns(), .array_damping(), .array_range_input(), .array_range_noise(),
        .array_noise_gain(), .bulk_page_page(), .bulk_page_region(),
        // Kept for the host only.
        .calibration_id_lo(), .calibration_id_hi(), .scratch(),
        .control_start(control_start), .control_abort(control_abort),
        .control_apply(control_apply), .control_reseed(control_reseed),
        .control_discharge(control_discharge), .control_fifo_clear(control_fifo_clear),
        .control_soft_reset(control_soft_reset),
        .mode_stream(mode_stream), .mode_moments(mode_moments), .mode_realtime(mode_realtime),
        .mode_pattern(mode_pattern), .settle(settle), .decimation(decimation), .count(count),
        .status_state(state), .status_stalled(stalled), .status_overrun(overrun),
        .status_fifo_empty(frames == 32'd0), .fifo_frames(frames), .kept(kept), .lost(lost),
        .ticks_lo(ticks[31:0]), .ticks_hi(ticks[63:32]),
        .saturated_index(saturated_index), .saturated_re(saturated_re),
        .saturated_rdata(saturated_rdata),
        .self_bank_index(self_bank_index), .self_bank_we(self_bank_we), .self_bank_re(self_bank_re), .self_bank_rdata(store_rdata),
        .coupling_bank_index(coupling_bank_index), .coupling_bank_we(coupling_bank_we), .coupling_bank_re(coupling_bank_re), .coupling_bank_rdata(store_rdata),
        .noise_gain_index(noise_gain_index), .noise_gain_we(noise_gain_we), .noise_gain_re(noise_gain_re), .noise_gain_rdata(store_rdata),
        .bias_index(bias_index), .bias_we(bias_we), .bias_re(bias_re), .bias_rdata(store_rdata),
        .storage_index(storage_index), .storage_we(storage_we), .storage_re(storage_re), .storage_rdata(store_rdata),
        .initial_index(initial_index), .initial_we(initial_we), .initial_re(initial_re), .initial_rdata(store_rdata),
        .adc_offset_index(adc_offset_index), .adc_offset_we(adc_offset_we), .adc_offset_re(adc_offset_re), .adc_offset_rdata(store_rdata),
        .adc_gain_index(adc_gain_index), .adc_gain_we(adc_gain_we), .adc_gain_re(adc_gain_re), .adc_gain_rdata(store_rdata),
        .noise_seed_index(noise_seed_index), .noise_seed_we(noise_seed_we), .noise_seed_re(noise_seed_re), .noise_seed_rdata(store_rdata),
        .sum_index(sum_index), .sum_re(sum_re), .sum_rdata(sum_rdata),
        .product_index(product_index), .product_re(product_re), .product_rdata(product_rdata),
        // The SPI slave serves the window; the bulk window is of factored boards.
        .fifo_index(), .fifo_re(), .fifo_rdata(32'd0),
        .bulk_index(), .bulk_we(), .bulk_re(), .bulk_rdata(32'd0)
    );

    // Answers later than spu_regs asks for: spu_spi waits for it.
    wire load, load_granted, loaded;
    wire [6:0] load_at, loaded_at;
    wire [31:0] loaded_data;
    spu_store store (
        .clk(clk), .reset(reset || control_soft_reset),
        .self_bits(banks_self_bits), .coupling_bits(banks_coupling_bits),
        .coupling_signed(banks_coupling_signed), .storage_bits(banks_storage_bits),
        .dac_full_scale(dac_full_scale), .wdata(wdata),
        .self_bank_index(self_bank_index[2:0]), .self_bank_we(self_bank_we), .self_bank_re(self_bank_re),
        .coupling_bank_index(coupling_bank_index[4:0]), .coupling_bank_we(coupling_bank_we), .coupling_bank_re(coupling_bank_re),
        .noise_gain_index(noise_gain_index[2:0]), .noise_gain_we(noise_gain_we), .noise_gain_re(noise_gain_re),
        .bias_index(bias_index[2:0]), .bias_we(bias_we), .bias_re(bias_re),
        .storage_index(storage_index[2:0]), .storage_we(storage_we), .storage_re(storage_re),
        .initial_index(initial_index[2:0]), .initial_we(initial_we), .initial_re(initial_re),
        .adc_offset_index(adc_offset_index[2:0]), .adc_offset_we(adc_offset_we), .adc_offset_re(adc_offset_re),
        .adc_gain_index(adc_gain_index[2:0]), .adc_gain_we(adc_gain_we), .adc_gain_re(adc_gain_re),
        .noise_seed_index(noise_seed_index[4:0]), .noise_seed_we(noise_seed_we), .noise_seed_re(noise_seed_re),
        .rdata(store_rdata),
        .load(load), .load_at(load_at), .load_granted(load_granted),
        .loaded(loaded), .loaded_at(loaded_at), .loaded_data(loaded_data)
    );

    // --- Commands and ticks -----------------------------------------------------------------

    wire quiet, drained, pause, start_waits, begin_run, clear_fifo, switches_start, switches_busy;
    spu_commands #(.DISCHARGE_CLOCKS(DISCHARGE_CLOCKS)) commands (
        .clk(clk), .reset(reset),
        .control_start(control_start), .control_abort(control_abort),
        .control_apply(control_apply), .control_reseed(control_reseed),
        .control_discharge(control_discharge), .control_fifo_clear(control_fifo_clear),
        .control_soft_reset(control_soft_reset),
        .quiet(quiet), .drained(drained), .pause(pause), .start_waits(start_waits),
        .load(load), .load_at(load_at), .load_granted(load_granted),
        .switches_start(switches_start), .switches_busy(switches_busy),
        .discharge(discharge), .clear_fifo(clear_fifo), .begin_run(begin_run)
    );

    wire issue, issue_kept, issue_store, room, run_moments, run_pattern;
    spu_sequencer sequencer (
        .clk(clk), .reset(reset),
        .control_start(control_start), .control_abort(control_abort),
        .control_soft_reset(control_soft_reset),
        .mode_stream(mode_stream), .mode_moments(mode_moments), .mode_realtime(mode_realtime),
        .mode_pattern(mode_pattern), .settle(settle), .decimation(decimation), .count(count),
        .phase(phase), .permit(permit), .pause(pause), .start_waits(start_waits),
        .begin_run(begin_run), .room(room), .drained(drained),
        .issue(issue), .issue_kept(issue_kept), .issue_store(issue_store),
        .run_moments(run_moments), .run_pattern(run_pattern),
        .state(state), .stalled(stalled), .overrun(overrun),
        .kept(kept), .lost(lost), .ticks(ticks)
    );
    assign tick = issue;
    assign busy = pause || !drained;

    wire step, fetch, fetch_store;
    spu_ticks #(.CONVERSION(CONVERSION)) flight (
        .clk(clk), .reset(reset), .phase(phase),
        .issue(issue), .issue_kept(issue_kept), .issue_store(issue_store),
        .step(step), .dac_update(dac_update), .adc_sample(adc_sample),
        .fetch(fetch), .fetch_store(fetch_store), .quiet(quiet), .drained(drained)
    );

    spu_switches #(.CELLS(CELLS)) switches (
        .clk(clk), .reset(reset),
        .self_bits(banks_self_bits), .coupling_bits(banks_coupling_bits),
        .coupling_signed(banks_coupling_signed), .storage_bits(banks_storage_bits),
        .phase(phase), .start(switches_start), .busy(switches_busy),
        .loaded(loaded), .loaded_at(loaded_at), .loaded_data(loaded_data),
        .switch_clock(switch_clock), .switch_data(switch_data), .switch_latch(switch_latch)
    );

    // --- Drive ------------------------------------------------------------------------------

    wire shaped_valid;
    wire [2:0] shaped_cell;
    wire signed [13:0] shaped;
    spu_noise noise (
        .clk(clk), .step(step), .cell_index(phase),
        .loaded(loaded), .loaded_at(loaded_at), .loaded_data(loaded_data),
        .valid(shaped_valid), .shaped_cell(shaped_cell), .shaped(shaped)
    );
    spu_gain gain (
        .clk(clk), .full_scale(dac_full_scale),
        .valid(shaped_valid), .cell_index(shaped_cell), .shaped(shaped),
        .loaded(loaded), .loaded_at(loaded_at), .loaded_data(loaded_data),
        .code_valid(dac_write), .code_cell(dac_cell), .code(dac_data)
    );

    // --- Samples ----------------------------------------------------------------------------

    assign adc_read = fetch;
    assign adc_cell = phase;
    wire sample_valid, sample_store, sample_last, sample_full;
    wire [2:0] sample_cell;
    wire signed [15:0] sample;
    spu_samples #(.CELLS(CELLS)) samples (
        .clk(clk), .reset(reset),
        .adc_bits(converters_adc_bits[4:0]), .full_scale(adc_full_scale),
        .begin_run(begin_run), .pattern(run_pattern),
        .fetch(fetch), .fetch_store(fetch_store), .cell_index(phase), .adc_data(adc_data),
        .valid(sample_valid), .store(sample_store), .sample_cell(sample_cell),
        .last(sample_last), .code(sample), .full(sample_full)
    );
    spu_saturation saturation (
        .clk(clk), .clear(begin_run || reset),
        .valid(sample_valid), .cell_index(sample_cell), .last(sample_last), .full(sample_full),
        .re(saturated_re), .index(saturated_index[2:0]), .rdata(saturated_rdata)
    );
    spu_moments #(.CELLS(CELLS)) moments (
        .clk(clk), .reset(reset), .clear(begin_run || reset), .enable(run_moments),
        .valid(sample_valid), .last(sample_last), .code(sample),
        .sum_index(sum_index[3:0]), .sum_re(sum_re), .sum_rdata(sum_rdata),
        .product_index(product_index[6:0]), .product_re(product_re),
        .product_rdata(product_rdata)
    );
    spu_capture #(.CELLS(CELLS), .ADDRESS(CAPTURE_ADDRESS)) capture (
        .clk(clk), .clear(clear_fifo || reset),
        .capacity(capture_frames), .adc_bits(converters_adc_bits[4:0]),
        .wide(converters_sample_bits == 8'd16), .control_bit(converters_control_bits != 4'd0),
        .reserve(issue_store), .room(room),
        .valid(sample_valid && sample_store), .cell_index(sample_cell), .code(sample),
        .full(sample_full), .frames(frames),
        .read_begin(fifo_begin), .read_next(fifo_next), .read_taken(fifo_taken),
        .octet(fifo_octet)
    );
endmodule

`default_nettype wire
