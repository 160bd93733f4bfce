//! One file on its way: how it is cut into parts, and what server and browser tell each other about it.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Problem},
    ids::{UploadId, VideoId},
};

/// Parts are this large unless the file is so large that there would be too many of them.
pub const PART_SIZE: u64 = 8 * 1024 * 1024;
/// No part but the last is smaller than this, whatever is asked for.
pub const PART_SIZE_MIN: u64 = 1024 * 1024;
/// No part is larger than this because somebody asked for it; only for files so large that there would be too many parts.
pub const PART_SIZE_MAX: u64 = 32 * 1024 * 1024;
/// Part sizes are multiples of this.
const PART_SIZE_STEP: u64 = 256 * 1024;
/// Most bytes in a [`BeginUpload::fingerprint`].
pub const FINGERPRINT_MAX: usize = 64;
/// No more parts than this in a file (S3's limit, so that every store can hold every file).
pub const MAX_PARTS: u64 = 10_000;
/// Parts of one tab in flight at once: HTTP/1.1 allows six connections a host, and the event stream takes one.
pub const PARTS_IN_FLIGHT: usize = 3;
/// The request header that carries a part's CRC32C as eight lower-case hexadecimal digits.
pub const CHECKSUM_HEADER: &str = "x-millrace-crc32c";

/// How a file is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartPlan {
    /// Bytes in the file.
    pub file_size: u64,
    /// Bytes in each part but the last.
    pub part_size: u64,
}

impl PartPlan {
    /// The plan for a file of `file_size` bytes.
    pub fn for_size(file_size: u64) -> Self {
        Self::for_wish(file_size, Some(PART_SIZE), PART_SIZE_MIN)
    }

    /// The plan for a file of `file_size` bytes whose sender would like parts of `wish` bytes, in a store that takes none smaller than `least`.
    pub fn for_wish(file_size: u64, wish: Option<u64>, least: u64) -> Self {
        let needed = file_size.div_ceil(MAX_PARTS).next_multiple_of(PART_SIZE_STEP);
        let wish = wish.unwrap_or(PART_SIZE).clamp(PART_SIZE_MIN, PART_SIZE_MAX).max(least);
        Self { file_size, part_size: wish.next_multiple_of(PART_SIZE_STEP).max(needed) }
    }

    /// Number of parts; parts are numbered from 1.
    pub fn part_count(self) -> u32 {
        u32::try_from(self.file_size.div_ceil(self.part_size)).unwrap_or(u32::MAX)
    }

    /// First byte and length of a part, or `None` where the file has no such part.
    pub fn part_range(self, number: u32) -> Option<(u64, u64)> {
        if number == 0 || number > self.part_count() {
            return None;
        }
        let offset = u64::from(number - 1) * self.part_size;
        Some((offset, self.part_size.min(self.file_size - offset)))
    }

    /// The parts that are not among `received`.
    pub fn missing(self, received: &[u32]) -> Vec<u32> {
        let received: std::collections::BTreeSet<u32> = received.iter().copied().collect();
        (1..=self.part_count()).filter(|number| !received.contains(number)).collect()
    }
}

/// What the browser says when it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BeginUpload {
    /// Name of the file on the user's machine. Shown, never used as a path.
    pub file_name: String,
    /// Bytes in the file.
    pub size: u64,
    /// A random UUID that the client made up for this file. A request that is sent again with it, because its answer was lost, gets the
    /// upload that there is. The server makes one up where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_id: Option<UploadId>,
    /// Title to give the video; the file's name without its extension where absent.
    #[serde(default)]
    pub title: Option<String>,
    /// Bytes that each part but the last should have, as suits the client's line. The answer's `partSize` is what counts: it stays within what the
    /// store takes and within 10,000 parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_size: Option<u64>,
    /// Something by which the client knows the file again, such as a digest of some of its bytes: at most 64 printable ASCII characters. It is
    /// given back in the list of unfinished uploads, and means nothing to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// An upload that has begun and is not complete, as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnfinishedUpload {
    /// The upload.
    pub upload_id: UploadId,
    /// The video it becomes.
    pub video_id: VideoId,
    /// Name of the file on the machine it came from.
    pub file_name: String,
    /// Bytes in the file.
    pub size: u64,
    /// Percent of its parts that have arrived, as last looked up.
    pub percent: u8,
    /// What the client said it knows the file by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Milliseconds of the Unix epoch of the last part.
    pub updated_at_ms: i64,
    /// Milliseconds of the Unix epoch at which it is given up, unless a part comes before.
    pub expires_at_ms: i64,
}

/// The uploads of an account that can be continued, the one that was active last first; at most fifty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnfinishedUploads {
    /// The uploads.
    pub uploads: Vec<UnfinishedUpload>,
}

/// What the server answers: all the browser needs to send the file, wherever the bytes go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UploadTicket {
    /// The upload.
    pub upload_id: UploadId,
    /// The video it becomes.
    pub video_id: VideoId,
    /// How the file is cut.
    #[serde(flatten)]
    pub plan: PartPlan,
    /// Where a part is PUT with its [`CHECKSUM_HEADER`]; `{number}` stands for the part's number.
    pub part_url: String,
    /// Present where the store takes parts itself: where to ask, by POST with a [`PartAnnouncement`], for the [`PartTarget`] of a part.
    /// Whoever cannot do that may still use `part_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_url: Option<String>,
    /// Parts that have already arrived.
    pub received: Vec<u32>,
}

/// A part that is about to be sent straight to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartAnnouncement {
    /// CRC32C (Castagnoli) of its bytes; the store refuses others.
    pub crc32c: u32,
}

/// What to do with an announced part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum PartTarget {
    /// Nothing: the same bytes are safe already.
    Safe {
        /// What is safe.
        receipt: PartReceipt,
    },
    /// PUT the bytes there, without cookies.
    Put {
        /// A signed URL, for this part and these bytes alone.
        url: String,
        /// Headers that are part of the signature, to send as they are.
        headers: Vec<(String, String)>,
    },
}

/// What the server answers to a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartReceipt {
    /// The part's number, from 1.
    pub number: u32,
    /// Its length in bytes.
    pub size: u64,
    /// CRC32C (Castagnoli) of its bytes.
    pub crc32c: u32,
}

/// Checks what a client wants to begin against the limit, before a byte is taken.
///
/// # Errors
/// A file of no bytes, a file over `max_size` bytes, or an unusable name.
pub fn check_begin(begin: &BeginUpload, max_size: u64) -> Result<(), Problem> {
    if begin.size == 0 {
        return Err(Problem::new(Code::EmptyFile, "The file is empty. Choose another one."));
    }
    if begin.size > max_size {
        return Err(Problem::new(
            Code::TooLarge,
            format!("The file is larger than the {} that this server takes.", bytes_in_words(max_size)),
        ));
    }
    if begin.file_name.is_empty() || begin.file_name.len() > 1024 {
        return Err(Problem::invalid("The file needs a name of at most 1024 bytes."));
    }
    let printable = |text: &String| (1..=FINGERPRINT_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !begin.fingerprint.as_ref().is_none_or(printable) {
        return Err(Problem::invalid(format!("A fingerprint has 1 to {FINGERPRINT_MAX} printable ASCII characters without spaces.")));
    }
    Ok(())
}

/// The title a file gets when nobody chose one: its name without folders, extension and control characters.
pub fn title_from_file_name(file_name: &str) -> String {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    let stem = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 5 => stem,
        _ => name,
    };
    clean_title(stem).unwrap_or_else(|| "Untitled".to_owned())
}

/// A title as it is stored: trimmed, without control or direction-changing characters, at most 200 characters. `None` where nothing
/// is left.
pub fn clean_title(title: &str) -> Option<String> {
    let hidden = |c: &char| !c.is_control() && !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let cleaned: String = title.chars().filter(hidden).collect::<String>().trim().chars().take(200).collect();
    (!cleaned.is_empty()).then_some(cleaned)
}

/// A size for people: `2.8 MB`. Decimal units, as file managers show them.
pub fn bytes_in_words(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    // In whole numbers: how to write fractions of any size is a lot of code for a browser to load.
    let (mut unit, mut scale) = (0, 1_u64);
    while unit + 1 < UNITS.len() && bytes >= (scale * 1999).div_ceil(2) {
        (unit, scale) = (unit + 1, scale * 1000);
    }
    let rounded = |per_unit: u64| (u128::from(bytes) * u128::from(per_unit) + u128::from(scale / 2)) / u128::from(scale);
    match rounded(10) {
        tenths if unit > 0 && tenths < 1000 => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
        _ => format!("{} {}", rounded(1), UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parts_cover_the_file_exactly(file_size in 1_u64..50_000_000_000_000) {
            let plan = PartPlan::for_size(file_size);
            prop_assert!(u64::from(plan.part_count()) <= MAX_PARTS);
            let mut end = 0;
            for number in [1, plan.part_count() / 2, plan.part_count()] {
                if let Some((offset, length)) = plan.part_range(number) {
                    prop_assert!(length > 0 && length <= plan.part_size);
                    prop_assert_eq!(offset, u64::from(number - 1) * plan.part_size);
                    end = offset + length;
                }
            }
            prop_assert_eq!(end, file_size);
            prop_assert_eq!(plan.part_range(0), None);
            prop_assert_eq!(plan.part_range(plan.part_count() + 1), None);
        }

        #[test]
        fn a_wish_is_granted_within_bounds(file_size in 1_u64..50_000_000_000_000, wish in any::<u64>(), least in 0_u64..8_000_000) {
            let plan = PartPlan::for_wish(file_size, Some(wish), least);
            prop_assert!(u64::from(plan.part_count()) <= MAX_PARTS && plan.part_size >= least.max(PART_SIZE_MIN));
            prop_assert!(plan.part_size <= PART_SIZE_MAX || file_size > PART_SIZE_MAX * (MAX_PARTS - 1));
        }

        #[test]
        fn any_file_name_gives_a_showable_title(name in "\\PC{0,300}") {
            let title = title_from_file_name(&name);
            prop_assert!(!title.is_empty() && title.chars().count() <= 200);
        }
    }

    #[test]
    fn missing_parts_are_named() {
        let plan = PartPlan::for_size(PART_SIZE * 3 + 1);
        assert_eq!(plan.missing(&[1, 4]), [2, 3]);
    }

    #[test]
    fn wishes_of_browsers_are_kept() {
        let wish = |bytes| PartPlan::for_wish(60_000_000, Some(bytes), PART_SIZE_MIN).part_size;
        assert_eq!((wish(2 * PART_SIZE_MIN), wish(1), wish(u64::MAX)), (2 * PART_SIZE_MIN, PART_SIZE_MIN, PART_SIZE_MAX));
        assert_eq!(PartPlan::for_wish(60_000_000, None, PART_SIZE_MIN).part_size, PART_SIZE);
        // What S3 asks for.
        assert_eq!(PartPlan::for_wish(60_000_000, Some(1), 5 * 1024 * 1024).part_size, 5 * 1024 * 1024);
    }

    #[test]
    fn a_fingerprint_is_short_and_plain() {
        let begin = |text: &str| BeginUpload { file_name: "a".into(), size: 1, fingerprint: Some(text.into()), ..BeginUpload::default() };
        assert!(check_begin(&begin("c1-0123456789abcdef"), 10).is_ok());
        for bad in ["", "two words", "\n", "\u{e9}", &"x".repeat(65)] {
            assert!(check_begin(&begin(bad), 10).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn titles_lose_paths_extensions_and_tricks() {
        assert_eq!(title_from_file_name("C:\\films\\Keynote (full).mov"), "Keynote (full)");
        assert_eq!(title_from_file_name("../../etc/passwd"), "passwd");
        assert_eq!(title_from_file_name("gnp.\u{202e}4pm.exe"), "gnp.4pm");
        assert_eq!(title_from_file_name("\n"), "Untitled");
    }

    #[test]
    fn sizes_read_like_a_file_manager() {
        assert_eq!(bytes_in_words(0), "0 B");
        assert_eq!(bytes_in_words(2_811_553), "2.8 MB");
        assert_eq!(bytes_in_words(50_000_000_000), "50.0 GB");
        let edges = [999, 1_000, 99_949, 99_950, 999_499, 999_500, 1_049_999, u64::MAX].map(bytes_in_words);
        assert_eq!(edges, ["999 B", "1.0 kB", "99.9 kB", "100 kB", "999 kB", "1.0 MB", "1.0 MB", "18446744 TB"]);
    }
}
