//! The private key that CloudFront checks URLs by: read from PEM, signing with SHA-256.

use std::fmt;

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    error::{KeyRejected, Unspecified},
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

/// The one size of RSA keys that CloudFront takes, in bytes.
const RSA_BYTES: usize = 256;

/// Why a text is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No private key in it.
    #[error(
        "it holds no private key in PEM; an encrypted one cannot be used either: `openssl pkey -in FILE -out NEW` takes the passphrase off"
    )]
    NotPem,
    /// A key, but none that CloudFront can check.
    #[error(
        "CloudFront takes ECDSA P-256 and RSA 2048 keys only, and this is neither: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256` makes one"
    )]
    WrongKind,
}

/// A key pair of one of the two kinds that CloudFront takes.
pub(super) enum SigningKey {
    /// ECDSA on P-256: short signatures, and each one is different.
    Ecdsa(EcdsaKeyPair),
    /// RSA with 2048 bits.
    Rsa(RsaKeyPair),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl SigningKey {
    /// Reads PKCS#8, and the older forms that openssl writes: PKCS#1 for RSA, SEC1 for ECDSA.
    pub(super) fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyError::NotPem)?;
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = match &der {
            PrivateKeyDer::Pkcs8(der) => EcdsaKeyPair::from_pkcs8(algorithm, der.secret_pkcs8_der())
                .map(Self::Ecdsa)
                .or_else(|_| RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map(Self::Rsa)),
            PrivateKeyDer::Sec1(der) => EcdsaKeyPair::from_private_key_der(algorithm, der.secret_sec1_der()).map(Self::Ecdsa),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Self::Rsa),
            _ => return Err(KeyError::NotPem),
        };
        match key.map_err(|_: KeyRejected| KeyError::WrongKind)? {
            Self::Rsa(key) if key.public_modulus_len() != RSA_BYTES => Err(KeyError::WrongKind),
            key => Ok(key),
        }
    }

    /// A signature over `message` and SHA-256: DER for ECDSA, PKCS#1 v1.5 for RSA.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        // Neither draws from it: the library has its own source.
        let random = SystemRandom::new();
        match self {
            Self::Ecdsa(key) => Ok(key.sign(&random, message)?.as_ref().to_vec()),
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)?;
                Ok(signature)
            }
        }
    }

    /// What it is, for people.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Ecdsa(_) => "ECDSA P-256",
            Self::Rsa(_) => "RSA 2048",
        }
    }

    /// The public half as it stands in a PEM file of the kind that CloudFront is given.
    pub(super) fn public_der(&self) -> Result<Vec<u8>, Unspecified> {
        let der: PublicKeyX509Der<'_> = match self {
            Self::Ecdsa(key) => key.public_key().as_der()?,
            Self::Rsa(key) => <rsa::PublicKey as AsDer<PublicKeyX509Der<'_>>>::as_der(key.public_key())?,
        };
        Ok(der.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::SubjectPublicKeyInfoDer;

    #[test]
    fn every_form_of_a_key_is_the_same_key() {
        for (forms, public, kind) in [
            (
                [include_str!("../../../tests/cloudfront/rsa.pem"), include_str!("../../../tests/cloudfront/rsa-pkcs1.pem")],
                include_str!("../../../tests/cloudfront/rsa-public.pem"),
                "RSA 2048",
            ),
            (
                [include_str!("../../../tests/cloudfront/ec.pem"), include_str!("../../../tests/cloudfront/ec-sec1.pem")],
                include_str!("../../../tests/cloudfront/ec-public.pem"),
                "ECDSA P-256",
            ),
        ] {
            let public = SubjectPublicKeyInfoDer::from_pem_slice(public.as_bytes()).expect("a public key");
            for pem in forms {
                let key = SigningKey::from_pem(pem).expect("a key");
                assert_eq!(key.kind(), kind);
                assert_eq!(key.public_der().expect("its public half"), public.as_ref());
            }
        }
    }

    #[test]
    fn what_cloudfront_cannot_check_is_refused() {
        for (name, pem) in [
            ("RSA 3072", include_str!("../../../tests/cloudfront/rsa-3072.pem")),
            ("P-384", include_str!("../../../tests/cloudfront/ec-p384.pem")),
        ] {
            assert!(matches!(SigningKey::from_pem(pem), Err(KeyError::WrongKind)), "{name}");
        }
        for (name, pem) in [
            ("encrypted", include_str!("../../../tests/cloudfront/ec-encrypted.pem")),
            ("the public half", include_str!("../../../tests/cloudfront/ec-public.pem")),
            ("nothing", ""),
        ] {
            assert!(matches!(SigningKey::from_pem(pem), Err(KeyError::NotPem)), "{name}");
        }
    }
}
