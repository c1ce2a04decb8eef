//! `spu list`: devices at hand.

use clap::Args;
use serde::Serialize;
use spu_driver::open::Listing;

use crate::answer::Answer;
use crate::text::facts;

/// List the devices at hand
#[derive(Debug, Args)]
pub(crate) struct List {}

#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct ListAnswer(Listing);

impl List {
    #[expect(clippy::unused_self, reason = "every verb runs alike")]
    pub(crate) fn run(&self) -> ListAnswer {
        ListAnswer(spu_driver::list())
    }
}

impl Answer for ListAnswer {
    fn text(&self) -> String {
        let devices: Vec<(&str, String)> = self
            .0
            .devices
            .iter()
            .map(|device| (device.uri.as_str(), device.description.clone()))
            .collect();
        let mut text = if devices.is_empty() { "no devices\n".into() } else { facts(&devices) };
        if !self.0.not_searched.is_empty() {
            text += &format!(
                "\nnot searched, this build has no such link: {}\n",
                self.0.not_searched.join(", ")
            );
        }
        text
    }
}
