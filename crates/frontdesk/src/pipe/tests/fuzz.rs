//! Requests with wounds, and answers with wounds: what is told to be kept is kept whole, and nothing else is.

use connector::testing::hostile::{Wound, wounded};
use proptest::prelude::*;

use super::*;

const WORDS: [&[u8]; 7] =
    [b"FDM1", b"FDM2", b"\x07support", b"\xff", b"\0\0\0\x09", b"\xff\xff\xff\xff", b"kept\n"];

#[tokio::test(flavor = "multi_thread")]
async fn fuzz_a_request_is_kept_whole_or_not_at_all() {
    let house = House::open().await;
    let socket = house.socket();
    let strategy = prop::collection::vec(any::<Wound>(), 0..5);
    let kept = house.kept.clone();
    let tried = tokio::task::spawn_blocking(move || {
        // A case is a connection: half of what others try by default.
        let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::default() };
        let config = ProptestConfig { cases: config.cases.div_ceil(2), ..config };
        proptest::test_runner::TestRunner::new(config).run(&strategy, |wounds| {
            let mail = b"Subject: hi\r\n\r\nhello";
            let genuine = [frame::head("support", mail.len()).unwrap().as_slice(), mail].concat();
            let request = wounded(&genuine, &WORDS, &wounds);
            let before = kept.lock().unwrap().len();
            let mut stranger = blocking::UnixStream::connect(&socket).unwrap();
            stranger.set_read_timeout(Some(WAIT)).unwrap();
            // Who refuses early may hang up before all is said.
            stranger.write_all(&request).ok();
            stranger.shutdown(std::net::Shutdown::Write).ok();
            let mut line = Vec::new();
            // A reset is an end, too: some of what was said was never read.
            stranger.read_to_end(&mut line).ok();
            prop_assert!(line.len() <= frame::LONGEST_ANSWER);
            let answer = Answer::read(&String::from_utf8_lossy(&line));
            prop_assert!(answer.is_some() || line.is_empty(), "half an answer: {:?}", line);
            prop_assert!(!wounds.is_empty() || answer == Some(Answer::Kept), "the genuine one is kept");
            let kept = kept.lock().unwrap();
            if answer == Some(Answer::Kept) {
                prop_assert!(kept.len() > before, "told to be kept, but it was not");
            }
            for (_, raw) in kept.iter().skip(before) {
                let whole = request.windows(raw.len().max(1)).any(|part| part == raw);
                prop_assert!(whole || raw.is_empty(), "what was kept was never said");
            }
            Ok(())
        })
    });
    tried.await.unwrap().unwrap();
    house.leave().await;
}

proptest! {
    #[test]
    fn fuzz_an_answer_is_read_whole_or_not_at_all(which in any::<prop::sample::Index>(), wounds in prop::collection::vec(any::<Wound>(), 0..5), why in ".{0,40}") {
        let answers = [Answer::Kept, Answer::Later(why.clone()), Answer::Never(why)];
        let words: [&[u8]; 5] = [b"kept", b"\n", b" ", b"later ", b"never "];
        let line = String::from_utf8_lossy(&wounded(which.get(&answers).line().as_bytes(), &words, &wounds)).into_owned();
        match Answer::read(&line) {
            // Only so is a mail forgotten by who had it.
            Some(Answer::Kept) => prop_assert_eq!(line, "kept\n"),
            Some(_) => prop_assert!(line.ends_with('\n')),
            None => {}
        }
    }
}
