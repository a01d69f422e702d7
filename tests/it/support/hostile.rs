//! A receiver that misbehaves in one way.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

/// What it does.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// Takes no connection.
    NeverAccepts,
    /// Takes a connection and reads nothing of it.
    NeverReads,
    /// Reads the request, says this, and closes.
    Says(Vec<u8>),
    /// Says this, and nothing more.
    Stalls(Vec<u8>),
    /// Says this, and breaks the connection.
    Resets(Vec<u8>),
    /// Says the first, and then the second a byte per second, again and again.
    Slowly(Vec<u8>, &'static [u8]),
    /// Says the first, and then the second again and again.
    Endless(Vec<u8>, &'static [u8]),
}

impl Behaviour {
    /// Whether its attempt ends by itself.
    pub(crate) fn is_quick(&self) -> bool {
        matches!(self, Self::Says(_) | Self::Resets(_) | Self::Endless(..))
    }
}

/// A receiver on a free port of this machine, until it is dropped.
pub(crate) struct HostileReceiver {
    pub(crate) port: u16,
    serving: JoinHandle<()>,
    _queue: Vec<TcpStream>,
}

impl HostileReceiver {
    /// Starts a receiver.
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let backlog = if matches!(behaviour, Behaviour::NeverAccepts) { 1 } else { 16 };
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a free port");
        let listener = socket.listen(backlog).expect("it listens");
        let address = listener.local_addr().expect("its address");
        let queue = if backlog == 1 { fill(address).await } else { Vec::new() };
        let serving = tokio::spawn(serve(listener, behaviour));
        Self { port: address.port(), serving, _queue: queue }
    }
}

impl Drop for HostileReceiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Connections that fill the queue of a listener that takes none.
async fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        queue.push(stream);
    }
    queue
}

async fn serve(listener: TcpListener, behaviour: Behaviour) {
    if matches!(behaviour, Behaviour::NeverAccepts) {
        return std::future::pending().await;
    }
    while let Ok((stream, _)) = listener.accept().await {
        let _the_client_has_gone = misbehave(stream, &behaviour).await;
    }
}

async fn misbehave(mut stream: TcpStream, behaviour: &Behaviour) -> std::io::Result<()> {
    match behaviour {
        Behaviour::NeverAccepts | Behaviour::NeverReads => std::future::pending().await,
        Behaviour::Says(text) => {
            read_request(&mut stream).await?;
            stream.write_all(text).await?;
            stream.shutdown().await?;
            let _ = stream.read_to_end(&mut Vec::new()).await; // closed by the client first, so that nothing is reset
            Ok(())
        }
        Behaviour::Stalls(text) => {
            read_request(&mut stream).await?;
            stream.write_all(text).await?;
            std::future::pending().await
        }
        Behaviour::Resets(text) => {
            read_request(&mut stream).await?;
            stream.write_all(text).await?;
            tokio::task::yield_now().await;
            stream.set_zero_linger()
        }
        Behaviour::Slowly(text, rest) => {
            read_request(&mut stream).await?;
            stream.write_all(text).await?;
            for byte in rest.iter().cycle() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                stream.write_all(&[*byte]).await?;
            }
            Ok(())
        }
        Behaviour::Endless(text, rest) => {
            read_request(&mut stream).await?;
            stream.write_all(text).await?;
            loop {
                stream.write_all(&rest.repeat(100)).await?;
            }
        }
    }
}

/// Reads what has come of the request: all of it, where the client sends it at once.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    let pause = Duration::from_millis(50);
    while let Ok(read) = tokio::time::timeout(pause, stream.read(&mut buffer)).await {
        if read? == 0 {
            break;
        }
    }
    Ok(())
}
