//! TLS to PostgreSQL, asked for by the URL: the certificate is the test server's, made out to `localhost`.

use server::db;

use super::own::{OwnDatabase, ask, postgres};

fn file(variable: &str) -> String {
    std::env::var(variable).expect("scripts/with-postgres.sh names it")
}

#[tokio::test]
async fn the_servers_certificate_is_checked_as_the_url_says() {
    if postgres().is_none() {
        return;
    }
    let (own, folder) = (OwnDatabase::create().await, tempfile::tempdir().expect("a folder"));
    let (right, wrong) = (file("TEST_POSTGRES_CA"), file("TEST_POSTGRES_OTHER_CA"));
    let connect = async |host: &str, tls: String| {
        let mut settings = own.settings();
        settings.url = own.url().replace("127.0.0.1", host).replace("sslmode=disable", &tls).into();
        db::connect(&settings, folder.path()).await
    };
    let encrypted = "SELECT ssl::text FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    for (host, tls) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={right}")),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={right}")),
        ("127.0.0.1", "sslmode=require".to_owned()),
    ] {
        let db = connect(host, tls.clone()).await.unwrap_or_else(|error| panic!("{host} {tls}: {error}"));
        assert_eq!(ask(&db, encrypted).await, ["true"], "{host} {tls}");
    }
    for (host, tls, why) in [
        ("localhost", format!("sslmode=verify-full&sslrootcert={wrong}"), "UnknownIssuer"),
        ("localhost", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={right}"), "not valid for name"),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={wrong}"), "UnknownIssuer"),
    ] {
        let error = connect(host, tls.clone()).await.expect_err(&tls).to_string();
        assert!(error.contains(why), "{host} {tls}: {error}");
    }
}
