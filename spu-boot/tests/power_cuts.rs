//! The power is cut at every operation on flash; the machine always starts a whole image.

use spu_boot::power_cut::power_cuts;

#[test]
fn a_cut_anywhere_and_another_in_the_recovery_leave_a_machine_that_starts() {
    let begun = std::time::Instant::now();
    let counts = power_cuts();
    println!("{counts:?} in {:.1} s", begun.elapsed().as_secs_f64());
    assert!(counts.is_clean(), "{counts:?}");
    // Fewer would mean that the machine no longer does what is cut.
    assert!(counts.cuts[0] > 3_000 && counts.cuts[1] > 200_000, "{counts:?}");
}
