//! MediaConvert: what can be asked without paying for an encode. That it may take on its role (`iam:PassRole`), and what that role may do,
//! shows with the first real job only; `doctor --upload` makes one.

use aws_config::SdkConfig;
use aws_sdk_mediaconvert::{
    Client,
    config::Builder,
    types::{ProbeInputFile, QueueStatus},
};

use super::mend;
use crate::adapters::{aws::ServiceError, check::Check};

/// What is probed.
#[derive(Debug, Clone, Copy)]
pub struct MediaConvertProbe<'a> {
    /// The role that MediaConvert takes on.
    pub role_arn: &'a str,
    /// Its queue.
    pub queue_arn: &'a str,
    /// Base URL, or empty.
    pub endpoint: &'a str,
    /// A clip in the input bucket, as `s3:` URL, if there is one.
    pub clip_url: Option<&'a str>,
}

impl MediaConvertProbe<'_> {
    /// Asks for everything that costs nothing.
    pub async fn check(&self, sdk: &SdkConfig) -> Vec<Check> {
        let mut config = Builder::from(sdk);
        if !self.endpoint.is_empty() {
            config = config.endpoint_url(self.endpoint);
        }
        let client = Client::from_conf(config.build());
        let mut checks = vec![self.arns(sdk.region().map(AsRef::as_ref).unwrap_or_default())];
        checks.push(self.queue(&client).await);
        checks.push(self.jobs(&client).await);
        if let Some(url) = self.clip_url {
            checks.push(probe(&client, url).await);
        }
        checks
    }

    /// Whether the two names can be what they should be, and go together.
    fn arns(&self, region: &str) -> Check {
        let name = "MediaConvert's role";
        let role: Vec<&str> = self.role_arn.splitn(6, ':').collect();
        let queue: Vec<&str> = self.queue_arn.splitn(6, ':').collect();
        let (["arn", _, "iam", "", role_account, role_name], ["arn", _, "mediaconvert", queue_region, queue_account, queue_name]) =
            (role.as_slice(), queue.as_slice())
        else {
            return Check::bad(name, "the settings hold no ARNs of a role and a queue", "Take both from `terraform output`.");
        };
        if !role_name.starts_with("role/") || !queue_name.starts_with("queues/") {
            return Check::bad(
                name,
                "the settings hold ARNs of other things than a role and a queue",
                "Take both from `terraform output`.",
            );
        }
        if role_account != queue_account {
            let detail = format!("the role is of the account {role_account}, the queue of {queue_account}");
            return Check::bad(name, detail, "Use a role of the account that the jobs run in.");
        }
        if *queue_region != region {
            let detail = format!("the queue is in {queue_region}, the settings say {region}");
            return Check::bad(name, detail, "Set `aws.region` to where the queue and the buckets are.");
        }
        Check::note(
            name,
            format!("{} is well-formed", self.role_arn),
            "That it may be handed over (iam:PassRole) and reach the buckets is shown by a job alone: `millrace doctor --upload` makes one.",
        )
    }

    async fn queue(&self, client: &Client) -> Check {
        let name = "MediaConvert's queue";
        let queue = self.queue_arn.rsplit('/').next().unwrap_or_default();
        match client.get_queue().name(queue).send().await {
            Ok(found) => match found.queue().and_then(|queue| queue.status()) {
                Some(QueueStatus::Paused) => Check::bad(name, format!("{queue} is paused"), "Resume it in the MediaConvert console."),
                _ => Check::good(name, format!("{queue} is there")),
            },
            Err(error) => refused(name, &ServiceError::new("GetQueue", error)),
        }
    }

    async fn jobs(&self, client: &Client) -> Check {
        let name = "MediaConvert's jobs";
        let queue = self.queue_arn.rsplit('/').next().unwrap_or_default();
        match client.list_jobs().queue(queue).max_results(1).send().await {
            Ok(_) => Check::good(name, "they can be listed"),
            Err(error) => refused(name, &ServiceError::new("ListJobs", error)),
        }
    }
}

/// Lets MediaConvert look at the clip.
async fn probe(client: &Client, url: &str) -> Check {
    let name = "MediaConvert's probe";
    match client.probe().input_files(ProbeInputFile::builder().file_url(url).build()).send().await {
        Ok(answer) if !answer.probe_results().is_empty() => Check::good(name, "it read the test clip from the input bucket"),
        Ok(_) => Check::bad(name, "it said nothing about the test clip", "Try again; if it stays so, look into CloudTrail for why."),
        // It reads with our own right to the object.
        Err(error) => refused(name, &ServiceError::new("Probe", error)),
    }
}

fn refused(name: &'static str, error: &ServiceError) -> Check {
    let said = error.to_string();
    let advice = mend(&said, "Look at `mediaconvert.queue_arn`, at `aws.region`, and whether this machine reaches MediaConvert.");
    Check::bad(name, said, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_and_a_queue_that_do_not_go_together_are_told() {
        let role = "arn:aws:iam::123456789012:role/millrace-mediaconvert";
        let queue = "arn:aws:mediaconvert:eu-central-1:123456789012:queues/millrace";
        let check = |role_arn, queue_arn, region| MediaConvertProbe { role_arn, queue_arn, endpoint: "", clip_url: None }.arns(region);
        assert!(check(role, queue, "eu-central-1").ok);
        for (role, queue, region, mention) in [
            (queue, queue, "eu-central-1", "no ARNs"),
            ("arn:aws:iam::123456789012:user/me", queue, "eu-central-1", "other things"),
            ("arn:aws:iam::210987654321:role/r", queue, "eu-central-1", "account"),
            (role, queue, "us-east-1", "eu-central-1"),
        ] {
            let found = check(role, queue, region);
            assert!(!found.ok && found.detail.contains(mention), "{found:?}");
        }
    }
}
