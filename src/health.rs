//! `millrace health`: asks the server on this machine whether it answers, for health checks of containers, which have no other client.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A server that takes longer is not well.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks the server that listens on `bind`.
///
/// # Errors
/// It does not answer, or not as it should.
pub(crate) async fn ask(bind: SocketAddr) -> io::Result<()> {
    let answer = tokio::time::timeout(PATIENCE, get(reachable(bind)));
    let answer = answer.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer from {bind} in {PATIENCE:?}")))??;
    let status = answer.split(|byte| *byte == b'\r').next().unwrap_or_default();
    if status.ends_with(b" 200 OK") {
        return Ok(());
    }
    Err(io::Error::other(format!("{bind} answers {:?}", String::from_utf8_lossy(status))))
}

async fn get(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(format!("GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    connection.take(4_096).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// "All addresses" is nothing to connect to.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            let mut asked = [0; 512];
            let length = socket.read(&mut asked).await.expect("a request");
            assert!(asked[..length].starts_with(b"GET /livez HTTP/1.1\r\n"));
            socket.write_all(answer.as_bytes()).await.expect("answered");
        });
        address
    }

    #[tokio::test]
    async fn only_a_good_answer_is_health() {
        let good = answering("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n").await;
        ask(good).await.expect("well, and reached although it listens on all addresses");
        let bad = answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
        assert!(ask(bad).await.expect_err("not well").to_string().contains("503"));
        assert!(ask(good).await.is_err(), "gone");
    }
}
