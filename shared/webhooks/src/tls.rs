//! TLS with ring and without session resumption. Each exchange checks the certificate of its receiver, and no session
//! tickets use memory.

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme, crypto,
};

use crate::bounded::{Bounded, Ended};
use domain::delivery::verdict::failure::Failure;

/// Opens TLS sessions.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    pub(super) fn trusting(roots: RootCertStore) -> Result<Self, rustls::Error> {
        let provider = Arc::new(crypto::ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let verifier = verifier.build().map_err(|error| rustls::Error::General(error.to_string()))?;
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous() // the verifier below is the one of rustls, with a more specific error
            .with_custom_certificate_verifier(Arc::new(Verifier(verifier)))
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
    match error.get_ref().and_then(|cause| cause.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(invalid)) => failure_of_certificate(invalid),
        Some(rustls::Error::AlertReceived(alert)) => failure_of_alert(*alert),
        Some(rustls::Error::PeerIncompatible(_)) => Failure::TlsIncompatible,
        _ => Failure::TlsHandshake,
    }
}

fn failure_of_certificate(invalid: &CertificateError) -> Failure {
    match invalid {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Failure::CertificateExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Failure::CertificateNotYetValid
        }
        CertificateError::UnknownIssuer => Failure::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Failure::WrongName
        }
        CertificateError::Other(OtherError(cause)) if cause.is::<OnlyOneCertificate>() => {
            Failure::IncompleteChain
        }
        _ => Failure::InvalidCertificate,
    }
}

/// Returns the failure for an alert of the receiver (RFC 8446 section 6.2).
const fn failure_of_alert(alert: AlertDescription) -> Failure {
    match alert {
        AlertDescription::ProtocolVersion
        | AlertDescription::HandshakeFailure
        | AlertDescription::InsufficientSecurity => Failure::TlsIncompatible,
        AlertDescription::CertificateRequired => Failure::ClientCertificateRequired,
        AlertDescription::UnrecognisedName => Failure::NameUnknownToReceiver,
        _ => Failure::TlsAlert,
    }
}

/// The receiver sent one certificate, whose issuer is unknown. Often the intermediate certificate is missing.
#[derive(Debug)]
struct OnlyOneCertificate;

impl fmt::Display for OnlyOneCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one certificate with an unknown issuer")
    }
}

impl Error for OnlyOneCertificate {}

/// Verifies certificates with `rustls`, and distinguishes an unknown issuer from a chain of one certificate.
#[derive(Debug)]
struct Verifier(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.0.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        verified.map_err(|error| match error {
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)
                if intermediates.is_empty() =>
            {
                CertificateError::Other(OtherError(Arc::new(OnlyOneCertificate))).into()
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
