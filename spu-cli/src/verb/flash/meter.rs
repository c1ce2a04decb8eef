//! Progress of flashing: a bar on a terminal, lines elsewhere.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use spu_driver::flash::{Progress, Stage};
use spu_protocol::image::ImageKind;

use crate::text::count;

/// Distance of two lines of one stage where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(3);

/// Shows progress on standard error.
pub(super) struct Meter {
    show: Show,
    kind: ImageKind,
}

enum Show {
    Bar(ProgressBar),
    Lines(Cell<Option<(Stage, Instant)>>),
    Nothing,
}

impl Meter {
    /// For an image of this kind; with `json` nothing is shown but on a terminal.
    pub(super) fn new(kind: ImageKind, json: bool) -> Self {
        let show = if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{msg:24} {bar:32} {percent:>3} %")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            Show::Bar(ProgressBar::new(0).with_style(style))
        } else if json {
            Show::Nothing
        } else {
            Show::Lines(Cell::new(None))
        };
        Self { show, kind }
    }

    /// Removes what is shown.
    pub(super) fn finish(&self) {
        if let Show::Bar(bar) = &self.show {
            bar.finish_and_clear();
        }
    }

    fn name(&self, stage: Stage) -> String {
        let kind = self.kind.name();
        match stage {
            Stage::Erase => "erasing the free slot".into(),
            Stage::Send => format!("sending the {kind}"),
            Stage::Verify => "verifying on the board".into(),
            Stage::Restart => "restarting the board".into(),
            Stage::Check => format!("checking the new {kind}"),
            Stage::RollBack => "rolling back".into(),
        }
    }
}

impl Progress for Meter {
    fn update(&self, stage: Stage, done: u64, total: u64) {
        match &self.show {
            Show::Bar(bar) => {
                bar.set_message(self.name(stage));
                bar.set_length(total);
                bar.set_position(done);
            }
            Show::Lines(last) => {
                let now = Instant::now();
                let due = last.get().is_none_or(|(before, at)| {
                    before != stage || total > 0 && now.duration_since(at) >= LINE_EVERY
                });
                if due {
                    last.set(Some((stage, now)));
                    let name = self.name(stage);
                    match total {
                        0 => eprintln!("{name}"),
                        total => eprintln!("{name}: {} of {} octets", count(done), count(total)),
                    }
                }
            }
            Show::Nothing => {}
        }
    }
}
