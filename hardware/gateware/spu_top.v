// The FPGA of a rev-a board: spu_core with the pins of `ecp5-25f.lpf` and this board's constants.
//
// `clk` is 96 MHz, from the oscillator that the sample clock of 12 MHz is divided from. Between the core
// and the pins are the bridges to the converters of hardware/board: spu_dacs and spu_adcs. A board with
// other converters puts its own there. Another board is another set of parameters (the identity registers of
// hardware/registers/spu.rdl); `spu-rtl/tests/top.rs` compares these with the profile.
`default_nettype none

module spu_top #(
    // Set by the build: what GATEWARE_ID and the serial number read.
    parameter [31:0] GATEWARE_ID = 32'd1,
    parameter [63:0] SERIAL = 64'd0,
    parameter [31:0] BOARD = 32'h00080001,
    parameter [31:0] BANKS = 32'h00000404,
    parameter [31:0] CONVERTERS = 32'h100C0C0E,
    parameter [31:0] SAMPLE_CLOCK_HZ = 32'h00B71B00,
    parameter [31:0] CAPTURE_FRAMES = 32'h00001000,
    parameter [127:0] PROFILE_NAME = 128'h0000000000000000000000612D766572,
    parameter [31:0] NOISE_RMS = 32'h44A52AC4,
    parameter [31:0] R_OHM = 32'h44960000,
    parameter [31:0] L_HENRY = 32'h3A56F545,
    parameter [31:0] SELF_LSB_FARAD = 32'h2F24ED3F,
    parameter [31:0] COUPLING_LSB_FARAD = 32'h2F24ED3F,
    parameter [31:0] STRAY_FARAD = 32'h2DAFEBFF,
    parameter [31:0] DAC_LSB_AMPERE = 32'h35031687,
    parameter [31:0] ADC_LSB_VOLT = 32'h3A001002,
    parameter [31:0] DRIVE_SPREAD = 32'h3E6147AE,
    parameter [31:0] BANK_SPREAD = 32'h3C23D70A,
    parameter [31:0] ADC_GAIN_SPREAD = 32'h3C23D70A,
    parameter [31:0] R_SPREAD = 32'h3BA3D70A,
    parameter [31:0] L_SPREAD = 32'h3CCCCCCD,
    parameter [31:0] STREAM_FRAMES_PER_S = 32'h00000000,
    parameter [31:0] STORAGE_LSB_FARAD = 32'h00000000
) (
    input  wire clk,
    input  wire reset_n,
    input  wire spi_sck,
    input  wire spi_select_n,
    input  wire spi_mosi,
    output wire spi_miso,
    // The converters' supplies are there.
    input  wire converters_ready,
    // DACs: a bus for each channel of all parts, a strobe for each part, the update of all.
    output wire [13:0] dac_even,
    output wire [13:0] dac_odd,
    output wire [3:0] dac_write,
    output wire dac_update,
    // ADCs: sampling clocks, one for two parts, and lines, 12 a part.
    output wire [3:0] adc_clock,
    input  wire [95:0] adc_data,
    output wire discharge,
    output wire switch_clock,
    output wire switch_data,
    output wire switch_latch,
    // Reserved: the firmware polls.
    output wire irq
);
    // The reset's end is brought into step with the clock, its beginning is as well: the clock runs.
    wire running, ready;
    spu_sync sync_reset (.clk(clk), .d(reset_n), .q(running));
    spu_sync sync_ready (.clk(clk), .d(converters_ready), .q(ready));
    // Once they are ready, the ADCs have their clock; 1023 clocks of the core later the DACs are driven and
    // ticks may begin.
    reg [9:0] warm;
    reg driven;
    always @(posedge clk) begin
        if (!running) warm <= 10'd0;
        else if (warm != 10'h3ff && (ready || warm != 10'd0)) warm <= warm + 10'd1;
        driven <= warm == 10'h3ff && running;
    end

    // The configuration flash shares the wire.
    wire miso;
    assign spi_miso = spi_select_n ? 1'bz : miso;
    assign irq = 1'b0;

    wire write, update;
    wire [2:0] cell_written, phase;
    wire [15:0] code;
    wire [11:0] sample;
    spu_dacs dacs (
        .clk(clk), .rest(discharge || !driven),
        .write(write), .cell_index(cell_written), .code(code[13:0]), .update(update),
        .even_bus(dac_even), .odd_bus(dac_odd), .strobes(dac_write), .update_clock(dac_update)
    );
    reg permit;
    always @(posedge clk) permit <= ready && driven;
    spu_adcs adcs (
        .clk(clk), .run(warm != 10'd0), .phase(phase), .sample_clocks(adc_clock), .lines(adc_data), .code(sample)
    );

    localparam integer CELLS = {16'd0, BOARD[31:16]};
    spu_core #(
        .CELLS(CELLS)
    ) core (
        .clk(clk), .reset(!running),
        .gateware_id(GATEWARE_ID), .board_kind(BOARD[15:0]), .board_cells(BOARD[31:16]),
        .banks_self_bits(BANKS[7:0]), .banks_coupling_bits(BANKS[15:8]),
        .banks_coupling_signed(BANKS[16]), .banks_storage_bits(BANKS[31:24]),
        .converters_dac_bits(CONVERTERS[7:0]), .converters_adc_bits(CONVERTERS[15:8]),
        .converters_sample_bits(CONVERTERS[23:16]), .converters_control_bits(CONVERTERS[27:24]),
        .converters_samples_per_frame(CONVERTERS[31:28]),
        .sample_clock_hz(SAMPLE_CLOCK_HZ), .capture_frames(CAPTURE_FRAMES),
        .serial_lo(SERIAL[31:0]), .serial_hi(SERIAL[63:32]), .profile_name(PROFILE_NAME),
        .noise_rms(NOISE_RMS), .r_ohm(R_OHM), .l_henry(L_HENRY),
        .self_lsb_farad(SELF_LSB_FARAD), .coupling_lsb_farad(COUPLING_LSB_FARAD),
        .stray_farad(STRAY_FARAD), .dac_lsb_ampere(DAC_LSB_AMPERE),
        .adc_lsb_volt(ADC_LSB_VOLT), .drive_spread(DRIVE_SPREAD), .bank_spread(BANK_SPREAD),
        .adc_gain_spread(ADC_GAIN_SPREAD), .r_spread(R_SPREAD), .l_spread(L_SPREAD),
        .stream_frames_per_s(STREAM_FRAMES_PER_S), .storage_lsb_farad(STORAGE_LSB_FARAD),
        .spi_sck(spi_sck), .spi_select_n(spi_select_n), .spi_mosi(spi_mosi), .spi_miso(miso),
        .permit(permit), .tick(),
        .dac_write(write), .dac_cell(cell_written), .dac_data(code), .dac_update(update),
        // The ADCs sample all the time, and their codes come in the order of cells.
        .adc_sample(), .adc_read(), .adc_cell(phase), .adc_data({{4{sample[11]}}, sample}),
        .discharge(discharge), .switch_clock(switch_clock), .switch_data(switch_data),
        .switch_latch(switch_latch), .busy()
    );
endmodule

`default_nettype wire
