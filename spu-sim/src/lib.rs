//! Bit-accurate simulator of the FPGA and the analog board.
