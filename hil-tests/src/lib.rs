//! Hardware-in-the-loop suites: one for every rung, chosen by `SPU_DEVICE`.
