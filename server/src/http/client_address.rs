//! The address a request came from: the socket's, unless a proxy that the settings trust says otherwise.
//!
//! Everybody can write a forwarding header, so it is read from the right, where our own proxies append, and only as far as they are trusted: the
//! first address that is none of theirs is the client's. One header is believed, the one that the settings name: a proxy that writes one of them
//! passes on whatever somebody wrote into the other.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{
    extract::{ConnectInfo, FromRef, FromRequestParts},
    http::{HeaderMap, HeaderValue, header, request::Parts},
};

use super::AppState;
use crate::config::{ForwardingHeader, HttpSettings};

/// Entries of a forwarding header that are looked at: no chain of proxies is longer.
const LONGEST_CHAIN: usize = 32;

/// The address a request came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The address behind a request with these parts.
    pub fn of(parts: &Parts, settings: &HttpSettings) -> Self {
        let socket = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
        Self(resolve(socket.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_canonical(), &parts.headers, settings))
    }
}

impl<S> FromRequestParts<S> for ClientAddress
where
    S: Send + Sync,
    AppState: FromRef<S>,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(parts, &AppState::from_ref(state).settings.http))
    }
}

fn resolve(socket: IpAddr, headers: &HeaderMap, settings: &HttpSettings) -> IpAddr {
    let trusted = |address: IpAddr| settings.trusted_proxies.contains(address);
    let mut known = socket;
    if !trusted(socket) {
        return socket;
    }
    for entry in entries(headers, settings.client_address_header).iter().rev().take(LONGEST_CHAIN) {
        // A proxy that does not say where it has it from is as far as we can see.
        let Some(address) = entry else { return known };
        known = *address;
        if !trusted(known) {
            return known;
        }
    }
    known
}

/// What the header says, from the client's end to ours; several lines of it are one list.
fn entries(headers: &HeaderMap, header: ForwardingHeader) -> Vec<Option<IpAddr>> {
    // Bytes that are no text spoil the entry they stand in, never what our proxies append to it.
    let text = |line: &HeaderValue| String::from_utf8_lossy(line.as_bytes()).into_owned();
    let lines = |name: header::HeaderName| headers.get_all(name).iter().map(text).collect::<Vec<_>>().join(",");
    match header {
        ForwardingHeader::XForwardedFor => {
            lines(header::HeaderName::from_static("x-forwarded-for")).split(',').map(|entry| address(entry.trim())).collect()
        }
        ForwardingHeader::Forwarded => lines(header::FORWARDED).split(',').map(forwarded_for).collect(),
    }
}

/// The `for=` of an element of `Forwarded` (RFC 7239).
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    let (_, node) = pairs.find(|(name, _)| name.eq_ignore_ascii_case("for"))?;
    address(node.trim_matches('"'))
}

/// An address, with or without port and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn seen(proxies: &str, header: &str, socket: &str, lines: &[(&'static str, &'static str)]) -> String {
        let variables = [("MILLRACE_HTTP_TRUSTED_PROXIES", proxies), ("MILLRACE_HTTP_CLIENT_ADDRESS_HEADER", header)];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Settings::from_layers(None, &variables).expect("settings");
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).expect("a header"));
        }
        resolve(socket.parse().expect("an address"), &headers, &settings.http).to_string()
    }

    #[test]
    fn nobody_is_believed_unless_trusted() {
        let forged = [("x-forwarded-for", "203.0.113.9"), ("forwarded", "for=203.0.113.9")];
        assert_eq!(seen("", "x-forwarded-for", "198.51.100.7", &forged), "198.51.100.7");
        assert_eq!(seen("10.0.0.0/8", "x-forwarded-for", "198.51.100.7", &forged), "198.51.100.7");
        assert_eq!(seen("", "forwarded", "127.0.0.1", &forged), "127.0.0.1");
    }

    #[test]
    fn the_right_most_untrusted_entry_is_the_client() {
        let x = |lines: &[(&'static str, &'static str)]| seen("10.0.0.0/8,::1", "x-forwarded-for", "10.0.0.1", lines);
        assert_eq!(x(&[("x-forwarded-for", "203.0.113.9")]), "203.0.113.9");
        assert_eq!(x(&[("x-forwarded-for", "1.2.3.4, 203.0.113.9, 10.9.9.9")]), "203.0.113.9");
        assert_eq!(x(&[("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "203.0.113.9:4711")]), "203.0.113.9");
        assert_eq!(x(&[("x-forwarded-for", "10.1.1.1, 10.2.2.2")]), "10.1.1.1");
        assert_eq!(x(&[("x-forwarded-for", "203.0.113.9, unknown, 10.2.2.2")]), "10.2.2.2");
        assert_eq!(x(&[("x-forwarded-for", "::ffff:203.0.113.9")]), "203.0.113.9");
        assert_eq!(x(&[("x-forwarded-for", "[2001:db8::7]:4711")]), "2001:db8::7");
        assert_eq!(x(&[("x-forwarded-for", "\u{e4}\u{f6}, 203.0.113.9")]), "203.0.113.9", "what the client wrote hides nothing");
        assert_eq!(x(&[("x-forwarded-for", "203.0.113.9, ")]), "10.0.0.1");
        assert_eq!(x(&[("forwarded", "for=203.0.113.9")]), "10.0.0.1", "the other header is nobody's");
        assert_eq!(x(&[]), "10.0.0.1");
    }

    #[test]
    fn the_standard_header_is_read_as_well() {
        let f = |line: &'static str| seen("10.0.0.0/8", "forwarded", "10.0.0.1", &[("forwarded", line)]);
        assert_eq!(f("for=1.2.3.4, For=\"[2001:db8::7]:4711\";proto=https, for=10.4.4.4;by=10.0.0.1"), "2001:db8::7");
        assert_eq!(f("for=_hidden"), "10.0.0.1");
        assert_eq!(f("proto=https"), "10.0.0.1");
        assert_eq!(f("for=\"1.2.3.4, for=203.0.113.9"), "203.0.113.9", "a quote that the client left open hides nothing");
    }
}
