//! URLs that would lead a webhook to where it must not go: every spelling that parsers somewhere understand, through the real
//! check and the real client. A connection to anywhere in these tests is noted, wherever it would lead.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::stream::{self, StreamExt};
use triggers::address::is_public;
use triggers::endpoint::{EndpointUrl, UrlPolicy};
use triggers::verdict::{Answer, Failure};

use crate::support::outside::Outside;
use crate::support::receiver::closed_port;

/// Where a webhook must not go: this machine, private networks, link-local and with it the clouds' metadata.
const PRIVATE: [[u8; 4]; 14] = [
    [127, 0, 0, 1],
    [127, 1, 2, 3],
    [0, 0, 0, 0],
    [10, 0, 0, 1],
    [10, 255, 255, 254],
    [172, 16, 0, 1],
    [172, 31, 255, 254],
    [192, 168, 0, 1],
    [192, 168, 255, 254],
    [169, 254, 169, 254],
    [169, 254, 170, 2],
    [100, 64, 0, 1],
    [198, 18, 0, 1],
    [224, 0, 0, 1],
];

/// Every way to write an IPv4 address that some parser reads.
fn spellings([a, b, c, d]: [u8; 4]) -> Vec<String> {
    let whole = u32::from_be_bytes([a, b, c, d]);
    let (two, three) = (u32::from_be_bytes([0, b, c, d]), u16::from_be_bytes([c, d]));
    let wide = |text: &str| -> String {
        let wide = |c: char| c.to_digit(10).and_then(|digit| char::from_u32(0xff10 + digit)).unwrap_or(c);
        text.chars().map(wide).collect()
    };
    let dotted = format!("{a}.{b}.{c}.{d}");
    let percent: Vec<String> = dotted.bytes().map(|byte| format!("%{byte:02x}")).collect();
    vec![
        dotted.clone(),
        format!("{dotted}."),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0X{a:X}.{b}.0{c:o}.{d}"),
        format!("{a}.{two}"),
        format!("{a}.{b}.{three}"),
        format!("{whole}"),
        format!("0x{whole:x}"),
        format!("0{whole:o}"),
        format!("0x{whole:016x}"),
        wide(&dotted),
        dotted.replace('.', "。"),
        dotted.replace('.', "．"),
        percent.concat(),
        dotted.replace('.', "%2e"),
        format!("[::ffff:{dotted}]"),
        format!("[::{dotted}]"),
        format!("[::ffff:{:x}:{:x}]", u16::from_be_bytes([a, b]), three),
        format!("[0:0:0:0:0:ffff:{:x}:{:x}]", u16::from_be_bytes([a, b]), three),
        format!("[64:ff9b::{dotted}]"),
        format!("[64:ff9b:1::{:x}:{:x}]", u16::from_be_bytes([a, b]), three),
        format!("[2002:{:x}:{:x}::1]", u16::from_be_bytes([a, b]), three),
        format!("[2001:0:{:x}:{:x}::1]", u16::from_be_bytes([a, b]), three),
        format!("[fe80::{:x}%25eth0]", three),
    ]
}

/// Hosts that are no public names, in other ways than by an address.
const HOSTS: [&str; 40] = [
    "localhost",
    "LOCALHOST",
    "localhost.",
    "localhost.localdomain",
    "a.localhost",
    "ip6-localhost",
    "ip6-loopback",
    "metadata",
    "metadata.google.internal",
    "metadata.google.internal.",
    "instance-data",
    "printer",
    "router.lan",
    "nas.local",
    "db.internal",
    "ip-10-0-0-1.ec2.internal",
    "kubernetes.default.svc.cluster.local",
    "vault.service.consul",
    "host.intranet",
    "wiki.corp",
    "tv.home",
    "x.home.arpa",
    "1.0.0.127.in-addr.arpa",
    "a.test",
    "b.example",
    "c.invalid",
    "d.onion",
    "e.alt",
    "a..com",
    ".com",
    "com.",
    "a.com..",
    "a.b.1",
    "a.0x7f",
    "1.2.3.4.5",
    "[::1]",
    "[::]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
];

/// URLs around a host that is public: nothing of them is allowed.
const AROUND: [&str; 30] = [
    "http://hooks.acme.com/",
    "ftp://hooks.acme.com/",
    "file:///etc/passwd",
    "gopher://hooks.acme.com:70/",
    "ws://hooks.acme.com/",
    "javascript:alert(1)",
    "data:text/plain,a",
    "//hooks.acme.com/",
    "hooks.acme.com",
    "https:",
    "https://",
    "https:///path",
    "",
    "https://user@hooks.acme.com/",
    "https://user:pass@hooks.acme.com/",
    "https://:pass@hooks.acme.com/",
    "https://@@hooks.acme.com/",
    "https://hooks.acme.com#@127.0.0.1/",
    "https://hooks.acme.com/#fragment",
    "https://hooks.acme.com:22/",
    "https://hooks.acme.com:80/",
    "https://hooks.acme.com:0/",
    "https://hooks.acme.com:65536/",
    "https://hooks.acme.com:-1/",
    "https://hooks.acme.com:443@127.0.0.1/",
    "https://hooks.acme.com\\@127.0.0.1/",
    "https:\\\\hooks.acme.com/",
    "https://hooks.acme.com /",
    "https://hooks.ac\tme.com/",
    "https://hooks.acme.com/\r\nHost: 127.0.0.1",
];

/// What is allowed.
const LEGITIMATE: [&str; 22] = [
    "https://hooks.acme.com",
    "https://hooks.acme.com/",
    "https://hooks.acme.com/a/b?c=d",
    "https://hooks.acme.com:443/",
    "https://hooks.acme.com:8443/x",
    "HTTPS://HOOKS.ACME.COM/",
    "https://hooks.acme.com./",
    "https://a.b.c.d.e.acme.com/",
    "https://xn--bcher-kva.acme.de/",
    "https://bücher.acme.de/",
    "https://hooks-1.acme.io/",
    "https://under_score.acme.com/",
    "https://1.acme.com/",
    "https://127.0.0.1.acme.com/",
    "https://localhost.acme.com/",
    "https://internal.acme.com/",
    "https://acme.com/?url=http://127.0.0.1/",
    "https://acme.com/http://10.0.0.1/",
    "https://acme.co.uk/%00",
    "https://acme.com/a%20b",
    "https://metadata.acme.cloud/",
    "https://0x7f.acme.com/",
];

/// Every hostile URL.
fn hostile() -> BTreeSet<String> {
    let addresses = PRIVATE.into_iter().flat_map(spellings);
    let hosts = addresses.chain(HOSTS.map(str::to_owned));
    let urls = hosts.flat_map(|host| {
        [
            format!("https://{host}/"),
            format!("https://{host}:8443/latest/meta-data"),
            format!("http://{host}/"),
            format!("https://hooks.acme.com@{host}/"),
        ]
    });
    urls.chain(AROUND.map(str::to_owned)).collect()
}

#[tokio::test]
async fn no_hostile_url_leads_to_a_connection_and_the_legitimate_ones_do() {
    let public: IpAddr = "93.184.216.34".parse().unwrap();
    let outside = Outside::new(move |_| vec![public], Vec::new(), closed_port());
    let (hostile, mut passed) = (hostile(), Vec::new());
    for url in &hostile {
        if let Ok(known) = EndpointUrl::parse(url, UrlPolicy::Strict) {
            passed.push(format!("{url} as {}", known.as_str()));
        }
    }
    assert_eq!(passed, Vec::<String>::new());
    for url in LEGITIMATE {
        let checked = EndpointUrl::parse(url, UrlPolicy::Strict);
        let checked = checked.unwrap_or_else(|refused| panic!("{url}: {refused}"));
        assert_eq!(outside.post(checked).await, Answer::None(Failure::ConnectRefused), "{url}");
    }
    println!(
        "{} hostile URLs: all refused by their form; {} legitimate ones were dialled",
        hostile.len(),
        LEGITIMATE.len()
    );
    assert!(hostile.len() >= 1000, "{}", hostile.len());
    assert_eq!(outside.dialled().len(), LEGITIMATE.len());
}

/// Addresses that a public name could be given, each of which must be refused: IPv4, and its disguises as IPv6.
fn disguises([a, b, c, d]: [u8; 4]) -> Vec<IpAddr> {
    let v4 = Ipv4Addr::new(a, b, c, d);
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let v6 = [
        v4.to_ipv6_mapped(),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0, high, low, 0, 0, 0, 1),
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, high, low),
    ];
    std::iter::once(IpAddr::V4(v4)).chain(v6.map(IpAddr::V6)).collect()
}

#[tokio::test]
async fn no_public_name_of_a_private_address_leads_to_a_connection_alone_or_beside_a_public_one() {
    let addresses: Vec<IpAddr> = PRIVATE.into_iter().flat_map(disguises).collect();
    let (known, public): (Vec<IpAddr>, IpAddr) = (addresses.clone(), "93.184.216.34".parse().unwrap());
    let rule = move |name: &str| {
        let mut labels = name.split('.');
        let place = labels.next().and_then(|label| label.strip_prefix('n')?.parse::<usize>().ok());
        let address = place.and_then(|place| known.get(place)).copied();
        let beside = (labels.next() == Some("beside")).then_some(public);
        beside.into_iter().chain(address).collect()
    };
    let outside = Outside::new(rule, Vec::new(), closed_port());
    for kind in ["alone", "beside"] {
        for (place, address) in addresses.iter().enumerate() {
            let url = format!("https://n{place}.{kind}.acme.com/");
            let url = EndpointUrl::parse(&url, UrlPolicy::Strict).unwrap();
            assert_eq!(outside.client.check(&url).await, Err(Failure::Refused), "{address}");
            assert_eq!(outside.post(url).await, Answer::None(Failure::Refused), "{address}");
        }
    }
    println!("{} names of private addresses: 0 connections", 2 * addresses.len());
    assert_eq!(outside.dialled(), []);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_at_every_question_never_leads_to_a_private_address() {
    const TRIES: usize = 10_000;
    let asked = AtomicUsize::new(0);
    let [public, private, metadata]: [IpAddr; 3] =
        ["93.184.216.34", "127.0.0.1", "169.254.169.254"].map(|address| address.parse().unwrap());
    let rule = move |_: &str| match asked.fetch_add(1, Ordering::Relaxed) % 7 {
        0 | 1 | 4 => vec![public],
        2 => vec![private],
        3 => vec![public, private],
        5 => vec![metadata, public],
        _ => vec!["::ffff:127.0.0.1".parse().unwrap(), "::1".parse().unwrap()],
    };
    let outside = Outside::new(rule, Vec::new(), closed_port());
    let url = EndpointUrl::parse("https://rebinding.acme.com/", UrlPolicy::Strict).unwrap();
    let tries = stream::iter(0..TRIES).map(|_| outside.post(url.clone())).buffer_unordered(16);
    let refused =
        tries.filter(|answer| std::future::ready(*answer == Answer::None(Failure::Refused))).count().await;
    let dialled = outside.dialled();
    let private = dialled.iter().filter(|address| !is_public(address.ip())).count();
    println!(
        "{TRIES} tries: {refused} refused, {} connections, {private} of them to a private address",
        dialled.len()
    );
    assert_eq!(private, 0);
    assert!(refused > TRIES / 4 && dialled.len() > TRIES / 4, "both kinds of answers were believed");
}
