//! Knows a file again: by the sums of its first and its last bytes, beside its size. Made when an upload begins and kept with it by the server, so
//! that any browser can tell the right file from a wrong one.

use domain::upload::{FINGERPRINT_MAX, UnfinishedUpload};
use web_sys::File;

use super::{refusal::SendError, send_part::read_part, words};

/// Bytes looked at on either end.
const SPAN: u64 = 1024 * 1024;
/// What ours begin with; other clients may keep what they like.
const PREFIX: &str = "c1-";

/// The fingerprint of a file with these sums (CRC32C) of its first and its last bytes.
fn from_sums(head: u32, tail: u32) -> String {
    format!("{PREFIX}{head:08x}{tail:08x}")
}

/// The fingerprint that this upload's file must have, if it has one of ours.
pub fn expected(upload: &UnfinishedUpload) -> Option<&str> {
    upload.fingerprint.as_deref().filter(|text| text.starts_with(PREFIX) && text.len() <= FINGERPRINT_MAX)
}

/// The fingerprint of a file.
///
/// # Errors
/// The browser cannot read it any more.
pub async fn of(file: &File) -> Result<String, SendError> {
    let size = file.size() as u64;
    let head = read_part(file, 0, size.min(SPAN)).await?;
    let tail = read_part(file, size.saturating_sub(SPAN), size).await?;
    Ok(from_sums(head.crc32c(), tail.crc32c()))
}

/// Whether a file with this name and size may be the one that an upload began with; its bytes decide.
pub fn may_be(upload: &UnfinishedUpload, file_name: &str, size: u64) -> bool {
    upload.size == size && upload.file_name == file_name && expected(upload).is_some()
}

/// What is wrong with a file chosen for an upload, by its name, its size and its fingerprint where that could be made.
pub fn refuse(upload: &UnfinishedUpload, file_name: &str, size: u64, fingerprint: Option<&str>) -> Option<&'static str> {
    if upload.size != size {
        return Some(words::NOT_THE_SAME_SIZE);
    }
    match expected(upload) {
        // A program began it and said nothing about its bytes: name and size have to do.
        None => (upload.file_name != file_name).then_some(words::NOT_THE_SAME_NAME),
        Some(expected) => (fingerprint != Some(expected)).then_some(words::NOT_THE_SAME),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(fingerprint: Option<&str>) -> UnfinishedUpload {
        let id = "018f4c3e-7b1a-7000-8000-000000000001";
        UnfinishedUpload {
            upload_id: id.parse().expect("an id"),
            video_id: id.parse().expect("an id"),
            file_name: "a.mp4".into(),
            size: 10,
            percent: 5,
            fingerprint: fingerprint.map(str::to_owned),
            updated_at_ms: 0,
            expires_at_ms: 1,
        }
    }

    #[test]
    fn the_bytes_decide_and_a_renamed_file_is_the_same() {
        let print = from_sums(1, 0xffff_ffff);
        assert_eq!(print, "c1-00000001ffffffff");
        let began = upload(Some(&print));
        assert_eq!(refuse(&began, "renamed.mp4", 10, Some(&print)), None);
        assert_eq!(refuse(&began, "a.mp4", 10, Some("c1-0000000100000000")), Some(words::NOT_THE_SAME));
        assert_eq!(refuse(&began, "a.mp4", 11, Some(&print)), Some(words::NOT_THE_SAME_SIZE));
        assert!(may_be(&began, "a.mp4", 10) && !may_be(&began, "b.mp4", 10) && !may_be(&began, "a.mp4", 9));
    }

    #[test]
    fn where_nothing_is_known_of_the_bytes_the_name_has_to_do() {
        for began in [upload(None), upload(Some("somebody-elses"))] {
            assert_eq!(refuse(&began, "a.mp4", 10, None), None);
            assert_eq!(refuse(&began, "b.mp4", 10, None), Some(words::NOT_THE_SAME_NAME));
            assert!(!may_be(&began, "a.mp4", 10), "never without being asked");
        }
    }
}
