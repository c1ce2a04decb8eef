//! Bills of materials.

use std::collections::HashMap;
use std::fmt::Write;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::profile::Profile;

/// A part of `parts.toml`, whose head says what the fields are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Part {
    #[serde(rename = "part")]
    number: String,
    maker: String,
    #[serde(default)]
    value: String,
    #[serde(rename = "use")]
    purpose: String,
    each: Each,
    bits: Option<Bank>,
    refs: String,
    #[serde(default, rename = "rev-a")]
    rev_a: u32,
    #[serde(default, rename = "rev-b")]
    rev_b: u32,
    source: String,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Each {
    Board,
    TwoCells,
    Cell,
    Pair,
    Register,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Bank {
    #[serde(rename = "self")]
    Own,
    Coupling,
}

#[derive(Deserialize)]
struct Parts {
    part: Vec<Part>,
}

/// A line of a bill: parts of one kind and value.
pub(super) struct Line {
    refs: Vec<String>,
    part: String,
    maker: String,
    value: String,
    purpose: String,
    source: String,
}

/// Reads `parts.toml`.
///
/// # Errors
/// Where it is not of the form that its head describes.
pub(super) fn parts(text: &str) -> Result<Vec<Part>> {
    Ok(toml::from_str::<Parts>(text).context("hardware/board/parts.toml")?.part)
}

/// The bill of materials of a board, in the order of `parts.toml`.
///
/// # Errors
/// Where a reference designator is used twice, or no capacitors come near an element's value.
pub(super) fn lines(parts: &[Part], profile: &Profile) -> Result<Vec<Line>> {
    let mut lines: Vec<Line> = Vec::new();
    for part in parts {
        let each = match profile.name.as_str() {
            "rev-a" => part.rev_a,
            "rev-b" => part.rev_b,
            other => bail!("parts.toml says nothing of profile {other}"),
        };
        // What one owner has, as values in the order of its designators.
        let values: Vec<String> = match part.bits {
            None => vec![part.value.clone(); each as usize],
            Some(bank) => {
                let mut values = Vec::new();
                for farads in elements(bank, profile) {
                    for _ in 0..each {
                        values.extend(standard(farads)?.into_iter().map(|pf| format!("{pf} pF")));
                    }
                }
                values
            }
        };
        let number_of = |value: &str| match part.bits {
            None => part.number.clone(),
            Some(_) => numbered(&part.number, value, profile.differential()),
        };
        let first = lines.len();
        for owner in owners(part.each, profile) {
            for (index, value) in values.iter().enumerate() {
                let reference = designator(part, &owner, index, values.len())?;
                match lines[first..].iter_mut().find(|line| line.value == *value) {
                    Some(line) => line.refs.push(reference),
                    None => lines.push(Line {
                        refs: vec![reference],
                        part: number_of(value),
                        maker: part.maker.clone(),
                        value: value.clone(),
                        purpose: part.purpose.clone(),
                        source: part.source.clone(),
                    }),
                }
            }
        }
    }
    let mut seen = HashMap::new();
    for line in &lines {
        for reference in &line.refs {
            if let Some(other) = seen.insert(reference, &line.part) {
                bail!("{reference} is {other} and {}: change `refs` in parts.toml", line.part);
            }
        }
    }
    Ok(lines)
}

/// What a part serves: a number in front of its own (cells and pairs), or its place in a row.
enum Owner {
    Prefix(String),
    Place(u32),
}

fn owners(each: Each, profile: &Profile) -> Vec<Owner> {
    let places = |count: u32| (0..count).map(Owner::Place).collect();
    match each {
        Each::Board => places(1),
        Each::TwoCells => places(profile.cells.div_ceil(2)),
        Each::Register => places(profile.chain().div_ceil(8)),
        Each::Cell => (1..=profile.cells).map(|cell| Owner::Prefix(cell.to_string())).collect(),
        Each::Pair => (1..=profile.cells)
            .flat_map(|a| (a + 1..=profile.cells).map(move |b| Owner::Prefix(format!("{a}{b}"))))
            .collect(),
    }
}

fn designator(part: &Part, owner: &Owner, index: usize, each: usize) -> Result<String> {
    let digits = part.refs.trim_start_matches(|letter: char| letter.is_ascii_uppercase());
    let letter = &part.refs[..part.refs.len() - digits.len()];
    let number: usize =
        digits.parse().with_context(|| format!("{}: refs {}", part.number, part.refs))?;
    Ok(match owner {
        Owner::Place(place) => format!("{letter}{}", number + *place as usize * each + index),
        Owner::Prefix(prefix) => {
            ensure!(number + index < 100, "{}: more designators than two digits", part.number);
            format!("{letter}{prefix}{:02}", number + index)
        }
    })
}

/// Values of a bank's capacitors, in farads, smallest element first.
fn elements(bank: Bank, profile: &Profile) -> Vec<f64> {
    let (bits, lsb) = match bank {
        Bank::Own => (profile.self_bits, profile.self_lsb),
        Bank::Coupling => (profile.coupling_bits, profile.coupling_lsb),
    };
    let scale = if profile.differential() { 2.0 } else { 1.0 };
    (0..bits).map(|bit| scale * lsb * f64::from(1_u32 << bit)).collect()
}

const E24: [f64; 24] = [
    1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.7, 3.0, 3.3, 3.6, 3.9, 4.3, 4.7, 5.1, 5.6,
    6.2, 6.8, 7.5, 8.2, 9.1,
];

/// One E24 value, or two in parallel, in picofarads: the fewest within 0.3 % of it.
///
/// # Errors
/// Where none is.
fn standard(farads: f64) -> Result<Vec<f64>> {
    let wanted = farads * 1e12;
    let values: Vec<f64> = [1.0, 10.0, 100.0, 1000.0]
        .iter()
        .flat_map(|decade| E24.map(|value| (value * decade * 10.0).round() / 10.0))
        .collect();
    let off = |sum: f64| (sum / wanted - 1.0).abs();
    if let Some(one) = values.iter().find(|value| off(**value) < 1e-3) {
        return Ok(vec![*one]);
    }
    // Two equal ones are one kind of part less.
    if let Some(half) = values.iter().find(|value| off(2.0 * **value) < 1e-3) {
        return Ok(vec![*half, *half]);
    }
    let mut best = (f64::INFINITY, vec![]);
    for (at, small) in values.iter().enumerate() {
        for large in &values[at..] {
            if off(small + large) < best.0 {
                best = (off(small + large), vec![*large, *small]);
            }
        }
    }
    ensure!(best.0 < 3e-3, "no two E24 capacitors within 0.3 % of {wanted:.2} pF");
    Ok(best.1)
}

/// A capacitor's part number: three digits of the value (`2R4`, `151`), the letter of the tolerance (of
/// a differential board 1 %, else 2 %, 0.1 pF below 10 pF).
fn numbered(series: &str, value: &str, tight: bool) -> String {
    let pf: f64 = value.trim_end_matches(" pF").parse().unwrap_or_default();
    let (digits, tolerance) = if pf < 10.0 {
        (format!("{pf:.1}").replace('.', "R"), "B")
    } else {
        let zeros = pf.log10().floor() as i32 - 1;
        let two = (pf / 10_f64.powi(zeros)).round();
        (format!("{two}{zeros}"), if tight { "F" } else { "G" })
    };
    format!("{series}{digits}{tolerance}A01")
}

/// The bill as CSV.
pub(super) fn csv(lines: &[Line]) -> String {
    let quoted = |text: &str| {
        if text.contains([',', '"']) {
            format!("\"{}\"", text.replace('"', "\"\""))
        } else {
            text.to_owned()
        }
    };
    let mut text = String::from("quantity,part,manufacturer,value,used for,source,references\n");
    for line in lines {
        let fields = [&line.part, &line.maker, &line.value, &line.purpose, &line.source];
        let fields = fields.map(|field| quoted(field)).join(",");
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{},{fields},{}", line.refs.len(), line.refs.join(" "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board::{folder, read};

    /// Lines whose part begins so.
    fn bill(name: &str) -> Vec<Line> {
        let parts = parts(&read(&folder().join("parts.toml")).unwrap()).unwrap();
        lines(&parts, &Profile::named(name).unwrap()).unwrap()
    }

    fn count(lines: &[Line], part: &str, purpose: &str) -> usize {
        let fits = |line: &&Line| line.part.starts_with(part) && line.purpose.contains(purpose);
        lines.iter().filter(fits).map(|line| line.refs.len()).sum()
    }

    /// 8 cells, 28 couplings, four bits in each bank: 144 switches, a capacitor behind each but the
    /// one of 600 pF, which is two.
    #[test]
    fn the_bill_of_rev_a_is_the_profile_s_board() {
        let bill = bill("rev-a");
        assert_eq!(count(&bill, "TMUX1511", "bank") * 4, 8 * 4 + 28 * 4);
        assert_eq!(count(&bill, "GRM", "self bank"), 8 * 5);
        assert_eq!(count(&bill, "GRM", "coupling bank"), 28 * 5);
        assert_eq!(count(&bill, "SN74LV595", "") * 8, 144);
        assert_eq!(count(&bill, "820 uH", ""), 8);
        for dual in ["DAC2904", "LM6172", "OPA2810"] {
            assert_eq!(count(&bill, dual, "") * 2, 8, "{dual}");
        }
        assert_eq!(count(&bill, "ADC12020", ""), 8);
        assert_eq!(count(&bill, "THS4151", ""), 0);
        assert_eq!(count(&bill, "TMUX1134", ""), 0);
    }

    /// Eight bits, two switches for an element of a coupling and one for one of a self term, a sign
    /// for each coupling.
    #[test]
    fn the_bill_of_rev_b_is_the_profile_s_board() {
        let bill = bill("rev-b");
        assert_eq!(count(&bill, "TMUX1511", "bank") * 4, 8 * 8 + 28 * 8 * 2);
        assert_eq!(count(&bill, "TMUX1134", "sign"), 28);
        assert_eq!(count(&bill, "SN74LV595", ""), (8 * 8 + 28 * 9_usize).div_ceil(8));
        assert_eq!(count(&bill, "THS4151", ""), 8);
        assert_eq!(count(&bill, "ADC14L020", ""), 8);
        assert_eq!(count(&bill, "OPA2810", "") * 2, 16);
    }

    #[test]
    fn capacitors_add_up_to_the_elements() {
        for name in crate::board::BOARDS {
            let profile = Profile::named(name).unwrap();
            for bank in [Bank::Own, Bank::Coupling] {
                for farads in elements(bank, &profile) {
                    let sum: f64 = standard(farads).unwrap().iter().sum();
                    assert!((sum * 1e-12 / farads - 1.0).abs() < 3e-3, "{name}: {farads} F");
                }
            }
        }
        assert_eq!(standard(1200e-12).unwrap(), [1200.0]);
        assert_eq!(standard(600e-12).unwrap(), [300.0, 300.0]);
        assert!(standard(1e-6).unwrap_err().to_string().contains("0.3 %"));
    }

    #[test]
    fn part_numbers_of_capacitors_hold_value_and_tolerance() {
        for (value, tight, number) in [
            ("2.4 pF", true, "X2R4BA01"),
            ("16 pF", true, "X160FA01"),
            ("150 pF", false, "X151GA01"),
            ("1200 pF", false, "X122GA01"),
        ] {
            assert_eq!(numbered("X", value, tight), number);
        }
    }

    #[test]
    fn a_designator_that_is_used_twice_is_refused() {
        let part = |name: &str| {
            format!(
                "[[part]]\npart = \"{name}\"\nmaker = \"any\"\nuse = \"x\"\neach = \"cell\"\n\
                 refs = \"R01\"\nrev-a = 1\nsource = \"x\"\n"
            )
        };
        let parts = parts(&(part("one") + &part("other"))).unwrap();
        let error = lines(&parts, &Profile::named("rev-a").unwrap()).err().unwrap().to_string();
        assert!(error.contains("R101 is one and other"), "{error}");
    }

    #[test]
    fn designators_are_unique_and_complete() {
        let bill = bill("rev-a");
        let inductors = bill.iter().find(|line| line.part == "820 uH").unwrap();
        assert_eq!(inductors.refs[0], "L101");
        assert_eq!(inductors.refs[7], "L801");
        let converters = bill.iter().find(|line| line.part.starts_with("ADC")).unwrap();
        assert_eq!((&*converters.refs[0], &*converters.refs[7]), ("U106", "U806"));
    }
}
