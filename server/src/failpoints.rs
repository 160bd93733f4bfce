//! Places where a process may be made to die: at each commit, and at each step that the disk sees. They exist in builds with the feature
//! `failpoints` alone; else passing one costs nothing.
//!
//! `FAILPOINTS="upload.part.synced=return"` kills the process the first time it comes by, `…=2*off->return` the third time, as `kill -9` would.
//! `end2end/chaos/failpoints.py` does so at every one of them and looks whether anything was lost.

/// All of them. The driver reads this list.
pub const ALL: &[&str] = &[
    // An upload begins: the store has room for it, no row names it yet; the rows stand, nobody knows yet.
    "upload.begin.reserved",
    "upload.begin.committed",
    // A part: its bytes are on the disk, no ledger names them; the ledger does, nobody knows yet.
    "upload.part.synced",
    "upload.part.recorded",
    // Bytes that were appended: on the disk, no ledger names them; the ledger does, nobody knows yet.
    "upload.append.synced",
    "upload.append.recorded",
    // An upload completes: the source stands, no row says so; all is written and not committed; committed, nobody woken and nobody told.
    "upload.complete.assembled",
    "upload.complete.before_commit",
    "upload.complete.committed",
    // A file in one request: noted to go; stored; written and not committed; committed.
    "upload.single.noted",
    "upload.single.stored",
    "upload.single.before_commit",
    "upload.single.committed",
    // The store on files: before a rename; after it, before the folder is on the disk; before what is left of an upload goes.
    "store.rename.before",
    "store.rename.after",
    "store.incoming.before_removal",
    // A job: its lease is taken; what it is going to write to is noted, or not yet; its stage is committed.
    "job.leased",
    "job.begin.before_commit",
    "job.begin.committed",
    "job.step.committed",
    // Publishing: all objects are there and unchecked; the flip is written and not committed; committed.
    "job.publish.before_check",
    "job.publish.before_commit",
    "job.publish.committed",
    // A failure of a try, and the end of one by its source's fault.
    "job.failed.before_commit",
    "job.failed.committed",
    // A job is given back at a shutdown.
    "job.given_back.before_commit",
    // Deleting: rows and notes not committed; committed; an object gone whose note stands.
    "video.delete.before_commit",
    "video.delete.committed",
    "removal.before_deletion",
    "removal.deleted",
];

/// Passes a point, or dies at it.
#[inline]
pub fn pass(point: &'static str) {
    #[cfg(feature = "failpoints")]
    fail::fail_point!(point, |_| {
        debug_assert!(ALL.contains(&point), "{point} is in no list");
        // As a power cut would: no destructor runs, nothing is flushed.
        if rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).is_err() {
            std::process::abort();
        }
        loop {
            std::thread::park();
        }
    });
    let _ = point;
}

/// Reads from the environment (`FAILPOINTS`) which points are to be died at. What is given back has to live as long as they are to.
#[cfg(feature = "failpoints")]
pub fn set_up() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_below(folder: &std::path::Path) -> String {
        let entries = std::fs::read_dir(folder).expect("a folder").flatten();
        let read = |path: std::path::PathBuf| match path.extension() {
            None => text_below(&path),
            Some(kind) if kind == "rs" && !path.ends_with("failpoints.rs") => std::fs::read_to_string(path).expect("text"),
            Some(_) => String::new(),
        };
        entries.map(|entry| read(entry.path())).collect()
    }

    #[test]
    fn every_point_stands_somewhere_and_every_one_is_in_the_list() {
        let code = text_below(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let standing: Vec<&str> = code.split("failpoints::pass(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        for point in ALL {
            assert!(standing.contains(point), "{point} stands nowhere");
        }
        for point in standing {
            assert!(ALL.contains(&point), "{point} is in no list");
        }
    }
}
