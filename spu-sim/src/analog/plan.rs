//! Coefficients of one exact step under zero-order hold.

use crate::LANES;
use crate::analog::circuit::Circuit;
use crate::analog::modal::{Block, blocks};
use crate::analog::parts::Parts;
use crate::math::{Complex, Matrix};

/// Real numbers of the state: two per cell.
pub(crate) const STATES: usize = 2 * LANES;
/// Largest difference between the step by modes and the exponential of the drift, relative to its
/// largest element, at which the modes are used. Rounding of the worst accepted modes stays below.
const AGREEMENT: f64 = 1e-10;

/// How the state is stepped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Eight real two-by-two blocks.
    Modal,
    /// One dense matrix.
    Dense,
}

/// The serial part of a step.
#[derive(Debug, Clone)]
pub(crate) enum Recursion {
    /// z' = B z + x lane by lane; elements (0,0), (0,1), (1,0), (1,1) of the block of each lane,
    /// whose state is z\[lane\], z\[LANES + lane\].
    Modal(Box<[[f64; LANES]; 4]>),
    /// z' = Φ z + x; element \[column\]\[row\].
    Dense(Box<[[f64; STATES]; STATES]>),
}

/// Everything that a block of ticks needs.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// x = W u: element \[cell\]\[state\], per DAC code.
    pub(crate) inputs: [[f64; STATES]; LANES],
    pub(crate) recursion: Recursion,
    /// ADC code before rounding = P z + offset: element \[state\]\[cell\].
    pub(crate) readout: [[f64; LANES]; STATES],
    /// Converter offset, in codes.
    pub(crate) offset: [f64; LANES],
    /// Largest ADC code.
    pub(crate) limit: f64,
    /// z of (y, w).
    to_state: Matrix,
    /// (y, w) of z.
    from_state: Matrix,
}

impl Plan {
    /// Plans the steps of `circuit` for a sample period in seconds and a largest ADC code. With
    /// `allow_modal` the modes are used where they are accurate. The choice depends on computed
    /// values only, so it is the same everywhere.
    pub(crate) fn new(
        circuit: &Circuit,
        parts: &Parts,
        period: f64,
        limit: i16,
        allow_modal: bool,
    ) -> Self {
        let n = circuit.cells();
        let phi = circuit.drift().scale(period).exp();
        let coordinates = (allow_modal && circuit.resonant)
            .then(|| Coordinates::modal(circuit, period, &phi))
            .flatten()
            .unwrap_or_else(|| Coordinates::dense(circuit, period, &phi));
        let Coordinates { recursion, to_state, from_state, held } = coordinates;

        // Currents enter y through K⁻¹; a cell's code through its own drive gain.
        let gamma = held.times(&circuit.k_inverse);
        let mut inputs = [[0.0; STATES]; LANES];
        // v = K⁻ᵀ y; each converter has its own gain.
        let volts = Matrix::from_fn(n, 2 * n, |c, j| {
            if j < n { circuit.k_inverse[(j, c)] * parts.adc_gain[c] } else { 0.0 }
        });
        let codes = volts.times(&from_state);
        let mut readout = [[0.0; LANES]; STATES];
        for cell in 0..n {
            for k in 0..2 * n {
                inputs[cell][lane(k, n)] = gamma[(k, cell)] * parts.drive_ampere[cell];
                readout[lane(k, n)][cell] = codes[(cell, k)];
            }
        }
        let mut offset = [0.0; LANES];
        offset[..n].copy_from_slice(&parts.adc_offset[..n]);
        Self { inputs, recursion, readout, offset, limit: f64::from(limit), to_state, from_state }
    }

    /// How the state is stepped.
    pub(crate) fn method(&self) -> Method {
        match self.recursion {
            Recursion::Modal(_) => Method::Modal,
            Recursion::Dense(_) => Method::Dense,
        }
    }

    /// State of these cell voltages (V) and inductor currents (A).
    pub(crate) fn state(&self, circuit: &Circuit, volts: &[f64], amperes: &[f64]) -> [f64; STATES] {
        let n = circuit.cells();
        let mut energy = circuit.k.transpose().apply(volts);
        energy.extend(amperes.iter().zip(&circuit.l_root).map(|(i, root)| i * root));
        let mut state = [0.0; STATES];
        for (k, value) in self.to_state.apply(&energy).into_iter().enumerate() {
            state[lane(k, n)] = value;
        }
        state
    }

    /// Cell voltages (V) and inductor currents (A) of a state.
    pub(crate) fn cells(
        &self,
        circuit: &Circuit,
        state: &[f64; STATES],
    ) -> ([f64; LANES], [f64; LANES]) {
        let n = circuit.cells();
        let packed: Vec<f64> = (0..2 * n).map(|k| state[lane(k, n)]).collect();
        let energy = self.from_state.apply(&packed);
        let (mut volts, mut amperes) = ([0.0; LANES], [0.0; LANES]);
        volts[..n].copy_from_slice(&circuit.k_inverse.transpose().apply(&energy[..n]));
        for i in 0..n {
            amperes[i] = energy[n + i] / circuit.l_root[i];
        }
        (volts, amperes)
    }
}

/// Place of state `k` of 2 n among the lanes: first halves and second halves each start at a
/// lane of their own.
const fn lane(k: usize, n: usize) -> usize {
    if k < n { k } else { LANES + k - n }
}

/// Coordinates z in which the state is stepped.
struct Coordinates {
    recursion: Recursion,
    to_state: Matrix,
    from_state: Matrix,
    /// z after one period of a constant dy/dt = 1 in each y, in s: 2 n × n.
    held: Matrix,
}

impl Coordinates {
    /// Energy coordinates themselves. `phi` is exp(A h); the held input is found with it from the
    /// exponential of [[A h, B h], [0, 0]] (Van Loan, IEEE Trans. Autom. Control 23, 395, 1978).
    fn dense(circuit: &Circuit, period: f64, phi: &Matrix) -> Self {
        let n = circuit.cells();
        let drift = circuit.drift();
        let augmented = Matrix::from_fn(3 * n, 3 * n, |i, j| match (i < 2 * n, j < 2 * n) {
            (true, true) => drift[(i, j)] * period,
            (true, false) if i == j - 2 * n => 1.0,
            _ => 0.0,
        })
        .exp();
        let mut columns = Box::new([[0.0; STATES]; STATES]);
        for i in 0..2 * n {
            for j in 0..2 * n {
                columns[lane(j, n)][lane(i, n)] = phi[(i, j)];
            }
        }
        Self {
            recursion: Recursion::Dense(columns),
            to_state: Matrix::identity(2 * n),
            from_state: Matrix::identity(2 * n),
            held: Matrix::from_fn(2 * n, n, |i, j| augmented[(i, 2 * n + j)] * period),
        }
    }

    /// Modal coordinates, where they reproduce `phi`.
    fn modal(circuit: &Circuit, period: f64, phi: &Matrix) -> Option<Self> {
        let n = circuit.cells();
        let mut steps = [[0.0; LANES]; 4];
        let mut to_state = Matrix::zeros(2 * n, 2 * n);
        let mut from_state = Matrix::zeros(2 * n, 2 * n);
        let mut held = Matrix::zeros(2 * n, n);
        let mut propagator = Matrix::zeros(2 * n, 2 * n);
        for (lane, block) in blocks(circuit)?.iter().enumerate() {
            match block {
                Block::Oscillating(mode) => {
                    // z = (Re ζ, Im ζ) of the amplitude ζ; (y, w) = 2 Re(right ζ).
                    let (step, hold) = discretise(mode.rate, period);
                    for (k, value) in [step.re, -step.im, step.im, step.re].into_iter().enumerate()
                    {
                        steps[k][lane] = value;
                    }
                    for j in 0..2 * n {
                        to_state[(lane, j)] = mode.left[j].re;
                        to_state[(n + lane, j)] = mode.left[j].im;
                        from_state[(j, lane)] = 2.0 * mode.right[j].re;
                        from_state[(j, n + lane)] = -2.0 * mode.right[j].im;
                    }
                    for j in 0..n {
                        let input = hold * mode.left[j];
                        held[(lane, j)] = input.re;
                        held[(n + lane, j)] = input.im;
                    }
                }
                Block::Overdamped(first, second) => {
                    for (k, row, mode) in [(0, lane, first), (3, n + lane, second)] {
                        let (step, hold) = discretise(mode.rate, period);
                        steps[k][lane] = step.re;
                        for j in 0..2 * n {
                            to_state[(row, j)] = mode.left[j].re;
                            from_state[(j, row)] = mode.right[j].re;
                        }
                        for j in 0..n {
                            held[(row, j)] = (hold * mode.left[j]).re;
                        }
                    }
                }
            }
            for (k, row, column) in
                [(0, lane, lane), (1, lane, n + lane), (2, n + lane, lane), (3, n + lane, n + lane)]
            {
                propagator[(row, column)] = steps[k][lane];
            }
        }
        let by_modes = from_state.times(&propagator).times(&to_state);
        let difference = by_modes.plus(-1.0, phi).max_abs();
        let agrees = difference <= AGREEMENT * phi.max_abs();
        agrees.then_some(Self {
            recursion: Recursion::Modal(Box::new(steps)),
            to_state,
            from_state,
            held,
        })
    }
}

/// e^{λh} and ∫₀ʰ e^{λt} dt = (e^{λh} − 1)/λ. No rate is zero: the inductors short every node.
fn discretise(rate: Complex, period: f64) -> (Complex, Complex) {
    let step = rate.scale(period).exp();
    (step, (step - Complex::ONE) * rate.reciprocal())
}

#[cfg(test)]
mod tests {
    use spu_protocol::code::CouplingCode;

    use super::*;
    use crate::analog::circuit::BankCodes;
    use crate::profile::Profile;

    fn random_codes(seed: u64, signed: bool, most: i16) -> BankCodes {
        use rand_core::{Rng, SeedableRng};
        let mut generator = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut draw = |least: i16| {
            let span = i64::from(most) - i64::from(least) + 1;
            (i64::from(least) + (generator.next_u64() % span as u64) as i64) as i16
        };
        let mut codes = BankCodes::OPEN;
        codes.self_codes = std::array::from_fn(|_| CouplingCode(draw(most / 4)));
        codes.coupling_codes =
            std::array::from_fn(|_| CouplingCode(draw(if signed { -most } else { 0 }) / 8));
        codes
    }

    fn plans(profile: &str, codes: &BankCodes, copy: u32) -> (Plan, Plan) {
        let profile = Profile::named(profile).unwrap();
        let parts = Parts::draw(&profile, 11, copy);
        let circuit = Circuit::new(profile.kind, &parts, codes, 8);
        let period = profile.sample_period_s();
        let plan = |modal| Plan::new(&circuit, &parts, period, 2047, modal);
        (plan(true), plan(false))
    }

    /// The matrices of a plan in (y, w): Φ, and the codes one code in each cell makes.
    fn one_step(plan: &Plan) -> (Matrix, Matrix) {
        let mut b = Matrix::zeros(STATES, STATES);
        match &plan.recursion {
            Recursion::Modal(steps) => {
                for lane in 0..LANES {
                    b[(lane, lane)] = steps[0][lane];
                    b[(lane, LANES + lane)] = steps[1][lane];
                    b[(LANES + lane, lane)] = steps[2][lane];
                    b[(LANES + lane, LANES + lane)] = steps[3][lane];
                }
            }
            Recursion::Dense(columns) => {
                b = Matrix::from_fn(STATES, STATES, |i, j| columns[j][i]);
            }
        }
        let phi = plan.from_state.times(&b).times(&plan.to_state);
        let response = Matrix::from_fn(LANES, LANES, |out, cell| {
            (0..STATES).map(|k| plan.readout[k][out] * plan.inputs[cell][k]).sum()
        });
        (phi, response)
    }

    #[test]
    fn modal_and_dense_steps_agree() {
        let mut modal_used = 0;
        for (name, signed, most) in
            [("rev-a", false, 15), ("rev-b", true, 255), ("ideal", true, 32767)]
        {
            for trial in 0..40 {
                let (modal, dense) = plans(name, &random_codes(trial, signed, most), trial as u32);
                assert_eq!(dense.method(), Method::Dense);
                modal_used += u32::from(modal.method() == Method::Modal);
                let ((phi, response), (phi_dense, response_dense)) =
                    (one_step(&modal), one_step(&dense));
                let scale = response_dense.max_abs();
                assert!(phi.plus(-1.0, &phi_dense).max_abs() < 1e-10, "{name} {trial}");
                assert!(response.plus(-1.0, &response_dense).max_abs() < 1e-10 * scale);
            }
        }
        // Not a promise, but the speed depends on it.
        assert!(modal_used >= 114, "modes used in {modal_used} of 120");
    }

    #[test]
    fn equal_cells_and_overdamped_cells_have_modes() {
        let mut codes = BankCodes::OPEN;
        codes.self_codes = [CouplingCode(10); LANES];
        let (plan, _) = plans("rev-a", &codes, 0);
        assert_eq!(plan.method(), Method::Modal);
        // 20 pF of stray alone: far below the 142 pF of critical damping.
        codes.self_codes = [CouplingCode(0); LANES];
        let (plan, dense) = plans("rev-a", &codes, 0);
        assert_eq!(plan.method(), Method::Modal);
        let difference = one_step(&plan).0.plus(-1.0, &one_step(&dense).0);
        assert!(difference.max_abs() < 1e-10);
    }

    #[test]
    fn critical_damping_falls_back_to_the_dense_step() {
        let profile = Profile::named("ideal").unwrap();
        let mut parts = Parts::draw(&profile, 1, 0);
        // C = L / (4 R²): the two eigenvalues of the first cell meet.
        let critical = parts.l_henry[0] / (4.0 * parts.r_ohm[0] * parts.r_ohm[0]);
        parts.self_elements[0][0] = critical;
        let mut codes = BankCodes::OPEN;
        codes.self_codes = [CouplingCode(20_000); LANES];
        codes.self_codes[0] = CouplingCode(1);
        let circuit = Circuit::new(profile.kind, &parts, &codes, 8);
        let plan = Plan::new(&circuit, &parts, profile.sample_period_s(), 32767, true);
        assert_eq!(plan.method(), Method::Dense);
    }

    #[test]
    fn one_step_is_many_small_ones() {
        // Independent of exponential and modes: classical Runge–Kutta with 4,096 steps a period,
        // whose error is about (ω h / 4096)⁴ / 120 per step, below 1e-14 in all.
        let codes = random_codes(3, false, 15);
        let profile = Profile::named("rev-a").unwrap();
        let parts = Parts::draw(&profile, 11, 0);
        let circuit = Circuit::new(profile.kind, &parts, &codes, 8);
        let period = profile.sample_period_s();
        let plan = Plan::new(&circuit, &parts, period, 2047, true);
        let c = crate::analog::circuit::capacitance(profile.kind, &parts, &codes, 8);
        let slope = |v: &[f64], i: &[f64], u: &[f64]| {
            let charge: Vec<f64> = (0..8).map(|k| u[k] - i[k] - v[k] / parts.r_ohm[k]).collect();
            let right = Matrix::from_fn(8, 1, |k, _| charge[k]);
            let dv = c.solve(&right);
            let dv: Vec<f64> = (0..8).map(|k| dv[(k, 0)]).collect();
            let di: Vec<f64> = (0..8).map(|k| v[k] / parts.l_henry[k]).collect();
            (dv, di)
        };
        let mut v: Vec<f64> = (0..8).map(|k| 0.1 * f64::from(k) - 0.3).collect();
        let mut i: Vec<f64> = (0..8).map(|k| 1e-4 * f64::from(3 - k)).collect();
        let codes_in: Vec<f64> = (0..8).map(|k| f64::from(700 * k - 2000)).collect();
        let u: Vec<f64> = (0..8).map(|k| codes_in[k] * parts.drive_ampere[k]).collect();
        let state = plan.state(&circuit, &v, &i);
        let (_, dense_response) = one_step(&plan);
        let h = period / 4096.0;
        let add = |x: &[f64], factor: f64, d: &[f64]| -> Vec<f64> {
            x.iter().zip(d).map(|(x, d)| x + factor * d).collect()
        };
        for _ in 0..4096 {
            let (v1, i1) = slope(&v, &i, &u);
            let (v2, i2) = slope(&add(&v, h / 2.0, &v1), &add(&i, h / 2.0, &i1), &u);
            let (v3, i3) = slope(&add(&v, h / 2.0, &v2), &add(&i, h / 2.0, &i2), &u);
            let (v4, i4) = slope(&add(&v, h, &v3), &add(&i, h, &i3), &u);
            for k in 0..8 {
                v[k] += h / 6.0 * (v1[k] + 2.0 * v2[k] + 2.0 * v3[k] + v4[k]);
                i[k] += h / 6.0 * (i1[k] + 2.0 * i2[k] + 2.0 * i3[k] + i4[k]);
            }
        }
        // Undriven part by Φ in energy coordinates, driven part by the response of the readout.
        let (phi, _) = one_step(&plan);
        let energy = plan.from_state.apply(&state);
        let mut next = [0.0; STATES];
        next.copy_from_slice(&plan.to_state.apply(&phi.apply(&energy)));
        let (free, _) = plan.cells(&circuit, &next);
        for cell in 0..8 {
            let driven: f64 = (0..8).map(|k| dense_response[(cell, k)] * codes_in[k]).sum();
            let volts = free[cell] + driven / parts.adc_gain[cell];
            assert!((volts - v[cell]).abs() < 1e-11, "cell {cell}: {volts} and {}", v[cell]);
        }
    }
}
