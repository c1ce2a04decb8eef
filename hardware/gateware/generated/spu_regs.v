// Register block of the FPGA: spu_regs.
//
// Written by `cargo xtask regs` from hardware/registers/spu.rdl; do not edit.
//
// Word bus: `addr` is a byte address, a multiple of 4; a write happens in the clock with `we`, read
// data is on `rdata` in the clock after `re` and stays until the next `re`. Outside the map, and
// for array elements that a board of CELLS cells does not have, reads give 0 and writes do nothing.
//
// Ports of registers held here: <register>_<field>, or <register> where the field is the whole
// word; an array is one packed vector, element 0 in its lowest word. Writable fields are outputs;
// a field that is a command is an output, high for one clock. The others are inputs, read as they
// are in the clock of `re`. What a read captures, shows from `taken`: high in a clock after `re` in
// which the word of that `re` is known to have been read (a bus that fetches ahead says so later), or
// always, where every word fetched is read.
//
// Arrays that belong in memory are not held here but decoded: <array>_re and <array>_we are high in
// the clock of the access, <array>_index is the element, `wdata` the value to write. The value read
// must be on <array>_rdata in the clock after <array>_re and stay until the next one, as the output
// of a synchronous memory does.
//
// `reset` is synchronous. A soft reset command acts on what drives `reset`, outside this block.
`default_nettype none

module spu_regs #(
    // Cells of the board.
    parameter integer CELLS = 8
) (
    input  wire clk,
    input  wire reset,
    input  wire [15:0] addr,
    input  wire [31:0] wdata,
    input  wire we,
    input  wire re,
    input  wire taken,
    output wire [31:0] rdata,
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
    output reg  [31:0] calibration_id_lo,
    output reg  [31:0] calibration_id_hi,
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
    output reg  [127:0] scratch,
    input  wire [31:0] array_rows_max,
    input  wire [31:0] array_columns_max,
    input  wire [7:0] array_bits_code_bits,
    input  wire [7:0] array_bits_damping_bits,
    input  wire [31:0] node_farad,
    output reg  control_start,
    output reg  control_abort,
    output reg  control_apply,
    output reg  control_reseed,
    output reg  control_discharge,
    output reg  control_fifo_clear,
    output reg  control_soft_reset,
    output reg  control_initialise,
    output reg  mode_stream,
    output reg  mode_moments,
    output reg  mode_realtime,
    output reg  mode_pattern,
    output reg  [31:0] settle,
    output reg  [31:0] decimation,
    output reg  [31:0] count,
    output reg  [31:0] array_rows,
    output reg  [31:0] array_columns,
    output reg  [31:0] array_damping,
    output reg  [3:0] array_range_input,
    output reg  [3:0] array_range_noise,
    output reg  [31:0] array_noise_gain,
    output reg  [23:0] bulk_page_page,
    output reg  [7:0] bulk_page_region,
    input  wire [2:0] status_state,
    input  wire status_stalled,
    input  wire status_overrun,
    input  wire status_fifo_empty,
    input  wire [31:0] fifo_frames,
    input  wire [31:0] kept,
    input  wire [31:0] lost,
    input  wire [31:0] ticks_lo,
    input  wire [31:0] ticks_hi,
    output wire [5:0] saturated_index,
    output wire saturated_re,
    input  wire [31:0] saturated_rdata,
    output wire [5:0] self_bank_index,
    output wire self_bank_we,
    output wire self_bank_re,
    input  wire [31:0] self_bank_rdata,
    output wire [8:0] coupling_bank_index,
    output wire coupling_bank_we,
    output wire coupling_bank_re,
    input  wire [31:0] coupling_bank_rdata,
    output wire [5:0] noise_gain_index,
    output wire noise_gain_we,
    output wire noise_gain_re,
    input  wire [31:0] noise_gain_rdata,
    output wire [5:0] bias_index,
    output wire bias_we,
    output wire bias_re,
    input  wire [31:0] bias_rdata,
    output wire [5:0] storage_index,
    output wire storage_we,
    output wire storage_re,
    input  wire [31:0] storage_rdata,
    output wire [5:0] initial_index,
    output wire initial_we,
    output wire initial_re,
    input  wire [31:0] initial_rdata,
    output wire [5:0] adc_offset_index,
    output wire adc_offset_we,
    output wire adc_offset_re,
    input  wire [31:0] adc_offset_rdata,
    output wire [5:0] adc_gain_index,
    output wire adc_gain_we,
    output wire adc_gain_re,
    input  wire [31:0] adc_gain_rdata,
    output wire [7:0] noise_seed_index,
    output wire noise_seed_we,
    output wire noise_seed_re,
    input  wire [31:0] noise_seed_rdata,
    output wire [6:0] sum_index,
    output wire sum_re,
    input  wire [31:0] sum_rdata,
    output wire [10:0] product_index,
    output wire product_re,
    input  wire [31:0] product_rdata,
    output wire [11:0] fifo_index,
    output wire fifo_re,
    input  wire [31:0] fifo_rdata,
    output wire [12:0] bulk_index,
    output wire bulk_we,
    output wire bulk_re,
    input  wire [31:0] bulk_rdata
);

    wire aligned = addr[1:0] == 2'd0;
    wire [13:0] region;

    // Kept ticks of the cell whose code was at full scale; stops at 2^32 - 1.
    assign saturated_index = addr[7:2];
    localparam [31:0] SATURATED_LEN = (CELLS < 64) ? CELLS : 64;
    assign region[0] = aligned && addr[15:8] == 8'h2 && {26'd0, saturated_index} < SATURATED_LEN;
    assign saturated_re = re && region[0];

    // Self-term bank code, unsigned.
    assign self_bank_index = addr[7:2];
    localparam [31:0] SELF_BANK_LEN = (CELLS < 64) ? CELLS : 64;
    assign region[1] = aligned && addr[15:8] == 8'h4 && {26'd0, self_bank_index} < SELF_BANK_LEN;
    assign self_bank_re = re && region[1];
    assign self_bank_we = we && region[1];

    // Coupling bank code, signed.
    assign coupling_bank_index = addr[10:2];
    localparam [31:0] COUPLING_BANK_LEN = ((CELLS * (CELLS - 1) / 2) < 512) ? (CELLS * (CELLS - 1) / 2) : 512;
    assign region[2] = aligned && addr[15:11] == 5'h1 && {23'd0, coupling_bank_index} < COUPLING_BANK_LEN;
    assign coupling_bank_re = re && region[2];
    assign coupling_bank_we = we && region[2];

    // Noise gain, in 1/4096, unsigned 16 bit.
    assign noise_gain_index = addr[7:2];
    localparam [31:0] NOISE_GAIN_LEN = (CELLS < 64) ? CELLS : 64;
    assign region[3] = aligned && addr[15:8] == 8'h10 && {26'd0, noise_gain_index} < NOISE_GAIN_LEN;
    assign noise_gain_re = re && region[3];
    assign noise_gain_we = we && region[3];

    // Bias DAC code, signed.
    assign bias_index = addr[7:2];
    localparam [31:0] BIAS_LEN = (CELLS < 64) ? CELLS : 64;
    assign region[4] = aligned && addr[15:8] == 8'h11 && {26'd0, bias_index} < BIAS_LEN;
    assign bias_re = re && region[4];
    assign bias_we = we && region[4];

    // Storage bank code, unsigned (RC: the capacitance of the cell).
    assign storage_index = addr[7:2];
    localparam [31:0] STORAGE_LEN = (CELLS < 64) ? CELLS : 64;
    assign region[5] = aligned && addr[15:8] == 8'h12 && {26'd0, storage_index} < STORAGE_LEN;
    assign storage_re = re && region[5];
    assign storage_we = we && region[5];

    // Reserved: initial state of later kinds.
    assign initial_index = addr[7:2];
    localparam [31:0] INITIAL_LEN = (CELLS < 64) ? CELLS : 64;
    assign region[6] = aligned && addr[15:8] == 8'h13 && {26'd0, initial_index} < INITIAL_LEN;
    assign initial_re = re && region[6];
    assign initial_we = we && region[6];

    // Calibration memory: ADC code at 0 V, binary32; kept for the host, not applied.
    assign adc_offset_index = addr[7:2];
    localparam [31:0] ADC_OFFSET_LEN = (CELLS < 64) ? CELLS : 64;
    assign region[7] = aligned && addr[15:8] == 8'h14 && {26'd0, adc_offset_index} < ADC_OFFSET_LEN;
    assign adc_offset_re = re && region[7];
    assign adc_offset_we = we && region[7];

    // Calibration memory: ADC gain in codes per volt, binary32; kept for the host, not applied.
    assign adc_gain_index = addr[7:2];
    localparam [31:0] ADC_GAIN_LEN = (CELLS < 64) ? CELLS : 64;
    assign region[8] = aligned && addr[15:8] == 8'h15 && {26'd0, adc_gain_index} < ADC_GAIN_LEN;
    assign adc_gain_re = re && region[8];
    assign adc_gain_we = we && region[8];

    // Noise generator seed, word w of cell c at index 4 c + w; all zero: that of power-up.
    assign noise_seed_index = addr[9:2];
    localparam [31:0] NOISE_SEED_LEN = (4 * CELLS < 256) ? 4 * CELLS : 256;
    assign region[9] = aligned && addr[15:10] == 6'h6 && {24'd0, noise_seed_index} < NOISE_SEED_LEN;
    assign noise_seed_re = re && region[9];
    assign noise_seed_we = we && region[9];

    // Sum of the cell's codes, signed 64 bit: low word at 2 c, high word at 2 c + 1.
    assign sum_index = addr[8:2];
    localparam [31:0] SUM_LEN = (2 * CELLS < 128) ? 2 * CELLS : 128;
    assign region[10] = aligned && addr[15:9] == 7'h10 && {25'd0, sum_index} < SUM_LEN;
    assign sum_re = re && region[10];

    // Sum of the pair's code products, signed 64 bit: low word at 2 p, high word at 2 p + 1.
    assign product_index = addr[12:2] - 11'h100;
    localparam [31:0] PRODUCT_LEN = (2 * (CELLS * (CELLS + 1) / 2) < 1056) ? 2 * (CELLS * (CELLS + 1) / 2) : 1056;
    assign region[11] = aligned && addr >= 16'h2400 && addr < 16'h3480 && {21'd0, product_index} < PRODUCT_LEN;
    assign product_re = re && region[11];

    // Capture FIFO: reads take packed octets, whole frames, whatever the address.
    assign fifo_index = addr[13:2];
    assign region[12] = aligned && addr[15:14] == 2'h1;
    assign fifo_re = re && region[12];

    // Factored: a page of the bulk memory, in its first 4096 words; two codes a word, the first one low.
    assign bulk_index = addr[14:2];
    localparam [31:0] BULK_LEN = 7936;
    assign region[13] = aligned && addr[15:15] == 1'h1 && {19'd0, bulk_index} < BULK_LEN;
    assign bulk_re = re && region[13];
    assign bulk_we = we && region[13];

    always @(posedge clk) begin
        if (reset) begin
            calibration_id_lo <= 32'h0;
            calibration_id_hi <= 32'h0;
            scratch <= 128'h0;
            control_start <= 1'h0;
            control_abort <= 1'h0;
            control_apply <= 1'h0;
            control_reseed <= 1'h0;
            control_discharge <= 1'h0;
            control_fifo_clear <= 1'h0;
            control_soft_reset <= 1'h0;
            control_initialise <= 1'h0;
            mode_stream <= 1'h0;
            mode_moments <= 1'h0;
            mode_realtime <= 1'h0;
            mode_pattern <= 1'h0;
            settle <= 32'h0;
            decimation <= 32'h0;
            count <= 32'h0;
            array_rows <= 32'h0;
            array_columns <= 32'h0;
            array_damping <= 32'h0;
            array_range_input <= 4'h0;
            array_range_noise <= 4'h0;
            array_noise_gain <= 32'h0;
            bulk_page_page <= 24'h0;
            bulk_page_region <= 8'h0;
        end else begin
            control_start <= 1'b0;
            control_abort <= 1'b0;
            control_apply <= 1'b0;
            control_reseed <= 1'b0;
            control_discharge <= 1'b0;
            control_fifo_clear <= 1'b0;
            control_soft_reset <= 1'b0;
            control_initialise <= 1'b0;
            if (we) begin
                case (addr)
                    16'h0028: calibration_id_lo <= wdata;
                    16'h002C: calibration_id_hi <= wdata;
                    16'h0080: scratch[0 +: 32] <= wdata;
                    16'h0084: scratch[32 +: 32] <= wdata;
                    16'h0088: scratch[64 +: 32] <= wdata;
                    16'h008C: scratch[96 +: 32] <= wdata;
                    16'h0100: begin
                        control_start <= wdata[0];
                        control_abort <= wdata[1];
                        control_apply <= wdata[2];
                        control_reseed <= wdata[3];
                        control_discharge <= wdata[4];
                        control_fifo_clear <= wdata[5];
                        control_soft_reset <= wdata[6];
                        control_initialise <= wdata[7];
                    end
                    16'h0104: begin
                        mode_stream <= wdata[0];
                        mode_moments <= wdata[1];
                        mode_realtime <= wdata[2];
                        mode_pattern <= wdata[3];
                    end
                    16'h0108: settle <= wdata;
                    16'h010C: decimation <= wdata;
                    16'h0110: count <= wdata;
                    16'h0120: array_rows <= wdata;
                    16'h0124: array_columns <= wdata;
                    16'h0128: array_damping <= wdata;
                    16'h012C: begin
                        array_range_input <= wdata[3:0];
                        array_range_noise <= wdata[11:8];
                    end
                    16'h0130: array_noise_gain <= wdata;
                    16'h0134: begin
                        bulk_page_page <= wdata[23:0];
                        bulk_page_region <= wdata[31:24];
                    end
                    default: ;
                endcase
            end
        end
    end

    reg [31:0] ticks_hi_latched, ticks_hi_fetched;
    reg ticks_hi_pending;
    // Words by blocks of eight: one of each block is taken with `re`, then one block shows.
    reg [31:0] block_0000;
    reg [31:0] block_0020;
    reg [31:0] block_0040;
    reg [31:0] block_0060;
    reg [31:0] block_0080;
    reg [31:0] block_00a0;
    reg [31:0] block_0100;
    reg [31:0] block_0120;
    reg [31:0] block_0180;
    always @(posedge clk)
        if (re) begin
            block_0000 <= 32'd0;
            case (addr[4:2])
                3'd0: block_0000 <= 32'h53505546;
                3'd1: block_0000 <= 32'h00010002;
                3'd2: block_0000 <= gateware_id;
                3'd3: block_0000 <= {board_cells, board_kind};
                3'd4: block_0000 <= {banks_storage_bits, 7'd0, banks_coupling_signed, banks_coupling_bits, banks_self_bits};
                3'd5: block_0000 <= {converters_samples_per_frame, converters_control_bits, converters_sample_bits, converters_adc_bits, converters_dac_bits};
                3'd6: block_0000 <= sample_clock_hz;
                3'd7: block_0000 <= capture_frames;
                default: ;
            endcase
            block_0020 <= 32'd0;
            case (addr[4:2])
                3'd0: block_0020 <= serial_lo;
                3'd1: block_0020 <= serial_hi;
                3'd2: block_0020 <= calibration_id_lo;
                3'd3: block_0020 <= calibration_id_hi;
                3'd4: block_0020 <= profile_name[0 +: 32];
                3'd5: block_0020 <= profile_name[32 +: 32];
                3'd6: block_0020 <= profile_name[64 +: 32];
                3'd7: block_0020 <= profile_name[96 +: 32];
                default: ;
            endcase
            block_0040 <= 32'd0;
            case (addr[4:2])
                3'd0: block_0040 <= noise_rms;
                3'd1: block_0040 <= r_ohm;
                3'd2: block_0040 <= l_henry;
                3'd3: block_0040 <= self_lsb_farad;
                3'd4: block_0040 <= coupling_lsb_farad;
                3'd5: block_0040 <= stray_farad;
                3'd6: block_0040 <= dac_lsb_ampere;
                3'd7: block_0040 <= adc_lsb_volt;
                default: ;
            endcase
            block_0060 <= 32'd0;
            case (addr[4:2])
                3'd0: block_0060 <= drive_spread;
                3'd1: block_0060 <= bank_spread;
                3'd2: block_0060 <= adc_gain_spread;
                3'd3: block_0060 <= r_spread;
                3'd4: block_0060 <= l_spread;
                3'd5: block_0060 <= stream_frames_per_s;
                3'd6: block_0060 <= storage_lsb_farad;
                default: ;
            endcase
            block_0080 <= 32'd0;
            case (addr[4:2])
                3'd0: block_0080 <= scratch[0 +: 32];
                3'd1: block_0080 <= scratch[32 +: 32];
                3'd2: block_0080 <= scratch[64 +: 32];
                3'd3: block_0080 <= scratch[96 +: 32];
                default: ;
            endcase
            block_00a0 <= 32'd0;
            case (addr[4:2])
                3'd0: block_00a0 <= array_rows_max;
                3'd1: block_00a0 <= array_columns_max;
                3'd2: block_00a0 <= {16'd0, array_bits_damping_bits, array_bits_code_bits};
                3'd3: block_00a0 <= node_farad;
                default: ;
            endcase
            block_0100 <= 32'd0;
            case (addr[4:2])
                3'd1: block_0100 <= {28'd0, mode_pattern, mode_realtime, mode_moments, mode_stream};
                3'd2: block_0100 <= settle;
                3'd3: block_0100 <= decimation;
                3'd4: block_0100 <= count;
                default: ;
            endcase
            block_0120 <= 32'd0;
            case (addr[4:2])
                3'd0: block_0120 <= array_rows;
                3'd1: block_0120 <= array_columns;
                3'd2: block_0120 <= array_damping;
                3'd3: block_0120 <= {20'd0, array_range_noise, 4'd0, array_range_input};
                3'd4: block_0120 <= array_noise_gain;
                3'd5: block_0120 <= {bulk_page_region, bulk_page_page};
                default: ;
            endcase
            block_0180 <= 32'd0;
            case (addr[4:2])
                3'd0: block_0180 <= {21'd0, status_fifo_empty, status_overrun, status_stalled, 5'd0, status_state};
                3'd1: block_0180 <= fifo_frames;
                3'd2: block_0180 <= kept;
                3'd3: block_0180 <= lost;
                3'd4: block_0180 <= ticks_lo;
                3'd5: block_0180 <= ticks_hi_latched;
                default: ;
            endcase
        end

    reg [8:0] block_read;
    reg [13:0] region_read;
    always @(posedge clk) begin
        if (reset) begin
            block_read <= 9'd0;
            region_read <= 14'd0;
            ticks_hi_latched <= 32'd0;
            ticks_hi_pending <= 1'b0;
        end else begin
            if (taken) begin
                if (ticks_hi_pending) ticks_hi_latched <= ticks_hi_fetched;
                ticks_hi_pending <= 1'b0;
            end
            if (re) begin
                block_read[0] <= aligned && addr[15:5] == 11'h0;
                block_read[1] <= aligned && addr[15:5] == 11'h1;
                block_read[2] <= aligned && addr[15:5] == 11'h2;
                block_read[3] <= aligned && addr[15:5] == 11'h3;
                block_read[4] <= aligned && addr[15:5] == 11'h4;
                block_read[5] <= aligned && addr[15:5] == 11'h5;
                block_read[6] <= aligned && addr[15:5] == 11'h8;
                block_read[7] <= aligned && addr[15:5] == 11'h9;
                block_read[8] <= aligned && addr[15:5] == 11'hC;
                region_read <= region;
                ticks_hi_pending <= addr == 16'h0190;
                ticks_hi_fetched <= ticks_hi;
            end
        end
    end

    assign rdata = 32'd0
        | ({32{block_read[0]}} & block_0000)
        | ({32{block_read[1]}} & block_0020)
        | ({32{block_read[2]}} & block_0040)
        | ({32{block_read[3]}} & block_0060)
        | ({32{block_read[4]}} & block_0080)
        | ({32{block_read[5]}} & block_00a0)
        | ({32{block_read[6]}} & block_0100)
        | ({32{block_read[7]}} & block_0120)
        | ({32{block_read[8]}} & block_0180)
        | ({32{region_read[0]}} & saturated_rdata)
        | ({32{region_read[1]}} & self_bank_rdata)
        | ({32{region_read[2]}} & coupling_bank_rdata)
        | ({32{region_read[3]}} & noise_gain_rdata)
        | ({32{region_read[4]}} & bias_rdata)
        | ({32{region_read[5]}} & storage_rdata)
        | ({32{region_read[6]}} & initial_rdata)
        | ({32{region_read[7]}} & adc_offset_rdata)
        | ({32{region_read[8]}} & adc_gain_rdata)
        | ({32{region_read[9]}} & noise_seed_rdata)
        | ({32{region_read[10]}} & sum_rdata)
        | ({32{region_read[11]}} & product_rdata)
        | ({32{region_read[12]}} & fifo_rdata)
        | ({32{region_read[13]}} & bulk_rdata);

endmodule

`default_nettype wire
