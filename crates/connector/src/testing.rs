//! The contract every connector is tested by, and an intake that remembers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use contact::{Event, RawBytes, Suspect};

use crate::{Held, Intake, IntakeError, Quarantine};

pub mod hostile;

/// An intake that keeps everything in memory, or refuses when told to.
#[derive(Default)]
pub struct MemoryIntake {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    accepted: Vec<(Event, RawBytes)>,
    held: Vec<Suspect>,
    refusal: Option<IntakeError>,
}

impl MemoryIntake {
    pub fn refusing(error: IntakeError) -> Self {
        Self { inner: Mutex::new(Inner { refusal: Some(error), ..Inner::default() }) }
    }

    /// What was accepted, in order.
    pub fn accepted(&self) -> Vec<(Event, RawBytes)> {
        self.lock().accepted.clone()
    }

    /// What was put in quarantine, in order.
    pub fn held(&self) -> Vec<Suspect> {
        self.lock().held.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Intake for MemoryIntake {
    async fn accept(&self, mut event: Event, raw: RawBytes) -> Result<(), IntakeError> {
        let mut inner = self.lock();
        if let Some(refusal) = &inner.refusal {
            return Err(refusal.clone());
        }
        event.raw = Some(if raw.fits_inline() { raw.inline() } else { raw.reference() });
        inner.accepted.push((event, raw));
        Ok(())
    }
}

#[async_trait]
impl Quarantine for MemoryIntake {
    async fn hold(&self, suspect: Suspect) -> Held {
        self.lock().held.push(suspect);
        Held::Kept
    }
}

/// What the source was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// 2xx, `\Seen`, an ack: it will not send this again.
    GotIt,
    /// Try again later.
    NotNow,
    /// It is at fault.
    Refused,
}

/// How the contract speaks to one connector.
#[async_trait]
pub trait Rig: Sync {
    /// Real inputs with their names.
    fn fixtures(&self) -> Vec<(String, Vec<u8>)>;

    /// Delivers `input` through the connector's own door, with `intake` behind it, and says what the
    /// source was told.
    async fn deliver(&self, intake: std::sync::Arc<MemoryIntake>, input: &[u8]) -> Told;
}

/// What every connector owes:
///
/// - each fixture is accepted, and the source told so;
/// - the same raw input twice gives the same keys;
/// - the raw handed over is not empty;
/// - when the intake refuses, the source is not told "got it";
/// - an input cut short or with bytes flipped gives an answer, never a panic, and never "got it"
///   without something kept.
///
/// # Panics
/// With a sentence, when the connector breaks one of these.
pub async fn contract(rig: &impl Rig) {
    let fixtures = rig.fixtures();
    assert!(!fixtures.is_empty(), "a contract over no fixtures proves nothing");
    for (name, input) in &fixtures {
        let intake = std::sync::Arc::new(MemoryIntake::default());
        assert_eq!(rig.deliver(intake.clone(), input).await, Told::GotIt, "{name}");
        let once = intake.accepted();
        assert!(!once.is_empty(), "{name}: told \"got it\", but nothing was kept");
        for (_, raw) in &once {
            assert!(!raw.bytes.is_empty(), "{name}: an event without its raw");
        }
        assert_eq!(rig.deliver(intake.clone(), input).await, Told::GotIt, "{name}, again");
        let both = intake.accepted();
        let keys: Vec<_> = both.iter().map(|(event, _)| &event.key).collect();
        let (first, second) = keys.split_at(once.len());
        assert_eq!(first, second, "{name}: the same input gave other keys");

        for error in [
            IntakeError::Full { retry_after: Duration::from_secs(7) },
            IntakeError::Broken { reason: "the disk is gone".into(), retry_after: Duration::from_secs(1) },
        ] {
            let refusing = std::sync::Arc::new(MemoryIntake::refusing(error));
            assert_eq!(rig.deliver(refusing, input).await, Told::NotNow, "{name}: the intake refused");
        }

        for broken in broken(input) {
            let intake = std::sync::Arc::new(MemoryIntake::default());
            let told = rig.deliver(intake.clone(), &broken).await;
            if told == Told::GotIt {
                assert!(
                    !intake.accepted().is_empty(),
                    "{name}, broken: told \"got it\", but nothing was kept: {}",
                    String::from_utf8_lossy(&broken)
                );
            }
        }
    }
}

/// The input cut at many places, and with single bytes replaced by hostile ones.
fn broken(input: &[u8]) -> Vec<Vec<u8>> {
    let step = (input.len() / 24).max(1);
    let mut all = Vec::new();
    for at in (0..input.len()).step_by(step) {
        all.push(input.iter().copied().take(at).collect());
        for hostile in [0x00, 0xff, b'%', b'\n'] {
            let mut changed = input.to_vec();
            if let Some(byte) = changed.get_mut(at) {
                *byte = hostile;
            }
            all.push(changed);
        }
    }
    all
}
