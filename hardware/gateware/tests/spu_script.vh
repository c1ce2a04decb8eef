// The simulator's vectors (`identity --vectors`) and how they are played: a part of spu_vectors_tb and spu_top_tb.
//
// In the folder VECTORS, one hexadecimal word a line: `board.hex` what the board is; `adc.hex` the codes
// of the kept ticks; `spi.hex` what happens at the SPI; and, to compare, `dac.hex` the row that the DACs
// show in each tick, `switches.hex` each bit into the bank switches. Rows are 128 bits, cell 0 lowest.
// Words of spi.hex have what to do in the highest octet:
//
//   01 n  let at most n ticks begin        02 n  so many did
//   03 h  half a period of the SPI's clock, in ps
//   04 o  select, if it is not low, and send octet o
//   05 w o  send w: o comes back           06    select high, and wait while the gateware is busy
//
// The bench has the parameters VECTORS, SPI, ADC, DAC and SWITCHES (words of each file), PATIENCE (clocks
// without a tick after which no more come), the pins, `permit`, `busy`, `began`, what it counts, and `finish`.

    reg [31:0] spi [0:SPI-1];
    reg [127:0] adc_rows [0:ADC-1];
    reg [127:0] dac_rows [0:DAC-1];
    reg switch_bits [0:SWITCHES-1];
    initial begin
        $readmemh({VECTORS, "/spi.hex"}, spi);
        $readmemh({VECTORS, "/adc.hex"}, adc_rows);
        $readmemh({VECTORS, "/dac.hex"}, dac_rows);
        $readmemh({VECTORS, "/switches.hex"}, switch_bits);
    end

    task differ(input [127:0] found, input [127:0] expected, input [8*24-1:0] what, input integer at);
        begin
            errors = errors + 1;
            $display("%0s %0d, %0t ps: found %h, expected %h", what, at, $time, found, expected);
            // What follows may follow from it.
            finish;
        end
    endtask

    integer at, half, bit_index, waited, before;
    reg [7:0] got;
    task exchange(input [7:0] octet);
        for (bit_index = 7; bit_index >= 0; bit_index = bit_index - 1) begin
            sck = 1'b0; mosi = octet[bit_index];
            #half got = {got[6:0], miso};
            sck = 1'b1;
            #half ;
        end
    endtask

    task play;
        for (at = 0; at < SPI; at = at + 1)
            case (spi[at][31:24])
                8'h01: begin
                    before = ticks;
                    waited = 0;
                    permit = 1'b1;
                    while (ticks - before < spi[at][23:0] && waited <= PATIENCE) begin
                        @(negedge clk);
                        #1 waited = began ? 0 : waited + 1;
                    end
                    permit = 1'b0;
                    while (busy) @(negedge clk);
                end
                8'h02:
                    if (ticks - before !== spi[at][23:0])
                        differ(ticks - before, spi[at][23:0], "ticks, at word", at);
                8'h03: half = spi[at][23:0];
                8'h04: begin
                    if (select_n) begin
                        select_n = 1'b0;
                        #half ;
                    end
                    exchange(spi[at][7:0]);
                end
                8'h05: begin
                    exchange(spi[at][15:8]);
                    octets = octets + 1;
                    if (got !== spi[at][7:0]) differ(got, spi[at][7:0], "octet, at word", at);
                end
                8'h06: begin
                    sck = 1'b0;
                    #half select_n = 1'b1;
                    #40_000 ;
                    while (busy) @(negedge clk);
                end
                default: differ(spi[at], 0, "nothing to do, at word", at);
            endcase
    endtask
