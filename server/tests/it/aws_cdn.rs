//! CloudFront's signatures, keys and invalidations, against the emulators: an edge that checks what CloudFront checks, in front of a
//! bucket that nobody else may read.

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_sdk_cloudfront::types::{KeyGroupConfig, PublicKeyConfig};
use aws_sdk_s3::{config::Credentials, primitives::ByteStream};
use bytes::Bytes;
use domain::{ids::GenerationId, storage_key::StorageKey};
use server::{
    adapters::{
        aws::sdk_config,
        cloudfront_cdn::{CloudFrontCdn, CloudFrontOptions},
        web::Web,
    },
    clock::now_seconds,
    ports::cdn::{Audience, Cdn},
};
use uuid::Uuid;

use crate::app::noise;

const FILE: &str = "720p/00001.m4s";
const OTHER_KEY: &str = include_str!("../cloudfront/ec.pem");
const OTHER_PUBLIC_KEY: &str = include_str!("../cloudfront/ec-public.pem");

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this by make test-aws"))
}

async fn app_config() -> SdkConfig {
    sdk_config(&variable("AWS_REGION"), &variable("AWS_TEST_ENDPOINT")).await
}

async fn admin() -> aws_sdk_cloudfront::Client {
    let (id, secret) = (variable("AWS_TEST_ADMIN_ACCESS_KEY_ID"), variable("AWS_TEST_ADMIN_SECRET_ACCESS_KEY"));
    let config = aws_sdk_cloudfront::config::Builder::from(&app_config().await)
        .credentials_provider(Credentials::new(id, secret, None, None, "the emulators' root"))
        .build();
    aws_sdk_cloudfront::Client::from_conf(config)
}

async fn cdn(key_id: &str, private_key_pem: String) -> CloudFrontCdn {
    let options = CloudFrontOptions {
        url: variable("MILLRACE_CLOUDFRONT_URL"),
        distribution_id: variable("MILLRACE_CLOUDFRONT_DISTRIBUTION_ID"),
        key_id: key_id.to_owned(),
        private_key_pem: private_key_pem.into(),
        endpoint: variable("AWS_TEST_ENDPOINT"),
    };
    CloudFrontCdn::new(&app_config().await, options).expect("a good key")
}

/// The CDN as the settings have it.
async fn own_cdn() -> CloudFrontCdn {
    let pem = std::fs::read_to_string(variable("MILLRACE_CLOUDFRONT_PRIVATE_KEY_FILE")).expect("the private key");
    cdn(&variable("MILLRACE_CLOUDFRONT_KEY_ID"), pem).await
}

/// Publishes one object, as the app.
async fn publish(generation: GenerationId, bytes: &[u8]) {
    let config = aws_sdk_s3::config::Builder::from(&app_config().await).force_path_style(true).build();
    let key = StorageKey::published(generation, FILE).expect("a good name").to_string();
    let put = aws_sdk_s3::Client::from_conf(config).put_object().bucket(variable("MILLRACE_S3_OUTPUT_BUCKET")).key(key);
    put.body(ByteStream::from(bytes.to_vec())).send().await.expect("published");
}

async fn status(url: &str) -> u16 {
    Web::default().get(url).await.expect("the edge answers").status
}

/// The query of a URL with one parameter's value replaced.
fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let (base, query) = url.split_once('?').expect("a query");
    let pairs: Vec<_> = query.split('&').map(|pair| pair.split_once('=').expect("a pair")).collect();
    assert!(pairs.iter().any(|pair| pair.0 == name), "{name} is not in {query}");
    let pairs: Vec<_> = pairs.iter().map(|pair| format!("{}={}", pair.0, if pair.0 == name { value } else { pair.1 })).collect();
    format!("{base}?{}", pairs.join("&"))
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn a_signature_opens_its_generation_until_it_expires_and_nothing_else() {
    let (cdn, bytes) = (own_cdn().await, noise(100_000));
    let (generation, other) = (GenerationId(Uuid::now_v7()), GenerationId(Uuid::now_v7()));
    publish(generation, &bytes).await;
    publish(other, &bytes).await;
    let soon = now_seconds() + 600;
    let signed = cdn.sign(generation, Audience::Owner, soon);
    let url = signed.url(FILE);

    let answer = Web::default().send("GET", &url, &[("origin", "https://elsewhere.example")], Bytes::new()).await.expect("an answer");
    assert_eq!((answer.status, answer.body.as_ref() == bytes), (200, true), "{}", answer.summary());
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "players stand on other sites");
    let range = Web::default().send("GET", &url, &[("range", "bytes=10-19")], Bytes::new()).await.expect("an answer");
    assert_eq!((range.status, range.body.as_ref()), (206, &bytes[10..20]));

    let (base, query) = url.split_once('?').expect("a query");
    let expired = cdn.sign(generation, Audience::Owner, now_seconds() - 5).query;
    let others = cdn.sign(other, Audience::Owner, soon).query;
    let playlists = cdn.sign_playlists("a-grant", soon).query;
    let signature = others.split('&').find_map(|pair| pair.strip_prefix("Signature=")).expect("a signature").to_owned();
    for (name, bad) in [
        ("unsigned", base.to_owned()),
        ("expired", format!("{base}?{expired}")),
        ("signed for another generation", format!("{base}?{others}")),
        ("signed for playlists", format!("{base}?{playlists}")),
        ("another generation with this signature", format!("{}?{query}", base.replace(&generation.to_string(), &other.to_string()))),
        ("another signature", with_parameter(&url, "Signature", &signature)),
        ("SHA-1", with_parameter(&url, "Hash-Algorithm", "SHA1")),
        ("a key that nobody trusts", with_parameter(&url, "Key-Pair-Id", "K0000000000000")),
    ] {
        assert_eq!(status(&bad).await, 403, "{name}: {bad}");
    }
    let stolen_id = self::cdn(&variable("MILLRACE_CLOUDFRONT_KEY_ID"), OTHER_KEY.to_owned()).await;
    assert_eq!(status(&stolen_id.sign(generation, Audience::Owner, soon).url(FILE)).await, 403, "another private key");
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn while_keys_change_two_of_them_open() {
    let (admin, first) = (admin().await, own_cdn().await);
    let generation = GenerationId(Uuid::now_v7());
    publish(generation, b"segment").await;
    let soon = now_seconds() + 600;
    let before = first.sign(generation, Audience::Link, soon).url(FILE);

    let config = PublicKeyConfig::builder()
        .caller_reference(generation.to_string())
        .name(format!("rotation-{generation}"))
        .encoded_key(OTHER_PUBLIC_KEY)
        .build()
        .expect("a whole request");
    let made = admin.create_public_key().public_key_config(config).send().await.expect("made");
    let new_id = made.public_key().expect("a key").id().to_owned();
    let second = cdn(&new_id, OTHER_KEY.to_owned()).await;
    let after = second.sign(generation, Audience::Link, soon).url(FILE);
    assert_eq!(status(&after).await, 403, "a key that is in no group");

    let old = trust(&admin, |keys| keys.push(new_id.clone())).await;
    assert_eq!(settled(&after, 200).await, 200, "the new key opens");
    assert_eq!(status(&before).await, 200, "and the old one still does");
    trust(&admin, |keys| *keys = old.clone()).await;
    assert_eq!(settled(&after, 403).await, 403, "taken away");
    assert_eq!(status(&before).await, 200);
}

/// Changes which keys the distribution's group holds; gives those before.
async fn trust(admin: &aws_sdk_cloudfront::Client, change: impl FnOnce(&mut Vec<String>)) -> Vec<String> {
    let id = variable("MILLRACE_CLOUDFRONT_DISTRIBUTION_ID");
    let found = admin.get_distribution_config().id(id).send().await.expect("the distribution");
    let behaviour = found.distribution_config().and_then(|config| config.default_cache_behavior()).expect("a behaviour");
    let group = behaviour.trusted_key_groups().expect("key groups").items()[0].clone();
    let found = admin.get_key_group().id(&group).send().await.expect("the group");
    let config = found.key_group().and_then(|group| group.key_group_config()).expect("its keys");
    let old = config.items().to_vec();
    let mut keys = old.clone();
    change(&mut keys);
    let new = KeyGroupConfig::builder().name(config.name()).set_items(Some(keys)).build().expect("a whole request");
    let etag = found.e_tag().unwrap_or_default();
    admin.update_key_group().id(&group).if_match(etag).key_group_config(new).send().await.expect("updated");
    old
}

/// The status, once it is the one expected, or after a while whatever it is: the edge looks at the keys now and then.
async fn settled(url: &str, expected: u16) -> u16 {
    let started = Instant::now();
    loop {
        let status = status(url).await;
        if status == expected || started.elapsed() > Duration::from_secs(60) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn what_is_withdrawn_is_invalidated() {
    let (admin, cdn) = (admin().await, own_cdn().await);
    let generation = GenerationId(Uuid::now_v7());
    cdn.withdraw(generation).await.expect("withdrawn");
    cdn.withdraw(generation).await.expect("and again");
    let distribution = variable("MILLRACE_CLOUDFRONT_DISTRIBUTION_ID");
    let listed = admin.list_invalidations().distribution_id(&distribution).send().await.expect("listed");
    let mut paths = Vec::new();
    for summary in listed.invalidation_list().expect("a list").items() {
        let found = admin.get_invalidation().distribution_id(&distribution).id(summary.id()).send().await.expect("found");
        let batch = found.invalidation().and_then(|invalidation| invalidation.invalidation_batch()).expect("a batch");
        paths.extend(batch.paths().expect("paths").items().to_vec());
    }
    assert!(paths.contains(&format!("/published/{generation}/*")), "{paths:?}");
}

#[tokio::test]
#[ignore = "needs the AWS emulators: make test-aws"]
async fn a_distribution_that_is_not_there_is_an_error_that_says_so() {
    let options = CloudFrontOptions {
        url: "https://d111111abcdef8.cloudfront.net".into(),
        distribution_id: "E00000000000".into(),
        key_id: "K1".into(),
        private_key_pem: OTHER_KEY.into(),
        endpoint: variable("AWS_TEST_ENDPOINT"),
    };
    let cdn = CloudFrontCdn::new(&app_config().await, options).expect("a good key");
    let error = cdn.withdraw(GenerationId(Uuid::now_v7())).await.expect_err("no such distribution").to_string();
    assert!(error.contains("CreateInvalidation") && (error.contains("AccessDenied") || error.contains("NoSuchDistribution")), "{error}");
}
