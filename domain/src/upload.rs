//! One file on its way: how it is cut into parts, and what server and browser tell each other about it.

use serde::{Deserialize, Serialize};

use crate::{
    error::{Code, Problem},
    ids::{UploadId, VideoId},
};

/// Parts are this large unless the file is so large that there would be too many of them.
pub const PART_SIZE: u64 = 8 * 1024 * 1024;
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
        let needed = file_size.div_ceil(MAX_PARTS).next_multiple_of(256 * 1024);
        Self { file_size, part_size: PART_SIZE.max(needed) }
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
        (1..=self.part_count()).filter(|number| !received.contains(number)).collect()
    }
}

/// What the browser says when it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 99.95);
    format!("{value:.digits$} {}", UNITS[unit])
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
    }
}
