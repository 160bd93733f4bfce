//! How full a disk is.

use std::path::Path;

use crate::ports::blob_store::Room;

/// The room on the disk that a folder, or the nearest one above it that exists, lies on.
///
/// # Errors
/// It cannot be asked.
pub fn room_at(folder: &Path) -> std::io::Result<Room> {
    let mut folder = folder;
    loop {
        match rustix::fs::statvfs(folder) {
            Ok(facts) => return Ok(Room { total: facts.f_blocks * facts.f_frsize, free: facts.f_bavail * facts.f_frsize }),
            Err(rustix::io::Errno::NOENT) => match folder.parent() {
                Some(above) if !above.as_os_str().is_empty() => folder = above,
                _ => folder = Path::new("."),
            },
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_still_to_be_made_has_the_room_of_where_it_will_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let (here, there) = (room_at(folder.path()).expect("asked"), room_at(&folder.path().join("a/b")).expect("asked"));
        assert_eq!(here.total, there.total);
        assert!(here.free <= here.total && here.total > 0);
        assert!(room_at(Path::new("a-folder-that-is-not-there")).is_ok());
    }
}
