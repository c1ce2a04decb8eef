// Storage of the writable arrays: banks, gains, biases, seeds, calibration memory.
//
// One synchronous memory of 128 words with a flag a word that says whether it was written since the
// last reset: a soft reset thus takes one clock. A code is cut to its range when written, so that
// reading back shows what applies.
//
// Bus: the ports of spu_regs; `rdata` five clocks after `re`, for all arrays. Loads: `load` asks
// for the word at `load_at`; where the bus does not read in that clock (`load_granted`), it is on
// `loaded_data` with `loaded` and `loaded_at` three clocks later, for those who keep a copy.
//
//   0.. 7 self bank    8..15 storage bank   16..23 noise gain   24..31 bias   32..63 noise seed
//  64..91 coupling bank   96..103 initial state   104..111 ADC offset   112..119 ADC gain
`default_nettype none

module spu_store (
    input  wire clk,
    input  wire reset,
    input  wire [7:0] self_bits,
    input  wire [7:0] coupling_bits,
    input  wire coupling_signed,
    input  wire [7:0] storage_bits,
    input  wire [15:0] dac_full_scale,
    input  wire [31:0] wdata,
    input  wire [2:0] self_bank_index,
    input  wire self_bank_we,
    input  wire self_bank_re,
    input  wire [4:0] coupling_bank_index,
    input  wire coupling_bank_we,
    input  wire coupling_bank_re,
    input  wire [2:0] noise_gain_index,
    input  wire noise_gain_we,
    input  wire noise_gain_re,
    input  wire [2:0] bias_index,
    input  wire bias_we,
    input  wire bias_re,
    input  wire [2:0] storage_index,
    input  wire storage_we,
    input  wire storage_re,
    input  wire [2:0] initial_index,
    input  wire initial_we,
    input  wire initial_re,
    input  wire [2:0] adc_offset_index,
    input  wire adc_offset_we,
    input  wire adc_offset_re,
    input  wire [2:0] adc_gain_index,
    input  wire adc_gain_we,
    input  wire adc_gain_re,
    input  wire [4:0] noise_seed_index,
    input  wire noise_seed_we,
    input  wire noise_seed_re,
    output reg  [31:0] rdata,
    input  wire load,
    input  wire [6:0] load_at,
    output wire load_granted,
    output reg  loaded,
    output reg  [6:0] loaded_at,
    output wire [31:0] loaded_data
);
    // Every array has one of its strobes high at most, and only one array has. The bus's decoder is
    // deep: the access as it is in the clock after, then its address here.
    wire [8:0] strobes_we = {self_bank_we, storage_we, noise_gain_we, bias_we, noise_seed_we,
        coupling_bank_we, initial_we, adc_offset_we, adc_gain_we};
    wire [8:0] strobes_re = {self_bank_re, storage_re, noise_gain_re, bias_re, noise_seed_re,
        coupling_bank_re, initial_re, adc_offset_re, adc_gain_re};
    reg [8:0] array_we, array_re;
    reg [62:0] array_at;
    reg [31:0] array_wdata;
    wire [8:0] array = array_we | array_re;
    reg bus_we, bus_re;
    reg [6:0] bus_at;
    reg [31:0] given;
    always @(posedge clk) begin
        array_we <= strobes_we;
        array_re <= strobes_re;
        array_at <= {4'd0, self_bank_index, 4'd1, storage_index, 4'd2, noise_gain_index,
            4'd3, bias_index, 2'd1, noise_seed_index, 2'd2, coupling_bank_index,
            4'd12, initial_index, 4'd13, adc_offset_index, 4'd14, adc_gain_index};
        array_wdata <= wdata;
        bus_we <= array_we != 9'd0;
        bus_re <= array_re != 9'd0;
        bus_at <= {7{array[8]}} & array_at[62:56] | {7{array[7]}} & array_at[55:49]
            | {7{array[6]}} & array_at[48:42] | {7{array[5]}} & array_at[41:35]
            | {7{array[4]}} & array_at[34:28] | {7{array[3]}} & array_at[27:21]
            | {7{array[2]}} & array_at[20:14] | {7{array[1]}} & array_at[13:7]
            | {7{array[0]}} & array_at[6:0];
        given <= array_wdata;
    end
    wire at_self = bus_at[6:3] == 4'd0;
    wire at_storage = bus_at[6:3] == 4'd1;
    wire at_gain = bus_at[6:3] == 4'd2;
    wire at_bias = bus_at[6:3] == 4'd3;
    wire at_coupling = bus_at[6:5] == 2'd2;

    // --- Range of a code --------------------------------------------------------------------

    wire [31:0] self_limit = (32'd1 << self_bits[3:0]) - 32'd1;
    wire [31:0] coupling_limit = (32'd1 << coupling_bits[3:0]) - 32'd1;
    wire [31:0] storage_limit = (32'd1 << storage_bits[3:0]) - 32'd1;
    // 1: its limits; 2: compared; then written.
    reg [31:0] limited, high, low, compared, compared_high, compared_low;
    reg [6:0] limited_at, compared_at;
    reg limited_we, compared_we;
    reg is_signed, is_code, compared_code, above, below;
    always @(posedge clk) begin
        limited <= given;
        limited_at <= bus_at;
        limited_we <= bus_we;
        is_code <= at_self || at_coupling || at_gain || at_bias
            || (at_storage && storage_bits != 8'd0);
        is_signed <= at_coupling || at_bias;
        high <= self_limit;
        low <= 32'd0;
        if (at_coupling) begin
            high <= coupling_limit;
            low <= coupling_signed ? -coupling_limit : 32'd0;
        end
        if (at_storage) high <= storage_limit;
        if (at_gain) high <= 32'h0000_FFFF;
        if (at_bias) begin
            high <= {16'd0, dac_full_scale};
            low <= -{16'd0, dac_full_scale};
        end
        compared <= limited;
        compared_at <= limited_at;
        compared_we <= limited_we;
        compared_high <= high;
        compared_low <= low;
        compared_code <= is_code;
        // As unsigned numbers, which keep their order with the sign turned round.
        above <= {limited[31] ^ is_signed, limited[30:0]} > {high[31] ^ is_signed, high[30:0]};
        below <= is_signed && $signed(limited) < $signed(low);
    end
    wire [31:0] value = !compared_code ? compared
        : above ? compared_high : below ? compared_low : compared;

    // --- Memory -----------------------------------------------------------------------------

    // No word is read in the clock in which it is written: the bus takes one access in 60 clocks, and
    // nothing is written while words are copied.
    (* no_rw_check *) reg [31:0] words [0:127];
    reg [127:0] written;
    reg [31:0] word;
    reg [6:0] read_at;
    // A word waits while others are copied: the copies are of what was there before.
    reg held;
    reg [6:0] held_at;
    reg [31:0] held_value;
    wire write = held && !load;
    always @(posedge clk) begin
        read_at <= bus_re ? bus_at : load_at;
        if (compared_we) begin
            held_at <= compared_at;
            held_value <= value;
        end
        held <= (compared_we || (held && load)) && !reset;
        if (write) words[held_at] <= held_value;
        word <= words[read_at];
    end
    // Which flag is set, by row and column of eight.
    reg [15:0] set_row;
    reg [7:0] set_column, row;
    reg [2:0] column;
    integer flag;
    always @(posedge clk) begin
        set_row <= {15'd0, write} << held_at[6:3];
        set_column <= 8'd1 << held_at[2:0];
        row <= reset ? 8'd0 : written[{read_at[6:3], 3'd0} +: 8];
        column <= read_at[2:0];
        for (flag = 0; flag < 128; flag = flag + 1)
            if (set_row[flag / 8] && set_column[flag % 8]) written[flag] <= 1'b1;
        if (reset) written <= 128'd0;
    end
    // A memory's output is late in its clock.
    always @(posedge clk) rdata <= row[column] ? word : 32'd0;

    assign load_granted = load && !bus_re;
    reg [1:0] fetched;
    reg [6:0] fetched_at;
    always @(posedge clk) begin
        fetched <= {fetched[0], load_granted};
        fetched_at <= read_at;
        loaded <= fetched[1];
        loaded_at <= fetched_at;
    end
    assign loaded_data = rdata;
endmodule

`default_nettype wire
