// Ends the simulation where a part's timing is violated, in each model of spu_converters.v. The pins settle
// within a few clocks after power-up.
    task fail(input [8*32-1:0] what);
        if ($time > 100_000) begin
            $display("FAIL spu_top: %0s of %m, %0t ps", what, $time);
            $finish;
        end
    endtask
