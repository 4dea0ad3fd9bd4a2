//! Binding: from `host:port` as configured to listening sockets. A name that stands for both loopback addresses gets
//! both. What is not loopback is refused unless the configuration says otherwise.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;
use tokio::net::{TcpListener, lookup_host};

/// What is set on a listening socket, and taken over by its connections.
#[derive(Clone, Copy, Debug)]
pub struct SocketOptions {
    /// Connections that may wait to be accepted.
    pub backlog: i32,
    /// Bytes of the receive buffer; None is the system's choice.
    pub receive_buffer_bytes: Option<usize>,
    /// Bytes of the send buffer; None is the system's choice.
    pub send_buffer_bytes: Option<usize>,
}

impl Default for SocketOptions {
    fn default() -> SocketOptions {
        SocketOptions { backlog: 128, receive_buffer_bytes: None, send_buffer_bytes: None }
    }
}

/// Why a listener could not be opened.
#[derive(Debug, Error)]
pub enum BindError {
    /// Not `HOST:PORT`, or the host has no address.
    #[error("`{address}` is not an address to listen on: {source}")]
    Address {
        /// As configured.
        address: String,
        /// What is wrong with it.
        source: io::Error,
    },
    /// Reachable from other machines without TLS and authentication.
    #[error(
        "{0} can be reached from other machines, and there is no TLS and no authentication yet: listen on \
         127.0.0.1 or ::1, or set insecure_listeners = true if the network around it is closed"
    )]
    Insecure(SocketAddr),
    /// The system refused.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Opens a socket for each address of each of the configured `addresses`. With port 0 the system chooses; addresses of
/// one host then share the port that the first one got. `localhost` stands for 127.0.0.1 and ::1.
pub async fn bind(
    addresses: &[String],
    insecure_allowed: bool,
    options: SocketOptions,
) -> Result<Vec<TcpListener>, BindError> {
    let mut listeners = Vec::new();
    for address in addresses {
        let mut chosen_port = None;
        for (position, mut socket_address) in resolve(address).await?.into_iter().enumerate() {
            if !socket_address.ip().is_loopback() && !insecure_allowed {
                return Err(BindError::Insecure(socket_address));
            }
            if socket_address.port() == 0 {
                socket_address.set_port(chosen_port.unwrap_or(0));
            }
            match open(socket_address, options) {
                Ok(listener) => {
                    chosen_port = listener.local_addr().ok().map(|bound| bound.port());
                    listeners.push(listener);
                }
                // A machine without IPv6 still has the first address of `localhost`.
                Err(source) if position > 0 && is_missing_family(&source) => {
                    tracing::warn!(address = %socket_address, "not available on this machine, not listening there");
                }
                Err(source) => {
                    return Err(BindError::Bind { address: socket_address, source });
                }
            }
        }
    }
    Ok(listeners)
}

async fn resolve(address: &str) -> Result<Vec<SocketAddr>, BindError> {
    let fail = |source| BindError::Address { address: address.to_owned(), source };
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let Some(port) = port else {
        return Err(fail(io::Error::new(io::ErrorKind::InvalidInput, "it is not HOST:PORT")));
    };
    if address.starts_with("localhost:") {
        return Ok(vec![
            SocketAddr::new(IpAddr::from([127, 0, 0, 1]), port),
            SocketAddr::new(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), port),
        ]);
    }
    let mut found: Vec<SocketAddr> = lookup_host(address).await.map_err(fail)?.collect();
    found.sort_by_key(|address| address.is_ipv6());
    found.dedup();
    if found.is_empty() {
        return Err(fail(io::Error::new(io::ErrorKind::NotFound, "the name has no address")));
    }
    Ok(found)
}

fn open(address: SocketAddr, options: SocketOptions) -> io::Result<TcpListener> {
    let domain = if address.is_ipv4() { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if let Some(bytes) = options.receive_buffer_bytes {
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(bytes) = options.send_buffer_bytes {
        socket.set_send_buffer_size(bytes)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    TcpListener::from_std(socket.into())
}

/// The machine has no such address, or no such address family at all.
fn is_missing_family(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}
