//! Axes: from values to positions, and where their ticks are.

/// A linear or logarithmic axis.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    log: bool,
    /// Range of the values, of their logarithms on a logarithmic axis.
    values: (f64, f64),
    positions: (f64, f64),
}

impl Scale {
    /// From a range of values to one of positions.
    pub fn linear(values: (f64, f64), positions: (f64, f64)) -> Self {
        let room = if values.0 < values.1 { 0.0 } else { 1.0 };
        Self { log: false, values: (values.0 - room, values.1 + room), positions }
    }

    /// The same for positive values by their logarithms.
    pub fn log(values: (f64, f64), positions: (f64, f64)) -> Self {
        let low = values.0.max(f64::MIN_POSITIVE).log10();
        let high = values.1.max(f64::MIN_POSITIVE).log10();
        let room = if low < high { 0.0 } else { 0.5 };
        Self { log: true, values: (low - room, high + room), positions }
    }

    /// Position of a value, within the axis.
    pub fn at(&self, value: f64) -> f64 {
        let value = if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let share = (value - self.values.0) / (self.values.1 - self.values.0);
        let (from, to) = self.positions;
        from + share.clamp(0.0, 1.0) * (to - from)
    }

    /// Both ends of the axis, as positions.
    pub fn ends(&self) -> (f64, f64) {
        self.positions
    }

    /// Values of the ticks.
    pub fn ticks(&self) -> Vec<f64> {
        if self.log { self.log_ticks() } else { self.linear_ticks() }
    }

    fn linear_ticks(&self) -> Vec<f64> {
        let step = nice(((self.values.1 - self.values.0) / 5.0).abs());
        let first = (self.values.0 / step - 1e-9).ceil() as i64;
        let last = (self.values.1 / step + 1e-9).floor() as i64;
        (first..=last).map(|k| k as f64 * step).collect()
    }

    /// Powers of ten, and between them 2 and 5 where there is room.
    fn log_ticks(&self) -> Vec<f64> {
        let decades = self.values.1 - self.values.0;
        let within: &[f64] = match decades {
            d if d > 4.0 => &[1.0],
            d if d > 2.0 => &[1.0, 3.0],
            _ => &[1.0, 2.0, 5.0],
        };
        let first = self.values.0.floor() as i32;
        let last = self.values.1.ceil() as i32;
        (first..=last)
            .flat_map(|power| within.iter().map(move |digit| digit * 10_f64.powi(power)))
            .filter(|tick| {
                let log = tick.log10();
                log >= self.values.0 - 1e-9 && log <= self.values.1 + 1e-9
            })
            .collect()
    }
}

/// The next of 1, 2 and 5 times a power of ten.
pub fn nice(x: f64) -> f64 {
    if x <= 0.0 || !x.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(x.log10().floor());
    let digit = x / power;
    let rounded = [1.0, 2.0, 5.0].into_iter().find(|nice| digit <= nice * (1.0 + 1e-9));
    rounded.unwrap_or(10.0) * power
}

/// A tick's label, without zeros that say nothing.
pub fn label(value: f64) -> String {
    let size = value.abs();
    if size < 1e-12 {
        "0".into()
    } else if (1e-4..1e7).contains(&size) {
        let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
        if size >= 1e3 {
            let sign = if value < 0.0 { "−" } else { "" };
            return format!("{sign}{}", crate::text::count(rounded.abs() as u64));
        }
        rounded.to_string().replace('-', "−")
    } else {
        let text = format!("{value:.3e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = digits.trim_end_matches('0').trim_end_matches('.').replace('-', "−");
        format!("{digits} × 10{}", superscript(power))
    }
}

/// A label that is short for powers of ten: `10⁻⁹`.
pub fn power_label(value: f64) -> String {
    let power = value.log10();
    if value <= 0.0 || (power - power.round()).abs() > 1e-9 || (-2.5..3.5).contains(&power) {
        return label(value);
    }
    format!("10{}", superscript(&format!("{}", power.round())))
}

fn superscript(number: &str) -> String {
    let raised = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => c.to_digit(10).and_then(|d| char::from_u32(0x2070 + d)).unwrap_or(c),
    };
    number.chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let near = |a: &[f64], b: &[f64]| {
            a.len() == b.len()
                && a.iter().zip(b).all(|(x, y)| (x - y).abs() < 1e-9 * y.abs().max(1.0))
        };
        let ticks = Scale::linear((-0.13, 0.52), (0.0, 1.0)).ticks();
        assert!(near(&ticks, &[0.0, 0.2, 0.4]), "{ticks:?}");
        let ticks = Scale::log((0.008, 0.3), (0.0, 1.0)).ticks();
        assert!(near(&ticks, &[0.01, 0.02, 0.05, 0.1, 0.2]), "{ticks:?}");
        let ticks = Scale::log((1.0, 1e6), (0.0, 1.0)).ticks();
        assert!(near(&ticks, &[1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6]), "{ticks:?}");
    }

    #[test]
    fn positions_stay_finite_for_degenerate_ranges() {
        for scale in [
            Scale::linear((2.0, 2.0), (0.0, 10.0)),
            Scale::log((2.0, 2.0), (0.0, 10.0)),
            Scale::log((0.0, 0.0), (0.0, 10.0)),
        ] {
            assert!(scale.at(2.0).is_finite() && scale.at(0.0).is_finite());
            assert!(scale.ticks().len() < 50);
        }
        let scale = Scale::log((10.0, 1000.0), (0.0, 10.0));
        assert!((scale.at(100.0) - 5.0).abs() < 1e-12);
    }

    #[test]
    fn labels() {
        assert_eq!(label(0.1 + 0.2), "0.3");
        assert_eq!(label(-0.05), "−0.05");
        assert_eq!(label(50_000.0), "50,000");
        assert_eq!(label(-2000.0), "−2,000");
        assert_eq!(label(2e6), "2,000,000");
        assert_eq!(label(2e7), "2 × 10⁷");
        assert_eq!(label(-1.5e-10), "−1.5 × 10⁻¹⁰");
        assert_eq!(label(0.0), "0");
        assert_eq!(power_label(1e-9), "10⁻⁹");
        assert_eq!(power_label(1e6), "10⁶");
        assert_eq!(power_label(0.1), "0.1");
        assert_eq!(power_label(0.0), "0");
        assert_eq!(power_label(-2000.0), "−2,000");
        assert_eq!(power_label(2e-9), "2 × 10⁻⁹");
        assert!((nice(0.13) - 0.2).abs() < 1e-12 && (nice(6.0) - 10.0).abs() < 1e-12);
    }
}
