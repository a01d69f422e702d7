//! Just enough DNS to be a name server in a test (RFC 1035): every name has the addresses that a rule gives it, for no time
//! at all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const A: u16 = 1;
const AAAA: u16 = 28;

/// A name server on a free port of this machine.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl NameServer {
    /// Answers every question by this rule.
    pub(crate) fn start(rule: impl Fn(&str) -> Vec<IpAddr> + Send + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = socket.local_addr().expect("its address");
        let ended = Arc::new(AtomicBool::new(false));
        let has_ended = Arc::clone(&ended);
        thread::spawn(move || {
            let mut question = [0; 1024];
            while let Ok((length, asker)) = socket.recv_from(&mut question) {
                if has_ended.load(Ordering::SeqCst) {
                    return;
                }
                if let Some(answer) = answer(&question[..length], &rule) {
                    let _the_asker_is_gone = socket.send_to(&answer, asker);
                }
            }
        });
        Self { address, ended }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let waker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let _wakes_it = waker.send_to(&[0], self.address);
    }
}

/// The answer to one question; `None` for what is none.
fn answer(query: &[u8], rule: impl Fn(&str) -> Vec<IpAddr>) -> Option<Vec<u8>> {
    let (name, end) = name(query)?;
    let question = query.get(12..end + 4)?;
    let kind = u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
    let wanted = |address: &IpAddr| (kind == A && address.is_ipv4()) || (kind == AAAA && address.is_ipv6());
    let addresses: Vec<IpAddr> = rule(&name).into_iter().filter(wanted).collect();
    let count = u16::try_from(addresses.len()).ok()?.to_be_bytes();
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, count[0], count[1], 0, 0, 0, 0]); // an answer, recursion done, one question
    answer.extend(question);
    for address in addresses {
        let bytes = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        answer.extend([0xc0, 12]); // the name in the question
        answer.extend([kind, 1].map(u16::to_be_bytes).concat());
        answer.extend(0_u32.to_be_bytes());
        answer.extend(u16::try_from(bytes.len()).ok()?.to_be_bytes());
        answer.extend(bytes);
    }
    Some(answer)
}

/// The name of the first question, and where it ends.
fn name(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
}
