// Capture memory: samples packed into frames (JESD204B transport layer), in a ring, read octet by
// octet.
//
// Samples of a frame to be stored come one cell a clock, cells 0 to 7, with no frame between. A frame
// is counted (`frames`) 10 clocks after its first sample. Its place was set aside by `reserve` when
// its tick was begun; `room`, three clocks later: there is one. A place is free again when the frame's
// last octet was taken. The memory is addressed by frames of whole 16-bit words.
//
// Reading looks ahead: `octet` is the octet at the look-ahead (0 where no whole frame is left), four
// clocks after `read_begin` or `read_next`. `read_next` says that `octet` was used in this clock and
// moves on. `read_taken` says that the octet used before the last one has left the FPGA;
// `read_begin` goes back to the first that has not.
`default_nettype none

module spu_capture #(
    parameter integer CELLS = 8,
    // Words of the memory, 2^ADDRESS.
    parameter integer ADDRESS = 15
) (
    input  wire clk,
    input  wire clear,
    input  wire [31:0] capacity,
    input  wire [4:0] adc_bits,
    input  wire wide,
    input  wire control_bit,
    input  wire reserve,
    output reg  room,
    input  wire valid,
    input  wire [2:0] cell_index,
    input  wire signed [15:0] code,
    input  wire full,
    output wire [31:0] frames,
    input  wire read_begin,
    input  wire read_next,
    input  wire read_taken,
    output reg  [7:0] octet
);
    // Octets and words of a frame, with N' = 16 and 12.
    localparam integer WIDE_OCTETS = 2 * CELLS, NARROW_OCTETS = (3 * CELLS + 1) / 2;
    localparam integer NARROW_WORDS = (NARROW_OCTETS + 1) / 2;
    wire [4:0] frame_octets = wide ? WIDE_OCTETS[4:0] : NARROW_OCTETS[4:0];
    wire [3:0] frame_words = wide ? CELLS[3:0] : NARROW_WORDS[3:0];
    localparam [ADDRESS-1:0] ONE = 1;

    // --- Packing ----------------------------------------------------------------------------

    // The sample's word, in the highest bits: code, control bit, zeros.
    wire [15:0] raised = code << (5'd16 - adc_bits);
    wire [15:0] flag = full && control_bit ? 16'h8000 >> adc_bits : 16'd0;
    wire [15:0] sample = raised | flag;

    reg packing;
    reg [2:0] place;
    reg [15:0] word_in;
    // Bits of samples that have not left, from the highest.
    reg [11:0] rest;
    // With N' = 12 four samples are three words: none leaves with the first of four.
    reg [15:0] packed_word;
    reg leaves;
    always @* begin
        leaves = 1'b1;
        packed_word = word_in;
        if (!wide)
            case (place[1:0])
                2'd0: leaves = 1'b0;
                2'd1: packed_word = {rest[11:0], word_in[15:12]};
                2'd2: packed_word = {rest[11:4], word_in[15:8]};
                default: packed_word = {rest[11:8], word_in[15:4]};
            endcase
    end
    reg [3:0] words_written;
    wire write = packing && leaves && words_written != frame_words;
    reg frame_in;
    reg [ADDRESS-1:0] write_at, read_at, look_at;
    // A product by a small constant. No function: that would be worked out again with `capacity` only.
    wire [ADDRESS-1:0] end_at
        = capacity[ADDRESS-1:0] * {{(ADDRESS - 4){1'b0}}, frame_words} - ONE;

    always @(posedge clk) begin
        packing <= valid;
        place <= cell_index;
        word_in <= sample;
        frame_in <= packing && place == 3'd7;
        if (packing) begin
            case (place[1:0])
                2'd0: rest <= word_in[15:4];
                2'd1: rest <= {word_in[11:4], 4'd0};
                2'd2: rest <= {word_in[7:4], 8'd0};
                default: rest <= 12'd0;
            endcase
        end
        if (place == 3'd7) words_written <= 4'd0;
        else if (write) words_written <= words_written + 4'd1;
        if (clear) write_at <= {ADDRESS{1'b0}};
        else if (write) write_at <= write_at == end_at ? {ADDRESS{1'b0}} : write_at + ONE;
    end

    // --- Memory -----------------------------------------------------------------------------

    // In halves, each with a register behind it: block RAM takes most of a clock to answer. What is
    // read where it is written in that clock is of no whole frame, and not used.
    localparam integer HALF = ADDRESS - 1;
    (* no_rw_check *) reg [15:0] lower [0:(1 << HALF) - 1];
    (* no_rw_check *) reg [15:0] upper [0:(1 << HALF) - 1];
    reg [15:0] lower_out, upper_out, lower_late, upper_late;
    reg in_upper, in_upper_late, odd, odd_late, there, there_late, there_shown;
    wire [15:0] word_out = in_upper_late ? upper_late : lower_late;
    always @(posedge clk) begin
        if (write && !write_at[HALF]) lower[write_at[HALF-1:0]] <= packed_word;
        if (write && write_at[HALF]) upper[write_at[HALF-1:0]] <= packed_word;
        lower_out <= lower[look_at[HALF-1:0]];
        upper_out <= upper[look_at[HALF-1:0]];
        in_upper <= look_at[HALF];
        lower_late <= lower_out;
        upper_late <= upper_out;
        in_upper_late <= in_upper;
        odd_late <= odd;
        // Where the memory was emptied, nothing of before is shown.
        there_late <= there && !clear;
        octet <= !there_late || clear ? 8'd0 : odd_late ? word_out[7:0] : word_out[15:8];
        there_shown <= there_late && !clear;
    end

    // --- Frames -----------------------------------------------------------------------------

    // Places set aside; frames that are in and not wholly taken; frames not wholly looked at.
    reg [ADDRESS:0] used, stored, ahead, whole;
    // A frame has one word at least.
    localparam [ADDRESS:0] FRAME = 1, NONE = 0;
    reg reserved;
    // Octets taken of the frame that is being read, and looked at.
    reg [4:0] read_octet, look_octet;
    // What the last two looks found: whether an octet was there, the older one in bit 1. The octet
    // that leaves is always the older of the two: the next one is ahead of it.
    reg [1:0] found;
    wire look_last = look_octet == frame_octets - 5'd1;
    wire read_last = read_octet == frame_octets - 5'd1;
    // As the octet was shown: a frame may have come in since.
    wire look = read_next && there_shown;
    wire leave = read_taken && found[1];
    wire look_frame = look && look_last;
    wire freed = leave && read_last;
    assign frames = {{(31 - ADDRESS){1'b0}}, whole};

    // A frame's last word may be half a word: the next frame starts with a whole one.
    wire look_word = look && (look_octet[0] || look_last);
    wire read_word = leave && (read_octet[0] || read_last);
    always @(posedge clk) begin
        odd <= look_octet[0];
        there <= ahead != NONE && !clear;
        whole <= read_octet != 5'd0 ? stored - FRAME : stored;
        // Of an emptied memory at once: a run may begin with the next clock.
        room <= clear || used < capacity[ADDRESS:0];
        reserved <= reserve;
        if (clear) begin
            used <= NONE;
            stored <= NONE;
            ahead <= NONE;
            read_octet <= 5'd0;
            look_octet <= 5'd0;
            read_at <= {ADDRESS{1'b0}};
            look_at <= {ADDRESS{1'b0}};
            found <= 2'd0;
        end else begin
            if (reserved && !freed) used <= used + FRAME;
            if (!reserved && freed) used <= used - FRAME;
            if (frame_in && !freed) stored <= stored + FRAME;
            if (!frame_in && freed) stored <= stored - FRAME;
            if (leave) read_octet <= read_last ? 5'd0 : read_octet + 5'd1;
            if (read_word) read_at <= read_at == end_at ? {ADDRESS{1'b0}} : read_at + ONE;
            if (read_begin) begin
                ahead <= !freed && frame_in ? stored + FRAME
                    : freed && !frame_in ? stored - FRAME : stored;
                look_octet <= read_octet;
                look_at <= read_at;
                found <= 2'd0;
            end else begin
                if (frame_in && !look_frame) ahead <= ahead + FRAME;
                if (!frame_in && look_frame) ahead <= ahead - FRAME;
                if (look) look_octet <= look_last ? 5'd0 : look_octet + 5'd1;
                if (look_word) look_at <= look_at == end_at ? {ADDRESS{1'b0}} : look_at + ONE;
                if (read_next) found <= {found[0], there_shown};
            end
        end
    end

`ifdef FORMAL
`include "formal/capture.vh"
`endif
endmodule

`default_nettype wire
