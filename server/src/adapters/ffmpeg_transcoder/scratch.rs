//! A folder for one piece of unfinished work. It goes when the work is over, however that ends; what a killed process left is
//! found by its lock, which the kernel let go, and goes with the programs that still work in it.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

use super::stragglers;

const LOCK_FILE: &str = "lock";

/// A folder of its own below the scratch folder, removed on drop.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes one.
    pub(super) async fn new(root: &Path) -> io::Result<Self> {
        let (root, path) = (root.to_owned(), root.join(format!("transcode-{}", Uuid::new_v4())));
        blocking(move || {
            std::fs::create_dir_all(&root)?;
            // Whoever makes a folder holds the one around it with others, whoever looks for abandoned ones holds it alone. So a folder without
            // a lock file is never one that is just being made.
            let making = File::open(&root)?;
            making.lock_shared()?;
            std::fs::create_dir(&path)?;
            let lock = File::create(path.join(LOCK_FILE))?;
            lock.lock()?;
            Ok(Self { path, _lock: lock })
        })
        .await
    }

    /// Makes a folder in it.
    pub(super) async fn folder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        tokio::fs::create_dir_all(&path).await?;
        Ok(path)
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        let remove = move || {
            // A program that was killed a moment ago may add its last file in between: once more settles it.
            if std::fs::remove_dir_all(&path).is_err()
                && let Err(error) = std::fs::remove_dir_all(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "scratch folder could not be removed; the next start tries again");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

/// Removes folders whose owner is gone, and ends what still works in them. Other processes may be working in the same scratch folder: theirs are locked.
pub(super) async fn sweep(root: &Path) -> io::Result<()> {
    abandoned(root, true).await.map(drop)
}

/// Folders whose owner is gone; with `remove`, they are removed.
pub(super) async fn abandoned(root: &Path, remove: bool) -> io::Result<Vec<PathBuf>> {
    let root = root.to_owned();
    blocking(move || {
        let mut found = Vec::new();
        std::fs::create_dir_all(&root)?;
        let making = File::open(&root)?;
        making.lock()?;
        for entry in std::fs::read_dir(&root)? {
            let path = entry?.path();
            let ours = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("transcode-"));
            // A folder without a lock file is being removed: by somebody who may have died over it, or who has nothing against help.
            let abandoned = match File::open(path.join(LOCK_FILE)) {
                Ok(lock) => lock.try_lock().is_ok(),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            if ours && abandoned {
                if remove {
                    tracing::info!(path = %path.display(), "removing what an interrupted encode left behind");
                    if let Err(error) = stragglers::end_those_in(&path) {
                        tracing::warn!(path = %path.display(), %error, "something may still work there");
                    }
                    match std::fs::remove_dir_all(&path) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                        _ => {}
                    }
                }
                found.push(path);
            }
        }
        Ok(found)
    })
    .await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn abandoned_folders_go_and_those_in_use_stay() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let used = Scratch::new(root.path()).await.expect("a scratch folder");
        let abandoned = root.path().join("transcode-dead");
        std::fs::create_dir_all(abandoned.join("out")).expect("a folder");
        File::create(abandoned.join(LOCK_FILE)).expect("a lock file");
        // Its owner was killed while it removed it, and the lock went first.
        let half_removed = root.path().join("transcode-half-removed");
        std::fs::create_dir_all(half_removed.join("out")).expect("a folder");
        let foreign = root.path().join("keep-me");
        std::fs::create_dir_all(&foreign).expect("a folder");

        sweep(root.path()).await.expect("a sweep");
        assert!(used.path().exists() && foreign.exists() && !abandoned.exists() && !half_removed.exists());
    }

    #[tokio::test]
    async fn a_folder_goes_with_its_owner() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let scratch = Scratch::new(root.path()).await.expect("a scratch folder");
        let path = scratch.path().to_owned();
        scratch.folder("out").await.expect("a folder");
        drop(scratch);
        for _ in 0..3_000 {
            if !path.exists() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{} is still there", path.display());
    }
}
