//! What `doctor` asks of this adapter: does CloudFront trust the key that we sign with, and does it deliver what is signed and nothing else?

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm};
use aws_sdk_cloudfront::types::{Distribution, DistributionConfig, TrustedKeyGroups};
use domain::ids::GenerationId;
use rustls_pki_types::{SubjectPublicKeyInfoDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};

use super::{CloudFrontCdn, key::SigningKey};
use crate::{
    adapters::{aws::ServiceError, check::Check, web::Web},
    clock::now_seconds,
    config::each_secret,
    ports::cdn::{Audience, Cdn},
};

/// Playlists are asked for below this path.
const PLAYLISTS: &str = "/hls/*";
/// The header by which the app knows the distribution.
const ORIGIN_HEADER: &str = "x-millrace-origin";
/// How long the probes' URLs are good for, in seconds.
const LIFETIME: u64 = 300;
const TERRAFORM: &str = "deploy/terraform/cloudfront.tf has it as it should be.";
const KEY_ADVICE: &str = "Take `cloudfront.key_id` from `terraform output`, and the private key that belongs to it.";

impl CloudFrontCdn {
    /// Looks at key, distribution and delivery. `published` is an object in the output bucket with these bytes.
    pub async fn check(&self, web: &Web, published: Option<(GenerationId, &str, &[u8])>, secret: &SecretString) -> Vec<Check> {
        let mut checks = vec![self.own_signature()];
        match self.distribution().await {
            Ok(distribution) => {
                checks.push(self.address(&distribution));
                if let Some(config) = distribution.distribution_config() {
                    checks.push(self.trust(config).await);
                    checks.push(playlist_origin(config, secret));
                }
            }
            Err(refused) => checks.push(refused),
        }
        if let Some((generation, file, bytes)) = published {
            checks.push(self.delivery(web, generation, file, bytes).await);
        }
        checks.push(self.playlists(web).await);
        checks
    }

    /// Signs and verifies with the two halves of our own key.
    fn own_signature(&self) -> Check {
        let algorithm: &dyn VerificationAlgorithm = match self.key {
            SigningKey::Ecdsa(_) => &ECDSA_P256_SHA256_ASN1,
            SigningKey::Rsa(_) => &RSA_PKCS1_2048_8192_SHA256,
        };
        let message = b"millrace doctor";
        let verified =
            self.key.public_der().and_then(|public| UnparsedPublicKey::new(algorithm, public).verify(message, &self.key.sign(message)?));
        match verified {
            Ok(()) => Check::good("signing key", format!("{}, signs and verifies", self.key.kind())),
            Err(_) => Check::bad("signing key", "its two halves do not belong together", "Make a new key pair; docs/on-aws.md says how."),
        }
    }

    async fn distribution(&self) -> Result<Distribution, Check> {
        let name = "distribution";
        let asked = self.client.get_distribution().id(&self.distribution_id).send().await;
        match asked.map_err(|error| ServiceError::new("GetDistribution", error)) {
            Ok(found) => found.distribution.ok_or_else(|| Check::bad(name, "CloudFront says nothing about it", "Try again.")),
            Err(error) if error.code.as_deref() == Some("AccessDenied") => Err(Check::note(
                name,
                format!("its key group could not be looked at: {error}"),
                "Allow cloudfront:GetDistribution, GetKeyGroup and GetPublicKey to have it checked.",
            )),
            Err(error) => Err(Check::bad(name, error.to_string(), "Look at `cloudfront.distribution_id`.")),
        }
    }

    fn address(&self, distribution: &Distribution) -> Check {
        let name = "distribution";
        let host = self.url.split("://").nth(1).unwrap_or_default();
        let aliases = distribution.distribution_config().and_then(|config| config.aliases()).map(|aliases| aliases.items().to_vec());
        let enabled = distribution.distribution_config().is_some_and(DistributionConfig::enabled);
        if !enabled {
            return Check::bad(name, "it is switched off", "Enable it in the CloudFront console.");
        }
        if distribution.domain_name() != host && !aliases.unwrap_or_default().iter().any(|alias| alias == host) {
            let detail = format!("`cloudfront.url` is {}, and its name is {}", self.url, distribution.domain_name());
            return Check::note(name, detail, "Fine where a name of your own leads there; else set `cloudfront.url` to it.");
        }
        match distribution.status() {
            "Deployed" => Check::good(name, format!("{} is deployed", self.distribution_id)),
            status => Check::note(name, format!("{} is {status}", self.distribution_id), "Changes take some minutes to reach all places."),
        }
    }

    /// Whether every behaviour trusts a key group with our key, and the key there is ours.
    async fn trust(&self, config: &DistributionConfig) -> Check {
        let name = "key group";
        let playlists = config.cache_behaviors().map(|behaviours| behaviours.items()).unwrap_or_default();
        let playlists = playlists.iter().find(|behaviour| is_playlists(behaviour.path_pattern()));
        let media = config.default_cache_behavior().and_then(|behaviour| behaviour.trusted_key_groups());
        for (what, groups) in [("media", media), ("playlists", playlists.and_then(|behaviour| behaviour.trusted_key_groups()))] {
            match self.is_in(groups).await {
                Ok(true) => {}
                Ok(false) => {
                    let detail = format!("the key {} is in no key group that is trusted for {what}", self.key_id);
                    return Check::bad(name, detail, format!("Add it to the group, or: {KEY_ADVICE}"));
                }
                Err(refused) => return refused,
            }
        }
        self.same_key().await
    }

    async fn is_in(&self, groups: Option<&TrustedKeyGroups>) -> Result<bool, Check> {
        for id in groups.filter(|groups| groups.enabled()).map(TrustedKeyGroups::items).unwrap_or_default() {
            let asked = self.client.get_key_group().id(id).send().await.map_err(|error| ServiceError::new("GetKeyGroup", error));
            let found =
                asked.map_err(|error| Check::note("key group", error.to_string(), "Allow cloudfront:GetKeyGroup to have it checked."))?;
            if found.key_group().and_then(|group| group.key_group_config()).is_some_and(|config| config.items().contains(&self.key_id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the public key that CloudFront has under our id is the other half of the private one here.
    async fn same_key(&self) -> Check {
        let name = "key group";
        let asked = self.client.get_public_key().id(&self.key_id).send().await.map_err(|error| ServiceError::new("GetPublicKey", error));
        let found = match asked {
            Ok(found) => found,
            Err(error) => return Check::note(name, error.to_string(), "Allow cloudfront:GetPublicKey to have it checked."),
        };
        let pem = found.public_key().and_then(|key| key.public_key_config()).map(|config| config.encoded_key().to_owned());
        let theirs = SubjectPublicKeyInfoDer::from_pem_slice(pem.unwrap_or_default().as_bytes());
        match (theirs, self.key.public_der()) {
            (Ok(theirs), Ok(ours)) if theirs.as_ref() == ours => {
                Check::good(name, format!("{} is trusted for media and playlists, and is the half of our key", self.key_id))
            }
            _ => Check::bad(name, format!("{} is not the public half of the private key here", self.key_id), KEY_ADVICE),
        }
    }

    /// Fetches the published object, with a signature and without.
    async fn delivery(&self, web: &Web, generation: GenerationId, file: &str, bytes: &[u8]) -> Check {
        let name = "delivery";
        let signed = self.sign(generation, Audience::Owner, now_seconds() + LIFETIME);
        match web.get(&signed.url(file)).await {
            Ok(answer) if answer.status == 200 && answer.body == bytes => {}
            Ok(answer) => {
                let advice = match answer.status {
                    403 => {
                        "Either CloudFront does not trust the key, or the bucket's policy does not let this distribution read (origin access control)."
                    }
                    _ => "Look at the distribution's origin and default behaviour.",
                };
                return Check::bad(name, format!("a signed URL is answered with {}", answer.summary()), format!("{advice} {TERRAFORM}"));
            }
            Err(error) => {
                return Check::bad(name, format!("cannot reach {}: {error}", self.url), "Look at `cloudfront.url` and at the network.");
            }
        }
        match web.get(&format!("{}{file}", signed.base)).await {
            Ok(answer) if answer.status == 403 => Check::good(name, "a signed URL delivers, an unsigned one does not"),
            Ok(answer) => {
                let detail = format!("an unsigned URL is answered with {}: private videos are open", answer.status);
                Check::bad(name, detail, format!("Restrict the default behaviour to the key group. {TERRAFORM}"))
            }
            Err(error) => Check::bad(name, error.to_string(), "Try again."),
        }
    }

    /// Asks for a playlist that nobody has: the app's own refusal shows that the way to it works.
    async fn playlists(&self, web: &Web) -> Check {
        let name = "playlists";
        let url = self.sign_playlists("doctor", now_seconds() + LIFETIME).url("index.m3u8");
        let answer = match web.get(&url).await {
            Ok(answer) => answer,
            Err(error) => {
                return Check::bad(name, format!("cannot reach {}: {error}", self.url), "Look at `cloudfront.url` and at the network.");
            }
        };
        let text = answer.text();
        match answer.status {
            _ if text.contains("grant_refused") => Check::good(name, "the distribution reaches the app and is known to it"),
            404 if text.contains("not_found") => Check::bad(
                name,
                "the app does not know the distribution",
                format!("Set `cloudfront.origin_secret` to what the distribution sends in {ORIGIN_HEADER}."),
            ),
            502..=504 => Check::note(
                name,
                format!("the distribution does not reach the app now ({})", answer.status),
                "Start `millrace serve` where the distribution's second origin points to, then ask again.",
            ),
            _ => Check::bad(
                name,
                format!("the distribution answers with {}", answer.summary()),
                format!("Its behaviour for {PLAYLISTS} has to lead to the app and to trust the key group. {TERRAFORM}"),
            ),
        }
    }
}

fn is_playlists(pattern: &str) -> bool {
    pattern.trim_start_matches('/') == PLAYLISTS.trim_start_matches('/')
}

/// Whether playlists have an origin that shows our secret.
fn playlist_origin(config: &DistributionConfig, secret: &SecretString) -> Check {
    let name = "playlists' origin";
    let behaviours = config.cache_behaviors().map(|behaviours| behaviours.items()).unwrap_or_default();
    let Some(behaviour) = behaviours.iter().find(|behaviour| is_playlists(behaviour.path_pattern())) else {
        return Check::bad(name, format!("the distribution has no behaviour for {PLAYLISTS}"), TERRAFORM);
    };
    let origins = config.origins().map(|origins| origins.items()).unwrap_or_default();
    let Some(origin) = origins.iter().find(|origin| origin.id() == behaviour.target_origin_id()) else {
        return Check::bad(name, format!("the behaviour for {PLAYLISTS} has no origin"), TERRAFORM);
    };
    let headers = origin.custom_headers().map(|headers| headers.items()).unwrap_or_default();
    let sent = headers.iter().find(|header| header.header_name().eq_ignore_ascii_case(ORIGIN_HEADER)).map(|header| header.header_value());
    let address = origin.domain_name();
    match (sent, secret.expose_secret()) {
        (Some(sent), secrets) if each_secret(secrets).any(|secret| secret == sent) => {
            Check::good(name, format!("{address}, which is shown the secret"))
        }
        (None, "") => Check::note(
            name,
            format!("{address}; no secret is set, so playlists are served to whoever asks the app itself"),
            "Set `cloudfront.origin_secret` and the same in the distribution.",
        ),
        (Some(_), _) => Check::bad(
            name,
            format!("{address} is shown another secret than ours"),
            "Set `cloudfront.origin_secret` to the distribution's.",
        ),
        (None, _) => {
            Check::bad(name, format!("{address} is shown no secret"), format!("Add the header {ORIGIN_HEADER} to the origin. {TERRAFORM}"))
        }
    }
}
