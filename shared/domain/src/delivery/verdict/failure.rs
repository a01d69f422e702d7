//! The reasons why there was no answer. Reasons with different remedies are different classes.
//!
//! Each class has a name for JSON and metrics, which never changes, and a sentence for the owner of the endpoint.

use std::fmt;

/// The reason why there was no answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Failure {
    /// The URL is not allowed.
    Refused,
    /// The host name resolves to an address that is not allowed.
    RefusedAddress,
    /// The host name does not exist, or has no address.
    NameNotFound,
    /// The name server answered with an error, or with an invalid answer.
    NameServerFailed,
    /// No name server answered in time.
    NameTimedOut,
    /// The receiver refused the connection.
    ConnectionRefused,
    /// The network has no route to the address.
    Unreachable,
    /// No address accepted a connection in time.
    ConnectionTimedOut,
    /// The certificate has expired.
    CertificateExpired,
    /// The certificate is not valid yet.
    CertificateNotYetValid,
    /// The certificate is not from a public authority.
    UnknownIssuer,
    /// The certificate is for another name.
    WrongName,
    /// The certificate is invalid for another reason.
    InvalidCertificate,
    /// The TLS handshake failed.
    TlsHandshake,
    /// The answer is not HTTP.
    BrokenAnswer,
    /// The head of the answer is longer than the 16 KiB that are read.
    HeadTooLarge,
    /// The connection ended before the head of the answer.
    Closed,
    /// The deadline of the attempt passed.
    TimedOut,
}

impl Failure {
    /// All classes, in the order of an attempt.
    pub const ALL: [Self; 18] = [
        Self::Refused,
        Self::RefusedAddress,
        Self::NameNotFound,
        Self::NameServerFailed,
        Self::NameTimedOut,
        Self::ConnectionRefused,
        Self::Unreachable,
        Self::ConnectionTimedOut,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::UnknownIssuer,
        Self::WrongName,
        Self::InvalidCertificate,
        Self::TlsHandshake,
        Self::BrokenAnswer,
        Self::HeadTooLarge,
        Self::Closed,
        Self::TimedOut,
    ];

    /// Returns the name of the class in JSON and metrics. It never changes.
    ///
    /// ```
    /// use domain::delivery::verdict::failure::Failure;
    /// assert_eq!(Failure::CertificateExpired.as_str(), "certificate_expired");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.name_and_sentence().0
    }

    /// Returns whether this API refused to connect.
    #[must_use]
    pub const fn is_refused_by_us(self) -> bool {
        matches!(self, Self::Refused | Self::RefusedAddress)
    }

    /// Returns the name and the sentence.
    const fn name_and_sentence(self) -> (&'static str, &'static str) {
        match self {
            Self::Refused => ("url_refused", "the URL is not allowed"),
            Self::RefusedAddress => {
                ("address_refused", "the host name resolves to an address that is not public")
            }
            Self::NameNotFound => ("name_not_found", "the host name does not exist or has no address"),
            Self::NameServerFailed => ("name_server_failed", "the name server answered with an error"),
            Self::NameTimedOut => ("name_timed_out", "the name server did not answer in time"),
            Self::ConnectionRefused => ("connection_refused", "the receiver refused the connection"),
            Self::Unreachable => ("unreachable", "the network has no route to the address"),
            Self::ConnectionTimedOut => {
                ("connection_timed_out", "the receiver did not accept a connection in time")
            }
            Self::CertificateExpired => ("certificate_expired", "the TLS certificate has expired"),
            Self::CertificateNotYetValid => {
                ("certificate_not_yet_valid", "the TLS certificate is not valid yet")
            }
            Self::UnknownIssuer => {
                ("certificate_unknown_issuer", "the TLS certificate is not from a public authority")
            }
            Self::WrongName => ("certificate_wrong_name", "the TLS certificate is for another host name"),
            Self::InvalidCertificate => ("certificate_invalid", "the TLS certificate is invalid"),
            Self::TlsHandshake => ("tls_handshake", "the TLS handshake failed"),
            Self::BrokenAnswer => ("broken_answer", "the answer is not HTTP"),
            Self::HeadTooLarge => {
                ("head_too_large", "the head of the answer is too large (maximum is 16 KiB)")
            }
            Self::Closed => ("connection_closed", "the receiver closed the connection before it answered"),
            Self::TimedOut => ("timed_out", "the receiver did not answer in time"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name_and_sentence().1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_class_has_one_name_in_snake_case_and_its_own_sentence() {
        let names: HashSet<_> = Failure::ALL.iter().map(|failure| failure.as_str()).collect();
        let sentences: HashSet<_> = Failure::ALL.iter().map(ToString::to_string).collect();
        assert_eq!((names.len(), sentences.len()), (Failure::ALL.len(), Failure::ALL.len()));
        for name in names {
            assert!(name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{name}");
        }
    }

    #[test]
    fn all_lists_every_class_in_its_order() {
        for (place, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, place);
        }
        assert_eq!(Failure::TimedOut as usize + 1, Failure::ALL.len());
    }
}
