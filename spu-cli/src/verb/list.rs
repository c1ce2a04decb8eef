//! `spu list`: devices at hand.

use clap::Args;
use serde::Serialize;
use spu_driver::discover::{Listed, Listing, State, udev};

use crate::answer::Answer;
use crate::text::facts;

/// List the devices at hand: those that can be opened, and those that cannot, with what to do
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Show serial ports of other makes too: a board may be behind one
    #[arg(long)]
    all: bool,
    /// Print the udev rule that gives access on Linux, and nothing else
    #[arg(long, conflicts_with_all = ["all", "json"])]
    udev_rule: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum ListAnswer {
    Devices(Listing),
    Rule(&'static str),
}

impl List {
    pub(crate) fn run(&self) -> ListAnswer {
        if self.udev_rule {
            return ListAnswer::Rule(udev::RULE);
        }
        let mut listing = spu_driver::list();
        if !self.all {
            listing.others.clear();
        }
        ListAnswer::Devices(listing)
    }
}

const STATES: [(State, &str); 5] = [
    (State::Present, "present"),
    (State::Denied, "access denied"),
    (State::Busy, "in use"),
    (State::BootLoader, "in the boot loader"),
    (State::Unusable, "not usable"),
];

/// The devices of each state under its name.
fn by_state(devices: &[Listed], what: &str) -> String {
    let mut text = String::new();
    for (state, name) in STATES {
        let lines: Vec<(&str, String)> = devices
            .iter()
            .filter(|device| device.state == state)
            .map(|device| {
                let remedy = device.remedy.iter().map(|remedy| format!("; {remedy}"));
                let words = std::iter::once(device.description.clone()).chain(remedy);
                (device.uri.as_str(), words.collect())
            })
            .collect();
        if !lines.is_empty() {
            text += &format!("{what}{name}\n{}", facts(&lines));
        }
    }
    text
}

impl Answer for ListAnswer {
    fn text(&self) -> String {
        let listing = match self {
            Self::Rule(rule) => return (*rule).to_owned(),
            Self::Devices(listing) => listing,
        };
        let mut text = by_state(&listing.devices, "");
        if text.is_empty() {
            text = "no devices\n".into();
        }
        text += &by_state(&listing.others, "other serial ports, ");
        let not_searched: Vec<(&str, String)> =
            listing.not_searched.iter().map(|item| (item.scheme, item.why.to_owned())).collect();
        if !not_searched.is_empty() {
            text += &format!("\nnot searched\n{}", facts(&not_searched));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_apart_each_with_what_to_do() {
        let device = |uri: &str, state, remedy: Option<&str>| Listed {
            uri: uri.into(),
            description: "SPU".into(),
            state,
            remedy: remedy.map(String::from),
        };
        let devices = vec![
            device("serial:b", State::Busy, Some("process 7 has it open; close it")),
            device("sim", State::Present, None),
            device("serial:a", State::Denied, Some("join its group")),
        ];
        let others = vec![device("serial:c", State::Present, None)];
        let answer = ListAnswer::Devices(Listing { devices, others, not_searched: Vec::new() });
        assert_eq!(
            answer.text(),
            "present\n  sim  SPU\naccess denied\n  serial:a  SPU; join its group\nin use\n  \
             serial:b  SPU; process 7 has it open; close it\nother serial ports, present\n  \
             serial:c  SPU\n"
        );
        let json = serde_json::to_value(&answer).unwrap();
        assert_eq!(json["devices"][0]["state"], "busy");
    }
}
