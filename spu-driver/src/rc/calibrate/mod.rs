//! Measures the parts of an RC board.
//!
//! Everything comes from voltages that held currents make, in three steps. With a cell's response r in
//! ADC codes per DAC code, d its drive and a its converter gain:
//!
//! 1. **Cells alone.** `1/r_i = (leak_i + self_i) / (d_i a_i)`, bit by bit: self terms and leakage in
//!    units of `d_i a_i`.
//! 2. **Pairs**, for each coupling element with self terms of its size. The 2 × 2 responses Z to a
//!    current in either cell have `Z⁻¹ = D⁻¹ G A⁻¹`, so
//!    `(Z⁻¹)_ii − 1/r_i = g / (d_i a_i)` and `−(Z⁻¹)_ij = g / (d_i a_j)`: each pair gives the ratios of
//!    its products d a and of its gains a. Over all pairs these are averaged (least squares on the
//!    complete graph), and then each element has four readings.
//! 3. **Storage**, cells alone: the voltage t after a step from zero is `1 − e^{−t G/C}` of its limit.
//!
//! Only ratios of voltages count, so the geometric means of drives and of gains are taken as nominal;
//! neither shows in what a relaxation reads. Noise of the cells' own generators dithers the converters.

mod pairs;

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use spu_protocol::code::{CouplingCode, DacCode, GainCode, full_scale_code};

use crate::board_model::bank_top;
use crate::device::{BoardInfo, Deadline, Device, Program, pair_index};
use crate::error::Error;
use crate::rc::model::RcModel;
use crate::rc::read::read;
use crate::seeds::noise_seeds;
use pairs::{Pairs, Reading};

/// Part of the converter's range that a step is meant to reach.
const REACH: f64 = 0.55;
/// Root-mean-square dither, in ADC codes.
const DITHER: f64 = 1.5;
/// Time constants after which a step is read, in step 3.
const AGE: f64 = 1.2;
/// Ticks of a time constant that step 3 aims at.
const TAU_TICKS: f64 = 10.0;
/// Factor by which a part may differ from its nominal value.
const PLAUSIBLE: f64 = 1.6;

/// How an RC board is calibrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RcCalibrateOptions {
    /// Samples of each voltage that has settled.
    pub samples: NonZeroU32,
    /// Steps whose voltages on the way are averaged.
    pub steps: NonZeroU32,
    /// Seed of the dither.
    pub seed: u64,
    /// Most wall time of one request.
    pub timeout: Duration,
}

impl Default for RcCalibrateOptions {
    /// 8,192 samples and 256 steps: elements to some 0.1 % of their bank.
    fn default() -> Self {
        let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let timeout = Duration::from_secs(30);
        Self { samples: number(8192), steps: number(256), seed: 1, timeout }
    }
}

/// A measured RC board.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibratedRc {
    /// Its serial number.
    pub serial: u64,
    /// Its values.
    pub model: RcModel,
    /// Root-mean-square relative disagreement of the four readings of each coupling element; 0 of a
    /// board with one cell.
    pub residual: f64,
    /// Ticks that it took.
    pub ticks: u64,
}

/// Measures the board.
///
/// # Errors
/// [`Error::Uncalibrated`] if a part is not what the profile says even roughly: it names the part.
/// [`Error::Unsupported`] for a board of another kind; what the device says.
pub fn calibrate(
    device: &mut dyn Device,
    options: &RcCalibrateOptions,
) -> Result<CalibratedRc, Error> {
    let nominal = RcModel::nominal(device, Deadline::after(options.timeout))?;
    let info = device.info().clone();
    let mut bench = Bench { device, info, nominal, options: *options, ticks: 0, reads: 0 };
    let result = bench.calibrate();
    // Without bias and noise, whatever happened.
    let rest = bench.device.load(&Program::open(&bench.info), Deadline::after(options.timeout));
    let calibrated = result?;
    rest?;
    Ok(calibrated)
}

struct Bench<'a> {
    device: &'a mut dyn Device,
    info: BoardInfo,
    nominal: RcModel,
    options: RcCalibrateOptions,
    ticks: u64,
    reads: u64,
}

/// Codes of all banks.
struct Banks {
    selves: Vec<i16>,
    couplings: Vec<i16>,
    storage: Vec<i16>,
}

impl Bench<'_> {
    fn cells(&self) -> usize {
        self.info.cells
    }

    fn open(&self) -> Banks {
        Banks {
            selves: vec![0; self.info.cells],
            couplings: vec![0; self.info.couplings],
            storage: vec![0; self.info.cells],
        }
    }

    fn calibrate(&mut self) -> Result<CalibratedRc, Error> {
        let n = self.cells();
        let offsets = self.offsets()?;
        let alone = self.alone()?;
        let Pairs { products, gains, couplings, residual } = self.pairs(&alone)?;
        let mut model = self.nominal.clone();
        for i in 0..n {
            let cell = &mut model.cells[i];
            cell.adc_offset = offsets[i];
            cell.adc_gain = gains[i];
            cell.drive_ampere = products[i] / gains[i];
            cell.leak_siemens = alone.open[i] * products[i];
            let elements = alone.bits[i].iter().map(|with| (with - alone.open[i]) * products[i]);
            model.selves[i] = elements.collect();
        }
        model.couplings = couplings;
        self.storage(&mut model)?;
        self.check(&model)?;
        Ok(CalibratedRc { serial: self.info.serial, model, residual, ticks: self.ticks })
    }

    /// Codes at 0 V. Cells of large conductance forget soonest, so that samples count most.
    fn offsets(&mut self) -> Result<Vec<f64>, Error> {
        let top = 1 << (self.info.raw.self_bits - 1);
        let banks = Banks { selves: vec![top; self.cells()], ..self.open() };
        self.settled(&banks, &vec![0; self.cells()])
    }

    /// Step 1: 1/r with every self switch open, and with each alone.
    fn alone(&mut self) -> Result<Alone, Error> {
        let (n, self_bits) = (self.cells(), self.info.raw.self_bits);
        let all: Vec<usize> = (0..n).collect();
        let mut inverse = |code: i16| -> Result<Vec<f64>, Error> {
            let banks = Banks { selves: vec![code; n], ..self.open() };
            let siemens: Vec<f64> = (0..n).map(|i| self.nominal.self_siemens(i, code)).collect();
            let (height, r) = self.response(&banks, &all, &siemens)?;
            (0..n)
                .map(|i| match r[i] / height[i] {
                    r if r > 0.0 => Ok(1.0 / r),
                    r => Err(refused(&format!(
                        "cell {i} answers {r:.3} ADC codes to a DAC code: its drive or its converter \
                         is dead, or its channel is swapped"
                    ))),
                })
                .collect()
        };
        let open = inverse(0)?;
        let mut bits = vec![Vec::new(); n];
        for bit in 0..self_bits {
            let with = inverse(1 << bit)?;
            bits.iter_mut().zip(with).for_each(|(bits, with)| bits.push(with));
        }
        Ok(Alone { open, bits })
    }

    /// Step 2.
    fn pairs(&mut self, alone: &Alone) -> Result<Pairs, Error> {
        let n = self.cells();
        let bits = self.info.raw.coupling_bits.min(self.info.raw.self_bits);
        let mut readings = vec![Vec::new(); self.info.couplings];
        for round in pairs::rounds(n) {
            for bit in 0..bits {
                let mut banks = Banks { selves: vec![1 << bit; n], ..self.open() };
                for &(i, j) in &round {
                    banks.couplings[pair_index(n, i, j)] = 1 << bit;
                }
                // Seen from one cell: s + g s / (s + g).
                let seen: Vec<f64> = (0..n)
                    .map(|i| {
                        let own = self.nominal.self_siemens(i, 1 << bit);
                        let g = self
                            .nominal
                            .couplings
                            .first()
                            .map_or(0.0, |bank| bank[usize::from(bit)]);
                        own + g * own / (own + g)
                    })
                    .collect();
                let first: Vec<usize> = round.iter().map(|(i, _)| *i).collect();
                let second: Vec<usize> = round.iter().map(|(_, j)| *j).collect();
                let (height_i, by_i) = self.response(&banks, &first, &seen)?;
                let (height_j, by_j) = self.response(&banks, &second, &seen)?;
                for &(i, j) in &round {
                    let z = [
                        [by_i[i] / height_i[i], by_j[i] / height_j[j]],
                        [by_i[j] / height_i[i], by_j[j] / height_j[j]],
                    ];
                    let det = z[0][0] * z[1][1] - z[0][1] * z[1][0];
                    readings[pair_index(n, i, j)].push(Reading {
                        own: [
                            z[1][1] / det - alone.bits[i][usize::from(bit)],
                            z[0][0] / det - alone.bits[j][usize::from(bit)],
                        ],
                        cross: [z[0][1] / det, z[1][0] / det],
                    });
                }
            }
        }
        pairs::fit(&self.nominal, &readings)
    }

    /// Step 3: storage elements and strays, into the model.
    fn storage(&mut self, model: &mut RcModel) -> Result<(), Error> {
        let (n, storage_bits) = (self.cells(), self.info.raw.storage_bits);
        let tau = TAU_TICKS * model.period_s;
        let mut capacitance = |code: i16| -> Result<Vec<f64>, Error> {
            let mut banks = Banks { storage: vec![code; n], ..self.open() };
            let top = bank_top(self.info.raw.self_bits);
            for i in 0..n {
                let wanted = self.nominal.farad(i, code) / tau - self.nominal.cells[i].leak_siemens;
                let lsb = self.nominal.selves[i][0];
                banks.selves[i] = (wanted / lsb).round().clamp(1.0, f64::from(top)) as i16;
            }
            let siemens: Vec<f64> =
                (0..n).map(|i| model.self_siemens(i, banks.selves[i])).collect();
            let ticks = (AGE * TAU_TICKS).round() as u32;
            let (height, risen) = self.on_the_way(&banks, &siemens, ticks)?;
            (0..n)
                .map(|i| {
                    let cell = &model.cells[i];
                    let limit = height[i] * cell.drive_ampere * cell.adc_gain / siemens[i];
                    let left = 1.0 - risen[i] / limit;
                    if !(left > 0.0 && left < 1.0) {
                        return Err(refused(&format!(
                            "cell {i} rises to {:.2} of its limit: its storage bank is stuck",
                            1.0 - left
                        )));
                    }
                    Ok(-f64::from(ticks) * model.period_s * siemens[i] / left.ln())
                })
                .collect()
        };
        let open = capacitance(0)?;
        let mut elements = vec![Vec::new(); n];
        for bit in 0..storage_bits {
            for (i, with) in capacitance(1 << bit)?.into_iter().enumerate() {
                elements[i].push(with - open[i]);
            }
        }
        for (cell, farad) in model.cells.iter_mut().zip(open) {
            cell.stray_farad = farad;
        }
        model.storage = elements;
        Ok(())
    }

    /// Mean codes of all cells to steps of the wanted reach in the cells `driven`, half the difference
    /// of both signs, and the heights of those steps in DAC codes.
    fn response(
        &mut self,
        banks: &Banks,
        driven: &[usize],
        siemens: &[f64],
    ) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let bias = self.heights(driven, siemens);
        let up = self.settled(banks, &bias)?;
        let down = self.settled(banks, &bias.iter().map(|code| -code).collect::<Vec<_>>())?;
        let half = up.iter().zip(down).map(|(up, down)| 0.5 * (up - down)).collect();
        Ok((bias.into_iter().map(f64::from).collect(), half))
    }

    /// DAC codes that are meant to bring the driven cells to the wanted reach.
    fn heights(&self, driven: &[usize], siemens: &[f64]) -> Vec<i16> {
        let raw = &self.info.raw;
        let volts = REACH * f64::from(full_scale_code(raw.adc_bits)) * f64::from(raw.adc_lsb_volt);
        let full = f64::from(full_scale_code(raw.dac_bits));
        let mut bias = vec![0; self.cells()];
        for &i in driven {
            let code = volts * siemens[i] / f64::from(raw.dac_lsb_ampere);
            bias[i] = code.round().clamp(1.0, full) as i16;
        }
        bias
    }

    /// Mean codes once the cells have settled.
    fn settled(&mut self, banks: &Banks, bias: &[i16]) -> Result<Vec<f64>, Error> {
        let program = self.program(banks, bias);
        // Nearly nothing but strays is charged; the leakage alone is slowest.
        let cell = &self.nominal.cells[0];
        let tau = cell.stray_farad / cell.leak_siemens / self.nominal.period_s;
        let settle = (25.0 * tau).ceil() as u64;
        self.run(&program, settle, self.options.samples)
    }

    /// Half the difference of mean codes a number of ticks after steps of both signs.
    fn on_the_way(
        &mut self,
        banks: &Banks,
        siemens: &[f64],
        ticks: u32,
    ) -> Result<(Vec<f64>, Vec<f64>), Error> {
        let n = self.cells();
        let driven: Vec<usize> = (0..n).collect();
        let bias = self.heights(&driven, siemens);
        let steps = self.options.steps.get();
        let mut sums = vec![0.0; n];
        for sign in [1_i16, -1] {
            let bias: Vec<i16> = bias.iter().map(|code| sign * code).collect();
            let program = self.program(banks, &bias);
            for step in 0..steps {
                let program = match step {
                    0 => program.clone(),
                    _ => Program { seeds: None, ..program.clone() },
                };
                let codes = self.run(&program, u64::from(ticks) - 1, NonZeroU32::MIN)?;
                for (sum, code) in sums.iter_mut().zip(codes) {
                    *sum += f64::from(sign) * code;
                }
            }
        }
        let each = 2.0 * f64::from(steps);
        Ok((
            bias.into_iter().map(f64::from).collect(),
            sums.into_iter().map(|sum| sum / each).collect(),
        ))
    }

    /// These banks and biases, with dither: a cell of conductance G and capacitance C turns a noise
    /// current of σ held for ticks of h into a voltage of `σ/G √((1 − a) / (1 + a))`, a = e^(−hG/C).
    fn program(&mut self, banks: &Banks, bias: &[i16]) -> Program {
        let raw = &self.info.raw;
        let unit = f64::from(raw.noise_rms_code) * f64::from(raw.dac_lsb_ampere);
        let g = self.nominal.conductance(&banks.selves, &banks.couplings);
        let gain = |i: usize| {
            let farad = self.nominal.farad(i, banks.storage[i]);
            let a = (-self.nominal.period_s * g[[i, i]] / farad).exp();
            let filter = ((1.0 + a) / (1.0 - a)).sqrt();
            let ampere = DITHER * f64::from(raw.adc_lsb_volt) * g[[i, i]] * filter;
            let code = (ampere / unit / GainCode(1).factor()).round();
            GainCode(code.clamp(1.0, f64::from(u16::MAX)) as u16)
        };
        let coded = |codes: &[i16]| codes.iter().map(|code| CouplingCode(*code)).collect();
        self.reads += 1;
        Program {
            self_codes: coded(&banks.selves),
            coupling_codes: coded(&banks.couplings),
            gain_codes: (0..self.cells()).map(gain).collect(),
            bias_codes: bias.iter().map(|code| DacCode(*code)).collect(),
            storage_codes: coded(&banks.storage),
            seeds: Some(noise_seeds(self.options.seed.wrapping_add(self.reads), 0, self.cells())),
            discharge: true,
        }
    }

    /// Mean codes of a run.
    fn run(
        &mut self,
        program: &Program,
        settle: u64,
        count: NonZeroU32,
    ) -> Result<Vec<f64>, Error> {
        let read = read(self.device, program, settle, count, self.options.timeout)?;
        self.ticks += read.report.ticks.0;
        if let Some(cell) = read.saturated() {
            return Err(refused(&format!(
                "the converter of cell {cell} saturates with self code {} where it should reach {REACH} \
                 of its range: a switch of self-term bank {cell} is stuck, the drive is too strong, or \
                 the converter is at a rail",
                program.self_codes[cell].0
            )));
        }
        Ok(read.codes)
    }

    /// Refuses values that no board of this profile has.
    fn check(&self, model: &RcModel) -> Result<(), Error> {
        let banks = [
            ("self-term", &model.selves, &self.nominal.selves),
            ("coupling", &model.couplings, &self.nominal.couplings),
            ("storage", &model.storage, &self.nominal.storage),
        ];
        for (what, found, nominal) in banks {
            for (index, (found, nominal)) in found.iter().zip(nominal).enumerate() {
                let lsb = nominal[0];
                for (bit, (found, nominal)) in found.iter().zip(nominal).enumerate() {
                    // Half an LSB of noise beside the factor.
                    let low = nominal / PLAUSIBLE - 0.5 * lsb;
                    let high = nominal * PLAUSIBLE + 0.5 * lsb;
                    if !(low..=high).contains(found) {
                        return Err(refused(&format!(
                            "element {bit} of {what} bank {index} measures {:.2} of its nominal value: \
                             its switch is stuck",
                            found / nominal
                        )));
                    }
                }
            }
        }
        Ok(())
    }
}

fn refused(what: &str) -> Error {
    Error::Uncalibrated { why: format!("{what}; check the board, then calibrate it again") }
}

/// 1/r of each cell, in DAC codes per ADC code.
struct Alone {
    open: Vec<f64>,
    /// By cell and bit.
    bits: Vec<Vec<f64>>,
}
