//! TLS receivers with certificates of every kind, under an authority of the test's own.

use std::net::Ipv4Addr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto};

/// The name of every receiver.
pub(crate) const NAME: &str = "hooks.acme.com";

/// Which certificate a receiver shows.
#[derive(Clone, Copy)]
pub(crate) enum Certificate {
    Good,
    Expired,
    NotYetValid,
    WrongName,
    Untrusted,
}

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

impl Authority {
    /// A new authority.
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let der = params.self_signed(&key).expect("a certificate").der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// Its certificate.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.der.clone()
    }
}

/// Serves one answer over TLS to whoever connects; the port.
pub(crate) async fn serve(authority: &Authority, certificate: Certificate, answer: Vec<u8>) -> u16 {
    let other = Authority::new();
    let issuer = if matches!(certificate, Certificate::Untrusted) { &other } else { authority };
    let name = if matches!(certificate, Certificate::WrongName) { "other.acme.com" } else { NAME };
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    match certificate {
        Certificate::Expired => params.not_after = date_time_ymd(2020, 1, 1),
        Certificate::NotYetValid => params.not_before = date_time_ymd(2100, 1, 1),
        Certificate::Good | Certificate::WrongName | Certificate::Untrusted => {}
    }
    let key = KeyPair::generate().expect("a key");
    let signed = params.signed_by(&key, &issuer.issuer).expect("a certificate");
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], private)
        .expect("a certificate and its key");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _the_client_has_gone = stream.write_all(&answer).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}
