//! Which profiles are those of a board.

use super::{Banks, Kind, MAX_BANK_BITS, MAX_CELLS, MAX_NAME, MAX_SPREAD, Profile, ProfileError};

/// Why a field is refused.
fn field(field: &str, why: String) -> Result<(), ProfileError> {
    Err(ProfileError::Field { file: None, field: field.to_owned(), why })
}

impl Profile {
    /// Refuses values that no board has.
    pub(super) fn check(&self) -> Result<(), ProfileError> {
        self.check_parts()?;
        self.check_counts()?;
        self.check_quantities()?;
        self.check_array()
    }

    /// The name, and which parts there are.
    fn check_parts(&self) -> Result<(), ProfileError> {
        let fits = !self.name.is_empty() && self.name.len() <= MAX_NAME && self.name.is_ascii();
        if !fits {
            return field("name", format!("must be 1 to {MAX_NAME} ASCII characters"));
        }
        let parts = [
            ("cell.l", self.cell.l.is_some(), self.kind == Kind::Rlc),
            ("banks.storage", self.banks.storage.is_some(), self.kind == Kind::Rc),
            ("banks", self.banks != Banks::none(), self.kind != Kind::Factored),
            ("array", self.array.is_some(), self.kind == Kind::Factored),
        ];
        for (name, found, wanted) in parts {
            if found != wanted {
                let verb = if wanted { "has" } else { "has no" };
                return field(name, format!("a board of kind {} {verb} such parts", self.kind));
            }
        }
        Ok(())
    }

    /// Numbers of cells, rows and bits.
    fn check_counts(&self) -> Result<(), ProfileError> {
        let bank = u32::from(MAX_BANK_BITS);
        let storage = self.banks.storage.as_ref();
        let least = u32::from(self.array.is_none());
        let counts = [
            ("cells", &self.cells, "1", 1, MAX_CELLS as u32),
            ("banks.self_bits", &self.banks.self_bits, "bit", least, bank),
            ("banks.coupling_bits", &self.banks.coupling_bits, "bit", least, bank),
            ("drive.dac_bits", &self.drive.dac_bits, "bit", 2, 16),
            ("adc.bits", &self.adc.bits, "bit", 2, 16),
            ("packing.word_bits", &self.packing.word_bits, "bit", 12, 16),
            ("packing.control_bits", &self.packing.control_bits, "bit", 0, 3),
            ("capture.frames", &self.capture.frames, "1", 16, 1 << 20),
        ];
        let storage_bits = storage.map(|s| ("banks.storage.bits", &s.bits, "bit", 1, bank));
        let array = self.array.as_ref().map(|array| {
            [
                ("array.rows", &array.rows, "1", 1, 1 << 13),
                // An element's index, twice over, fits 32 bits.
                ("array.columns", &array.columns, "1", 1, 1 << 18),
                ("array.bits", &array.bits, "bit", 2, 16),
                ("array.damping_bits", &array.damping_bits, "bit", 1, 24),
            ]
        });
        let counts = counts.into_iter().chain(storage_bits).chain(array.into_iter().flatten());
        for (name, count, unit, least, most) in counts {
            if count.unit != unit {
                return field(name, format!("unit must be {unit:?}, not {:?}", count.unit));
            }
            if !(least..=most).contains(&count.value) {
                return field(name, format!("{} is outside {least} to {most}", count.value));
            }
        }
        let word = self.packing.word_bits.value;
        if word != 12 && word != 16 {
            return field("packing.word_bits", format!("must be 12 or 16, not {word}"));
        }
        if self.adc.bits.value + self.packing.control_bits.value > word {
            return field(
                "packing.word_bits",
                format!("{word} bits do not hold a sample and its control bits"),
            );
        }
        Ok(())
    }

    /// Values with a unit, and their spreads.
    fn check_quantities(&self) -> Result<(), ProfileError> {
        // Unit of self terms and couplings.
        let (bank, finest, coarsest) = match self.kind {
            Kind::Rlc => ("F", 1e-18, 1e-6),
            Kind::Rc => ("S", 1e-15, 1.0),
            Kind::Factored => ("S", 0.0, 0.0),
        };
        let quantities = [
            ("clock.sample", &self.clock.sample, "Hz", 1e3, 4e9, None),
            ("cell.r", &self.cell.r, "ohm", 1e-3, 1e9, None),
            ("cell.stray", &self.cell.stray, "F", 0.0, 1e-6, None),
            ("banks.self_lsb", &self.banks.self_lsb, bank, finest, coarsest, None),
            ("banks.coupling_lsb", &self.banks.coupling_lsb, bank, finest, coarsest, None),
            ("drive.full_scale", &self.drive.full_scale, "A", 1e-12, 1e3, None),
            ("adc.full_scale", &self.adc.full_scale, "V", 1e-9, 1e3, None),
            ("adc.offset", &self.adc.offset, "V", -1e3, 1e3, Some("V")),
        ];
        let l = self.cell.l.as_ref().map(|l| ("cell.l", l, "H", 1e-12, 1e3, None));
        let lsb = self.banks.storage.as_ref();
        let lsb = lsb.map(|s| ("banks.storage.lsb", &s.lsb, "F", 1e-18, 1e-6, None));
        let array = self.array.as_ref().map(|array| {
            [
                ("array.element", &array.element, "S", 1e-9, 1.0, None),
                ("array.node", &array.node, "F", 1e-15, 1e-3, None),
            ]
        });
        let quantities = quantities.into_iter().chain(l).chain(lsb);
        let quantities = quantities.chain(array.into_iter().flatten());
        for (name, quantity, unit, least, most, spread_unit) in quantities {
            if quantity.unit != unit {
                return field(name, format!("unit must be {unit:?}, not {:?}", quantity.unit));
            }
            if !(least..=most).contains(&quantity.value) {
                let value = quantity.value;
                return field(name, format!("{value} {unit} is outside {least} to {most}"));
            }
            if quantity.spread != 0.0 && quantity.spread_unit.as_deref() != spread_unit {
                let wants = spread_unit.map_or("left out".to_owned(), |unit| format!("{unit:?}"));
                return field(name, format!("spread_unit must be {wants}"));
            }
            let limit = if spread_unit.is_some() { 1e3 } else { MAX_SPREAD };
            if !(0.0..=limit).contains(&quantity.spread) {
                return field(name, format!("spread {} is outside 0 to {limit}", quantity.spread));
            }
        }
        Ok(())
    }

    /// What is not modelled on factored boards.
    fn check_array(&self) -> Result<(), ProfileError> {
        if let Some(array) = &self.array {
            let spreads = [
                ("cell.r", self.cell.r.spread),
                ("array.node", array.node.spread),
                ("drive.full_scale", self.drive.full_scale.spread),
                ("adc.full_scale", self.adc.full_scale.spread),
                ("adc.offset", self.adc.offset.spread + self.adc.offset.value.abs()),
            ];
            for (name, spread) in spreads {
                if spread != 0.0 {
                    let why =
                        "offset and spread are not modelled on factored boards; leave them out";
                    return field(name, why.to_owned());
                }
            }
        }
        Ok(())
    }
}
