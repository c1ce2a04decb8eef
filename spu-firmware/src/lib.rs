//! Board-side command dispatcher and acquisition sequencing (no_std).
