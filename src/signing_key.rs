//! The key that signs grants and media URLs: the setting `signing.key`, which processes on several machines share; else random, made at
//! the first start, kept in the data folder, readable by its owner alone.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use secrecy::{ExposeSecret, SecretSlice};
use server::{config::Settings, signing::SigningKeys};

const FILE: &str = "signing.key";
const BYTES: usize = 32;

/// The key that the settings name, or the one in the data folder; and the one before, where the settings name it.
///
/// # Errors
/// One is not a key, or cannot be read or made.
pub(crate) fn load(settings: &Settings) -> std::io::Result<SigningKeys> {
    let previous = match settings.signing.previous_key.expose_secret() {
        "" => None,
        text => Some(from_hex(text)?),
    };
    Ok(SigningKeys::new(current(settings)?, previous))
}

fn current(settings: &Settings) -> std::io::Result<SecretSlice<u8>> {
    match settings.signing.key.expose_secret() {
        "" => load_or_create(&settings.data_dir),
        text => from_hex(text),
    }
}

fn from_hex(text: &str) -> std::io::Result<SecretSlice<u8>> {
    let digits: Option<Vec<u8>> = text.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    match digits {
        Some(digits) if digits.len() == 2 * BYTES => Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>().into()),
        _ => Err(std::io::Error::new(ErrorKind::InvalidData, format!("the setting `signing.key` is not {} hexadecimal digits", 2 * BYTES))),
    }
}

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

    #[test]
    fn the_setting_wins_over_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let with = |key: &str| {
            let pairs = [("MILLRACE_DATA_DIR", folder.path().to_str().expect("a plain path")), ("MILLRACE_SIGNING_KEY", key)];
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            current(&Settings::from_layers(None, &pairs).expect("valid")).expect("a key")
        };
        let (file, setting) = (with(""), with("00FFa0".repeat(11)[..64].as_ref()));
        assert_eq!(setting.expose_secret()[..4], [0, 255, 160, 0]);
        assert_ne!(file.expose_secret(), setting.expose_secret());
        assert_eq!(with("").expose_secret(), file.expose_secret());
        assert!(from_hex("é").is_err() && from_hex("00").is_err());
    }
}
