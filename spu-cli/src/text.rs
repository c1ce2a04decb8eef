//! Text rendering: numbers, tables and matrices.

#![expect(
    clippy::format_push_string,
    clippy::format_collect,
    reason = "text is rendered once a run; a line that reads well is worth its allocation"
)]

/// A share with three digits: `24.1 %`.
pub fn percent(x: f64) -> String {
    if !x.is_finite() {
        return "–".into();
    }
    format!("{} %", digits(100.0 * x))
}

/// Three significant digits, without exponent where that is readable.
pub fn digits(x: f64) -> String {
    let size = x.abs();
    if x.is_nan() {
        return "–".into();
    }
    if size == 0.0 || !x.is_finite() {
        return format!("{x}");
    }
    // Rounding may carry into the next power of ten; ask the formatter which one it is.
    let exponent: i32 =
        format!("{size:.2e}").rsplit('e').next().and_then(|e| e.parse().ok()).unwrap_or(0);
    match exponent {
        -4..=2 => format!("{x:.*}", (2 - exponent) as usize),
        3..=5 => {
            let text = count(size.round() as u64);
            if x < 0.0 { format!("-{text}") } else { text }
        }
        _ => format!("{x:.2e}"),
    }
}

/// A whole number with commas: `100,000`.
pub fn count(x: u64) -> String {
    let plain = x.to_string();
    let mut text = String::with_capacity(plain.len() + plain.len() / 3);
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A quantity with an SI prefix: `150 pF`.
pub fn si(x: f64, unit: &str) -> String {
    const PREFIXES: [(f64, &str); 8] = [
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "µ"),
        (1e-9, "n"),
        (1e-12, "p"),
    ];
    if x == 0.0 || !x.is_finite() {
        return format!("{x} {unit}");
    }
    // The smallest size that three digits still round up to the prefix.
    let (scale, prefix) = PREFIXES
        .into_iter()
        .find(|(scale, _)| x.abs() >= scale * 0.9995)
        .unwrap_or(PREFIXES[PREFIXES.len() - 1]);
    format!("{} {prefix}{unit}", trimmed(digits(x / scale)))
}

/// Without zeros at the end of its fraction.
fn trimmed(text: String) -> String {
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        text
    }
}

/// A time: `12.0 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "unknown time".into();
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 if seconds < 1.0 => si(seconds, "s"),
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A probability: `0.42`, `1.3e-7`, or a bound where it is tiny.
pub fn probability(p: f64) -> String {
    match p {
        p if p.is_nan() => "–".into(),
        p if p < 1e-12 => "< 1e-12".into(),
        p if p < 1e-2 => format!("{p:.0e}"),
        p => format!("{p:.2}"),
    }
}

/// `p = 0.42`, `p < 1e-12`.
pub fn p_value(p: f64) -> String {
    let text = probability(p);
    if text.starts_with('<') { format!("p {text}") } else { format!("p = {text}") }
}

/// `1 copy`, `3 copies`.
pub fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Numbers as a list: `0, 2 and 3`.
pub fn listed(numbers: &[usize]) -> String {
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    match texts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => texts.join(""),
    }
}

/// A table of right-aligned columns, the first one left-aligned.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(ToString::to_string).collect();
    let width = |column: usize| {
        rows.iter()
            .chain(std::iter::once(&header))
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    let titled = header.iter().any(|title| !title.is_empty());
    for row in titled.then_some(&header).into_iter().chain(rows) {
        let mut line = String::from(" ");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            line += if column == 0 { " " } else { "  " };
            line +=
                &if column == 0 { format!("{cell}{padding}") } else { format!("{padding}{cell}") };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Names with their values, a line each.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    facts
        .iter()
        .map(|(name, value)| {
            let padding = " ".repeat(width - name.chars().count());
            let value = wrapped(value, &" ".repeat(width + 4));
            format!("  {name}{padding}  {}\n", value.trim_start())
        })
        .collect()
}

/// The longest line of a wrapped text.
const LINE: usize = 100;

/// The text in lines that all start with `indent`, without an end of the last one.
pub fn wrapped(text: &str, indent: &str) -> String {
    let mut lines = vec![indent.to_owned()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        let started = line.len() > indent.len();
        if started && line.chars().count() + 1 + word.chars().count() > LINE {
            lines.push(format!("{indent}{word}"));
        } else {
            if started {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}

/// A matrix whose entries carry their uncertainty in units of the last place, `0.412(13)`, with a
/// common power of ten taken out. Returns the power of ten too.
pub fn uncertain_matrix(values: &[Vec<f64>], widths: &[Vec<f64>]) -> (i32, Vec<Vec<String>>) {
    let largest = |rows: &[Vec<f64>]| {
        rows.iter().flatten().filter(|x| x.is_finite()).fold(0.0, |m: f64, x| m.max(x.abs()))
    };
    let exponent = |x: f64| if x > 0.0 { x.log10().floor() as i32 } else { 0 };
    let power = match exponent(largest(values)) {
        -1..=2 => 0,
        other => other,
    };
    let scale = 10_f64.powi(power);
    // Two digits of the largest uncertainty; the decimals are the same in the whole matrix.
    let decimals = (1 - exponent(largest(widths) / scale)).clamp(0, 15);
    let unit = 10_f64.powi(decimals) / scale;
    let rows = values
        .iter()
        .zip(widths)
        .map(|(values, widths)| {
            values
                .iter()
                .zip(widths)
                .map(|(x, w)| {
                    if !x.is_finite() || !w.is_finite() {
                        return "–".into();
                    }
                    format!("{:.*}({:.0})", decimals as usize, x / scale, (w * unit).ceil())
                })
                .collect()
        })
        .collect();
    (power, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(percent(0.2412), "24.1 %");
        assert_eq!(percent(0.000_523), "0.0523 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(f64::NAN), "–");
        assert_eq!(digits(0.099_96), "0.100");
        assert_eq!(digits(-12_345.6), "-12,346");
        assert_eq!(digits(1.5e7), "1.50e7");
        assert_eq!(digits(0.0), "0");
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(si(150e-12, "F"), "150 pF");
        assert_eq!(si(820e-6, "H"), "820 µH");
        assert_eq!(si(999.9e3, "Hz"), "1 MHz");
        assert_eq!(si(1.5e-13, "F"), "0.15 pF");
        assert_eq!(duration(0.0123), "12.3 ms");
        assert_eq!(duration(200.0), "3 min 20 s");
        assert_eq!(duration(7500.0), "2 h 5 min");
        assert_eq!(probability(3e-5), "3e-5");
        assert_eq!(probability(0.423), "0.42");
        assert_eq!(probability(0.0), "< 1e-12");
        assert_eq!((p_value(0.0), p_value(0.423)), ("p < 1e-12".into(), "p = 0.42".into()));
        assert_eq!(listed(&[1]), "1");
        assert_eq!(listed(&[0, 2, 3]), "0, 2 and 3");
    }

    #[test]
    fn long_texts_are_wrapped() {
        assert_eq!(wrapped("a short one", "  "), "  a short one");
        let long = vec!["word"; 40].join(" ");
        let text = wrapped(&long, "  ");
        assert!(text.lines().all(|line| line.len() <= LINE && line.starts_with("  word")));
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), long);
        let facts = facts(&[("name", long)]);
        assert!(facts.starts_with("  name  word") && facts.contains("\n        word"), "{facts}");
    }

    #[test]
    fn tables_align() {
        let rows = vec![vec!["a".into(), "1.5 %".into()], vec!["±b".into(), "10.5 %".into()]];
        assert_eq!(
            table(&["copy", "error"], &rows),
            "  copy   error\n  a      1.5 %\n  ±b    10.5 %\n"
        );
        assert_eq!(table(&["", ""], &rows), "  a    1.5 %\n  ±b  10.5 %\n");
    }

    #[test]
    fn uncertainties_stand_in_units_of_the_last_place() {
        let rows = |values: &[f64], widths: &[f64]| {
            let (power, rows) = uncertain_matrix(&[values.to_vec()], &[widths.to_vec()]);
            (power, rows[0].join(" "))
        };
        assert_eq!(rows(&[0.4123, -0.05], &[0.013, 0.002]), (0, "0.412(13) -0.050(2)".into()));
        assert_eq!(rows(&[4.1e6, 1e5], &[1.3e5, 2e4]), (6, "4.10(13) 0.10(2)".into()));
        assert_eq!(rows(&[4.1e-9], &[5e-9]), (-9, "4.1(50)".into()));
        assert_eq!(rows(&[0.0], &[0.0]), (0, "0.0(0)".into()));
    }
}
