//! SVG by hand, in a few primitives.
//!
//! Plotting crates write fixed colours and fonts; here classes take both from the page, so that a
//! figure follows its light and dark scheme. No position depends on the width of a text.

use std::fmt::{Display, Write as _};

/// Text with the characters that XML reserves replaced.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML 1.0 has no way to write other control characters.
            c if c.is_control() && !matches!(c, '\n' | '\t') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A drawing.
#[derive(Debug)]
pub struct Svg {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text hangs on its position.
#[derive(Debug, Clone, Copy)]
pub enum Anchor {
    /// By its start.
    Start,
    /// By its middle.
    Middle,
    /// By its end.
    End,
}

impl Anchor {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

impl Svg {
    /// An empty drawing of this size.
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    fn push(&mut self, element: impl Display) {
        let _ = writeln!(self.body, "{element}");
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.push(format_args!(
            r#"<line class="{class}" x1="{:.2}" y1="{:.2}" x2="{:.2}" y2="{:.2}"/>"#,
            from.0, from.1, to.0, to.1
        ));
    }

    /// An open line through points.
    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
        self.push(format_args!(r#"<polyline class="{class}" points="{}"/>"#, points.join(" ")));
    }

    /// A closed shape.
    pub fn area(&mut self, class: &str, points: &[(f64, f64)]) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.2},{y:.2}")).collect();
        self.push(format_args!(r#"<polygon class="{class}" points="{}"/>"#, points.join(" ")));
    }

    /// A rectangle by its upper left corner.
    pub fn rect(&mut self, class: &str, corner: (f64, f64), size: (f64, f64)) {
        self.push(format_args!(
            r#"<rect class="{class}" x="{:.2}" y="{:.2}" width="{:.2}" height="{:.2}"/>"#,
            corner.0, corner.1, size.0, size.1
        ));
    }

    /// A filled square with a tooltip.
    pub fn cell(&mut self, fill: &str, corner: (f64, f64), size: f64, tip: &str) {
        self.push(format_args!(
            r#"<rect class="cell" fill="{fill}" x="{:.2}" y="{:.2}" width="{size:.2}" height="{size:.2}"><title>{}</title></rect>"#,
            corner.0,
            corner.1,
            escape(tip)
        ));
    }

    /// A filled rectangle.
    pub fn fill(&mut self, fill: &str, corner: (f64, f64), size: (f64, f64)) {
        self.push(format_args!(
            r#"<rect class="cell" fill="{fill}" x="{:.2}" y="{:.2}" width="{:.2}" height="{:.2}"/>"#,
            corner.0, corner.1, size.0, size.1
        ));
    }

    /// A text.
    pub fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        self.push(format_args!(
            r#"<text class="{class}" x="{:.2}" y="{:.2}" text-anchor="{}">{}</text>"#,
            at.0,
            at.1,
            anchor.name(),
            escape(text)
        ));
    }

    /// A text that reads upwards.
    pub fn upright(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        self.push(format_args!(
            r#"<text class="{class}" transform="translate({:.2} {:.2}) rotate(-90)" text-anchor="{}">{}</text>"#,
            at.0,
            at.1,
            anchor.name(),
            escape(text)
        ));
    }

    /// The marker of a copy, told apart by shape as well as colour.
    pub fn marker(&mut self, copy: usize, at: (f64, f64), tip: &str) {
        let (x, y) = at;
        let class = copy_class(copy);
        let tip = escape(tip);
        let shape = match copy % 4 {
            0 => format!(r#"<circle class="mark {class}" cx="{x:.2}" cy="{y:.2}" r="3.2">"#),
            1 => format!(
                r#"<rect class="mark {class}" x="{:.2}" y="{:.2}" width="5.6" height="5.6">"#,
                x - 2.8,
                y - 2.8
            ),
            2 => format!(
                r#"<polygon class="mark {class}" points="{x:.2},{:.2} {:.2},{:.2} {:.2},{:.2}">"#,
                y - 3.9,
                x + 3.6,
                y + 2.6,
                x - 3.6,
                y + 2.6
            ),
            _ => format!(
                r#"<polygon class="mark {class}" points="{x:.2},{:.2} {:.2},{y:.2} {x:.2},{:.2} {:.2},{y:.2}">"#,
                y - 4.0,
                x + 4.0,
                y + 4.0,
                x - 4.0
            ),
        };
        let name = shape[1..].split(' ').next().unwrap_or("circle").to_owned();
        self.push(format_args!("{shape}<title>{tip}</title></{name}>"));
    }

    /// The finished element, described for those who cannot see it.
    pub fn finish(self, description: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
             height=\"{h}\" role=\"img\" aria-label=\"{}\">\n{}</svg>\n",
            escape(description),
            self.body,
            w = self.width,
            h = self.height,
        )
    }
}

/// Class that gives a copy its colour.
pub fn copy_class(copy: usize) -> String {
    format!("k{}", copy % 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_are_well_formed_whatever_the_text() {
        let mut svg = Svg::new(100.0, 50.0);
        svg.text("t", (1.0, 2.0), Anchor::Middle, "a<b & \"c\" \u{1}");
        for copy in 0..4 {
            svg.marker(copy, (5.0, 5.0), "x < y");
        }
        svg.cell("#fff", (0.0, 0.0), 3.0, "<&>");
        let text = svg.finish("a & b");
        let parsed = roxmltree::Document::parse(&text).unwrap();
        let shown = parsed
            .descendants()
            .find(|n| n.tag_name().name() == "text")
            .and_then(|n| n.text().map(String::from));
        assert_eq!(shown.as_deref(), Some("a<b & \"c\" \u{fffd}"));
    }
}
