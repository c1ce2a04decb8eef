// Storage of the writable arrays: banks, gains, biases, seeds, calibration memory.
//
// One synchronous memory of 128 words with a flag a word that says whether it was written since the
// last reset: a soft reset thus takes one clock. A code is cut to its range when written, so that
// reading back shows what applies.
//
// Bus: the ports of spu_regs; `rdata` three clocks after `re`, for all arrays. Loads: `load` asks
// for the word at `load_at`; where the bus does not read in that clock (`load_granted`), it is on
// `loaded_data` with `loaded` and `loaded_at` two clocks later, for those who keep a copy.
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
    // Every array has one of its strobes high at most, and only one array has.
    wire self_bank = self_bank_we || self_bank_re;
    wire coupling_bank = coupling_bank_we || coupling_bank_re;
    wire noise_gain = noise_gain_we || noise_gain_re;
    wire bias = bias_we || bias_re;
    wire storage = storage_we || storage_re;
    wire initial_state = initial_we || initial_re;
    wire adc_offset = adc_offset_we || adc_offset_re;
    wire adc_gain = adc_gain_we || adc_gain_re;
    wire noise_seed = noise_seed_we || noise_seed_re;
    wire any_we = self_bank_we || coupling_bank_we || noise_gain_we || bias_we || storage_we
        || initial_we || adc_offset_we || adc_gain_we || noise_seed_we;
    wire any_re = self_bank_re || coupling_bank_re || noise_gain_re || bias_re || storage_re
        || initial_re || adc_offset_re || adc_gain_re || noise_seed_re;
    wire [6:0] any_at = {7{self_bank}} & {4'd0, self_bank_index}
        | {7{storage}} & {4'd1, storage_index}
        | {7{noise_gain}} & {4'd2, noise_gain_index}
        | {7{bias}} & {4'd3, bias_index}
        | {7{noise_seed}} & {2'd1, noise_seed_index}
        | {7{coupling_bank}} & {2'd2, coupling_bank_index}
        | {7{initial_state}} & {4'd12, initial_index}
        | {7{adc_offset}} & {4'd13, adc_offset_index}
        | {7{adc_gain}} & {4'd14, adc_gain_index};
    // The access in the clock after: the bus's decoder is deep.
    reg bus_we, bus_re;
    reg [6:0] bus_at;
    reg [31:0] given;
    always @(posedge clk) begin
        bus_we <= any_we;
        bus_re <= any_re;
        bus_at <= any_at;
        given <= wdata;
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
    reg [31:0] high, low;
    reg is_signed, is_code;
    always @* begin
        is_code = at_self || at_coupling || at_gain || at_bias
            || (at_storage && storage_bits != 8'd0);
        is_signed = at_coupling || at_bias;
        high = self_limit;
        if (at_coupling) high = coupling_limit;
        if (at_storage) high = storage_limit;
        if (at_gain) high = 32'h0000_FFFF;
        if (at_bias) high = {16'd0, dac_full_scale};
        low = (at_bias || coupling_signed) ? -high : 32'd0;
    end
    wire above = is_signed ? $signed(given) > $signed(high) : given > high;
    wire below = is_signed && $signed(given) < $signed(low);
    wire [31:0] value = !is_code ? given : above ? high : below ? low : given;

    // --- Memory -----------------------------------------------------------------------------

    reg [31:0] words [0:127];
    reg [127:0] written;
    reg [31:0] word;
    reg word_written;
    wire [6:0] read_at = bus_re ? bus_at : load_at;
    always @(posedge clk) begin
        if (bus_we) words[bus_at] <= value;
        word <= words[read_at];
    end
    always @(posedge clk) begin
        word_written <= written[read_at] && !reset;
        if (reset) written <= 128'd0;
        else if (bus_we) written[bus_at] <= 1'b1;
    end
    // A memory's output is late in its clock.
    always @(posedge clk) rdata <= word_written ? word : 32'd0;

    assign load_granted = load && !bus_re;
    reg fetched;
    reg [6:0] fetched_at;
    always @(posedge clk) begin
        fetched <= load_granted;
        fetched_at <= load_at;
        loaded <= fetched;
        loaded_at <= fetched_at;
    end
    assign loaded_data = rdata;
endmodule

`default_nettype wire
