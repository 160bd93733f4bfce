//! A folder for one piece of unfinished work. It goes when the work is over, however that ends; what a killed process left is
//! found by its lock, which the kernel let go.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use uuid::Uuid;

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
        let path = root.join(format!("transcode-{}", Uuid::new_v4()));
        blocking(move || {
            std::fs::create_dir_all(&path)?;
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

/// Removes folders whose owner is gone. Other processes may be working in the same scratch folder: theirs are locked.
pub(super) async fn sweep(root: &Path) -> io::Result<()> {
    let root = root.to_owned();
    blocking(move || {
        std::fs::create_dir_all(&root)?;
        for entry in std::fs::read_dir(&root)? {
            let path = entry?.path();
            let ours = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("transcode-"));
            // A folder without a lock file is one that is being made or removed at this moment.
            let abandoned = ours && File::open(path.join(LOCK_FILE)).is_ok_and(|lock| lock.try_lock().is_ok());
            if abandoned {
                tracing::info!(path = %path.display(), "removing what an interrupted encode left behind");
                std::fs::remove_dir_all(&path)?;
            }
        }
        Ok(())
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
        let foreign = root.path().join("keep-me");
        std::fs::create_dir_all(&foreign).expect("a folder");

        sweep(root.path()).await.expect("a sweep");
        assert!(used.path().exists() && foreign.exists() && !abandoned.exists());
    }

    #[tokio::test]
    async fn a_folder_goes_with_its_owner() {
        let root = tempfile::tempdir().expect("a temporary folder");
        let scratch = Scratch::new(root.path()).await.expect("a scratch folder");
        let path = scratch.path().to_owned();
        scratch.folder("out").await.expect("a folder");
        drop(scratch);
        for _ in 0..100 {
            if !path.exists() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("{} is still there", path.display());
    }
}
