//! Logging that costs nothing without the feature `defmt`.

/// `log!(level, "format", arguments…)`: a defmt line, or nothing.
macro_rules! log {
    ($level:ident, $format:literal $(, $argument:expr)* $(,)?) => {{
        #[cfg(feature = "defmt")]
        defmt::$level!($format $(, $argument)*);
        #[cfg(not(feature = "defmt"))]
        {
            $(let _ = &$argument;)*
        }
    }};
}

pub(crate) use log;
