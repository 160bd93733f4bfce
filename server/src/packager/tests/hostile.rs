//! Damaged and lying files: whatever is in them, the answer comes, and what it says lies in the file.

use proptest::prelude::*;

use super::{
    super::{Media, Package, Refusal},
    film::{Film, boxed},
    open,
};

/// Holds a package against its file: nothing is read that is not there, and nothing is kept that the file did not bring.
fn check(package: &Package, file: &[u8]) {
    for media in [Media::Video, Media::Audio] {
        for number in 0..package.segments(media) {
            let segment = package.segment(media, number).expect("the tables were walked before").expect("a segment");
            assert!(segment.ranges.iter().all(|range| range.start < range.end && range.end <= file.len() as u64));
            let bytes: u64 = segment.ranges.iter().map(|range| range.end - range.start).sum();
            assert_eq!(segment.length, segment.header.len() as u64 + bytes);
        }
    }
    assert!(package.memory() <= 4 * file.len() + 4_096, "{} for {}", package.memory(), file.len());
    assert!(!package.renditions().is_empty());
}

/// The place of a box in a file.
fn place(file: &[u8], kind: &[u8; 4]) -> usize {
    file.windows(4).position(|window| window == kind).expect("the box")
}

#[test]
fn counts_sizes_and_offsets_that_lie_are_refused() {
    let film = Film::new(6);
    let file = film.write();
    let lies: [(&[u8; 4], usize, u32); 7] = [
        (b"stsz", 12, 0xffff_ffff),
        (b"stts", 8, 0x1fff_ffff),
        (b"stts", 12, 0),
        (b"stsc", 12, 2),
        (b"stco", 12, 0xffff_fff0),
        (b"stco", 8, 1),
        (b"ctts", 8, 1),
    ];
    for (kind, at, value) in lies {
        let mut lying = file.clone();
        let at = place(&file, kind) + at;
        lying[at..at + 4].copy_from_slice(&value.to_be_bytes());
        let refusal = open(&lying).err().unwrap_or_else(|| panic!("{kind:?} {value} was believed"));
        assert!(matches!(refusal, Refusal::Damaged(_) | Refusal::TooLarge(_) | Refusal::KeyFramesTooFar), "{refusal}");
    }
}

#[test]
fn a_size_for_all_samples_claims_no_more_than_the_file_has() {
    let mut file = Film::new(6).write();
    let at = place(&file, b"stsz") + 8;
    file[at..at + 8].copy_from_slice(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(open(&file).err(), Some(Refusal::Damaged("there are more samples than bytes")));
}

#[test]
fn a_file_that_ends_early_is_refused_wherever_it_ends() {
    let file = Film::new(4).write();
    for length in (0..file.len()).step_by(97) {
        assert!(open(&file[..length]).is_err(), "{length}");
    }
}

#[test]
fn boxes_in_boxes_do_not_exhaust_the_stack() {
    let mut nested = Vec::new();
    for round in 0..20_000 {
        let kind = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"][round % 7];
        nested = [&(nested.len() as u32 + 8).to_be_bytes(), &kind[..], &nested].concat();
        if nested.len() > 150_000 {
            break;
        }
    }
    assert!(open(&[boxed(b"ftyp", b"isom\0\0\0\0"), boxed(b"moov", &nested)].concat()).is_err());
    let many: Vec<u8> = (0..50_000).flat_map(|_| boxed(b"free", b"")).collect();
    assert_eq!(open(&many).err(), Some(Refusal::NoMovie));
}

#[test]
fn overlapping_runs_do_not_multiply_samples() {
    let film = Film { per_chunk: 5, ..Film::new(2) };
    let file = film.write_fragments();
    let moof = place(&file, b"moof") - 4;
    let mut many = file[..moof].to_vec();
    // A run without a word on each sample, of as many as there are bytes, again and again.
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<_>>();
    // Duration and size for all; the offset and how many.
    let tfhd = boxed(b"tfhd", &words(&[0x18, 1, 40, 1]));
    let trun = boxed(b"trun", &words(&[1, 1_000, 0]));
    let lying = boxed(b"moof", &boxed(b"traf", &[tfhd, trun].concat()));
    for _ in 0..500 {
        many.extend(&lying);
    }
    assert_eq!(open(&many).err(), Some(Refusal::TooLarge("samples")));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_file_is_refused_or_packaged_within_its_bounds(
        fragmented: bool,
        moov_first: bool,
        faults in proptest::collection::vec((any::<prop::sample::Index>(), any::<u32>(), 0_u8..5), 1..8),
    ) {
        let film = Film { moov_first, per_chunk: 11, ..Film::new(5) };
        let mut file = if fragmented { film.write_fragments() } else { film.write() };
        let tables = place(&file, b"moov");
        for (place, value, how) in faults {
            // In the movie box, or anywhere.
            let at = if how == 4 { place.index(file.len() - 4) } else { tables + place.index(file.len().min(tables + 9_000) - tables - 4) };
            let telling = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, file.len() as u32];
            match how {
                0 => file[at] ^= 1 << (value % 8),
                1 => file[at] = value as u8,
                2 => file[at..at + 4].copy_from_slice(&telling[value as usize % telling.len()].to_be_bytes()),
                _ => file[at..at + 4].copy_from_slice(&value.to_be_bytes()),
            }
        }
        if let Ok(package) = open(&file) {
            check(&package, &file);
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes: Vec<u8>, kind in prop::sample::select(vec![*b"moov", *b"moof", *b"ftyp", *b"mdat"])) {
        prop_assert!(open(&bytes).is_err());
        prop_assert!(open(&boxed(&kind, &bytes)).is_err());
        prop_assert!(open(&boxed(b"moov", &boxed(b"trak", &boxed(b"mdia", &bytes)))).is_err());
    }
}
