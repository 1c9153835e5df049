//! Where options come from: the command line of this process, and the file it names, looked for from the directory it was
//! started in. Both are read at the start and again at SIGHUP.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::options::{Given, Machine, OptionError};

/// The largest configuration file, in bytes: some twenty times the commented one.
const FILE_LEN_MAX: u64 = 256 << 10;

/// See the module comment.
pub struct Source {
    /// A daemon's working directory is not the one the file was named in.
    directory: PathBuf,
    /// What the defaults depend on: at SIGHUP the same as at the start.
    pub machine: Machine,
}

impl Source {
    /// Of this process, in its directory, on this machine.
    pub fn here() -> Source {
        // Of a directory that is gone nothing can be read by a relative path; what is absolute still can.
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Source { directory, machine: Machine::probe() }
    }

    /// What is asked for now.
    ///
    /// # Errors
    /// Those of [`Given::read`].
    pub fn read(&self) -> Result<Given, OptionError> {
        Given::read(std::env::args_os(), |path| read(&self.directory.join(path)))
    }
}

/// The text of a file of a bounded length.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FILE_LEN_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_LEN_MAX {
        let sentence = format!("it is longer than {FILE_LEN_MAX} bytes, the most a configuration takes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, sentence));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_of_text_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c.toml");
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(read(directory.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        std::fs::write(&path, b"port = \xff").unwrap();
        assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        std::fs::write(&path, "port = 5").unwrap();
        assert_eq!(read(&path).unwrap(), "port = 5");
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
