//! Who the board is: read from the FPGA when a session opens, and checked.

use spu_protocol::error::ErrorCode;
use spu_protocol::header::MAX_PAYLOAD;
use spu_protocol::packing::FrameFormat;
use spu_protocol::payload::info::BoardKind;
use spu_protocol::payload::load::MAX_CELLS;
use spu_protocol::payload::{InfoReply, StreamHeader};
use spu_protocol::regs::{self, banks, board, converters, map_version};

use crate::board::Board;
use crate::refusal::Refusal;

/// Largest payload of frames in a stream block, in octets.
pub(crate) const BLOCK_OCTETS: usize = MAX_PAYLOAD - size_of::<StreamHeader>();

/// Identity of a board that passed the checks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Identity {
    /// As the host gets it.
    pub(crate) info: InfoReply,
    /// Layout of a packed frame.
    pub(crate) format: FrameFormat,
    /// Octets of a packed frame: JESD204B's F. At least 1.
    pub(crate) frame_octets: usize,
    /// Whole frames of the largest stream block. At least 1.
    pub(crate) block_frames: usize,
}

/// Number of identity registers, from [`regs::MAGIC`] on without a gap.
const WORDS: usize = regs::STREAM_FRAMES_PER_S as usize / 4 + 1;

/// The identity registers.
struct Words([u32; WORDS]);

impl Words {
    fn at(&self, address: u16) -> u32 {
        self.0.get(usize::from(address / 4)).copied().unwrap_or(0)
    }

    fn real(&self, address: u16) -> f32 {
        f32::from_bits(self.at(address))
    }

    fn long(&self, low: u16, high: u16) -> u64 {
        u64::from(self.at(high)) << 32 | u64::from(self.at(low))
    }

    fn field(&self, address: u16, shift: u32, mask: u32) -> u32 {
        self.at(address).wrapping_shr(shift) & mask
    }

    fn profile(&self) -> [u8; 16] {
        let mut name = [[0; 4]; 4];
        for (index, octets) in name.iter_mut().enumerate() {
            *octets = self.at(regs::profile_name(index)).to_le_bytes();
        }
        bytemuck::cast(name)
    }
}

impl Identity {
    /// Reads the identity and checks that this firmware can serve such a board.
    ///
    /// Refuses with [`ErrorCode::NoGateware`], detail: address of the register that reads wrong, or
    /// [`ErrorCode::WrongGateware`], detail: major version of the gateware's map.
    pub(crate) fn read<B: Board>(fpga: &mut B) -> Result<Self, Refusal> {
        let mut words = Words([0; WORDS]);
        fpga.read_regs(regs::MAGIC, &mut words.0)?;
        let info = info(&words, fpga.firmware_version());
        let expect = |holds: bool, address: u16| {
            if holds { Ok(()) } else { Err(Refusal::new(ErrorCode::NoGateware, address)) }
        };
        expect(words.at(regs::MAGIC) == regs::MAGIC_VALUE, regs::MAGIC)?;
        let major = |version: u32| version.wrapping_shr(map_version::MAJOR_SHIFT);
        let map = major(words.at(regs::MAP_VERSION));
        if map != major(regs::MAP_VERSION_VALUE) {
            return Err(Refusal::new(ErrorCode::WrongGateware, map as u16));
        }
        let cells = usize::from(info.cells);
        expect(
            BoardKind::from_u16(info.kind).is_some() && (1..=MAX_CELLS).contains(&cells),
            regs::BOARD,
        )?;
        let factored = info.kind == BoardKind::Factored as u16;
        if factored && !B::BULK {
            return Err(Refusal::new(ErrorCode::Unsupported, regs::BOARD));
        }
        // Storage banks are of RC boards, each of which has them. Factored boards have arrays in
        // place of banks.
        let storage = if info.kind == BoardKind::Rc as u16 { 1..=15 } else { 0..=0 };
        let banks = if factored { 0..=0 } else { 1..=15 };
        expect(
            storage.contains(&info.storage_bits)
                && banks.contains(&info.self_bits)
                && banks.contains(&info.coupling_bits),
            regs::BANKS,
        )?;
        // A frame is a tick: one sample of each cell.
        expect(
            (2..=16).contains(&info.dac_bits)
                && (2..=16).contains(&info.adc_bits)
                && info.samples_per_frame == 1,
            regs::CONVERTERS,
        )?;
        expect(info.capture_frames > 0, regs::CAPTURE_FRAMES)?;
        let format = FrameFormat::new(
            cells,
            info.samples_per_frame,
            info.adc_bits,
            info.sample_bits,
            info.control_bits,
        )
        .map_err(|_| Refusal::new(ErrorCode::NoGateware, regs::CONVERTERS))?;
        let frame_octets = format.frame_octets();
        let block_frames = BLOCK_OCTETS.checked_div(frame_octets).unwrap_or(0);
        Ok(Self { info, format, frame_octets, block_frames })
    }

    /// Number of cells, 1 to [`MAX_CELLS`].
    pub(crate) fn cells(&self) -> usize {
        usize::from(self.info.cells)
    }
}

fn info(words: &Words, firmware: [u16; 3]) -> InfoReply {
    use regs::{BANKS, BOARD, CONVERTERS};
    let octet = |address, shift| words.field(address, shift, 0xff) as u8;
    let cells = words.field(BOARD, board::CELLS_SHIFT, board::CELLS_MASK);
    InfoReply {
        serial: words.long(regs::SERIAL_LO, regs::SERIAL_HI),
        calibration_id: words.long(regs::CALIBRATION_ID_LO, regs::CALIBRATION_ID_HI),
        profile: words.profile(),
        gateware_id: words.at(regs::GATEWARE_ID),
        sample_clock_hz: words.at(regs::SAMPLE_CLOCK_HZ),
        capture_frames: words.at(regs::CAPTURE_FRAMES),
        stream_frames_per_s: words.at(regs::STREAM_FRAMES_PER_S),
        firmware,
        kind: words.field(BOARD, board::KIND_SHIFT, board::KIND_MASK) as u16,
        cells: cells as u16,
        couplings: couplings(cells as usize) as u16,
        self_bits: octet(BANKS, banks::SELF_BITS_SHIFT),
        coupling_bits: octet(BANKS, banks::COUPLING_BITS_SHIFT),
        coupling_signed: u8::from(words.at(BANKS) & banks::COUPLING_SIGNED != 0),
        dac_bits: octet(CONVERTERS, converters::DAC_BITS_SHIFT),
        adc_bits: octet(CONVERTERS, converters::ADC_BITS_SHIFT),
        sample_bits: octet(CONVERTERS, converters::SAMPLE_BITS_SHIFT),
        control_bits: words.field(
            CONVERTERS,
            converters::CONTROL_BITS_SHIFT,
            converters::CONTROL_BITS_MASK,
        ) as u8,
        samples_per_frame: words.field(
            CONVERTERS,
            converters::SAMPLES_PER_FRAME_SHIFT,
            converters::SAMPLES_PER_FRAME_MASK,
        ) as u8,
        noise_rms_code: words.real(regs::NOISE_RMS),
        r_ohm: words.real(regs::R_OHM),
        l_henry: words.real(regs::L_HENRY),
        self_lsb_farad: words.real(regs::SELF_LSB_FARAD),
        coupling_lsb_farad: words.real(regs::COUPLING_LSB_FARAD),
        stray_farad: words.real(regs::STRAY_FARAD),
        dac_lsb_ampere: words.real(regs::DAC_LSB_AMPERE),
        adc_lsb_volt: words.real(regs::ADC_LSB_VOLT),
        drive_spread: words.real(regs::DRIVE_SPREAD),
        bank_spread: words.real(regs::BANK_SPREAD),
        adc_gain_spread: words.real(regs::ADC_GAIN_SPREAD),
        r_spread: words.real(regs::R_SPREAD),
        l_spread: words.real(regs::L_SPREAD),
        report: 0,
        storage_bits: octet(BANKS, banks::STORAGE_BITS_SHIFT),
        reserved: [0; 3],
    }
}

/// Number of pairs (0,1), (0,2) … (0,n−1), (1,2) … of `cells` cells.
pub(crate) const fn couplings(cells: usize) -> usize {
    cells.saturating_mul(cells.saturating_sub(1)) / 2
}
