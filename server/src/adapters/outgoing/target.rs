//! What a URL may point to. It is taken apart here, strictly, and put together anew from the parts, so that whoever connects reads it as the
//! check did.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a URL is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a plain `http:` or `https:` URL.
    #[error("it is not a plain http or https URL")]
    Form,
    /// A port that is not for the web.
    #[error("its port is not one for the web")]
    Port,
    /// A name or address of this machine or of a private network.
    #[error("it leads to this machine or to a private network")]
    Private,
    /// A redirect from `https:` to `http:`.
    #[error("it redirects from https to http")]
    Downgrade,
}

/// A host as it stands in a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

/// A URL, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) https: bool,
    pub(super) host: Host,
    port: u16,
    /// Path and query.
    path: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, Refused> {
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'}' | b'|');
        if url.len() > 2_048 || !url.bytes().all(plain) {
            return Err(Refused::Form);
        }
        let (scheme, rest) = url.split_once("://").ok_or(Refused::Form)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(Refused::Form),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority)?;
        let port = match port {
            Some(port) => port.parse().map_err(|_| Refused::Form)?,
            None => {
                if https {
                    443
                } else {
                    80
                }
            }
        };
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { https, host, port, path })
    }

    /// Where a redirect from here leads.
    pub(super) fn join(&self, location: &str) -> Result<Self, Refused> {
        let scheme = if self.https { "https" } else { "http" };
        let absolute = location.split(['/', '?', '#']).next().is_some_and(|start| start.contains(':'));
        let next = if absolute {
            Self::parse(location)?
        } else if location.starts_with("//") {
            Self::parse(&format!("{scheme}:{location}"))?
        } else {
            let folder = self.path.split('?').next().and_then(|path| path.rsplit_once('/')).map_or("", |(folder, _)| folder);
            let path = if location.starts_with('/') { location.to_owned() } else { format!("{folder}/{location}") };
            Self::parse(&format!("{scheme}://{}{path}", self.authority()))?
        };
        if self.https && !next.https {
            return Err(Refused::Downgrade);
        }
        Ok(next)
    }

    /// The URL anew.
    pub(super) fn url(&self) -> String {
        format!("{}://{}{}", if self.https { "https" } else { "http" }, self.authority(), self.path)
    }

    fn authority(&self) -> String {
        let host = match &self.host {
            Host::Name(name) => name.clone(),
            Host::Address(IpAddr::V4(address)) => address.to_string(),
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
        };
        let usual = if self.https { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Refuses what is not for the public: names of this machine and of local networks, and ports of other services than the web's. Addresses
    /// are looked at when they are known.
    pub(super) fn check_public(&self) -> Result<(), Refused> {
        if let Host::Name(name) = &self.host {
            let local = |end: &str| name == end || name.strip_suffix(end).is_some_and(|start| start.ends_with('.'));
            if !name.contains('.') || ["localhost", "local", "internal", "home.arpa"].into_iter().any(local) {
                return Err(Refused::Private);
            }
        }
        if matches!(self.port, 80 | 443 | 1024..) { Ok(()) } else { Err(Refused::Port) }
    }
}

/// A host and, where it is said, a port. What is not exactly a name, an IPv4 address of four decimal numbers or an IPv6 address in brackets
/// is refused: users, zones, and addresses written as one number, in octal or in hexadecimal.
fn host_and_port(authority: &str) -> Result<(Host, Option<&str>), Refused> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(Refused::Form)?;
        let address: Ipv6Addr = address.parse().map_err(|_| Refused::Form)?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(Refused::Form)?) };
        return Ok((Host::Address(address.into()), port));
    }
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok((Host::Address(address.into()), port));
    }
    let label = |label: &str| {
        !label.is_empty() && label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    if host.len() > 253 || number || !host.split('.').all(label) {
        return Err(Refused::Form);
    }
    Ok((Host::Name(host.to_ascii_lowercase()), port))
}

/// Whether an address is one of the public internet (IANA's registries of special-purpose addresses).
pub(super) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [0 | 10 | 127 | 224.., ..] => true,
        [100, second, ..] => (64..128).contains(&second),
        // Where Azure's machines find their host, though the address looks public.
        [168, 63, 129, 16] => true,
        [169, 254, ..] | [192, 168, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        [172, second, ..] => (16..32).contains(&second),
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        _ => false,
    };
    !special
}

/// Global unicast alone, and of that none that carries an IPv4 address (6to4, Teredo), is for documents or for tests. Mapped and translated
/// IPv4 addresses, local ones and the metadata services of clouds lie outside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let special = match (first, second) {
        (0x2001, second) => second < 0x0200 || second == 0x0db8,
        (0x2002, _) => true,
        (0x3fff, second) => second < 0x1000,
        _ => false,
    };
    (0x2000..0x4000).contains(&first) && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_strictly() {
        for good in
            ["http://example.com/", "https://Example.com:8443/a?b=c#d", "http://93.184.216.34/x", "http://[2606:2800::1]/", "https://a.b?c"]
        {
            let target = Target::parse(good).unwrap_or_else(|refused| panic!("{good}: {refused}"));
            assert_eq!(Target::parse(&target.url()), Ok(target), "{good}");
        }
        for bad in [
            "ftp://example.com/",
            "file:///etc/passwd",
            "gopher://example.com/",
            "javascript:alert(1)",
            "//example.com/",
            "example.com",
            "",
            "http://",
            "http:///x",
            "http://user@example.com/",
            "http://user:word@example.com/",
            "http://example.com@127.0.0.1/",
            "http://example.com\\@127.0.0.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1.5/",
            "http://example.com./",
            "http://localhost./",
            "http://[::1%25lo]/",
            "http://[::1",
            "http://[127.0.0.1]/",
            "http://exa mple.com/",
            "http://ex\u{e4}mple.com/",
            "http://example.com:99999/",
            "http://example.com:/",
            "http://a..b/",
            "http://%31%32%37.0.0.1/",
            "http://\u{2460}\u{2461}\u{2466}.0.0.1/",
            "http://example.com/\r\nHost: x",
        ] {
            assert_eq!(Target::parse(bad), Err(Refused::Form), "{bad}");
        }
    }

    #[test]
    fn names_and_ports_that_are_not_for_the_public_are_refused() {
        for (url, refused) in [
            ("http://localhost/", Refused::Private),
            ("http://LOCALHOST:8080/", Refused::Private),
            ("http://a.localhost/", Refused::Private),
            ("http://printer.local/", Refused::Private),
            ("http://metadata.google.internal/", Refused::Private),
            ("http://intranet/", Refused::Private),
            ("http://example.com:22/", Refused::Port),
            ("http://example.com:25/", Refused::Port),
            ("http://example.com:0/", Refused::Port),
        ] {
            assert_eq!(Target::parse(url).and_then(|target| target.check_public()), Err(refused), "{url}");
        }
        assert_eq!(Target::parse("https://notlocalhost.example:8443/").and_then(|target| target.check_public()), Ok(()));
    }

    #[test]
    fn addresses_of_private_networks_are_known_in_every_form() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:93.184.216.34",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address.parse().expect("an address")), "{address}");
        }
        for address in ["1.1.1.1", "93.184.216.34", "100.63.0.1", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1"] {
            assert!(is_public(address.parse().expect("an address")), "{address}");
        }
    }

    #[test]
    fn a_redirect_leads_where_it_says() {
        let from = Target::parse("https://a.example/b/c?d").expect("a URL");
        for (location, to) in [
            ("/x", "https://a.example/x"),
            ("x?y=http://z/", "https://a.example/b/x?y=http://z/"),
            ("//b.example/x", "https://b.example/x"),
            ("https://b.example:444/x", "https://b.example:444/x"),
        ] {
            assert_eq!(from.join(location).map(|target| target.url()).as_deref(), Ok(to), "{location}");
        }
        assert_eq!(from.join("http://a.example/"), Err(Refused::Downgrade));
        assert_eq!(from.join("file:///etc/passwd"), Err(Refused::Form));
    }
}
