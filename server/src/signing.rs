//! The keys that sign grants, links and media URLs: the current one, and while keys are changed the one before, which is still believed
//! but signs nothing any more.

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of a whole signature.
pub const SIGNATURE_BYTES: usize = 32;

/// The keys. Cheap to clone.
#[derive(Clone)]
pub struct SigningKeys {
    current: Arc<Key>,
    previous: Option<Arc<Key>>,
}

struct Key {
    id: u8,
    secret: SecretSlice<u8>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("current", &self.current.id).field("changing", &self.previous.is_some()).finish()
    }
}

impl From<SecretSlice<u8>> for SigningKeys {
    fn from(current: SecretSlice<u8>) -> Self {
        Self::new(current, None)
    }
}

impl From<Vec<u8>> for SigningKeys {
    fn from(current: Vec<u8>) -> Self {
        Self::new(current.into(), None)
    }
}

impl SigningKeys {
    /// Signs with `current`; believes `previous` too.
    pub fn new(current: SecretSlice<u8>, previous: Option<SecretSlice<u8>>) -> Self {
        Self { current: Arc::new(Key::new(current)), previous: previous.map(Key::new).map(Arc::new) }
    }

    /// The id of the key that signs. It tells keys apart, not more: two may share one.
    pub fn current_id(&self) -> u8 {
        self.current.id
    }

    /// The current key's signature. The label keeps signatures over different kinds of things apart.
    pub fn sign(&self, label: &str, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.current.sign(label, message)
    }

    /// Whether `signature` is the first `length` bytes of what a key of this id makes. Compares in constant time.
    pub fn verify(&self, key_id: u8, label: &str, message: &[u8], signature: &[u8], length: usize) -> bool {
        if signature.len() != length || length > SIGNATURE_BYTES {
            return false;
        }
        let right = |key: &Arc<Key>| bool::from(key.sign(label, message)[..length].ct_eq(signature));
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().filter(|key| key.id == key_id).any(right)
    }
}

impl Key {
    fn new(secret: SecretSlice<u8>) -> Self {
        let mut key = Self { id: 0, secret };
        key.id = key.sign("millrace key id", &[])[0];
        key
    }

    fn sign(&self, label: &str, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret()).expect("HMAC takes keys of any length");
        mac.update(label.as_bytes());
        mac.update(&[0]);
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(current: &[u8], previous: Option<&[u8]>) -> SigningKeys {
        SigningKeys::new(current.to_vec().into(), previous.map(|key| key.to_vec().into()))
    }

    #[test]
    fn while_keys_change_both_are_believed_and_afterwards_the_old_one_is_not() {
        let (old, changing, new) = (keys(b"old", None), keys(b"new", Some(b"old")), keys(b"new", None));
        let signed = old.sign("label", b"message");
        let believed = |keys: &SigningKeys, id: u8, signature: &[u8]| keys.verify(id, "label", b"message", signature, SIGNATURE_BYTES);
        assert!(believed(&old, old.current_id(), &signed) && believed(&changing, old.current_id(), &signed));
        assert!(!believed(&new, old.current_id(), &signed) && !believed(&new, new.current_id(), &signed));
        let fresh = changing.sign("label", b"message");
        assert!(believed(&new, changing.current_id(), &fresh) && !believed(&old, changing.current_id(), &fresh));
    }

    #[test]
    fn a_signature_is_for_its_label_its_message_and_its_whole_length() {
        let keys = keys(b"key", None);
        let (id, signature) = (keys.current_id(), keys.sign("label", b"message"));
        assert!(!keys.verify(id, "other", b"message", &signature, 32) && !keys.verify(id, "label", b"messagf", &signature, 32));
        assert!(!keys.verify(id.wrapping_add(1), "label", b"message", &signature, 32));
        assert!(!keys.verify(id, "label", b"message", &signature[..16], 32) && keys.verify(id, "label", b"message", &signature[..16], 16));
        assert!(!keys.verify(id, "label", b"message", &[], 32) && !keys.verify(id, "label", b"message", &signature, 16));
    }
}
