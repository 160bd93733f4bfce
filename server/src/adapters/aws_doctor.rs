//! What `doctor` asks of AWS beyond what the ports offer: real probes of each service, each undone again, and a sentence on each that says
//! what is wrong and how to mend it.

pub mod mediaconvert;
pub mod s3;
pub mod sqs;

/// What to do where the credentials may not do something.
const COMPARE_POLICY: &str = "Compare the policy of the credentials with the one in deploy/terraform/app_policy.tf.";
