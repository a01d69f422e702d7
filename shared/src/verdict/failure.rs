//! Why there was no answer: classes that an endpoint's owner can act on.

use std::fmt;

/// Why there was no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The URL or an address behind its name is not allowed.
    Refused,
    /// The name does not exist, or has no address.
    NameNotFound,
    /// No name server answered in time, or none could.
    NameServer,
    /// Nobody listens there.
    ConnectRefused,
    /// Nobody answered the request for a connection.
    ConnectTimeout,
    /// No connection, for another reason.
    ConnectFailed,
    /// The certificate's time is over.
    CertificateExpired,
    /// The certificate's time has not come.
    CertificateNotYetValid,
    /// No authority of the public web vouches for the certificate.
    CertificateUntrusted,
    /// The certificate is for another name.
    CertificateWrongName,
    /// No TLS session, for another reason.
    Tls,
    /// The connection ended before the head of an answer.
    Closed,
    /// The head of the answer is larger than is read.
    TooLarge,
    /// What came is no answer of HTTP/1.1.
    Protocol,
    /// The deadline over the whole exchange passed.
    Timeout,
}

impl Failure {
    /// Every class.
    pub const ALL: [Self; 15] = [
        Self::Refused,
        Self::NameNotFound,
        Self::NameServer,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::ConnectFailed,
        Self::CertificateExpired,
        Self::CertificateNotYetValid,
        Self::CertificateUntrusted,
        Self::CertificateWrongName,
        Self::Tls,
        Self::Closed,
        Self::TooLarge,
        Self::Protocol,
        Self::Timeout,
    ];

    /// The class' name in JSON, tables and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.words().0
    }

    /// The name, and the same for a human.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Refused => ("refused", "address not allowed"),
            Self::NameNotFound => ("name_not_found", "name not found"),
            Self::NameServer => ("name_server", "name server failed"),
            Self::ConnectRefused => ("connect_refused", "connection refused"),
            Self::ConnectTimeout => ("connect_timeout", "connection timed out"),
            Self::ConnectFailed => ("connect_failed", "connection failed"),
            Self::CertificateExpired => ("certificate_expired", "TLS certificate expired"),
            Self::CertificateNotYetValid => ("certificate_not_yet_valid", "TLS certificate not valid yet"),
            Self::CertificateUntrusted => ("certificate_untrusted", "TLS certificate not trusted"),
            Self::CertificateWrongName => ("certificate_wrong_name", "TLS certificate for another name"),
            Self::Tls => ("tls", "TLS failed"),
            Self::Closed => ("closed", "connection closed without an answer"),
            Self::TooLarge => ("too_large", "answer too large"),
            Self::Protocol => ("protocol", "broken answer"),
            Self::Timeout => ("timeout", "timed out"),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words().1)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_class_has_a_name_and_words_of_its_own() {
        let names: HashSet<&str> = Failure::ALL.iter().map(|failure| failure.as_str()).collect();
        let words: HashSet<String> = Failure::ALL.iter().map(Failure::to_string).collect();
        assert_eq!((names.len(), words.len()), (Failure::ALL.len(), Failure::ALL.len()));
        assert!(names.iter().all(|name| name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')));
    }
}
