//! The bulk memory over a link.

use spu_protocol::opcode::Opcode;
use spu_protocol::payload::BulkRequest;
use spu_protocol::payload::bulk::Region;

use super::{Client, empty};
use crate::bulk::Bulk;
use crate::device::Deadline;
use crate::error::Error;
use crate::link::Link;

/// Codes that one request writes, and reads.
const WRITE: usize = 2 * BulkRequest::MAX_WRITE as usize;
const READ: usize = 2 * BulkRequest::MAX_READ as usize;

fn request(region: Region, first: usize, codes: usize) -> Result<BulkRequest, Error> {
    let first = u32::try_from(first).map_err(|_| Error::Unsupported {
        reasons: vec![format!("word {first} of the bulk memory has no 32-bit number")],
    })?;
    Ok(BulkRequest { region: region as u16, count: codes.div_ceil(2) as u16, first })
}

impl<L: Link> Bulk for Client<L> {
    fn write(
        &mut self,
        region: Region,
        first: usize,
        codes: &[i16],
        deadline: Deadline,
    ) -> Result<(), Error> {
        for (at, codes) in codes.chunks(WRITE).enumerate() {
            let request = request(region, first + at * WRITE / 2, codes.len())?;
            let padding: &[u8] = if codes.len().is_multiple_of(2) { &[] } else { &[0; 2] };
            let parts = [bytemuck::bytes_of(&request), bytemuck::cast_slice(codes), padding];
            empty(self.request(Opcode::BulkWrite, &parts, deadline)?, "a bulk write")?;
        }
        Ok(())
    }

    fn read(
        &mut self,
        region: Region,
        first: usize,
        codes: &mut [i16],
        deadline: Deadline,
    ) -> Result<(), Error> {
        for (at, codes) in codes.chunks_mut(READ).enumerate() {
            let request = request(region, first + at * READ / 2, codes.len())?;
            let reply =
                self.request(Opcode::BulkRead, &[bytemuck::bytes_of(&request)], deadline)?;
            if reply.len() != 4 * usize::from(request.count) {
                return Err(Error::Corrupt {
                    what: format!("{} bulk words in {} bytes", request.count, reply.len()),
                });
            }
            for (code, octets) in codes.iter_mut().zip(reply.as_chunks::<2>().0) {
                *code = i16::from_le_bytes(*octets);
            }
        }
        Ok(())
    }
}
