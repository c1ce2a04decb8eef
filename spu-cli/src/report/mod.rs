//! stub for check
use crate::verb::invert_view::InvertAnswer;
pub(crate) fn render(_a: &InvertAnswer) -> String { String::new() }
