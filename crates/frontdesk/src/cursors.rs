//! Where readers keep how far they are: files under `up`, a bucket of the bus where processes share it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bus::Bus;
use bus::kv::{CURSORS, Kv, KvError};
use bytes::Bytes;
use connector::{CursorError, Cursors, Mark};
use intake::{Disk as _, RealDisk};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::info;

/// One small file for each name. For one process: the lock of the data folder keeps others away.
#[derive(Clone)]
pub(crate) struct FileCursors(Arc<Files>);

struct Files {
    folder: PathBuf,
    /// Held from the look at a revision until the next one is durable.
    one: Mutex<()>,
}

impl FileCursors {
    /// Keeps them in `<data>/cursors`.
    pub(crate) fn open(data: &Path) -> io::Result<Self> {
        let folder = data.join("cursors");
        RealDisk.ensure_folder(&folder)?;
        Ok(Self(Arc::new(Files { folder, one: Mutex::new(()) })))
    }

    /// On a thread that may wait for the disk.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Files) -> Result<T, CursorError> + Send + 'static,
    ) -> Result<T, CursorError> {
        let files = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            let _one = files.one.lock().unwrap_or_else(PoisonError::into_inner);
            work(&files)
        });
        done.await.unwrap_or_else(|error| Err(CursorError::Away(error.to_string())))
    }
}

#[async_trait]
impl Cursors for FileCursors {
    async fn get(&self, name: &str) -> Result<Option<Mark>, CursorError> {
        let name = name.to_owned();
        self.with(move |files| files.read(&name)).await
    }

    async fn advance(&self, name: &str, from: Option<u64>, value: &str) -> Result<u64, CursorError> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.with(move |files| {
            if files.read(&name)?.map(|mark| mark.revision) != from {
                return Err(CursorError::Moved);
            }
            let revision = from.unwrap_or(0) + 1;
            let kept = Kept { digest: digest(&name, revision, &value), name, revision, value };
            files.write(&kept).map_err(|error| {
                CursorError::Away(format!("could not write {}: {error}", files.path(&kept.name).display()))
            })?;
            Ok(revision)
        })
        .await
    }
}

/// What a file holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    name: String,
    revision: u64,
    value: String,
    /// Of all the others.
    digest: String,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{}.json", token(name)))
    }

    /// A file that cannot be read is never taken for none: its reader would begin anew.
    fn read(&self, name: &str) -> Result<Option<Mark>, CursorError> {
        let path = self.path(name);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(CursorError::Away(format!("could not read {}: {error}", path.display())));
            }
        };
        let kept = serde_json::from_slice::<Kept>(&bytes).ok();
        let whole =
            |kept: &Kept| kept.name == name && kept.digest == digest(&kept.name, kept.revision, &kept.value);
        match kept.filter(whole) {
            Some(kept) => Ok(Some(Mark { value: kept.value, revision: kept.revision })),
            None => Err(CursorError::Away(format!(
                "{} is damaged; bring it back from a backup, or move it away for its source to be read anew",
                path.display()
            ))),
        }
    }

    /// Returns once it is durable: after a power cut there is the old one or the new one, never a part.
    fn write(&self, kept: &Kept) -> io::Result<()> {
        let path = self.path(&kept.name);
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        RealDisk.flush_folder(&self.folder)
    }
}

fn digest(name: &str, revision: u64, value: &str) -> String {
    contact::content_digest([name.as_bytes(), &revision.to_le_bytes(), value.as_bytes()])
}

/// One key for each name, in a bucket that all processes share.
#[derive(Clone)]
pub(crate) struct KvCursors {
    bucket: Kv,
    /// Those of the time when this data folder was alone, under `up`: who begins to share goes on from there, and
    /// not from now.
    before: Option<FileCursors>,
}

impl KvCursors {
    pub(crate) fn open(bus: &Bus, data: &Path) -> io::Result<Self> {
        let before = data.join("cursors").is_dir().then(|| FileCursors::open(data)).transpose()?;
        Ok(Self { bucket: bus.kv(&CURSORS), before })
    }

    async fn shared(&self, name: &str) -> Result<Option<Mark>, CursorError> {
        let Some(kept) = self.bucket.get(&token(name)).await.map_err(refusal)? else { return Ok(None) };
        let value = String::from_utf8(kept.value.into())
            .map_err(|_| CursorError::Away(format!("the cursor {name:?} is damaged: it is no text")))?;
        Ok(Some(Mark { value, revision: kept.revision }))
    }
}

#[async_trait]
impl Cursors for KvCursors {
    async fn get(&self, name: &str) -> Result<Option<Mark>, CursorError> {
        if let Some(mark) = self.shared(name).await? {
            return Ok(Some(mark));
        }
        let Some(before) = &self.before else { return Ok(None) };
        let Some(Mark { value, .. }) = before.get(name).await? else { return Ok(None) };
        match self.advance(name, None, &value).await {
            Ok(revision) => {
                info!(cursor = name, "goes on from where this data folder's own cursor was");
                Ok(Some(Mark { value, revision }))
            }
            // Another process was quicker.
            Err(CursorError::Moved) => self.shared(name).await,
            Err(error) => Err(error),
        }
    }

    async fn advance(&self, name: &str, from: Option<u64>, value: &str) -> Result<u64, CursorError> {
        let (key, value) = (token(name), Bytes::copy_from_slice(value.as_bytes()));
        let moved = match from {
            None => self.bucket.create(&key, value).await,
            Some(revision) => self.bucket.update(&key, value, revision).await,
        };
        moved.map_err(refusal)
    }
}

fn refusal(error: KvError) -> CursorError {
    match error {
        KvError::Moved => CursorError::Moved,
        KvError::Away(_) | KvError::Refused(_) => CursorError::Away(error.to_string()),
    }
}

/// The longest name that stands for itself; with what is added it fits a key and a file's name.
const LONGEST: usize = 120;

/// A name as a key and as a file's name: everything but letters, digits, `-` and `_` becomes `=` and two
/// hex digits. A long one is cut and ends in `==` and a digest. Different names stay different.
fn token(name: &str) -> String {
    let mut token = String::new();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => token.push(char::from(byte)),
            other => token.push_str(&format!("={other:02X}")),
        }
    }
    if token.len() > LONGEST {
        token.truncate(LONGEST);
        token.push_str("==");
        token.extend(hex::encode(Sha256::digest(name.as_bytes())).chars().take(32));
    }
    token
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::harness::Nats;

    /// What is owed by every kind. `mine` and `theirs` are two readers of the same cursors.
    async fn contract(mine: &dyn Cursors, theirs: &dyn Cursors) {
        let long = "x".repeat(500);
        let (first, second) = (format!("{long}1"), format!("{long}2"));
        let names = [
            "email/support",
            "email/SUPPORT x",
            "a.b",
            "a..b",
            ".",
            "/",
            "пошта/вхідні",
            "=2E",
            &first,
            &second,
        ];
        for (n, name) in names.iter().enumerate() {
            assert_eq!(mine.get(name).await.unwrap(), None, "{name} is somebody else's");
            let value = format!("uidvalidity 7\nuidnext {n} \u{0}\"ї\"");
            let one = mine.advance(name, None, &value).await.unwrap();
            assert_eq!(theirs.get(name).await.unwrap(), Some(Mark { value, revision: one }));
        }
        let name = "email/support";
        let one = mine.get(name).await.unwrap().unwrap().revision;
        assert_eq!(theirs.advance(name, None, "x").await, Err(CursorError::Moved), "there is one");
        assert_eq!(theirs.advance("email/none", Some(one), "x").await, Err(CursorError::Moved));
        let two = theirs.advance(name, Some(one), "").await.unwrap();
        assert!(two > one);
        assert_eq!(mine.advance(name, Some(one), "x").await, Err(CursorError::Moved));
        let found = mine.get(name).await.unwrap();
        assert_eq!(found, Some(Mark { value: String::new(), revision: two }), "a lost race left a trace");

        // Nobody's move is lost, however many try.
        let tries = join_all((0..16).map(|n| mine.advance(name, Some(two), if n == 0 { "0" } else { "n" })));
        let won = tries.await.into_iter().filter(|moved| *moved != Err(CursorError::Moved)).count();
        assert_eq!(won, 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn files_keep_the_contract() {
        let data = tempfile::tempdir().unwrap();
        let (mine, theirs) =
            (FileCursors::open(data.path()).unwrap(), FileCursors::open(data.path()).unwrap());
        contract(&mine, &theirs).await;
        let left = fs::read_dir(data.path().join("cursors")).unwrap();
        let left: Vec<_> = left.map(|entry| entry.unwrap().path()).collect();
        assert!(left.iter().all(|path| path.extension().unwrap() == "json"), "{left:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_bucket_keeps_the_contract_and_is_away_without_its_broker() {
        let nats = Nats::start().await;
        let (bus, other) = (nats.bus().await, nats.bus().await);
        let none = nats.dir.path().join("none");
        let cursors = KvCursors::open(&bus, &none).unwrap();
        contract(&cursors, &KvCursors::open(&other, &none).unwrap()).await;
        nats.leave().await;
        assert!(matches!(cursors.get("email/support").await, Err(CursorError::Away(_))));
        assert!(matches!(cursors.advance("email/support", None, "x").await, Err(CursorError::Away(_))));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_begins_to_share_goes_on_from_the_files() {
        let nats = Nats::start().await;
        let bus = nats.bus().await;
        let data = nats.dir.path();
        let alone = FileCursors::open(data).unwrap();
        let one = alone.advance("email/support", None, "uidnext 7").await.unwrap();
        alone.advance("email/support", Some(one), "uidnext 8").await.unwrap();
        let shared = KvCursors::open(&bus, data).unwrap();
        let mark = shared.get("email/support").await.unwrap().unwrap();
        assert_eq!(mark.value, "uidnext 8");
        shared.advance("email/support", Some(mark.revision), "uidnext 9").await.unwrap();
        // From here on the bucket counts, for others as for us.
        for folder in [data, &data.join("none")] {
            let mark = KvCursors::open(&bus, folder).unwrap().get("email/support").await.unwrap().unwrap();
            assert_eq!(mark.value, "uidnext 9");
        }
        assert_eq!(shared.get("email/other").await.unwrap(), None);
        nats.leave().await;
    }

    #[tokio::test]
    async fn a_damaged_file_is_neither_none_nor_written_over() {
        let data = tempfile::tempdir().unwrap();
        let cursors = FileCursors::open(data.path()).unwrap();
        cursors.advance("email/support", None, "uidnext 1000").await.unwrap();
        let path = cursors.0.path("email/support");
        let whole = fs::read(&path).unwrap();
        let text = String::from_utf8(whole.clone()).unwrap();
        let mut damaged: Vec<Vec<u8>> =
            (0..whole.len()).map(|cut| whole.iter().take(cut).copied().collect()).collect();
        damaged.push(text.replace("1000", "2000").into());
        damaged.push(text.replace("support", "billing").into());
        damaged.push(text.replace("\"revision\":1", "\"revision\":2").into());
        damaged.push([whole.as_slice(), b"}"].concat());
        for bytes in damaged {
            fs::write(&path, &bytes).unwrap();
            for answer in [
                cursors.get("email/support").await.map(drop),
                cursors.advance("email/support", None, "x").await.map(drop),
                cursors.advance("email/support", Some(1), "x").await.map(drop),
            ] {
                let Err(CursorError::Away(sentence)) = answer else { panic!("{answer:?} for {bytes:?}") };
                assert!(sentence.contains("email=2Fsupport.json is damaged"), "{sentence}");
            }
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    #[tokio::test]
    async fn what_a_killed_writer_left_half_done_changes_nothing() {
        let data = tempfile::tempdir().unwrap();
        let cursors = FileCursors::open(data.path()).unwrap();
        let one = cursors.advance("a", None, "old").await.unwrap();
        fs::write(cursors.0.path("a").with_extension("new"), "{\"na").unwrap();
        let again = FileCursors::open(data.path()).unwrap();
        assert_eq!(again.get("a").await.unwrap(), Some(Mark { value: "old".to_owned(), revision: one }));
        again.advance("a", Some(one), "new").await.unwrap();
        assert_eq!(again.get("a").await.unwrap().unwrap().value, "new");
    }

    #[tokio::test]
    async fn a_disk_that_refuses_is_told_and_the_old_mark_stays() {
        let data = tempfile::tempdir().unwrap();
        let cursors = FileCursors::open(data.path()).unwrap();
        let one = cursors.advance("a", None, "old").await.unwrap();
        // A folder where the next file would be written.
        fs::create_dir(cursors.0.path("a").with_extension("new")).unwrap();
        let refused = cursors.advance("a", Some(one), "new").await;
        assert!(matches!(&refused, Err(CursorError::Away(why)) if why.contains("a.json")), "{refused:?}");
        assert_eq!(cursors.get("a").await.unwrap().unwrap().value, "old");
    }
}
