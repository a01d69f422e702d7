//! A certificate authority of the tests' own, and servers with certificates of every kind.

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{
    ConfigBuilder, RootCertStore, ServerConfig, ServerConnection, StreamOwned, WantsVerifier,
};

use super::wire::Request;

/// An authority that a client may be told to trust.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A server's side of TLS, with one certificate.
#[derive(Clone)]
pub(crate) struct Identity(Arc<ServerConfig>);

/// A connection under TLS.
pub(crate) type Secured<'a> = StreamOwned<ServerConnection, &'a TcpStream>;

impl Authority {
    /// An authority of this name.
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// What a client needs to trust this authority.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a certificate");
        roots
    }

    /// A server of this name that wants its clients to have certificates of this authority.
    pub(crate) fn wary_identity(&self, name: &str) -> Identity {
        let (params, key) = named(name);
        let certificate = params.signed_by(&key, &self.0).expect("a certificate").der().clone();
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()), provider);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = builder().with_client_cert_verifier(verifier.build().expect("a verifier"));
        Identity(Arc::new(config.with_single_cert(vec![certificate], key).expect("an identity")))
    }

    /// A server of this name, its certificate valid from one year's beginning until another's.
    pub(crate) fn identity(&self, name: &str, (from, until): (i32, i32)) -> Identity {
        let (mut params, key) = named(name);
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity::new(vec![certificate.der().clone()], &key)
    }

    /// A server of this name that sends the certificate of its authority too.
    pub(crate) fn identity_with_chain(&self, name: &str) -> Identity {
        let (params, key) = named(name);
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Identity::new(vec![certificate.der().clone(), self.0.der().clone()], &key)
    }
}

impl Identity {
    /// A server of this name that vouches for itself.
    pub(crate) fn self_signed(name: &str) -> Self {
        let (params, key) = named(name);
        Self::new(vec![params.self_signed(&key).expect("a certificate").der().clone()], &key)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = builder().with_no_client_auth().with_single_cert(chain, key);
        Self(Arc::new(config.expect("an identity")))
    }

    /// A session on this connection, after the first request.
    pub(crate) fn serve<'a>(&self, stream: &'a TcpStream) -> io::Result<Secured<'a>> {
        let session = ServerConnection::new(Arc::clone(&self.0)).map_err(io::Error::other)?;
        let mut secured = StreamOwned::new(session, stream);
        Request::read(&mut BufReader::new(&mut secured))?;
        Ok(secured)
    }

    /// Answers one request and ends the session.
    pub(crate) fn answer(&self, stream: &TcpStream, answer: &[u8]) -> io::Result<()> {
        let mut secured = self.serve(stream)?;
        secured.write_all(answer)?;
        secured.conn.send_close_notify();
        secured.flush()
    }
}

fn builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
}

fn named(name: &str) -> (CertificateParams, KeyPair) {
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    (params, KeyPair::generate().expect("a key"))
}
