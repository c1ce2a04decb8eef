//! The device law as a test for any backend.
