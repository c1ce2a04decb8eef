// The core with a board's converters around it, for simulation.
//
// What the board is, is taken over with a rising edge of `configure`, which lets Verilator keep what
// follows from it instead of working it out again with every edge. `mistake` chooses one of the
// mistakes that `cargo xtask gateware --mutants` plants; the gateware as it is does not look at it.
//
// Everything around the core has its clock and sees what it sees before the edge. In the clock after a
// code is asked for it is on the bus: that of the last sample whose conversion is over, 64 clocks.
// `dac` is the row that the DACs show since the last update; `adc` is to be the row of the last sample from
// the clock after it to the eighth. In the clock after each: `began`, a tick; `updated`, the DACs;
// `sampled`, the ADCs; `shifted` a bit `shifted_bit` into the switch registers, `latched`: they show;
// `discharged`: the cells are shorted. A row has cell 0 in its lowest 16 bits.
`default_nettype none

module spu_board (
    input  wire configure,
    input  wire [7:0] mistake,
    input  wire [31:0] gateware_id,
    input  wire [31:0] board,
    input  wire [31:0] banks,
    input  wire [31:0] converters,
    input  wire [31:0] sample_clock_hz,
    input  wire [31:0] capture_frames,
    input  wire [63:0] serial,
    input  wire [127:0] profile_name,
    // NOISE_RMS (in the lowest bits) to STORAGE_LSB_FARAD.
    input  wire [479:0] real_words,
    input  wire clk,
    input  wire reset,
    input  wire spi_sck,
    input  wire spi_select_n,
    input  wire spi_mosi,
    output wire spi_miso,
    input  wire permit,
    output wire busy,
    output reg  began,
    output reg  updated,
    output reg  sampled,
    output reg  shifted,
    output reg  shifted_bit,
    output reg  latched,
    output reg  discharged,
    // One of these, but for `began` and `updated`.
    output reg  event_seen,
    output reg  [127:0] dac,
    input  wire [127:0] adc
);
    localparam integer CONVERSION = 8;
    // Read by planted mistakes, as spu_board.planted.
    reg [7:0] planted;
    reg [31:0] the_id, the_board, the_banks, the_converters, the_clock, the_frames;
    reg [63:0] the_serial;
    reg [127:0] the_name;
    reg [479:0] words;
    always @(posedge configure) begin
        planted <= mistake;
        the_id <= gateware_id;
        the_board <= board;
        the_banks <= banks;
        the_converters <= converters;
        the_clock <= sample_clock_hz;
        the_frames <= capture_frames;
        the_serial <= serial;
        the_name <= profile_name;
        words <= real_words;
    end

    wire tick, write, update, sample, read, discharge, switch_clock, switch_data, switch_latch;
    wire [2:0] write_cell, read_cell;
    wire [15:0] code;
    reg [15:0] adc_data;
    spu_core #(.CONVERSION(CONVERSION)) core (
        .clk(clk), .reset(reset),
        .gateware_id(the_id), .board_kind(the_board[15:0]), .board_cells(the_board[31:16]),
        .banks_self_bits(the_banks[7:0]), .banks_coupling_bits(the_banks[15:8]),
        .banks_coupling_signed(the_banks[16]), .banks_storage_bits(the_banks[31:24]),
        .converters_dac_bits(the_converters[7:0]), .converters_adc_bits(the_converters[15:8]),
        .converters_sample_bits(the_converters[23:16]),
        .converters_control_bits(the_converters[27:24]),
        .converters_samples_per_frame(the_converters[31:28]),
        .sample_clock_hz(the_clock), .capture_frames(the_frames),
        .serial_lo(the_serial[31:0]), .serial_hi(the_serial[63:32]), .profile_name(the_name),
        .noise_rms(words[0 +: 32]), .r_ohm(words[32 +: 32]), .l_henry(words[64 +: 32]),
        .self_lsb_farad(words[96 +: 32]), .coupling_lsb_farad(words[128 +: 32]),
        .stray_farad(words[160 +: 32]), .dac_lsb_ampere(words[192 +: 32]),
        .adc_lsb_volt(words[224 +: 32]), .drive_spread(words[256 +: 32]),
        .bank_spread(words[288 +: 32]), .adc_gain_spread(words[320 +: 32]),
        .r_spread(words[352 +: 32]), .l_spread(words[384 +: 32]),
        .stream_frames_per_s(words[416 +: 32]), .storage_lsb_farad(words[448 +: 32]),
        .spi_sck(spi_sck), .spi_select_n(spi_select_n), .spi_mosi(spi_mosi), .spi_miso(spi_miso),
        .permit(permit), .tick(tick),
        .dac_write(write), .dac_cell(write_cell), .dac_data(code), .dac_update(update),
        .adc_sample(sample), .adc_read(read), .adc_cell(read_cell), .adc_data(adc_data),
        .discharge(discharge), .switch_clock(switch_clock), .switch_data(switch_data),
        .switch_latch(switch_latch), .busy(busy)
    );

    // What the DACs took, what the ADCs have; conversions on their way, by clocks since the sample,
    // and their rows, by slots.
    reg [127:0] taken, ready;
    reg [8 * CONVERSION - 2 : 0] converting;
    reg [127:0] rows [0 : CONVERSION - 2];
    integer slot;
    wire [127:0] on_bus = converting[8 * CONVERSION - 2] ? rows[CONVERSION - 2] : ready;
    reg was_clock, was_latch, was_discharge;
    wire shifts = switch_clock && !was_clock;
    wire latches = switch_latch && !was_latch;
    wire shorts = discharge && !was_discharge;
    always @(posedge clk) begin
        began <= tick && !reset;
        updated <= update && !reset;
        if (update) dac <= taken;
        if (write) taken[16 * write_cell +: 16] <= code;
        sampled <= sample && !reset;
        converting <= {converting[8 * CONVERSION - 3 : 0], sampled};
        if (converting[6]) rows[0] <= adc;
        for (slot = 1; slot < CONVERSION - 1; slot = slot + 1)
            if (converting[8 * slot + 6]) rows[slot] <= rows[slot - 1];
        ready <= on_bus;
        if (read) adc_data <= on_bus[16 * read_cell +: 16];
        was_clock <= switch_clock;
        was_latch <= switch_latch;
        was_discharge <= discharge;
        shifted <= shifts && !reset;
        shifted_bit <= switch_data;
        latched <= latches && !reset;
        discharged <= shorts && !reset;
        event_seen <= (sample || shifts || latches || shorts) && !reset;
        if (reset) begin
            converting <= {(8 * CONVERSION - 1){1'b0}};
            taken <= 128'd0;
            ready <= 128'd0;
            dac <= 128'd0;
        end
    end
endmodule

`default_nettype wire
