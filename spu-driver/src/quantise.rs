//! Bank codes that hold a matrix: an integer least-squares fit to the elements as they are.
//!
//! Each bank adds `value · w wᵀ` to the capacitance matrix, `w = e_i` for a self term and `e_i ∓ e_j` for a
//! coupling. With δ the difference to the wanted matrix and P its inverse, the inverse that the board
//! shows is off by `E = D P δ P D` to first order, so a change Δ of one bank changes E by the rank-one
//! term `Δ p pᵀ`, p = D P w, and `‖E‖²` is smallest at `Δ = −pᵀ E p / ‖p‖⁴`. The fit goes round the
//! banks and takes for each the value nearest to that, until nothing changes (coordinate descent).

use std::rc::Rc;

use ndarray::{Array1, Array2};

use crate::board_model::{BoardModel, network, signed};
use crate::device::pair_index;
use crate::linalg::flops::count;
use crate::linalg::{product, solve};

/// Most rounds over all banks; a handful is the rule.
const MAX_ROUNDS: usize = 64;

/// The values that a bank can have.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// By code.
    values: Vec<f64>,
    /// Codes by ascending value.
    order: Vec<i16>,
}

impl Table {
    pub(crate) fn new(elements: &[f64]) -> Self {
        let codes = 1_u32 << elements.len().min(15);
        let value = |code: u32| -> f64 {
            let on = elements.iter().enumerate().filter(|(bit, _)| code >> bit & 1 == 1);
            on.map(|(_, farad)| farad).sum()
        };
        let values: Vec<f64> = (0..codes).map(value).collect();
        let mut order: Vec<i16> = (0..codes).map(|code| code as i16).collect();
        order.sort_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]));
        Self { values, order }
    }

    /// The value of a code; its sign says how it is connected.
    pub(crate) fn value(&self, code: i16) -> f64 {
        self.values[usize::from(code.unsigned_abs())]
    }

    /// The value nearest to `wanted`, and its code.
    pub(crate) fn nearest(&self, wanted: f64) -> (f64, i16) {
        let above = self.order.partition_point(|code| self.value(*code) < wanted);
        let below = above.saturating_sub(1);
        let above = above.min(self.order.len() - 1);
        let distance = |at: usize| (self.value(self.order[at]) - wanted).abs();
        let code = self.order[if distance(below) <= distance(above) { below } else { above }];
        (self.value(code), code)
    }

    /// The smallest value but one.
    fn step(&self) -> f64 {
        self.order.get(1).map_or(0.0, |code| self.value(*code))
    }

    pub(crate) fn largest(&self) -> f64 {
        self.order.last().map_or(0.0, |code| self.value(*code))
    }
}

/// The banks of the first cells of a board.
#[derive(Debug)]
pub(crate) struct Banks {
    n: usize,
    /// Capacitance of each cell with every switch open.
    strays: Vec<f64>,
    selves: Vec<Rc<Table>>,
    /// By pair of the first cells.
    couplings: Vec<Rc<Table>>,
    /// Couplings may be crossed.
    signed: bool,
}

/// Codes, and the matrix that they give.
#[derive(Debug, Clone)]
pub(crate) struct Codes {
    pub(crate) selves: Vec<i16>,
    pub(crate) couplings: Vec<i16>,
    pub(crate) capacitance: Array2<f64>,
}

impl Banks {
    /// The banks of the first `n` cells.
    pub(crate) fn new(model: &BoardModel, n: usize, signed: bool) -> Self {
        let mut made: Vec<(Vec<f64>, Rc<Table>)> = Vec::new();
        // Nominal banks are all alike.
        let mut table = |elements: &Vec<f64>| -> Rc<Table> {
            if let Some((_, table)) = made.iter().find(|(known, _)| known == elements) {
                return Rc::clone(table);
            }
            let table = Rc::new(Table::new(elements));
            if made.len() < 4 {
                made.push((elements.clone(), Rc::clone(&table)));
            }
            table
        };
        let cells = model.cell_count();
        let selves = model.selves[..n].iter().map(&mut table).collect();
        let couplings = (0..n)
            .flat_map(|i| (i + 1..n).map(move |j| pair_index(cells, i, j)))
            .map(|pair| table(&model.couplings[pair]))
            .collect();
        let strays = model.cells[..n].iter().map(|cell| cell.stray_farad).collect();
        Self { n, strays, selves, couplings, signed }
    }

    /// Farads per unit at which the first bank reaches the end of its range; infinite for a matrix of
    /// zeros.
    pub(crate) fn full_range(&self, scaled: &Array2<f64>) -> f64 {
        let n = self.n;
        let mut farads = f64::INFINITY;
        for i in 0..n {
            let off: f64 = (0..n).filter(|&j| j != i).map(|j| scaled[[i, j]].abs()).sum();
            let own = scaled[[i, i]] - off;
            if own > 0.0 {
                farads = farads.min((self.selves[i].largest() + self.strays[i]) / own);
            }
            for j in i + 1..n {
                let most = self.couplings[pair_index(n, i, j)].largest();
                farads = farads.min(most / scaled[[i, j]].abs());
            }
        }
        farads
    }

    /// The codes nearest to `farads · scaled` bank by bank; self terms make up for the couplings'
    /// rounding. `None` if a self term is out of its bank's range by more than its rounding.
    pub(crate) fn nearest(&self, scaled: &Array2<f64>, farads: f64) -> Option<Codes> {
        let n = self.n;
        // Three operations a coupling here, five in its matrix.
        count(4 * n * n);
        let mut couplings = vec![0_i16; n * (n - 1) / 2];
        let mut loads = self.strays.clone();
        for i in 0..n {
            for j in i + 1..n {
                let pair = pair_index(n, i, j);
                let (value, code) = self.couplings[pair].nearest(farads * scaled[[i, j]].abs());
                let crossed = scaled[[i, j]] > 0.0;
                let (value, code) = if crossed && !self.signed { (0.0, 0) } else { (value, code) };
                couplings[pair] = if crossed { -code } else { code };
                loads[i] += value;
                loads[j] += value;
            }
        }
        let mut selves = Vec::with_capacity(n);
        for i in 0..n {
            let wanted = farads * scaled[[i, i]] - loads[i];
            if wanted > self.selves[i].largest() + 1.5 * self.selves[i].step() {
                return None;
            }
            selves.push(self.selves[i].nearest(wanted).1);
        }
        let capacitance = self.capacitance(&selves, &couplings);
        Some(Codes { selves, couplings, capacitance })
    }

    /// Maxwell capacitance matrix of codes on these cells, in farads.
    fn capacitance(&self, selves: &[i16], couplings: &[i16]) -> Array2<f64> {
        network(
            self.n,
            |cell| self.strays[cell] + self.selves[cell].value(selves[cell]),
            |pair| signed(couplings[pair], self.couplings[pair].value(couplings[pair])),
        )
    }

    /// Improves codes until no change of a single bank brings the inverse nearer to the wanted one, or
    /// rather `carry + E` nearer to zero: what earlier programmings of an ensemble were off by is made up
    /// for. `d` is the diagonal of D. Returns E.
    pub(crate) fn refine(
        &self,
        codes: &mut Codes,
        scaled: &Array2<f64>,
        farads: f64,
        d: &[f64],
        carry: &Array2<f64>,
    ) -> Array2<f64> {
        let n = self.n;
        let wanted = scaled.mapv(|x| farads * x);
        let inverse = solve(&wanted, &Array2::eye(n));
        let rows = Array2::from_shape_fn((n, n), |(k, i)| d[k] * inverse[[k, i]]);
        let columns: Vec<Array1<f64>> = (0..n).map(|i| rows.column(i).to_owned()).collect();
        let delta = &codes.capacitance - &wanted;
        let mut error = carry + &product(&product(&rows, &delta), &rows.t());
        for _ in 0..MAX_ROUNDS {
            let mut changed = false;
            for i in 0..n {
                for j in i..n {
                    changed |= if i == j {
                        let p = &columns[i];
                        improve(&mut error, p, &self.selves[i], &mut codes.selves[i], false)
                    } else {
                        let pair = pair_index(n, i, j);
                        let code = &mut codes.couplings[pair];
                        let crossed = *code < 0 || (*code == 0 && scaled[[i, j]] > 0.0);
                        if crossed && !self.signed {
                            false
                        } else {
                            let sign = if crossed { 1.0 } else { -1.0 };
                            let p = &columns[i] + &(&columns[j] * sign);
                            improve(&mut error, &p, &self.couplings[pair], code, crossed)
                        }
                    };
                }
            }
            if !changed {
                break;
            }
        }
        codes.capacitance = self.capacitance(&codes.selves, &codes.couplings);
        error - carry
    }
}

/// Takes the best value of one bank; true if it is another than before.
fn improve(
    error: &mut Array2<f64>,
    p: &Array1<f64>,
    table: &Table,
    code: &mut i16,
    crossed: bool,
) -> bool {
    let n = p.len();
    count(3 * n * n + 2 * n);
    let square: f64 = p.iter().map(|x| x * x).sum();
    let mut slope = 0.0;
    for k in 0..n {
        for l in 0..n {
            slope += p[k] * error[[k, l]] * p[l];
        }
    }
    let now = table.value(*code);
    let (value, best) = table.nearest(now - slope / (square * square));
    let best = if crossed { -best } else { best };
    let change = value - now;
    // By how much ‖E‖² falls; a change that gains nothing would go on for ever.
    let gain = -change * (2.0 * slope + change * square * square);
    if best == *code || gain <= 1e-12 * (slope.abs() * change.abs()) {
        return false;
    }
    *code = best;
    count(3 * n * n);
    for k in 0..n {
        for l in 0..n {
            error[[k, l]] += change * p[k] * p[l];
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board_model::CellValues;
    use crate::linalg::frobenius;

    fn model(n: usize, bits: usize, spread: f64) -> BoardModel {
        let cell = CellValues {
            r_ohm: 1200.0,
            l_henry: 820e-6,
            stray_farad: 20e-12,
            drive_ampere: 1e-6,
            adc_gain: 2047.0,
            adc_offset: 0.0,
        };
        let mut turn = 0_u32;
        let mut element = |bit: usize| {
            // Anything that has no pattern.
            turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let deviation = f64::from(turn >> 16) / 32_768.0 - 1.0;
            2250e-12 / f64::from((1 << bits) - 1) * f64::from(1 << bit) * (1.0 + spread * deviation)
        };
        let mut bank = || (0..bits).map(&mut element).collect::<Vec<f64>>();
        BoardModel {
            cells: vec![cell; n],
            selves: (0..n).map(|_| bank()).collect(),
            couplings: (0..n * (n - 1) / 2).map(|_| bank()).collect(),
            period_s: 1.0 / 12e6,
        }
    }

    fn wanted() -> Array2<f64> {
        Array2::from_shape_fn((4, 4), |(i, j)| {
            if i == j { 3.0 } else { -0.3 - 0.07 * (i * j + 3 * i.abs_diff(j)) as f64 / 3.0 }
        })
    }

    /// Error of the inverse that codes give.
    fn error(codes: &Codes, farads: f64) -> f64 {
        let target = wanted().mapv(|x| x * farads);
        let eye = Array2::eye(4);
        let off = solve(&codes.capacitance, &eye) - solve(&target, &eye);
        frobenius(&off) / frobenius(&solve(&target, &eye))
    }

    #[test]
    fn codes_give_what_the_model_says() {
        let model = model(4, 4, 0.02);
        let banks = Banks::new(&model, 4, false);
        let scaled = wanted();
        let farads = banks.full_range(&scaled);
        let codes = banks.nearest(&scaled, farads).unwrap();
        assert_eq!(codes.capacitance, model.capacitance(&codes.selves, &codes.couplings));
    }

    #[test]
    fn refined_codes_are_no_worse_and_mostly_better() {
        let scaled = wanted();
        let model = model(4, 4, 0.05);
        let banks = Banks::new(&model, 4, false);
        let full = banks.full_range(&scaled);
        let mut better = 0;
        for k in 0..40 {
            let farads = full * (1.0 - f64::from(k) / 80.0);
            let plain = banks.nearest(&scaled, farads).unwrap();
            let mut refined = plain.clone();
            banks.refine(&mut refined, &scaled, farads, &[1.0; 4], &Array2::zeros((4, 4)));
            // What is minimised is the error to first order.
            assert!(error(&refined, farads) < 1.2 * error(&plain, farads) + 1e-3, "{k}");
            better += i32::from(error(&refined, farads) < 0.9 * error(&plain, farads));
        }
        assert!(better > 20, "{better}");
    }

    #[test]
    fn an_ensemble_makes_up_for_its_errors() {
        let scaled = wanted();
        let banks = Banks::new(&model(4, 4, 0.02), 4, false);
        let farads = banks.full_range(&scaled) * 0.9;
        let mut carry = Array2::zeros((4, 4));
        let mut sizes = Vec::new();
        for _ in 0..32 {
            let mut codes = banks.nearest(&scaled, farads).unwrap();
            carry = &carry + &banks.refine(&mut codes, &scaled, farads, &[1.0; 4], &carry);
            sizes.push(frobenius(&carry));
        }
        // The sum stays as small as one error, so the mean falls as one over the number.
        assert!(sizes[31] < 4.0 * sizes[0], "{sizes:?}");
    }

    #[test]
    fn signs_are_kept() {
        let mut scaled = wanted();
        scaled[[0, 1]] = 0.3;
        scaled[[1, 0]] = 0.3;
        let banks = Banks::new(&model(4, 6, 0.0), 4, true);
        let farads = banks.full_range(&scaled);
        let mut codes = banks.nearest(&scaled, farads).unwrap();
        banks.refine(&mut codes, &scaled, farads, &[1.0; 4], &Array2::zeros((4, 4)));
        assert!(codes.couplings[0] < 0, "{:?}", codes.couplings);
        assert!(codes.couplings[1..].iter().all(|code| *code >= 0));
        // Without signs there is no way to hold it.
        assert!(Banks::new(&model(4, 6, 0.0), 4, false).nearest(&scaled, farads).is_none());
    }
}
