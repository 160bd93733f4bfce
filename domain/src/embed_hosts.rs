//! Which sites may show a video in a frame of theirs: host patterns as an owner types them, and as browsers are told them in
//! `frame-ancestors`. Nothing but host names gets through, so that a pattern can never become a second directive or header.

use crate::error::Problem;

/// Hosts in one list at most: browsers read it with every embed.
pub const MAX_HOSTS: usize = 50;

/// Hosts that may frame; none means that every site may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EmbedHosts(Vec<HostPattern>);

/// One host: `example.com`, or `*.example.com` for those below it, with a port where it is not the usual one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct HostPattern {
    below: bool,
    host: String,
    port: Option<u16>,
}

impl EmbedHosts {
    /// Reads what was typed: hosts with white space or commas between them, or addresses of sites, as people paste them.
    ///
    /// # Errors
    /// The first one that is no host, named.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut hosts = Vec::new();
        for word in text.split(|c: char| c.is_whitespace() || c == ',').filter(|word| !word.is_empty()) {
            let host = HostPattern::parse(site(&word.to_ascii_lowercase())).ok_or_else(|| {
                let word: String = word.chars().filter(|c| !c.is_control()).take(60).collect();
                Problem::invalid(format!("“{word}” is not a host. Write them like example.com, *.example.com or localhost:8080."))
            })?;
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        if hosts.len() > MAX_HOSTS {
            return Err(Problem::invalid(format!("A list has at most {MAX_HOSTS} hosts.")));
        }
        Ok(Self(hosts))
    }

    /// Reads a list that was stored. What cannot be read any more allows nobody: closed is the safe side.
    pub fn stored(text: Option<&str>) -> Option<Self> {
        text.map(|text| Self::parse(text).unwrap_or_else(|_| Self(vec![HostPattern { below: false, host: "invalid".into(), port: None }])))
            .filter(|hosts| !hosts.0.is_empty())
    }

    /// As stored, `None` where every site may.
    pub fn to_stored(&self) -> Option<String> {
        (!self.0.is_empty()).then(|| self.texts().join(" "))
    }

    /// Each host as its owner reads it.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(HostPattern::text).collect()
    }

    /// What browsers are told, as the value of `frame-ancestors`.
    pub fn framed_by(&self) -> String {
        if self.0.is_empty() { "*".to_owned() } else { self.texts().join(" ") }
    }

    /// Whether the page at `url` may frame. `url` is what a browser sent as `Referer`.
    pub fn allow(&self, url: &str) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let Some((scheme, rest)) = url.split_once("://") else { return false };
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()),
            None => (authority, Some(usual)),
        };
        port.is_some_and(|port| self.0.iter().any(|pattern| pattern.matches(host, port, usual)))
    }
}

impl HostPattern {
    fn parse(text: &str) -> Option<Self> {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(parse_port(port)?)),
            None => (text, None),
        };
        let (below, host) = match name.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, name),
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // `*.com` would be half the world.
        let enough = !below || host.contains('.');
        (host.len() <= 253 && enough && host.split('.').all(label)).then(|| Self { below, host: host.to_owned(), port })
    }

    fn text(&self) -> String {
        let below = if self.below { "*." } else { "" };
        match self.port {
            Some(port) => format!("{below}{}:{port}", self.host),
            None => format!("{below}{}", self.host),
        }
    }

    fn matches(&self, host: &str, port: u16, usual: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let fits = match self.below {
            true => host.strip_suffix(&self.host).is_some_and(|front| front.len() > 1 && front.ends_with('.')),
            false => host == self.host,
        };
        fits && port == self.port.unwrap_or(usual)
    }
}

/// The host of a site's address: nothing but its scheme and last slash is taken away.
fn site(text: &str) -> &str {
    let without_scheme = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    without_scheme.map_or(text, |host| host.strip_suffix('/').unwrap_or(host))
}

/// Only as ports are written: `str::parse` would take a sign.
fn parse_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_reads_back_as_it_is_shown() {
        let hosts = EmbedHosts::parse(" Example.com,*.blog.example\nlocalhost:8080  example.com").expect("hosts");
        assert_eq!(hosts.texts(), ["example.com", "*.blog.example", "localhost:8080"]);
        assert_eq!(hosts.framed_by(), "example.com *.blog.example localhost:8080");
        assert_eq!(EmbedHosts::stored(hosts.to_stored().as_deref()), Some(hosts));
        assert_eq!(EmbedHosts::parse("https://A.example/ http://b.example:8080").expect("hosts").texts(), ["a.example", "b.example:8080"]);
        assert_eq!(EmbedHosts::parse(" , ").expect("none").to_stored(), None);
        assert_eq!(EmbedHosts::default().framed_by(), "*");
    }

    #[test]
    fn nothing_but_hosts_gets_into_the_header() {
        for bad in [
            "a;script-src",
            "'self'",
            "*",
            "*.com",
            "http://",
            "https://https://a.b",
            "https://a.b//",
            "https://a.b/c",
            "https://a.b/;x",
            "ftp://a.b",
            "a.b/",
            "a.b/c",
            "a..b",
            "-a.b",
            "a-.b",
            "a.b:",
            "a.b:0",
            "a.b:99999",
            "a.b:+80",
            "a.b:*",
            "ä.example",
            "a_b.example",
            "*.*.example",
            "a.*.example",
            "data:",
            "a.b:80:80",
            "[::1]",
            "a\u{0}b",
            "a%0d%0ab",
            "user@a.b",
        ] {
            assert!(EmbedHosts::parse(bad).is_err(), "{bad}");
        }
        assert!(EmbedHosts::parse(&"a.example ".repeat(60)).is_ok(), "the same one again is no second one");
        let many: Vec<String> = (0..=MAX_HOSTS).map(|number| format!("h{number}.example")).collect();
        assert!(EmbedHosts::parse(&many.join(" ")).is_err());
        let broken = EmbedHosts::stored(Some("a;b")).expect("a list");
        assert!(!broken.allow("https://a;b/") && !broken.allow("https://a/"));
    }

    #[test]
    fn look_alikes_are_other_hosts() {
        let hosts = EmbedHosts::parse("a.example *.b.example localhost:8080").expect("hosts");
        for good in
            ["https://a.example/", "http://A.example/page", "https://x.b.example/", "https://y.x.b.example/?q", "http://localhost:8080/"]
        {
            assert!(hosts.allow(good), "{good}");
        }
        for bad in [
            "https://b.example/",
            "https://x.a.example/",
            "https://a.example.evil/",
            "https://evil-a.example/",
            "https://evilb.example/",
            "https://.b.example/",
            "https://a.example:444/",
            "http://localhost/",
            "http://localhost:80800/",
            "https://evil/?a.example",
            "a.example",
            "ftp://a.example/",
            "https://a.example@evil/",
            "https://evil#a.example",
            "",
            "null",
        ] {
            assert!(!hosts.allow(bad), "{bad}");
        }
        assert!(EmbedHosts::default().allow("anything"));
    }
}
