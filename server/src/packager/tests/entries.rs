//! Sample entries of pictures: what is taken, what is refused, and what an IDR picture is.

use super::{
    super::{picture::Picture, refusal::Refusal},
    film::{boxed, picture_entry},
};

fn read(entry: &[u8]) -> Result<Picture, Refusal> {
    Picture::read(*entry[4..8].first_chunk().expect("a name"), &entry[8..])
}

/// An entry with one more box at its end.
fn with(child: &[u8]) -> Vec<u8> {
    let entry = picture_entry();
    boxed(b"avc1", &[&entry[8..], child].concat())
}

/// The entry with other bytes at a place in its `avcC`.
fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut entry = picture_entry();
    let start = entry.windows(4).position(|window| window == b"avcC").expect("the box") + 4 + at;
    entry[start..start + bytes.len()].copy_from_slice(bytes);
    entry
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

#[test]
fn a_picture_is_what_its_parameter_set_says() {
    let picture = read(&picture_entry()).expect("H.264 in High profile");
    assert_eq!((picture.codec.as_str(), picture.width, picture.height, picture.length_size), ("avc1.64000d", 320, 240, 4));
    assert!(picture.square && !picture.interlaced);
    let stretched = read(&with(&boxed(b"pasp", &words(&[4, 3])))).expect("samples that are not square");
    assert_eq!((stretched.width, stretched.height, stretched.square), (427, 240, false));
    let nonsense = read(&with(&boxed(b"pasp", &words(&[4, 0])))).expect("a shape that says nothing");
    assert!(nonsense.square && nonsense.width == 320);
}

#[test]
fn what_browsers_do_not_play_is_refused() {
    let refused = |entry: &[u8]| read(entry).err();
    assert_eq!(refused(&boxed(b"hvc1", &picture_entry()[8..])), Some(Refusal::NotH264));
    assert_eq!(refused(&boxed(b"avc3", &picture_entry()[8..])), Some(Refusal::NotH264));
    assert_eq!(refused(&changed(1, &[110])), Some(Refusal::Profile(110)));
    // `avcC` says Main, its parameter set says High; lengths of three bytes; no parameter set, so that its bytes are something else.
    assert_eq!(refused(&changed(1, &[77])), Some(Refusal::ParameterSets));
    assert_eq!(refused(&changed(4, &[0xfe])), Some(Refusal::ParameterSets));
    assert!(refused(&changed(5, &[0xe0])).is_some());
    let aperture = |width: u32| with(&boxed(b"clap", &words(&[width, 1, 240, 1, 0, 1, 0, 1])));
    assert_eq!(refused(&aperture(320)), None);
    assert_eq!(refused(&aperture(300)), Some(Refusal::Cropped));
    for length in 0..picture_entry().len() - 8 {
        assert!(Picture::read(*b"avc1", &picture_entry()[8..8 + length]).is_err(), "{length}");
    }
}

#[test]
fn an_idr_picture_is_told_by_its_first_slice() {
    let picture = read(&picture_entry()).expect("H.264 in High profile");
    let units = |kinds: &[u8]| kinds.iter().flat_map(|kind| [&[0, 0, 0, 2, 0x60 | kind], &[7][..]].concat()).collect::<Vec<_>>();
    // Delimiter, parameter sets, supplemental information, then slices.
    assert!(picture.is_idr(&units(&[9, 7, 8, 6, 5, 5])));
    assert!(!picture.is_idr(&units(&[9, 6, 1])));
    assert!(!picture.is_idr(&units(&[1, 5])), "the first slice counts");
    assert!(!picture.is_idr(&units(&[9, 6])) && !picture.is_idr(&[]) && !picture.is_idr(&[0, 0, 0]));
    assert!(picture.is_idr(&[&[0; 4][..], &units(&[5])].concat()), "a unit of nothing is none");
    assert!(picture.is_idr(&[0, 0, 0xff, 0xff, 0x65]), "only its beginning is here");
    assert!(!picture.is_idr(&[0xff, 0xff, 0xff, 0xff, 0x06, 0, 0, 0, 1, 0x65]), "nothing behind what is cut off");
}
