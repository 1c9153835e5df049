//! `-P`: the file that holds the process id while the process lives.

use std::path::{Path, PathBuf};
use std::{fs, io, process};

/// Why there is no pid file.
#[derive(Debug, thiserror::Error)]
#[error(
    "-P, --pidfile `{path}`: cannot be written: {error}; name a file in a directory that the user of -u may write to"
)]
pub struct PidFileError {
    path: PathBuf,
    error: io::Error,
}

/// A pid file, removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes the id of this process, and a line end, in one step: under another name first, then renamed, so that nobody
    /// reads half of it. Call it after the last fork.
    pub fn write(path: &Path) -> Result<PidFile, PidFileError> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".tmp");
        fs::write(&unfinished, content())
            .and_then(|()| fs::rename(&unfinished, path))
            .map_err(|error| PidFileError { path: path.to_path_buf(), error })?;
        Ok(PidFile { path: path.to_path_buf() })
    }

    /// The id of a process that is still alive and that the file at `path` names, other than this one; worth a warning.
    pub fn living_owner(path: &Path) -> Option<u32> {
        let pid: u32 = fs::read_to_string(path).ok()?.trim().parse().ok()?;
        (pid != process::id() && Path::new("/proc").join(pid.to_string()).exists()).then_some(pid)
    }
}

/// What the file of this process holds.
fn content() -> String {
    format!("{}\n", process::id())
}

impl Drop for PidFile {
    /// Removes the file if it still is this process's: a successor may have written its own. There is nobody left to
    /// tell if that fails, as it does when -u has given up the right to.
    fn drop(&mut self) {
        if fs::read_to_string(&self.path).is_ok_and(|text| text == content()) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_as_long_as_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", process::id()));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left besides");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_successors_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        let file = PidFile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert_eq!(fs::read_to_string(&path).unwrap(), "1\n");
    }

    #[test]
    fn a_living_owner_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pid");
        assert_eq!(PidFile::living_owner(&path), None);
        for (text, owner) in
            [("1\n", Some(1)), ("4294967295\n", None), ("x", None), (content().as_str(), None)]
        {
            fs::write(&path, text).unwrap();
            assert_eq!(PidFile::living_owner(&path), owner, "{text}");
        }
    }

    #[test]
    fn a_missing_directory_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing/pid");
        let sentence = PidFile::write(&path).unwrap_err().to_string();
        assert!(
            sentence.starts_with(&format!("-P, --pidfile `{}`: cannot be written", path.display())),
            "{sentence}"
        );
    }
}
