//! A board as a SPICE netlist: parts and wires only.
//!
//! Nothing here solves, reduces or sums up the circuit: every element of a bank is a capacitor or resistor
//! of its own behind a switch of its own, so that what ngspice makes of it says nothing that the
//! simulator said first.
//!
//! A board whose couplings have one sign is single-ended: a cell is a node against ground. Where they have
//! either sign it is differential: a cell has two nodes, its voltage is their difference, and a
//! coupling of value c is a pair of capacitors of 2 c each between the nodes of two cells. With v/2 and
//! −v/2 on the nodes they store, straight (p–p and n–n) and crossed (p–n and n–p),
//!
//! ```text
//! 2 · ½ · 2c ((v_i − v_j)/2)² = ½ c (v_i − v_j)²        ½ c (v_i + v_j)².
//! ```

use spu_protocol::code::CouplingCode;
use spu_sim::analog::{BankCodes, MIN_SELF_FARAD, Parts};
use spu_sim::converters::Converters as _;
use spu_sim::profile::{Kind, Profile};
use spu_sim::{Analog, Dispatch, LANES};

use crate::analysis::Analysis;
use crate::deck::{Deck, Netlist, Value, closed, parameters};
use crate::error::SpiceError;

/// A closed switch, where nothing is said about it. It adds R·C/L times itself, 2e-8, to a cell's losses.
const CLOSED_OHM: f64 = 1e-5;
/// An open switch.
const OPEN_OHM: f64 = 1e12;

/// What the profile does not have and the simulator does not know. 0 stands for without.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Imperfections {
    /// On-resistance of a switch, in ohms.
    pub switch_ohm: f64,
    /// Capacitance over an open switch, in farads.
    pub switch_farad: f64,
    /// Series resistance of an inductor, in ohms.
    pub inductor_ohm: f64,
    /// Capacitance over an inductor, in farads.
    pub inductor_farad: f64,
    /// Bandwidth (−3 dB, first order) of the amplifier that makes the drive current and of the one before
    /// the converter, in hertz.
    pub amplifier_hertz: f64,
}

/// One board with its switches set.
#[derive(Debug, Clone)]
pub struct Circuit {
    /// The profile; of cells.
    pub profile: Profile,
    /// Values of the parts.
    pub parts: Parts,
    /// Switches.
    pub codes: BankCodes,
    /// What is not in the profile.
    pub imperfections: Imperfections,
    seed: u64,
    copy: u32,
}

impl Circuit {
    /// The board that `seed` and `copy` draw, as the simulator draws it.
    ///
    /// # Errors
    /// [`SpiceError::Factored`] for a factored board, [`SpiceError::Codes`] for codes that its banks
    /// do not have.
    pub fn new(
        profile: Profile,
        seed: u64,
        copy: u32,
        codes: BankCodes,
    ) -> Result<Self, SpiceError> {
        if profile.kind == Kind::Factored {
            return Err(SpiceError::Factored { profile: profile.name });
        }
        let parts = Parts::draw(&profile, seed, copy);
        let imperfections = Imperfections::default();
        let circuit = Self { profile, parts, codes, imperfections, seed, copy };
        circuit.check_codes()?;
        Ok(circuit)
    }

    /// The same board with these imperfections.
    #[must_use]
    pub fn with(mut self, imperfections: Imperfections) -> Self {
        self.imperfections = imperfections;
        self
    }

    /// The simulator's model of the board, which has no imperfections.
    pub fn analog(&self) -> Analog {
        let dispatch = Dispatch::detect();
        let mut analog = Analog::new(self.profile.clone(), self.seed, self.copy, dispatch);
        analog.set_banks(&self.codes);
        analog
    }

    fn check_codes(&self) -> Result<(), SpiceError> {
        let profile = &self.profile;
        let check = |what: &'static str, code: CouplingCode, bits: u8, signed: bool| {
            let top = (1_i32 << bits) - 1;
            let least = if signed { -top } else { 0 };
            let code = i32::from(code.0);
            let fits = (least..=top).contains(&code);
            fits.then_some(()).ok_or(SpiceError::Codes { what, code, least, top })
        };
        let pairs = self.pairs().count();
        for code in &self.codes.self_codes[..self.cells()] {
            check("self term", *code, profile.self_bits(), false)?;
        }
        for code in &self.codes.coupling_codes[..pairs] {
            check("coupling", *code, profile.coupling_bits(), profile.banks.coupling_signed)?;
        }
        for code in &self.codes.storage_codes[..self.cells()] {
            check("storage", *code, profile.storage_bits(), false)?;
        }
        Ok(())
    }

    /// Number of cells.
    pub fn cells(&self) -> usize {
        self.profile.cell_count()
    }

    /// Pairs of cells, in the order of the coupling banks.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let cells = self.cells();
        (0..cells).flat_map(move |i| (i + 1..cells).map(move |j| (i, j)))
    }

    fn differential(&self) -> bool {
        self.profile.banks.coupling_signed
    }

    /// The nodes of a cell.
    fn nodes(&self, cell: usize) -> String {
        if self.differential() { format!("c{cell}p c{cell}n") } else { format!("c{cell} 0") }
    }

    /// The netlist of the board, with what it reads: `NAME.cir`, and `NAME.codes` with a transient's codes.
    pub fn netlist(&self, name: &str, analysis: &Analysis) -> Netlist {
        let mut deck = Deck::default();
        self.head(&mut deck, name);
        self.subcircuits(&mut deck);
        self.board(&mut deck);
        self.analysis(&mut deck, name, analysis);
        let codes = match *analysis {
            Analysis::Transient { codes, .. } => Some(self.staircase(codes)),
            Analysis::Frequency { .. } => None,
        };
        Netlist { name: name.to_owned(), text: deck.text, codes }
    }

    fn head(&self, deck: &mut Deck, name: &str) {
        let profile = &self.profile;
        let kind = match (profile.kind, self.differential()) {
            (Kind::Rlc, false) => "single-ended RLC cells, capacitive couplings",
            (Kind::Rlc, true) => "differential RLC cells, capacitive couplings of either sign",
            (Kind::Rc | Kind::Factored, _) => "RC cells, resistive couplings",
        };
        // The first line of a netlist is its title, whatever it says.
        deck.note(format_args!(
            "{name}: board profile {}, seed {}, copy {}",
            profile.name, self.seed, self.copy
        ));
        deck.note(format_args!("{} {kind}.", self.cells()));
        deck.note(format_args!(
            "Written by `cargo xtask netlist` from the profile's parts; do not edit."
        ));
        deck.note(format_args!("Values in ohm, henry, farad, ampere, volt, second."));
        deck.gap();
    }

    fn subcircuits(&self, deck: &mut Deck) {
        let Imperfections { switch_ohm, switch_farad, .. } = self.imperfections;
        let closed = if switch_ohm > 0.0 { switch_ohm } else { CLOSED_OHM };
        deck.note(format_args!(
            "A switch is a resistance that its `on`, 1 or 0, chooses: ngspice's own switches stay open in AC analysis."
        ));
        deck.line(format_args!(".param closed={} open={}", Value(closed), Value(OPEN_OHM)));
        deck.gap();
        let elements: &[(&str, &str, &str)] = match self.profile.kind {
            Kind::Rlc => &[("capacitor", "C", "farad")],
            Kind::Rc | Kind::Factored => &[("capacitor", "C", "farad"), ("resistor", "R", "ohm")],
        };
        for (name, letter, unit) in elements {
            deck.note(format_args!("A switched {name}, `value` in {unit}."));
            deck.line(format_args!(".subckt switched_{name} a b on=0 value=1"));
            deck.line(format_args!("Rw a x {{on ? closed : open}}"));
            if switch_farad > 0.0 {
                deck.line(format_args!("Coff a x {}", Value(switch_farad)));
            }
            deck.line(format_args!("{letter}x x b {{value}}"));
            deck.line(format_args!(".ends"));
            deck.gap();
        }
        match self.profile.kind {
            Kind::Rlc => {
                Self::bank(deck, "self_bank", "capacitor", self.profile.self_bits());
                if self.differential() {
                    self.crossing_bank(deck);
                } else {
                    Self::bank(deck, "coupling_bank", "capacitor", self.profile.coupling_bits());
                }
            }
            Kind::Rc | Kind::Factored => {
                Self::bank(deck, "self_bank", "resistor", self.profile.self_bits());
                Self::bank(deck, "coupling_bank", "resistor", self.profile.coupling_bits());
                Self::bank(deck, "storage_bank", "capacitor", self.profile.storage_bits());
            }
        }
        self.cell(deck);
        self.front_end(deck);
    }

    /// A bank between two nodes: element k is switched by bit k of the code.
    fn bank(deck: &mut Deck, name: &str, element: &str, bits: u8) {
        deck.note(format_args!("A bank of {bits} switched {element}s between a and b."));
        deck.line(format_args!(".subckt {name} a b{}", parameters(bits)));
        for bit in 0..bits {
            deck.line(format_args!("X{bit} a b switched_{element} on={{b{bit}}} value={{e{bit}}}"));
        }
        deck.line(format_args!(".ends"));
        deck.gap();
    }

    /// The coupling bank of a differential board.
    fn crossing_bank(&self, deck: &mut Deck) {
        let bits = self.profile.coupling_bits();
        deck.note(format_args!(
            "A coupling bank of {bits} bits between two differential cells: each element is a pair of"
        ));
        deck.note(format_args!(
            "capacitors of twice its value, since each sees half the voltage. Four switches connect the"
        ));
        deck.note(format_args!("pair straight (p to p, n to n) or crossed (p to n, n to p)."));
        deck.line(format_args!(".subckt coupling_bank ip in jp jn crossed=0{}", parameters(bits)));
        for bit in 0..bits {
            for (side, node, far) in [("p", "ip", "fp"), ("n", "in", "fn")] {
                deck.line(format_args!(
                    "X{side}{bit} {node} {far} switched_capacitor on={{b{bit}}} value={{2*e{bit}}}"
                ));
            }
        }
        for (name, far, node, on, off) in [
            ("sp", "fp", "jp", "open", "closed"),
            ("sn", "fn", "jn", "open", "closed"),
            ("cp", "fp", "jn", "closed", "open"),
            ("cn", "fn", "jp", "closed", "open"),
        ] {
            deck.line(format_args!("R{name} {far} {node} {{crossed ? {on} : {off}}}"));
        }
        deck.line(format_args!(".ends"));
        deck.gap();
    }

    fn cell(&self, deck: &mut Deck) {
        let Imperfections { inductor_ohm, inductor_farad, .. } = self.imperfections;
        let resonant = self.profile.kind == Kind::Rlc;
        if self.differential() {
            deck.note(format_args!(
                "A cell between p and n. Half the resistance to ground on each side holds the middle at 0 V;"
            ));
            deck.note(format_args!(
                "stray capacitance is twice its differential value on each side."
            ));
        } else if resonant {
            deck.note(format_args!("A cell between p and ground."));
        } else {
            deck.note(format_args!("A cell between p and ground: leakage and stray capacitance."));
        }
        let inductance = if resonant { " l=820u" } else { "" };
        deck.line(format_args!(".subckt cell p n r=1200{inductance} stray=20p"));
        if self.differential() {
            deck.line(format_args!("Rp p 0 {{r/2}}"));
            deck.line(format_args!("Rn n 0 {{r/2}}"));
            deck.line(format_args!("Cp p 0 {{2*stray}}"));
            deck.line(format_args!("Cn n 0 {{2*stray}}"));
        } else {
            deck.line(format_args!("Rp p n {{r}}"));
            deck.line(format_args!("Cp p n {{stray}}"));
        }
        if resonant {
            if inductor_ohm > 0.0 {
                deck.line(format_args!("L p m {{l}}"));
                deck.line(format_args!("Rl m n {}", Value(inductor_ohm)));
            } else {
                deck.line(format_args!("L p n {{l}}"));
            }
            if inductor_farad > 0.0 {
                deck.line(format_args!("Cl p n {}", Value(inductor_farad)));
            }
        }
        deck.line(format_args!(".ends"));
        deck.gap();
    }

    /// The DAC's output and the converter's input. An amplifier's bandwidth is that of 1 kΩ and a capacitor.
    fn front_end(&self, deck: &mut Deck) {
        let hertz = self.imperfections.amplifier_hertz;
        let pole = (hertz > 0.0).then(|| 1.0 / (std::f64::consts::TAU * hertz * 1e3));
        deck.note(format_args!("What the converter sees of a cell: its gain and its offset."));
        deck.line(format_args!(".subckt front_end p n out gain=1 offset=0"));
        let target = if pole.is_some() { "x" } else { "y" };
        deck.line(format_args!("Egain {target} 0 p n {{gain}}"));
        if let Some(farad) = pole {
            deck.line(format_args!("Rpole x z 1k"));
            deck.line(format_args!("Cpole z 0 {}", Value(farad)));
            deck.line(format_args!("Ebuffer y 0 z 0 1"));
        }
        deck.line(format_args!("Voffset out y {{offset}}"));
        deck.line(format_args!(".ends"));
        deck.gap();
        deck.note(format_args!(
            "A DAC's current into p and out of n: 1 A for each volt of its code's source."
        ));
        deck.line(format_args!(".subckt drive code p n"));
        let control = if let Some(farad) = pole {
            deck.line(format_args!("Rpole code z 1k"));
            deck.line(format_args!("Cpole z 0 {}", Value(farad)));
            "z"
        } else {
            "code"
        };
        deck.line(format_args!("Gout n p {control} 0 1"));
        deck.line(format_args!(".ends"));
        deck.gap();
    }

    fn board(&self, deck: &mut Deck) {
        let (profile, parts, codes) = (&self.profile, &self.parts, &self.codes);
        deck.note(format_args!("Cells"));
        for cell in 0..self.cells() {
            let nodes = self.nodes(cell);
            let inductance = match profile.kind {
                Kind::Rlc => format!(" l={}", Value(parts.l_henry[cell])),
                Kind::Rc | Kind::Factored => String::new(),
            };
            deck.line(format_args!(
                "Xcell{cell} {nodes} cell r={}{inductance} stray={}",
                Value(parts.r_ohm[cell]),
                Value(self.stray(cell)),
            ));
        }
        deck.gap();
        let rc = profile.kind != Kind::Rlc;
        let value = |element: f64| if rc { 1.0 / element } else { element };
        deck.note(format_args!(
            "Self terms: each bank's code by its bits, the lowest first, and its elements"
        ));
        for cell in 0..self.cells() {
            let code = codes.self_codes[cell];
            let bits = profile.self_bits();
            deck.note(format_args!("cell {cell}: code {}", code.0));
            deck.instance(
                &format!("Xself{cell} {} self_bank", self.nodes(cell)),
                code,
                parts.self_elements[cell][..usize::from(bits)].iter().map(|e| value(*e)),
            );
        }
        if rc {
            deck.gap();
            deck.note(format_args!("Storage capacitors"));
            for cell in 0..self.cells() {
                let code = codes.storage_codes[cell];
                let bits = profile.storage_bits();
                deck.note(format_args!("cell {cell}: code {}", code.0));
                deck.instance(
                    &format!("Xstore{cell} {} storage_bank", self.nodes(cell)),
                    code,
                    parts.storage_elements[cell][..usize::from(bits)].iter().copied(),
                );
            }
        }
        if self.cells() > 1 {
            deck.gap();
            deck.note(format_args!("Couplings"));
        }
        for (pair, (i, j)) in self.pairs().enumerate() {
            let code = codes.coupling_codes[pair];
            let bits = profile.coupling_bits();
            deck.note(format_args!("cells {i} and {j}: code {}", code.0));
            let (nodes, sign) = if self.differential() {
                let sign = if code.0 < 0 { " crossed=1" } else { " crossed=0" };
                (format!("{} {}", self.nodes(i), self.nodes(j)), sign)
            } else {
                (format!("c{i} c{j}"), "")
            };
            deck.instance(
                &format!("Xpair{i}_{j} {nodes} coupling_bank{sign}"),
                code,
                parts.coupling_elements[pair][..usize::from(bits)].iter().map(|e| value(*e)),
            );
        }
        deck.gap();
        deck.note(format_args!("Drives and converters"));
        let lsb = profile.adc_lsb_volt();
        for cell in 0..self.cells() {
            let nodes = self.nodes(cell);
            deck.line(format_args!("Xdrive{cell} dac{cell} {nodes} drive"));
            deck.line(format_args!(
                "Xadc{cell} {nodes} adc{cell} front_end gain={} offset={}",
                Value(parts.adc_gain[cell] * lsb),
                Value(parts.adc_offset[cell] * lsb),
            ));
        }
        deck.gap();
    }

    /// Stray capacitance of a cell, with what a node is never without.
    fn stray(&self, cell: usize) -> f64 {
        let (elements, code) = match self.profile.kind {
            Kind::Rlc => (&self.parts.self_elements[cell], self.codes.self_codes[cell]),
            Kind::Rc | Kind::Factored => {
                (&self.parts.storage_elements[cell], self.codes.storage_codes[cell])
            }
        };
        let switched: f64 =
            elements.iter().enumerate().filter(|(bit, _)| closed(code, *bit)).map(|(_, e)| e).sum();
        self.parts.stray_farad[cell].max(MIN_SELF_FARAD - switched)
    }
}

const _: () = assert!(LANES == 8, "nodes are named by one digit");
