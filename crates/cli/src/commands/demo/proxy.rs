//! A small TCP proxy between the services and the broker, to cut connections without asking anybody. The services know
//! its address only, so that the broker may come back on another port.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A listening proxy; it ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    upstream: Arc<Mutex<Option<SocketAddr>>>,
    cuts: watch::Sender<u64>,
    open: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a port that the system chooses.
    pub async fn start() -> std::io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let upstream = Arc::new(Mutex::new(None));
        let (cuts, cut) = watch::channel(0);
        let open = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept(listener, upstream.clone(), cut, open.clone()));
        Ok(Proxy { address, upstream, cuts, open, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where new connections go to; None refuses them.
    pub fn lead_to(&self, upstream: Option<SocketAddr>) {
        *self.upstream.lock() = upstream;
    }

    /// Cuts every connection, wherever its bytes are. Answers how many there were.
    pub fn cut(&self) -> u64 {
        let open = self.open.load(Relaxed);
        self.cuts.send_modify(|cuts| *cuts += 1);
        open
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn accept(
    listener: TcpListener,
    upstream: Arc<Mutex<Option<SocketAddr>>>,
    cut: watch::Receiver<u64>,
    open: Arc<AtomicU64>,
) {
    loop {
        // Out of descriptors, perhaps: the next one may be accepted.
        let Ok((near, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let Some(to) = *upstream.lock() else { continue };
        let (cut, open) = (cut.clone(), open.clone());
        tokio::spawn(async move {
            open.fetch_add(1, Relaxed);
            carry(near, to, cut).await;
            open.fetch_sub(1, Relaxed);
        });
    }
}

async fn carry(mut near: TcpStream, to: SocketAddr, mut cut: watch::Receiver<u64>) {
    // Cuts from before this connection are not about it.
    cut.mark_unchanged();
    let Ok(mut far) = TcpStream::connect(to).await else { return };
    // An error is the end of a connection like any other.
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = cut.changed() => {}
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn it_carries_and_cuts_and_leads_elsewhere() {
        let proxy = Proxy::start().await.unwrap();
        let refused = TcpStream::connect(proxy.address()).await.unwrap().read(&mut [0]).await;
        assert!(matches!(refused, Ok(0) | Err(_)), "there is no upstream yet");
        for _ in 0..2 {
            let far = TcpListener::bind("127.0.0.1:0").await.unwrap();
            proxy.lead_to(Some(far.local_addr().unwrap()));
            let mut near = TcpStream::connect(proxy.address()).await.unwrap();
            let (mut accepted, _) = far.accept().await.unwrap();
            near.write_all(b"hello").await.unwrap();
            let mut buffer = [0; 5];
            accepted.read_exact(&mut buffer).await.unwrap();
            accepted.write_all(&buffer).await.unwrap();
            near.read_exact(&mut buffer).await.unwrap();
            assert_eq!(&buffer, b"hello");
            assert_eq!(proxy.cut(), 1);
            assert!(matches!(near.read(&mut buffer).await, Ok(0) | Err(_)));
        }
    }
}
