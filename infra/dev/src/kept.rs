//! What a state directory keeps between two starts: the port, the API key, what is deployed, and the emulator's state.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::client::ApiClient;
use crate::error::{Error, IoContext as _};
use crate::options::Options;
use crate::ports;

/// The facts of the last start.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The port of the emulator.
    pub(crate) port: Option<u16>,
    /// The API key of the developer's tenant.
    pub(crate) api_key: String,
    /// The deployed template with its parameters. Empty if nothing is deployed.
    pub(crate) deployed: String,
}

impl Kept {
    /// Reads what the directory of a stack keeps. Removes it if the options ask for a fresh start.
    pub(crate) fn load(options: &Options) -> Result<Self, Error> {
        let folder = folder(&options.dir);
        if options.fresh {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).context(|| format!("remove {}", folder.display()));
                }
                _ => return Ok(Self::default()),
            }
        }
        let text = fs::read(folder.join("kept.json")).unwrap_or_default();
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    /// Writes what the directory keeps.
    pub(crate) fn save(&self, dir: &Path) -> Result<(), Error> {
        let path = folder(dir).join("kept.json");
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        fs::create_dir_all(folder(dir))
            .and_then(|()| fs::write(&path, text))
            .context(|| format!("write {}", path.display()))
    }

    /// Chooses the port of the emulator: the kept one, else as [`ports::choose`] does.
    ///
    /// # Errors
    /// Returns [`Error::PortDiffers`] if another port than the kept one is requested, because the URLs of the kept
    /// queues hold the port. Returns [`Error::PortBusy`] if the port is in use.
    pub(crate) fn choose_port(&self, requested: Option<u16>) -> Result<u16, Error> {
        match (self.port, requested) {
            (Some(kept), Some(port)) if port != 0 && port != kept => {
                Err(Error::PortDiffers { kept, requested: port })
            }
            (Some(kept), _) => ports::choose(Some(kept)),
            (None, requested) => ports::choose(requested),
        }
    }

    /// Makes sure that there is a valid API key at the stack with the base URL `url`.
    pub(crate) fn ensure_key(&mut self, url: &str) -> Result<(), Error> {
        if self.api_key.is_empty() || !ApiClient::with_key(url, &self.api_key).is_authenticated() {
            self.api_key = ApiClient::sign_up(url, "Local")?.key;
        }
        Ok(())
    }
}

/// Returns where the emulator keeps its state.
pub(crate) fn emulator_state(dir: &Path) -> PathBuf {
    folder(dir).join("emulator")
}

/// Removes the state that the emulator has read. It has another template than the one that runs now, and would come
/// back if the emulator is killed before it writes its state again.
pub(crate) fn discard_emulator_state(dir: &Path) {
    let _absent = fs::remove_dir_all(emulator_state(dir));
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("kept")
}

#[cfg(test)]
mod tests {
    use std::env::temp_dir;
    use std::process::id;

    use super::*;

    #[test]
    fn the_port_stays_until_a_fresh_start() {
        let dir = temp_dir().join(format!("triggers-kept-{}", id()));
        let options = Options { dir: dir.clone(), ..Options::default() };
        let port = Kept::load(&options).unwrap().choose_port(Some(0)).unwrap();
        let kept = Kept { port: Some(port), api_key: "key".to_owned(), deployed: String::new() };
        kept.save(&dir).unwrap();
        let again = Kept::load(&options).unwrap();
        assert_eq!((again.choose_port(None).unwrap(), again.api_key.as_str()), (port, "key"));
        assert_eq!(again.choose_port(Some(0)).unwrap(), port);
        let error = again.choose_port(Some(port ^ 1)).unwrap_err().to_string();
        assert!(error.contains("--fresh"), "{error}");
        let fresh = Kept::load(&Options { fresh: true, ..options.clone() }).unwrap();
        assert_eq!((fresh.port, fresh.api_key.as_str()), (None, ""));
        assert_eq!(Kept::load(&options).unwrap().port, None, "it is forgotten for good");
        fs::remove_dir_all(&dir).unwrap_or_default();
    }
}
