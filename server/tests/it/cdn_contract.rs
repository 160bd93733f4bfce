//! The contract of [`Cdn`], as one suite that every adapter passes.

use aws_config::{BehaviorVersion, SdkConfig};
use domain::ids::{GenerationId, GrantId};
use server::{
    adapters::{
        cloudfront_cdn::{CloudFrontCdn, CloudFrontOptions},
        origin_cdn::OriginCdn,
    },
    ports::cdn::{Audience, Cdn, SignedPrefix},
};
use uuid::Uuid;

const GRANT: &str = "AQEAAAAAazR0AGFiY2RlZmdoaWpr_-";
const EXPIRES_AT: u64 = 1_798_761_600;

/// A base that ends in a slash and needs no escapes, a query that stays one.
fn is_well_formed(signed: &SignedPrefix) {
    let (scheme, rest) = signed.base.split_once("://").expect("an absolute URL");
    assert!(["http", "https"].contains(&scheme) && rest.ends_with('/') && !rest.contains("//"), "{}", signed.base);
    for text in [&signed.base, &signed.query] {
        // Playlists and HTML hold them as they are.
        assert!(text.is_ascii() && !text.contains([' ', '"', '\'', '<', '>', '#', '?', '*', '+', '\n']), "{text}");
    }
    let file = "720p/00001.m4s";
    assert_eq!(signed.url(file), format!("{}{}", signed.base, signed.relative(file)));
    match signed.query.as_str() {
        "" => assert_eq!(signed.relative(file), file),
        query => assert_eq!(signed.relative(file), format!("{file}?{query}")),
    }
}

fn the_same_input_gives_the_same_output(cdn: &dyn Cdn, generation: GenerationId) {
    let media = |generation, expires_at| cdn.sign(generation, Audience::Link, expires_at);
    let first = media(generation, EXPIRES_AT);
    is_well_formed(&first);
    assert!(first.base.contains(&generation.to_string()) && !first.query.is_empty(), "{first:?}");
    // In between there is other work.
    let other = GenerationId(Uuid::now_v7());
    let (later, elsewhere) = (media(generation, EXPIRES_AT + 3_600), media(other, EXPIRES_AT));
    assert_eq!(media(generation, EXPIRES_AT), first, "browsers could not cache");
    assert_eq!(later.base, first.base);
    assert_ne!(later.query, first.query);
    assert_ne!(elsewhere.base, first.base);
    assert_ne!(elsewhere.query, first.query, "what opens one generation opens no other");
}

fn playlists_are_signed_by_their_grant(cdn: &dyn Cdn) {
    let first = cdn.sign_playlists(GRANT, EXPIRES_AT);
    is_well_formed(&first);
    assert!(first.base.ends_with(&format!("/hls/{GRANT}/")), "{}", first.base);
    let other = cdn.sign_playlists("another", EXPIRES_AT);
    assert_ne!(other, first);
    assert!(other.query.is_empty() || other.query != first.query, "what opens one grant's playlists opens no other's");
    assert_eq!(cdn.sign_playlists(GRANT, EXPIRES_AT), first);
}

/// Whoever lets media requests through us opens exactly what it signed; whoever does not opens nothing.
fn requests_are_verified_or_never_come(cdn: &dyn Cdn, generation: GenerationId) {
    let name = generation.to_string();
    for audience in [Audience::Owner, Audience::Link, Audience::Named(GrantId(Uuid::now_v7()))] {
        let query = cdn.sign(generation, audience, EXPIRES_AT).query;
        if let Some(verified) = cdn.verify(&name, "poster.jpg", &query, EXPIRES_AT) {
            assert_eq!((verified.generation, verified.audience), (generation, audience));
        }
        assert_eq!(cdn.verify(&name, "poster.jpg", &query, EXPIRES_AT + 1), None, "expired");
        assert_eq!(cdn.verify(&Uuid::now_v7().to_string(), "poster.jpg", &query, 0), None, "another generation");
        assert_eq!(cdn.verify(&name, "../poster.jpg", &query, 0), None, "outside");
    }
    assert_eq!(cdn.verify(&name, "poster.jpg", "", 0), None);
}

/// A poster's address is shown to more people, and for longer, than the video's: it must not open the rest.
fn a_file_can_be_signed_alone(cdn: &dyn Cdn, generation: GenerationId) {
    let url = cdn.sign_file(generation, Audience::Link, "poster.jpg", EXPIRES_AT);
    let all = cdn.sign(generation, Audience::Link, EXPIRES_AT);
    let (address, query) = url.split_once('?').expect("a query");
    assert_eq!(address, format!("{}poster.jpg", all.base));
    assert_ne!(query, all.query);
    assert_eq!(cdn.sign_file(generation, Audience::Link, "poster.jpg", EXPIRES_AT), url);
    let name = generation.to_string();
    if let Some(verified) = cdn.verify(&name, "poster.jpg", query, EXPIRES_AT) {
        assert_eq!(verified.key.content_type(), "image/jpeg");
    }
    assert_eq!(cdn.verify(&name, "720p/00001.m4s", query, EXPIRES_AT), None, "another file");
    assert_eq!(cdn.verify(&name, "poster.jpg", query, EXPIRES_AT + 1), None, "expired");
}

fn keeps_the_contract(cdn: &dyn Cdn) {
    let generation = GenerationId(Uuid::now_v7());
    a_file_can_be_signed_alone(cdn, generation);
    the_same_input_gives_the_same_output(cdn, generation);
    playlists_are_signed_by_their_grant(cdn);
    requests_are_verified_or_never_come(cdn, generation);
}

#[tokio::test]
async fn origin_cdn_keeps_the_contract() {
    let cdn = OriginCdn::new("https://v.example".into(), b"secret".to_vec().into());
    keeps_the_contract(&cdn);
    let generation = GenerationId(Uuid::now_v7());
    for _ in 0..2 {
        cdn.withdraw(generation).await.expect("harmless");
    }
    let query = cdn.sign(generation, Audience::Owner, EXPIRES_AT).query;
    assert!(cdn.verify(&generation.to_string(), "poster.jpg", &query, EXPIRES_AT).is_some(), "its media pass through us");
}

#[test]
fn cloudfront_cdn_keeps_the_contract_with_either_kind_of_key() {
    for pem in [include_str!("../cloudfront/ec.pem"), include_str!("../cloudfront/rsa.pem")] {
        let options = CloudFrontOptions {
            url: "https://d111111abcdef8.cloudfront.net".into(),
            distribution_id: "E1".into(),
            key_id: "K1".into(),
            private_key_pem: pem.into(),
            endpoint: String::new(),
        };
        // Signing asks nobody, so there is nobody to be reached.
        let sdk = SdkConfig::builder().behavior_version(BehaviorVersion::v2026_01_12()).build();
        keeps_the_contract(&CloudFrontCdn::new(&sdk, options).expect("a good key"));
    }
}
