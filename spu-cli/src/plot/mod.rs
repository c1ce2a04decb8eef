//! Plots as SVG, for reports and for pages of documentation.

pub mod panels;
pub mod scale;
pub mod svg;

/// Style of every class that plots use, for light and dark pages.
pub const STYLE: &str = include_str!("plot.css");

/// `drawing` as a file of its own: with the light colours written out, since not every viewer knows
/// variables of style sheets.
pub fn standalone(drawing: &str) -> String {
    let (light, rest) = STYLE.split_once("\n}\n").unwrap_or((STYLE, ""));
    let rules = rest.split_once("\n}\n").map_or(rest, |(_dark, rules)| rules);
    let mut style = format!("svg {{ background: var(--paper); }}\n{rules}");
    for part in light.split([';', '\n']) {
        if let Some((name, value)) = part.trim().split_once(": ").filter(|p| p.0.starts_with("--"))
        {
            style = style.replace(&format!("var({name})"), value);
        }
    }
    drawing.replacen(">\n", &format!(">\n<style>\n{style}</style>\n"), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_of_its_own_needs_no_variables() {
        let mut drawing = svg::Svg::new(10.0, 10.0);
        drawing.line("grid", (0.0, 0.0), (1.0, 1.0));
        let text = standalone(&drawing.finish("a line"));
        assert!(!text.contains("var(") && !text.contains("@media"), "{text}");
        assert!(text.contains(".grid { stroke: #d9d8d2;"), "{text}");
        let parsed = roxmltree::Document::parse(&text).unwrap();
        assert!(parsed.descendants().any(|node| node.tag_name().name() == "style"));
    }
}
