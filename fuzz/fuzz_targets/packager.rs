//! Any bytes as a source: the answer is a refusal or a package, which says nothing that is not in the file.
#![no_main]

use bytes::Bytes;
use fuzz::packager::{Limits, Media, Opening, Package, Refusal};
use libfuzzer_sys::fuzz_target;

fn open(file: &Bytes) -> Result<Package, Refusal> {
    let mut opening = Opening::new(file.len() as u64, Limits::default());
    loop {
        let wanted = opening.wants();
        let bytes = file.slice(wanted.start as usize..wanted.end as usize);
        if let Some(package) = opening.take(&bytes)? {
            return Ok(package);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let file = Bytes::copy_from_slice(data);
    let Ok(package) = open(&file) else { return };
    for media in [Media::Video, Media::Audio] {
        for number in 0..package.segments(media) {
            let segment = package.segment(media, number).expect("the tables were walked before").expect("a segment");
            assert!(segment.ranges.iter().all(|range| range.start < range.end && range.end <= file.len() as u64));
            let bytes: u64 = segment.ranges.iter().map(|range| range.end - range.start).sum();
            assert_eq!(segment.length, segment.header.len() as u64 + bytes);
        }
    }
    for rendition in package.renditions() {
        assert!(rendition.playlist.render(str::to_owned).ends_with("#EXT-X-ENDLIST\n"));
    }
    assert!(package.memory() <= 12 * file.len() + 65_536, "{} bytes for {}", package.memory(), file.len());
});
