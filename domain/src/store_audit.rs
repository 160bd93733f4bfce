//! What comes out when rows and store are held against each other: whether every row has its objects and every object its row.

use serde::{Deserialize, Serialize};

use crate::ids::VideoId;

/// Most findings that are told one by one; the others are counted.
pub const MOST_FINDINGS: usize = 1_000;

/// What is not as it should be. The spelling on the wire (snake case) is promised to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A video whose upload has no row.
    UploadMissing,
    /// An upload that is not complete and that the store knows nothing of.
    PartsMissing,
    /// A video that is to be processed and that no job is for.
    JobMissing,
    /// A source that its row names is not in the store.
    SourceMissing,
    /// A source has another length than its row says.
    SourceSize,
    /// A video that is done and has nothing to play.
    RenditionsMissing,
    /// Objects that a playlist names are not in the store.
    ObjectMissing,
    /// An object has another length than its row says, or none.
    ObjectSize,
    /// A rendition lasts longer or shorter than its source.
    Duration,
    /// A source or a rendition cannot be read.
    Unreadable,
    /// A generation that no row names.
    GenerationOrphan,
    /// A source that no row names.
    SourceOrphan,
    /// An unfinished upload that no row names.
    UploadOrphan,
    /// An object in a published generation that no playlist names.
    ObjectOrphan,
    /// What a died process left in the scratch folder.
    ScratchOrphan,
    /// Something in the store that has no name of ours.
    Foreign,
}

impl FindingKind {
    /// What to do about it where nothing was done.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::UploadMissing | Self::JobMissing => {
                "Tell the owner of the video to delete it and to upload it again, or bring the database back from a backup."
            }
            Self::PartsMissing => {
                "The upload cannot go on. Its owner cancels it and begins anew; or it is given up by itself in some days."
            }
            Self::SourceMissing | Self::SourceSize => "The video cannot be processed anew. Bring the file back from a backup.",
            Self::RenditionsMissing | Self::ObjectMissing | Self::ObjectSize => {
                "The video does not play, or not all of it. Bring the objects back from a backup, or upload the video again."
            }
            Self::Duration | Self::Unreadable => "Look at the video. If it does not play well, upload it again.",
            Self::GenerationOrphan | Self::SourceOrphan | Self::UploadOrphan | Self::ScratchOrphan => {
                "It takes up space for nothing: “millrace audit --repair” removes it."
            }
            Self::ObjectOrphan => "It takes up space for nothing and goes with its video.",
            Self::Foreign => "Millrace has not made it. Move it elsewhere if you need it, or delete it.",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// The video that it is about, where it is one's.
    pub video: Option<VideoId>,
    /// The path in the store; empty where it is about a row alone.
    pub key: String,
    /// A sentence about it.
    pub detail: String,
    /// Whether it has been put right.
    pub repaired: bool,
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Videos.
    pub videos: u64,
    /// Objects in the store.
    pub objects: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Unfinished uploads in the store.
    pub unfinished: u64,
    /// Files that were read: sources and renditions.
    pub probed: u64,
    /// The last video that was looked at: the next run may go on behind it.
    pub last_video: Option<VideoId>,
}

/// The whole result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditReport {
    /// What was looked at.
    pub checked: Checked,
    /// What was found, [`MOST_FINDINGS`] at most.
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub left_out: u64,
}

impl AuditReport {
    /// Notes a finding.
    pub fn add(&mut self, finding: Finding) {
        if self.findings.len() < MOST_FINDINGS {
            self.findings.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// Whether nothing is left to be done.
    pub fn clean(&self) -> bool {
        self.left_out == 0 && self.findings.iter().all(|finding| finding.repaired)
    }
}

/// The last check, as an owner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastAudit {
    /// When it ended, in milliseconds of the Unix epoch.
    pub at_ms: i64,
    /// What came out.
    pub report: AuditReport,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_without_end_are_counted() {
        let mut report = AuditReport::default();
        assert!(report.clean());
        let finding = Finding { kind: FindingKind::Foreign, video: None, key: "x".into(), detail: String::new(), repaired: true };
        report.add(finding.clone());
        assert!(report.clean(), "what is repaired is no worry");
        (0..MOST_FINDINGS).for_each(|_| report.add(finding.clone()));
        assert_eq!((report.findings.len(), report.left_out, report.clean()), (MOST_FINDINGS, 1, false));
        let shape = serde_json::to_value(&report.findings[0]).expect("JSON");
        assert_eq!(shape, serde_json::json!({ "kind": "foreign", "video": null, "key": "x", "detail": "", "repaired": true }));
    }
}
