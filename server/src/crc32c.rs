//! CRC32C (Castagnoli; RFC 3720, 12.1), the checksum of parts.

use crc_fast::{CrcAlgorithm, Digest};

/// The sum of what `sum` is of, followed by `bytes`. The sum of nothing is 0.
pub(crate) fn append(sum: u32, bytes: &[u8]) -> u32 {
    // What is kept between pieces is the finished sum: its state is that without the inversion at the end.
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, u64::from(!sum));
    digest.update(bytes);
    u32::try_from(digest.finalize()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::append;

    #[test]
    fn sums_are_those_of_the_standard_however_the_bytes_are_cut() {
        // RFC 3720, B.4.
        assert_eq!(append(0, &[0; 32]), 0x8a91_36aa);
        assert_eq!(append(0, &[0xff; 32]), 0x62a8_ab43);
        assert_eq!(append(0, b"123456789"), 0xe306_9283);
        assert_eq!(append(7, b""), 7);
        let bytes: Vec<u8> = (0..5_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for cut in [0, 1, 15, 16, 255, 256, 1_000, 4_096, 4_999, 5_000] {
            let (first, rest) = bytes.split_at(cut);
            assert_eq!(append(append(0, first), rest), crc32c::crc32c(&bytes), "cut at {cut}");
        }
    }
}
