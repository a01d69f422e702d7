//! TLS with ring and without session resumption. Each exchange checks the certificate of its receiver, and no session
//! tickets use memory.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, crypto};

use crate::bounded::{Bounded, Ended};
use domain::delivery::verdict::failure::Failure;

/// Opens TLS sessions.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    pub(super) fn trusting(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Opens a TLS session with the server of this name, and sets the limit for the answer.
    pub(super) async fn handshake<S>(
        &self,
        name: &str,
        stream: Bounded<S>,
    ) -> Result<(TlsStream<Bounded<S>>, Ended), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(name.to_owned()).map_err(|_| Failure::Refused)?;
        let mut stream = self.0.connect(name, stream).await.map_err(|error| failure(&error))?;
        let ended = stream.get_mut().0.expect_answer();
        Ok((stream, ended))
    }
}

/// Returns the failure for an error of a TLS stream.
pub(super) fn failure(error: &io::Error) -> Failure {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let Some(rustls::Error::InvalidCertificate(invalid)) = cause else { return Failure::TlsHandshake };
    match invalid {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Failure::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Failure::CertificateNotYetValid
        }
        CertificateError::UnknownIssuer => Failure::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Failure::WrongName
        }
        _ => Failure::InvalidCertificate,
    }
}
