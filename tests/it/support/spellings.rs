//! Every way to write a URL that leads to where no webhook may go: made from addresses, spellings of an address, names, and
//! ways to hide a host in a URL.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Where attackers want to go: loopback, private networks, metadata services, and one public address as a number.
const TARGETS_V4: [Ipv4Addr; 14] = [
    Ipv4Addr::new(127, 0, 0, 1),
    Ipv4Addr::new(127, 255, 255, 254),
    Ipv4Addr::new(0, 0, 0, 0),
    Ipv4Addr::new(10, 0, 0, 1),
    Ipv4Addr::new(100, 64, 0, 1),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(172, 16, 0, 1),
    Ipv4Addr::new(192, 0, 0, 192),
    Ipv4Addr::new(192, 168, 1, 1),
    Ipv4Addr::new(224, 0, 0, 1),
    Ipv4Addr::new(255, 255, 255, 255),
    Ipv4Addr::new(93, 184, 216, 34),
];

const TARGETS_V6: [&str; 9] =
    ["::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "5f00::1", "2001:db8::1"];

/// Names that are known inside networks only.
const INTERNAL_NAMES: [&str; 30] = [
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "ⓛocalhost",
    "ｌｏｃａｌｈｏｓｔ",
    "local\u{ad}host",
    "localhost.localdomain",
    "a.localhost",
    "router",
    "metadata",
    "instance-data",
    "intranet",
    "metadata.google.internal",
    "instance-data.ec2.internal",
    "ip-10-0-0-1.eu-central-1.compute.internal",
    "host.docker.internal",
    "kubernetes.default.svc.cluster.local",
    "kubernetes.default.svc",
    "api.team.svc",
    "nas.home.arpa",
    "portal.intranet",
    "printer.local",
    "nas.lan",
    "db.corp",
    "box.home",
    "router.home.arpa",
    "1.0.0.127.in-addr.arpa",
    "vpce-1.s3.eu-central-1.vpce.amazonaws.com",
    "hidden.onion",
    "a.test",
];

/// Public names that anybody may point anywhere.
const PUBLIC_NAMES: [&str; 8] = [
    "localtest.me",
    "lvh.me",
    "7f000001.c0a80001.rbndr.us",
    "spoofed.collaborator.net",
    "127.0.0.1.evil.com",
    "localhost.evil.com",
    "xn--lcalhost-n0a.com",
    "a.b.c.d.e.f.g.h.i.j.evil.com",
];

/// Ways to write a URL around a host; `HOST` and `PORT` are filled in.
const AROUND: [&str; 12] = [
    "https://HOST",
    "https://HOST/hook",
    "https://HOST:443/",
    "https://HOST:8443/hook?a=b",
    "https://HOST:PORT/",
    "http://HOST:PORT/hook",
    "HTTPS://HOST/",
    "https://HOST./",
    "https://user:pw@HOST/",
    "https://example.com@HOST:PORT/",
    "https://HOST:PORT\\@example.com/",
    "https://HOST:PORT#@example.com/",
];

/// Rarer ways, for a few hosts.
const FAR_AROUND: [&str; 24] = [
    "HOST",
    "//HOST/",
    "https:HOST",
    "https:/HOST/",
    "https:///HOST/",
    "https:\\\\HOST\\",
    " https://HOST/",
    "https://HOST /",
    "https://HOST\t/",
    "https://\nHOST/",
    "ht\ntps://HOST/",
    "https://HOST\0/",
    "https://HOST%00.example.com/",
    "https://HOST%2eexample.com/",
    "https://@HOST/",
    "https://:@HOST/",
    "ftp://HOST/",
    "gopher://HOST:PORT/_",
    "file://HOST/etc/passwd",
    "ws://HOST:PORT/",
    "wss://HOST/",
    "ldap://HOST:PORT/",
    "jar:https://HOST/!/",
    "https://HOST:0PORT/",
];

/// All of them, each once.
pub(crate) fn hostile_urls(port: u16) -> BTreeSet<String> {
    let addresses = TARGETS_V4.iter().flat_map(|address| spellings(*address));
    let literals = TARGETS_V6.iter().flat_map(|text| spellings_v6(text.parse().expect("an address")));
    let dashed = TARGETS_V4.iter().map(|address| address.to_string().replace('.', "-") + ".sslip.io");
    let names = INTERNAL_NAMES.iter().chain(&PUBLIC_NAMES).map(ToString::to_string);
    let hosts: BTreeSet<String> = addresses.chain(literals).chain(names).chain(dashed).collect();
    let plain = ["127.0.0.1", "[::1]", "localhost", "169.254.169.254", "localtest.me"];
    let common = hosts.iter().flat_map(|host| AROUND.iter().map(move |form| (form, host.as_str())));
    let rare = plain.iter().flat_map(|host| FAR_AROUND.iter().map(move |form| (form, *host)));
    let filled = |(form, host): (&&str, &str)| form.replace("HOST", host).replace("PORT", &port.to_string());
    common.chain(rare).map(filled).collect()
}

/// The address in every base, length, script and disguise that some parser takes for it.
fn spellings(address: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = address.octets();
    let whole = address.to_bits();
    let (low_24, low_16) = (whole & 0xff_ffff, whole & 0xffff);
    let (high, low) = (whole >> 16, low_16);
    let dotted = address.to_string();
    let teredo = Ipv4Addr::from_bits(!whole).octets();
    let mut all = vec![
        dotted.clone(),
        format!("{whole}"),
        format!("{whole:#x}"),
        format!("0X{whole:X}"),
        format!("0{whole:o}"),
        format!("0x00000000{whole:08x}"),
        format!("{}", u64::from(whole) + (1 << 32)),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.0{b:o}.0{c:o}.00{d:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("{a:#x}.{b}.0{c:o}.{d}"),
        format!("{a:03}.{b:03}.{c:03}.{d:03}"),
        format!("{a}.{low_24}"),
        format!("{a}.{b}.{low_16}"),
        format!("{a:#x}.{low_24:#x}"),
        format!("0{a:o}.{b}.{low_16:#x}"),
        format!("{}.{b}.{c}.{d}", u16::from(a) + 256),
        dotted.replace('.', "%2e"),
        dotted.replace('.', "。"),
        dotted.replace('.', "．"),
        dotted.replace('.', "｡"),
        percent_encoded(&dotted),
        translated(&dotted, '０'),
        translated(&whole.to_string(), '０'),
        translated(&dotted, '𝟎'),
        translated(&dotted, '₀'),
        format!("{dotted}."),
        format!(".{dotted}"),
        format!("{dotted}%20"),
        format!("[{dotted}]"),
    ];
    let embedded = [
        format!("::ffff:{dotted}"),
        format!("::ffff:{high:x}:{low:x}"),
        format!("0000:0000:0000:0000:0000:FFFF:{high:04X}:{low:04X}"),
        format!("::{dotted}"),
        format!("::ffff:0:{high:x}:{low:x}"),
        format!("64:ff9b::{dotted}"),
        format!("64:ff9b:1::{high:x}:{low:x}"),
        format!("2002:{high:x}:{low:x}::1"),
        format!("2001:0:5db8:d822::{}:{}", hex(teredo[0], teredo[1]), hex(teredo[2], teredo[3])),
        format!("fe80::5efe:{high:x}:{low:x}"),
        format!("fe80::200:5efe:{dotted}"),
    ];
    all.extend(embedded.map(|literal| format!("[{literal}]")));
    all
}

fn spellings_v6(address: Ipv6Addr) -> Vec<String> {
    let groups = address.segments();
    let full: Vec<String> = groups.iter().map(|group| format!("{group:04X}")).collect();
    let short: Vec<String> = groups.iter().map(|group| format!("{group:x}")).collect();
    let (full, short) = (full.join(":"), short.join(":"));
    vec![
        format!("[{address}]"),
        format!("[{full}]"),
        format!("[{short}]"),
        format!("[{address}%25eth0]"),
        format!("[{address}%1]"),
        format!("{address}"),
        format!("[{}]", translated(&short, '０')),
        format!("%5b{address}%5d"),
        format!("{}.ipv6-literal.net", address.to_string().replace(':', "-").trim_matches('-')),
    ]
}

fn percent_encoded(text: &str) -> String {
    let codes: Vec<String> = text.bytes().map(|c| format!("%{c:02x}")).collect();
    codes.concat()
}

fn hex(high: u8, low: u8) -> String {
    format!("{:x}", u16::from_be_bytes([high, low]))
}

/// The same with the digits of another script, which begin with this zero.
fn translated(text: &str, zero: char) -> String {
    let other =
        |c: char| c.to_digit(10).and_then(|digit| char::from_u32(u32::from(zero) + digit)).unwrap_or(c);
    text.chars().map(other).collect()
}

/// URLs that customers have.
pub(crate) const LEGITIMATE: [&str; 24] = [
    "https://example.com",
    "https://example.com/",
    "https://EXAMPLE.com/Hook",
    "HTTPS://example.com/hook",
    "https://hooks.example.com/services/T000/B000/XXXX",
    "https://a.b.c.d.e.f.example.co.uk/hook",
    "https://example.com:443/hook",
    "https://example.com:8443/hook",
    "https://example.com/hook?token=abc&x=%20%2F",
    "https://example.com?token=abc",
    "https://example.com/a//b/;c=d/e@f:g",
    "https://example.com/%E2%9C%93",
    "https://bücher.example-shop.de/haken",
    "https://xn--bcher-kva.de/hook",
    "https://BÜCHER.de/hook",
    "https://пример.рф/путь",
    "https://xn--e1afmkfd.xn--p1ai/",
    "https://例え.テスト.jp/フック",
    "https://1password.com/hook",
    "https://10.example.com/hook",
    "https://r3---sn-4g5e.example.net/hook",
    "https://my_app.example.org/hook",
    "https://abc123.lambda-url.eu-central-1.on.aws/",
    "https://abc123.execute-api.us-east-1.amazonaws.com/prod/hook",
];
