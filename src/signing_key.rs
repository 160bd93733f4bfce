//! The key that signs grants and media URLs: random, made at the first start, kept in the data folder, readable by its owner alone.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use secrecy::SecretSlice;

const FILE: &str = "signing.key";
const BYTES: usize = 32;

/// Reads the key from `data_dir`, or makes it where there is none. Two processes that start at once agree on one.
///
/// # Errors
/// The file cannot be read or made, or is not a key.
pub(crate) fn load_or_create(data_dir: &Path) -> std::io::Result<SecretSlice<u8>> {
    let path = data_dir.join(FILE);
    if !path.exists() {
        let partial = data_dir.join(format!("{FILE}.{}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(&rand::random::<[u8; BYTES]>())?;
        file.sync_all()?;
        // A link does not replace: whoever is second takes the first one's key.
        match std::fs::hard_link(&partial, &path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => std::fs::remove_file(&partial)?,
        }
    }
    let mut key = Vec::new();
    std::fs::File::open(&path)?.read_to_end(&mut key)?;
    if key.len() != BYTES {
        return Err(std::io::Error::new(ErrorKind::InvalidData, format!("{} is not a key of {BYTES} bytes", path.display())));
    }
    Ok(key.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = load_or_create(folder.path()).expect("made");
        let again = load_or_create(folder.path()).expect("read");
        assert_eq!(first.expose_secret(), again.expose_secret());
        let mode = std::fs::metadata(folder.path().join(FILE)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}
