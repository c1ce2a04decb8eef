//! Progress of a run on standard error: bars on a terminal, a line now and then elsewhere.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use spu_driver::invert::Progress;

use crate::text::{count, duration, si};

/// Distance of two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// Shows progress.
pub(crate) enum Meter {
    /// One bar a copy.
    Bars(Vec<ProgressBar>, &'static str),
    /// Lines.
    Lines(Mutex<Lines>),
    /// Nothing.
    Silent,
}

/// State of the lines.
pub(crate) struct Lines {
    what: &'static str,
    started: Instant,
    last: Instant,
    /// Kept and total of each copy.
    copies: Vec<(u64, u64)>,
}

impl Meter {
    /// For a run on so many copies; with `json` nothing is shown but on a terminal.
    pub(crate) fn new(copies: usize, json: bool) -> Self {
        Self::counting(copies, json, "samples")
    }

    /// The same of something else than samples.
    pub(crate) fn counting(copies: usize, json: bool, what: &'static str) -> Self {
        if std::io::stderr().is_terminal() {
            let all = MultiProgress::new();
            let style = ProgressStyle::with_template(
                "{prefix} {bar:32} {percent:>3} %  {msg}  {eta_precise} left",
            )
            .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = |copy| {
                all.add(ProgressBar::new(0))
                    .with_style(style.clone())
                    .with_prefix(format!("copy {copy}"))
            };
            Self::Bars((0..copies).map(bar).collect(), what)
        } else if json {
            Self::Silent
        } else {
            let now = Instant::now();
            let copies = vec![(0, 0); copies];
            Self::Lines(Mutex::new(Lines { what, started: now, last: now, copies }))
        }
    }

    /// Removes what is shown.
    pub(crate) fn finish(&self) {
        if let Self::Bars(bars, _) = self {
            bars.iter().for_each(ProgressBar::finish_and_clear);
        }
    }
}

impl Progress for Meter {
    fn update(&self, copy: usize, kept: u64, total: u64) {
        match self {
            Self::Bars(bars, what) => {
                if let Some(bar) = bars.get(copy) {
                    bar.set_length(total);
                    bar.set_position(kept);
                    bar.set_message(si(bar.per_sec(), &format!("{what}/s")));
                }
            }
            Self::Lines(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(line) = lines.update(copy, kept, total, Instant::now()) {
                    eprintln!("{line}");
                }
            }
            Self::Silent => {}
        }
    }
}

impl Lines {
    /// The line to show now, if it is time for one.
    fn update(&mut self, copy: usize, kept: u64, total: u64, now: Instant) -> Option<String> {
        *self.copies.get_mut(copy)? = (kept, total);
        if now.duration_since(self.last) < LINE_EVERY {
            return None;
        }
        self.last = now;
        let (kept, total) =
            self.copies.iter().fold((0, 0), |sum, copy| (sum.0 + copy.0, sum.1 + copy.1));
        let rate = kept as f64 / now.duration_since(self.started).as_secs_f64();
        let left =
            if rate > 0.0 { total.saturating_sub(kept) as f64 / rate } else { f64::INFINITY };
        Some(format!(
            "{} of {} {}, {}, {} left",
            count(kept),
            count(total),
            self.what,
            si(rate, &format!("{}/s", self.what)),
            duration(left)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_now_and_then() {
        let start = Instant::now();
        let mut lines =
            Lines { what: "samples", started: start, last: start, copies: vec![(0, 0); 2] };
        assert_eq!(lines.update(0, 10, 4000, start + Duration::from_secs(1)), None);
        assert_eq!(
            lines.update(1, 1990, 4000, start + Duration::from_secs(4)).as_deref(),
            Some("2,000 of 8,000 samples, 500 samples/s, 12.0 s left")
        );
        assert_eq!(lines.update(1, 2000, 4000, start + Duration::from_secs(5)), None);
        assert_eq!(lines.update(7, 1, 1, start + Duration::from_mins(1)), None);
    }
}
