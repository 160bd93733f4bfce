//! Delivery by CloudFront: segments straight from the bucket, playlists through the distribution's second origin, which is us. URLs carry
//! a custom policy with a wildcard, so that one signature opens everything below a path and nothing else.
//!
//! CloudFront knows no [`Audience`]: what was signed opens until it expires, also once the video is private or the grant revoked. What ends
//! there is the next renewal.

use std::{collections::BTreeMap, fmt, sync::Mutex};

use aws_config::SdkConfig;
use aws_sdk_cloudfront::{
    Client,
    config::Builder,
    types::{InvalidationBatch, Paths},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{ids::GenerationId, storage_key::StorageKey};
use secrecy::{ExposeSecret, SecretString};

use self::key::SigningKey;
use super::aws::ServiceError;
use crate::{
    clock::now_seconds,
    ports::cdn::{Audience, Cdn, CdnError, SignedPrefix, Verified},
};

pub mod doctor;
mod key;

pub use key::KeyError;

/// Signed queries remembered at most: some 5 MB of them, and a good hour's worth of viewers.
const REMEMBERED: usize = 10_000;

/// What the settings say about CloudFront.
#[derive(Debug, Clone)]
pub struct CloudFrontOptions {
    /// Base URL of the distribution, without a slash at the end.
    pub url: String,
    /// The distribution.
    pub distribution_id: String,
    /// CloudFront's id of the public key.
    pub key_id: String,
    /// The private key.
    pub private_key_pem: SecretString,
    /// Base URL of the control plane, or empty for what `SdkConfig` says.
    pub endpoint: String,
}

/// CloudFront as a CDN.
pub struct CloudFrontCdn {
    url: String,
    distribution_id: String,
    key_id: String,
    key: SigningKey,
    client: Client,
    /// Queries by expiry and resource, those that expire first in front.
    signed: Mutex<BTreeMap<(u64, String), String>>,
}

impl fmt::Debug for CloudFrontCdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFrontCdn")
            .field("url", &self.url)
            .field("distribution_id", &self.distribution_id)
            .field("key_id", &self.key_id)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl CloudFrontCdn {
    /// Delivery by the distribution that `options` name.
    ///
    /// # Errors
    /// The private key cannot be used.
    pub fn new(sdk: &SdkConfig, options: CloudFrontOptions) -> Result<Self, KeyError> {
        let key = SigningKey::from_pem(options.private_key_pem.expose_secret())?;
        let mut config = Builder::from(sdk);
        if !options.endpoint.is_empty() {
            config = config.endpoint_url(options.endpoint);
        }
        let CloudFrontOptions { url, distribution_id, key_id, .. } = options;
        Ok(Self { url, distribution_id, key_id, key, client: Client::from_conf(config.build()), signed: Mutex::default() })
    }

    fn sign_below(&self, path: &str, expires_at: u64) -> SignedPrefix {
        let base = format!("{}/{path}", self.url);
        let query = self.query(format!("{base}*"), expires_at);
        SignedPrefix { base, query }
    }

    /// The query that opens `resource` until `expires_at`. Signatures by ECDSA are random, so each is made once and remembered.
    fn query(&self, resource: String, expires_at: u64) -> String {
        let entry = (expires_at, resource);
        let mut signed = self.signed.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(query) = signed.get(&entry) {
            return query.clone();
        }
        let query = self.sign_policy(&entry.1, expires_at);
        if signed.len() >= REMEMBERED {
            // What has expired first; where nothing has, all of it: signing anew costs browsers a cached copy, and never what is shown.
            let expired = (now_seconds(), String::new());
            *signed = signed.split_off(&expired);
            if signed.len() >= REMEMBERED {
                signed.clear();
            }
        }
        signed.insert(entry, query.clone());
        query
    }

    fn sign_policy(&self, resource: &str, expires_at: u64) -> String {
        // Compact and in this order: CloudFront compares signatures over these very bytes. Addresses of ours need no escapes.
        let policy =
            format!(r#"{{"Statement":[{{"Resource":"{resource}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires_at}}}}}}}]}}"#);
        let signature = self.key.sign(policy.as_bytes()).expect("a key that was accepted signs");
        format!(
            "Policy={}&Signature={}&Key-Pair-Id={}&Hash-Algorithm=SHA256",
            url_safe(policy.as_bytes()),
            url_safe(&signature),
            self.key_id
        )
    }
}

/// Where the distribution asks us for what is made on request; the path pattern stands in its configuration.
fn packaged_prefix(generation: GenerationId) -> String {
    format!("packaged/{generation}/")
}

/// Base64 in CloudFront's own alphabet for URLs.
fn url_safe(bytes: &[u8]) -> String {
    STANDARD.encode(bytes).replace('+', "-").replace('=', "_").replace('/', "~")
}

#[async_trait::async_trait]
impl Cdn for CloudFrontCdn {
    fn sign(&self, generation: GenerationId, _audience: Audience, expires_at: u64) -> SignedPrefix {
        self.sign_below(&StorageKey::generation_prefix(generation), expires_at)
    }

    fn sign_packaged(&self, generation: GenerationId, _audience: Audience, expires_at: u64) -> SignedPrefix {
        self.sign_below(&packaged_prefix(generation), expires_at)
    }

    fn sign_file(&self, generation: GenerationId, _audience: Audience, file: &str, expires_at: u64) -> String {
        let url = format!("{}/{}{file}", self.url, StorageKey::generation_prefix(generation));
        let query = self.query(url.clone(), expires_at);
        format!("{url}?{query}")
    }

    fn sign_playlists(&self, grant: &str, expires_at: u64) -> SignedPrefix {
        self.sign_below(&format!("hls/{grant}/"), expires_at)
    }

    fn verify(&self, _generation: &str, _file: &str, _query: &str, _now: u64) -> Option<Verified> {
        // The bytes do not pass through us.
        None
    }

    async fn withdraw(&self, generation: GenerationId) -> Result<(), CdnError> {
        self.invalidate(generation, &StorageKey::generation_prefix(generation)).await
    }

    async fn withdraw_packaged(&self, generation: GenerationId) -> Result<(), CdnError> {
        self.invalidate(generation, &packaged_prefix(generation)).await
    }
}

impl CloudFrontCdn {
    /// Takes all that is below a prefix out of the edges' caches.
    async fn invalidate(&self, generation: GenerationId, prefix: &str) -> Result<(), CdnError> {
        let path = format!("/{prefix}*");
        let failed = |error: aws_sdk_cloudfront::error::BuildError| CdnError(Box::new(error));
        let paths = Paths::builder().quantity(1).items(path).build().map_err(failed)?;
        // The same reference asks for the same invalidation: a repeat within the minute starts no second one, a later one does.
        let reference = format!("{generation}-{}", now_seconds() / 60);
        let batch = InvalidationBatch::builder().paths(paths).caller_reference(reference).build().map_err(failed)?;
        let request = self.client.create_invalidation().distribution_id(&self.distribution_id).invalidation_batch(batch);
        // Too many at once is an error like others: whoever asked tries again later.
        let sent = request.send().await.map_err(|error| ServiceError::new("CreateInvalidation", error));
        sent.map(drop).map_err(|error| CdnError(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
    use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
    use serde_json::Value;

    const RSA: &str = include_str!("../../tests/cloudfront/rsa.pem");
    const ECDSA: &str = include_str!("../../tests/cloudfront/ec.pem");

    fn vectors() -> Value {
        serde_json::from_str(include_str!("../../tests/cloudfront/vectors.json")).expect("vectors")
    }

    fn text(value: &Value) -> &str {
        value.as_str().expect("a text")
    }

    fn cdn(pem: &str) -> CloudFrontCdn {
        let vectors = vectors();
        let sdk = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::v2026_01_12()).build();
        let options = CloudFrontOptions {
            url: text(&vectors["url"]).to_owned(),
            distribution_id: "E1".into(),
            key_id: text(&vectors["key_id"]).to_owned(),
            private_key_pem: pem.into(),
            endpoint: String::new(),
        };
        CloudFrontCdn::new(&sdk, options).expect("a good key")
    }

    /// What both ways of signing make of the vectors' input.
    fn signed(cdn: &CloudFrontCdn) -> [(SignedPrefix, &'static str); 2] {
        let vectors = vectors();
        let expires_at = vectors["expires_at"].as_u64().expect("a second");
        let generation = text(&vectors["generation"]).parse().expect("an id");
        let playlists = cdn.sign_playlists(text(&vectors["grant"]), expires_at);
        [(cdn.sign(generation, Audience::Link, expires_at), "media"), (playlists, "playlists")]
    }

    fn parameter<'a>(query: &'a str, name: &str) -> &'a str {
        let found: Vec<_> = query.split('&').filter_map(|pair| pair.split_once('=')).filter(|pair| pair.0 == name).collect();
        assert_eq!(found.len(), 1, "{name} in {query}");
        found[0].1
    }

    fn decoded(text: &str) -> Vec<u8> {
        STANDARD.decode(text.replace('-', "+").replace('_', "=").replace('~', "/")).expect("CloudFront's base64")
    }

    #[test]
    fn rsa_signs_as_botocore_does_to_the_byte() {
        let vectors = vectors();
        for (signed, name) in signed(&cdn(RSA)) {
            for parameter_name in ["Policy", "Signature", "Key-Pair-Id"] {
                assert_eq!(parameter(&signed.query, parameter_name), text(&vectors[name][parameter_name]), "{name} {parameter_name}");
            }
            assert_eq!(parameter(&signed.query, "Hash-Algorithm"), "SHA256");
        }
    }

    #[test]
    fn ecdsa_signs_the_same_policy_and_its_public_half_agrees() {
        let vectors = vectors();
        let public = include_str!("../../tests/cloudfront/ec-public.pem");
        let public = SubjectPublicKeyInfoDer::from_pem_slice(public.as_bytes()).expect("a public key");
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, public.as_ref());
        for (signed, name) in signed(&cdn(ECDSA)) {
            assert_eq!(parameter(&signed.query, "Policy"), text(&vectors[name]["Policy"]), "{name}");
            let policy = decoded(parameter(&signed.query, "Policy"));
            assert_eq!(policy, text(&vectors[name]["policy"]).as_bytes());
            key.verify(&policy, &decoded(parameter(&signed.query, "Signature"))).expect("a good signature");
        }
    }

    #[test]
    fn a_policy_opens_one_prefix_or_one_file_until_its_second_and_nothing_else() {
        let (cdn, url) = (cdn(ECDSA), text(&vectors()["url"]).to_owned());
        let [one, other] = [1, 2].map(|id| GenerationId(uuid::Uuid::from_u128(id)));
        let poster = cdn.sign_file(one, Audience::Owner, "poster.jpg", 1_000);
        for (query, resource) in [
            (cdn.sign(one, Audience::Link, 1_000).query, format!("{url}/published/{one}/*")),
            (cdn.sign(other, Audience::Owner, 1_000).query, format!("{url}/published/{other}/*")),
            (poster.split_once('?').expect("a query").1.to_owned(), format!("{url}/published/{one}/poster.jpg")),
            (cdn.sign_playlists("a-grant", 1_000).query, format!("{url}/hls/a-grant/*")),
        ] {
            let policy: Value = serde_json::from_slice(&decoded(parameter(&query, "Policy"))).expect("JSON");
            let condition = serde_json::json!({ "DateLessThan": { "AWS:EpochTime": 1_000 } });
            assert_eq!(policy, serde_json::json!({ "Statement": [{ "Resource": resource, "Condition": condition }] }));
            assert!(resource.starts_with("https://"), "{resource}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_has_expired_goes_first() {
        let cdn = cdn(ECDSA);
        let remember = |from: u64, count: usize| {
            let mut signed = cdn.signed.lock().expect("unpoisoned");
            signed.extend((from..).take(count).map(|second| ((second, "other".to_owned()), String::new())));
        };
        let remembered = || cdn.signed.lock().expect("unpoisoned").len();
        let soon = now_seconds() + 1_000;
        remember(0, 100);
        remember(soon, REMEMBERED - 100);
        let short = cdn.sign_playlists("a-grant", soon);
        assert_eq!(remembered(), REMEMBERED - 99, "what opens nothing any more is gone, the rest and the newest stay");
        assert_eq!(cdn.sign_playlists("a-grant", soon), short);
        remember(soon + 100_000, 99);
        cdn.sign_playlists("another", soon);
        assert_eq!(remembered(), 1, "where nothing has expired, all goes but the newest");
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let shown = format!("{:?}", cdn(ECDSA));
        assert!(shown.contains("ECDSA P-256") && !shown.contains("PRIVATE"), "{shown}");
    }
}
