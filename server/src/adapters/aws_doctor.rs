//! What `doctor` asks of AWS beyond what the ports offer: real probes of each service, each undone again, and a sentence on each that says
//! what is wrong and how to mend it.

pub use aws_config::SdkConfig;
use aws_sdk_s3::config::ProvideCredentials;

use super::check::Check;

pub mod mediaconvert;
pub mod s3;
pub mod sqs;

/// What to do where the credentials may not do something.
const COMPARE_POLICY: &str = "Compare the policy of the credentials with the one in deploy/terraform/app_policy.tf.";

/// What to do about what a service said; `otherwise` where it is not about who asks.
fn mend(said: &str, otherwise: &str) -> String {
    let says = |codes: &[&str]| codes.iter().any(|code| said.contains(code));
    let advice = match () {
        () if says(&["SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidClientTokenId", "UnrecognizedClient", "ExpiredToken"]) => {
            "Renew the credentials: key id and secret belong together, and temporary ones end."
        }
        () if says(&["RequestTimeTooSkewed", "Request has expired", "Signature expired"]) => {
            "Set this machine's clock right (timedatectl set-ntp true)."
        }
        () if says(&["AccessDenied", "Forbidden", "not authorized"]) => COMPARE_POLICY,
        () => otherwise,
    };
    advice.to_owned()
}

/// Whether there are credentials and a region; without them nothing else is worth asking.
pub async fn credentials(sdk: &SdkConfig) -> Check {
    let name = "AWS credentials";
    let Some(region) = sdk.region() else {
        return Check::bad(name, "no region is set", "Set `aws.region` to where the buckets are.");
    };
    let advice = "Give the container or machine a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.";
    match sdk.credentials_provider() {
        Some(provider) => match provider.provide_credentials().await {
            Ok(found) => Check::good(name, format!("{} in {region}", found.access_key_id())),
            Err(error) => Check::bad(name, format!("none were found: {error}"), advice),
        },
        None => Check::bad(name, "none were found", advice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_what_was_said() {
        assert_eq!(mend("GetQueue failed: AccessDeniedException: User is not authorized", "x"), COMPARE_POLICY);
        assert!(mend("PutObject failed: SignatureDoesNotMatch: ...", "x").contains("credentials"));
        assert!(mend("<Code>RequestTimeTooSkewed</Code>", "x").contains("clock"));
        assert_eq!(mend("NoSuchBucket", "Look at the name."), "Look at the name.");
    }
}
