//! Checks what a board says of itself before anything relies on it.

use spu_protocol::packing::FrameFormat;
use spu_protocol::payload::info::{BoardKind, InfoReply};
use spu_protocol::payload::load::MAX_CELLS;

use crate::device::BoardInfo;
use crate::error::Error;

/// The board's identity, if it is consistent and of a kind that this driver knows.
pub(super) fn board_info(raw: &InfoReply) -> Result<BoardInfo, Error> {
    if BoardKind::from_u16(raw.kind).is_none() {
        return Err(Error::Unsupported {
            reasons: vec![format!(
                "its kind of board ({}) is unknown to this driver; update the driver",
                raw.kind
            )],
        });
    }
    let wrong = faults(raw);
    if !wrong.is_empty() {
        return Err(Error::Corrupt { what: format!("board information: {}", wrong.join("; ")) });
    }
    let name: Vec<u8> = raw.profile.iter().copied().take_while(|byte| *byte != 0).collect();
    let [major, minor, patch] = raw.firmware;
    Ok(BoardInfo {
        serial: raw.serial,
        profile: String::from_utf8_lossy(&name).into_owned(),
        firmware: format!("{major}.{minor}.{patch}"),
        gateware_id: raw.gateware_id,
        calibration_id: (raw.calibration_id != 0).then_some(raw.calibration_id),
        cells: raw.cells.into(),
        couplings: raw.couplings.into(),
        last_run: None,
        raw: *raw,
    })
}

fn faults(raw: &InfoReply) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &dyn Fn() -> String| {
        if !holds {
            wrong.push(what());
        }
    };
    let cells = usize::from(raw.cells);
    let pairs = cells * cells.saturating_sub(1) / 2;
    check((1..=MAX_CELLS).contains(&cells), &|| format!("{cells} cells"));
    check(usize::from(raw.couplings) == pairs, &|| {
        format!("{} couplings for {cells} cells", raw.couplings)
    });
    let rc = raw.kind == BoardKind::Rc as u16;
    let factored = raw.kind == BoardKind::Factored as u16;
    // Factored boards have arrays in place of banks.
    let banks = if factored { 0..=0 } else { 1..=15 };
    for (name, bits, range) in [
        ("storage", raw.storage_bits, if rc { 1..=15 } else { 0..=0 }),
        ("self-term", raw.self_bits, banks.clone()),
        ("coupling", raw.coupling_bits, banks),
        ("DAC", raw.dac_bits, 2..=16),
        ("ADC", raw.adc_bits, 2..=16),
    ] {
        check(range.contains(&bits), &|| format!("{bits} {name} bits"));
    }
    check(raw.coupling_signed <= 1, &|| format!("coupling sign flag {}", raw.coupling_signed));
    if let Err(error) = FrameFormat::try_from(raw) {
        check(false, &|| format!("sample packing: {error}"));
    }
    // A frame here is one tick.
    check(raw.samples_per_frame <= 1, &|| format!("{} samples a frame", raw.samples_per_frame));
    check(raw.sample_clock_hz > 0, &|| "a sample clock of 0 Hz".into());
    check(raw.capture_frames > 0, &|| "a capture memory of 0 frames".into());
    let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == 0;
    check(raw.profile[0] != 0 && raw.profile.iter().all(printable), &|| {
        "a profile name that is empty or not ASCII".into()
    });
    for (name, value) in [
        ("noise rms", raw.noise_rms_code),
        ("resistance", raw.r_ohm),
        ("self-term LSB", raw.self_lsb_farad),
        ("coupling LSB", raw.coupling_lsb_farad),
        ("DAC LSB", raw.dac_lsb_ampere),
        ("ADC LSB", raw.adc_lsb_volt),
    ] {
        check(value.is_finite() && value > 0.0, &|| format!("{name} {value}"));
    }
    // RC and factored boards have no inductors.
    check(
        raw.l_henry.is_finite()
            && if rc || factored { raw.l_henry == 0.0 } else { raw.l_henry > 0.0 },
        &|| format!("inductance {}", raw.l_henry),
    );
    for (name, value) in [
        ("stray capacitance", raw.stray_farad),
        ("drive spread", raw.drive_spread),
        ("bank spread", raw.bank_spread),
        ("ADC gain spread", raw.adc_gain_spread),
        ("resistance spread", raw.r_spread),
        ("inductance spread", raw.l_spread),
    ] {
        check(value.is_finite() && value >= 0.0, &|| format!("{name} {value}"));
    }
    wrong
}
