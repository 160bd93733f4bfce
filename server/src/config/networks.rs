//! Addresses and networks in a setting: separated by commas, alone or in CIDR notation.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::Deserialize;

/// A set of networks; empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Networks(Vec<IpNet>);

/// The part of the text that is no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoNetwork(String);

impl fmt::Display for NoNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "must be addresses or networks such as 10.0.0.0/8, separated by commas; `{}` is none", self.0)
    }
}

impl Networks {
    /// Whether the address lies in one of them. An IPv4 address is the same when it is written as IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromStr for Networks {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let network =
            |part: &str| part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)).map_err(|_| NoNetwork(part.to_owned()));
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(network).collect::<Result<_, _>>().map(Self)
    }
}

impl TryFrom<String> for Networks {
    type Error = NoNetwork;

    fn try_from(text: String) -> Result<Self, NoNetwork> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_and_anything_else_is_named() {
        let networks: Networks = "10.0.0.0/8, 192.0.2.7,2001:db8::/32".parse().expect("networks");
        for inside in ["10.200.1.1", "::ffff:10.1.1.1", "192.0.2.7", "2001:db8:1::1"] {
            assert!(networks.contains(inside.parse().expect("an address")), "{inside}");
        }
        for outside in ["11.0.0.1", "192.0.2.8", "2001:db9::1"] {
            assert!(!networks.contains(outside.parse().expect("an address")), "{outside}");
        }
        assert_eq!("".parse(), Ok(Networks::default()));
        assert_eq!("10.0.0.0/8, proxy".parse::<Networks>(), Err(NoNetwork("proxy".to_owned())));
    }
}
