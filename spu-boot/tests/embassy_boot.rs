//! Why the slots are not those of `embassy-boot` 0.7: the evidence. Its progress is void while the
//! second word of its state page is not erased. Where the erasure of that page is cut so that this
//! word is erased again and the magic word is not, a swap starts in the middle of finished work.

use embassy_boot::{BlockingFirmwareState, BootLoader, BootLoaderConfig};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

const PAGE: usize = 256;

/// NOR flash whose next erasure may be cut: octets at random stay as they were.
#[derive(Clone)]
struct Memory {
    octets: Vec<u8>,
    cut: Option<u64>,
}

#[derive(Debug)]
struct Cut;

impl NorFlashError for Cut {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

impl ErrorType for Memory {
    type Error = Cut;
}

impl ReadNorFlash for Memory {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Cut> {
        let offset = offset as usize;
        bytes.copy_from_slice(&self.octets[offset..offset + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.octets.len()
    }
}

impl NorFlash for Memory {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = PAGE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), Cut> {
        let Some(mut random) = self.cut.take() else {
            self.octets[from as usize..to as usize].fill(0xFF);
            return Ok(());
        };
        for octet in &mut self.octets[from as usize..to as usize] {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if random >> 63 == 1 {
                *octet = 0xFF;
            }
        }
        Err(Cut)
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Cut> {
        for (to, octet) in self.octets[offset as usize..].iter_mut().zip(bytes) {
            *to &= octet;
        }
        Ok(())
    }
}

fn start(active: Memory, dfu: Memory, state: Memory) -> [Memory; 3] {
    let (mut active, mut dfu, mut state) = (active, dfu, state);
    let config = BootLoaderConfig { active: &mut active, dfu: &mut dfu, state: &mut state };
    BootLoader::new(config).prepare_boot(&mut [0; PAGE]).unwrap();
    [active, dfu, state]
}

#[test]
fn a_half_erased_page_of_its_state_starts_a_mixed_image() {
    let memory = |pages: usize, fill: u8| Memory { octets: vec![fill; pages * PAGE], cut: None };
    let (old, new) = (memory(3, 0x0D), memory(3, 0x2E));
    let mut dfu = memory(4, 0xFF);
    dfu.octets[..3 * PAGE].copy_from_slice(&new.octets);
    let mut state = memory(1, 0xFF);
    BlockingFirmwareState::new(&mut state, &mut [0; 4]).mark_updated().unwrap();
    let swapped = start(old.clone(), dfu, state);
    assert!(swapped[0].octets == new.octets);

    let mut mixed = 0;
    for seed in 0..4096_u64 {
        let [active, dfu, mut state] = swapped.clone();
        state.cut = Some(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // The new image confirms itself, and the power goes.
        let confirmed = BlockingFirmwareState::new(&mut state, &mut [0; 4]).mark_booted();
        assert!(confirmed.is_err());
        let [active, ..] = start(active, dfu, state);
        mixed += u32::from(active.octets != old.octets && active.octets != new.octets);
    }
    println!("{mixed} of 4096 half-erased state pages start a mixed image");
    assert!(mixed > 0, "embassy-boot survives this now: look again");
}
