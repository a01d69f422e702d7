//! A name server on this machine that says whatever a test wants. It knows one question per packet.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const TYPE_A: u16 = 1;
const TYPE_CNAME: u16 = 5;
const TYPE_AAAA: u16 = 28;

/// What is said about a name.
pub(crate) enum Said {
    /// These addresses, for 0 s; each question gets those of its own family.
    Addresses(Vec<IpAddr>),
    /// The same for an hour.
    LastingAddresses(Vec<IpAddr>),
    /// It is another name for this one.
    Alias(&'static str),
    /// Bytes after the header that mean nothing.
    Garbage,
    /// There is no such name.
    NoSuchName,
    /// The server cannot tell.
    Failure,
    /// Nothing at all.
    Nothing,
}

/// A running name server; it ends with its owner.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    questions: Arc<AtomicU64>,
}

impl NameServer {
    /// Answers each question so.
    pub(crate) fn start(mut say: impl FnMut(&Question) -> Said + Send + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = socket.local_addr().expect("its address");
        let questions = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&questions);
        thread::spawn(move || -> io::Result<()> {
            let mut packet = [0; 1024];
            loop {
                let (length, from) = socket.recv_from(&mut packet)?;
                let Some(question) = Question::read(&packet[..length]) else { return Ok(()) };
                counter.fetch_add(1, Ordering::Relaxed);
                if let Some(reply) = question.reply(&say(&question)) {
                    socket.send_to(&reply, from)?;
                }
            }
        });
        Self { address, questions }
    }

    /// How many questions came.
    pub(crate) fn questions(&self) -> u64 {
        self.questions.load(Ordering::Relaxed)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        if let Ok(socket) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
            let _an_empty_packet_ends_it = socket.send_to(&[], self.address);
        }
    }
}

/// One question as it came (RFC 1035 section 4.1).
pub(crate) struct Question {
    id: [u8; 2],
    /// In lower case, and without the last dot.
    pub(crate) name: String,
    kind: u16,
    bytes: Vec<u8>,
}

impl Question {
    /// Whether it is for IPv6 addresses.
    pub(crate) fn is_for_v6(&self) -> bool {
        self.kind == TYPE_AAAA
    }

    fn read(packet: &[u8]) -> Option<Self> {
        let (header, rest) = packet.split_at_checked(12)?;
        let (mut labels, mut at) = (Vec::new(), 0);
        while let Some(length @ 1..) = rest.get(at).map(|length| usize::from(*length)) {
            labels.push(String::from_utf8_lossy(rest.get(at + 1..=at + length)?).to_ascii_lowercase());
            at += 1 + length;
        }
        let bytes = rest.get(..at + 5)?.to_vec();
        let kind = u16::from_be_bytes([bytes[at + 1], bytes[at + 2]]);
        Some(Self { id: [header[0], header[1]], name: labels.join("."), kind, bytes })
    }

    fn reply(&self, said: &Said) -> Option<Vec<u8>> {
        let (code, seconds, addresses) = match said {
            Said::Addresses(addresses) => (0, 0_u32, addresses.as_slice()),
            Said::LastingAddresses(addresses) => (0, 3600, addresses.as_slice()),
            Said::Alias(name) => return Some(self.message(0, &[alias(name)])),
            Said::Garbage => return Some(self.message(0, &[vec![0xff; 40]])),
            Said::Failure => (2, 0, &[][..]),
            Said::NoSuchName => (3, 0, &[][..]),
            Said::Nothing => return None,
        };
        let own = addresses.iter().filter(|address| address.is_ipv6() == self.is_for_v6());
        let records: Vec<Vec<u8>> = own.map(|address| address_record(*address, seconds)).collect();
        Some(self.message(code, &records))
    }

    /// Header, the question again, and these records.
    fn message(&self, code: u8, records: &[Vec<u8>]) -> Vec<u8> {
        let count = u16::try_from(records.len()).expect("few records").to_be_bytes();
        let head = [self.id[0], self.id[1], 0x81, 0x80 | code, 0, 1, count[0], count[1], 0, 0, 0, 0];
        [&head[..], &self.bytes, &records.concat()].concat()
    }
}

fn address_record(address: IpAddr, seconds: u32) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => record(TYPE_A, seconds, &v4.octets()),
        IpAddr::V6(v6) => record(TYPE_AAAA, seconds, &v6.octets()),
    }
}

fn alias(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).expect("short")], label.as_bytes()].concat();
    let labels: Vec<Vec<u8>> = name.split('.').chain([""]).map(label).collect();
    record(TYPE_CNAME, 0, &labels.concat())
}

/// A record of the question's name: that name again, type, class, time to live, what it says.
fn record(kind: u16, seconds: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("few bytes");
    let name_and_type = [&[0xc0, 12][..], &kind.to_be_bytes(), &[0, 1]].concat();
    [&name_and_type[..], &seconds.to_be_bytes(), &length.to_be_bytes(), data].concat()
}
