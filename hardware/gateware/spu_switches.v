// Driver of the bank switches: a chain of shift registers with a common latch (as the 74HC595).
//
// `start` begins; `busy` until the switches are set. Data changes with the falling edge of
// `switch_clock` and is taken by its rising edge, one bit in eight clocks; a pulse of
// `switch_latch` then shows all bits at once. Order, first bit first: self banks of all cells,
// storage banks of all cells (where there are any), coupling banks of all pairs as in the register
// map; each bank from its sign (1: cross-connected; of signed couplings) and largest element to its
// smallest. The first bit ends farthest from the driver.
//
// Codes are copies, taken over the loads of spu_store (addresses 0 to 15 and 64 to 91) while not
// busy, so that registers may be written again while bits go out.
`default_nettype none

module spu_switches #(
    parameter integer CELLS = 8
) (
    input  wire clk,
    input  wire reset,
    input  wire [7:0] self_bits,
    input  wire [7:0] coupling_bits,
    input  wire coupling_signed,
    input  wire [7:0] storage_bits,
    input  wire [2:0] phase,
    input  wire start,
    output reg  busy,
    input  wire loaded,
    input  wire [6:0] loaded_at,
    input  wire [31:0] loaded_data,
    output reg  switch_clock,
    output reg  switch_data,
    output reg  switch_latch
);
    localparam [5:0] LAST_CELL = CELLS[5:0] - 6'd1;
    localparam integer PAIRS = CELLS * (CELLS - 1) / 2;
    localparam [5:0] STORAGE_FIRST = 6'd8, COUPLING_FIRST = 6'd16;
    localparam [5:0] COUPLING_END = COUPLING_FIRST + PAIRS[5:0];

    reg [15:0] codes [0:63];
    wire is_bank = loaded_at[6:4] == 3'd0;
    wire is_coupling = loaded_at[6:5] == 2'd2;
    always @(posedge clk)
        if (loaded && (is_bank || is_coupling))
            codes[is_bank ? {2'd0, loaded_at[3:0]} : COUPLING_FIRST + {1'b0, loaded_at[4:0]}]
                <= loaded_data[15:0];

    // The bank whose bits are next; COUPLING_END: all are out.
    reg [5:0] at;
    reg [5:0] after;
    always @* begin
        after = at + 6'd1;
        if (at == LAST_CELL) after = storage_bits != 8'd0 ? STORAGE_FIRST : COUPLING_FIRST;
        if (at == STORAGE_FIRST + LAST_CELL) after = COUPLING_FIRST;
    end
    wire coupling = at >= COUPLING_FIRST;
    wire storage = at[5:3] == 3'd1;
    wire [3:0] bits = coupling ? coupling_bits[3:0] : storage ? storage_bits[3:0] : self_bits[3:0];
    wire with_sign = coupling && coupling_signed;
    // Two clocks after `at`, which stays for eight.
    reg [15:0] code, magnitude;
    reg negative;
    always @(posedge clk) begin
        code <= codes[at];
        magnitude <= code[15] ? -code : code;
        negative <= code[15];
    end
    // Largest element in the highest bit, the sign above it.
    wire [15:0] aligned = magnitude << (5'd16 - {1'b0, bits});

    reg [16:0] shift;
    reg [4:0] left;
    reg latch_next;
    always @(posedge clk) begin
        if (reset) begin
            busy <= 1'b0;
            switch_clock <= 1'b0;
            switch_data <= 1'b0;
            switch_latch <= 1'b0;
            left <= 5'd0;
            latch_next <= 1'b0;
            at <= 6'd0;
        end else if (!busy) begin
            busy <= start;
            at <= 6'd0;
            left <= 5'd0;
            latch_next <= 1'b0;
        end else begin
            // A bank is fetched between two bits.
            if (phase == 3'd6 && left == 5'd0 && at != COUPLING_END) begin
                shift <= with_sign ? {negative, aligned} : {aligned, 1'b0};
                left <= {1'b0, bits} + {4'd0, with_sign};
                at <= after;
            end
            if (phase == 3'd0) begin
                switch_clock <= 1'b0;
                if (left != 5'd0) begin
                    switch_data <= shift[16];
                    shift <= {shift[15:0], 1'b0};
                end
                if (switch_latch) begin
                    switch_latch <= 1'b0;
                    busy <= 1'b0;
                end else if (latch_next) switch_latch <= 1'b1;
            end
            if (phase == 3'd4) begin
                if (left != 5'd0) begin
                    switch_clock <= 1'b1;
                    left <= left - 5'd1;
                end else if (at == COUPLING_END) latch_next <= 1'b1;
            end
        end
    end
endmodule

`default_nettype wire
