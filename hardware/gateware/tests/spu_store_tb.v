// Self-checking test of the store where the bus writes or reads while words are copied: prints PASS, or what
// was wrong and FAIL.
//
// Seeds have all 32 bits, so that what was written is what is there. All of them are copied, in order, with one
// access of the bus at any clock from the first word to after the last one: copies are of what was there
// before, and afterwards the word is there that was written, or was read.
`default_nettype none

module spu_store_tb;
    localparam integer TRIALS = 100, SEEDS = 32, FIRST = 32, AROUND = 12;
    localparam [6:0] NONE = 7'd0;

    reg clk = 1'b0;
    always #5 clk = !clk;
    reg reset = 1'b1;
    reg [31:0] wdata = 32'd0;
    reg [4:0] index = 5'd0;
    reg we = 1'b0, re = 1'b0, load = 1'b0;
    reg [6:0] load_at = NONE;
    wire [31:0] rdata, loaded_data;
    wire load_granted, loaded;
    wire [6:0] loaded_at;
    spu_store store (
        .clk(clk), .reset(reset),
        .self_bits(8'd4), .coupling_bits(8'd4), .coupling_signed(1'b0), .storage_bits(8'd0),
        .dac_full_scale(16'd8191), .wdata(wdata),
        .self_bank_index(3'd0), .self_bank_we(1'b0), .self_bank_re(1'b0),
        .coupling_bank_index(5'd0), .coupling_bank_we(1'b0), .coupling_bank_re(1'b0),
        .noise_gain_index(3'd0), .noise_gain_we(1'b0), .noise_gain_re(1'b0),
        .bias_index(3'd0), .bias_we(1'b0), .bias_re(1'b0),
        .storage_index(3'd0), .storage_we(1'b0), .storage_re(1'b0),
        .initial_index(3'd0), .initial_we(1'b0), .initial_re(1'b0),
        .adc_offset_index(3'd0), .adc_offset_we(1'b0), .adc_offset_re(1'b0),
        .adc_gain_index(3'd0), .adc_gain_we(1'b0), .adc_gain_re(1'b0),
        .noise_seed_index(index), .noise_seed_we(we), .noise_seed_re(re),
        .rdata(rdata),
        .load(load), .load_at(load_at), .load_granted(load_granted),
        .loaded(loaded), .loaded_at(loaded_at), .loaded_data(loaded_data)
    );

    integer random = 1, errors = 0, checks = 0, trial, word, access, granted;
    reg [31:0] before [0:SEEDS-1], after [0:SEEDS-1];
    reg reads;
    reg [SEEDS-1:0] copied;
    reg [4:0] place;
    task check(input [31:0] is, input [31:0] wanted, input [8*16-1:0] what, input integer at);
        begin
            checks = checks + 1;
            if (is !== wanted) begin
                errors = errors + 1;
                $display("trial %0d: %0s %0d is %h, not %h", trial, what, at, is, wanted);
            end
        end
    endtask
    task write(input [4:0] at, input [31:0] value);
        begin
            @(negedge clk) {index, wdata, we} = {at, value, 1'b1};
            @(negedge clk) we = 1'b0;
        end
    endtask
    // As far apart as the bus's accesses are.
    task read(input [4:0] at, input [31:0] wanted);
        begin
            @(negedge clk) {index, re} = {at, 1'b1};
            @(negedge clk) re = 1'b0;
            repeat (4) @(negedge clk);
            check(rdata, wanted, "word", at);
            repeat (54) @(negedge clk);
        end
    endtask
    always @(negedge clk) if (loaded) begin
        check(loaded_data, before[loaded_at - FIRST], "copy", loaded_at);
        copied[loaded_at - FIRST] = 1'b1;
    end

    initial begin
        repeat (4) @(negedge clk);
        reset = 1'b0;
        for (word = 0; word < SEEDS; word = word + 1) begin
            after[word] = $random(random);
            write(word, after[word]);
            repeat (58) @(negedge clk);
        end
        for (trial = 0; trial < TRIALS && errors < 9; trial = trial + 1) begin
            for (word = 0; word < SEEDS; word = word + 1) before[word] = after[word];
            copied = 0;
            // A write takes five clocks to the memory: none of these is there before the first copy.
            access = AROUND - 4 + $unsigned($random(random)) % (SEEDS + AROUND);
            place = $random(random);
            reads = $random(random);
            fork
                begin
                    repeat (access + 1) @(negedge clk);
                    if (reads) read(place, before[place]);
                    else begin
                        after[place] = $random(random);
                        write(place, after[place]);
                    end
                end
                begin
                    repeat (AROUND) @(negedge clk);
                    granted = 0;
                    while (granted < SEEDS) begin
                        {load, load_at} = {1'b1, 7'd32 + granted[6:0]};
                        @(posedge clk) if (load_granted) granted = granted + 1;
                        @(negedge clk);
                    end
                    load = 1'b0;
                end
            join
            repeat (60) @(negedge clk);
            check(copied, 32'hffffffff, "words copied", trial);
            read(place, after[place]);
            read(place + 5'd1, after[(place + 1) % SEEDS]);
        end
        if (errors == 0) $display("PASS spu_store, %0d checks", checks);
        else $display("FAIL spu_store");
        $finish;
    end
endmodule

`default_nettype wire
